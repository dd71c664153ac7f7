//! The catalogue and the statements have the same rules, and the statements are valid.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind::{CheckViolation, NotNullViolation, UniqueViolation};
use diesel::result::Error;
use diesel::sql_types::{BigInt, Text};

use super::*;
use crate::books::rules::{RULES, Stage};
use crate::store::postgres::skip;

#[test]
fn each_rule_has_its_statements_or_is_enforced() {
    let mut names = BTreeSet::new();
    for rule in RULES {
        names.insert(rule.name);
        if rule.stage == Stage::Elsewhere || ENFORCED.contains(&rule.name) {
            assert!(statements_of(rule).is_err(), "{} needs no statement", rule.name);
            continue;
        }
        let sql = statements_of(rule).unwrap();
        assert_eq!(sql.find.is_some(), rule.found == FoundBy::Repair, "{}", rule.name);
        let by_a_fix = matches!(rule.stage, Stage::Keys | Stage::Places | Stage::Books);
        assert_eq!(sql.correct.is_empty(), by_a_fix, "{}", rule.name);
    }
    let all = levels::RULES.iter().chain(contents::RULES).chain(totals::RULES);
    for name in all.map(|sql| sql.rule).chain(ENFORCED.iter().copied()) {
        assert!(names.contains(name), "{name} is not in the catalogue");
    }
}

#[test]
fn every_statement_of_a_repair_runs() {
    let Ok(url) = std::env::var("HEAPLEDGER_TEST_URL") else {
        return skip::skip("a server", "HEAPLEDGER_TEST_URL is not set");
    };
    let conn = &mut PgConnection::establish(&url).unwrap();
    let up = include_str!("../../../../migrations/postgres/2026-11-26-000001_heap/up.sql");
    let begin = "BEGIN; CREATE SCHEMA repair_statements; SET LOCAL search_path TO repair_statements, pg_temp;";
    conn.batch_execute(&format!("{begin} {up}; {BEGIN}")).unwrap();
    for sql in levels::RULES.iter().chain(contents::RULES).chain(totals::RULES) {
        if let Some(find) = sql.find {
            let found = diesel::sql_query(find).load::<Broken>(conn);
            assert!(found.unwrap().is_empty(), "{}", sql.rule);
        }
        for text in sql.correct {
            conn.batch_execute("SAVEPOINT s").unwrap();
            let done = diesel::sql_query(*text)
                .bind::<BigInt, _>(1)
                .bind::<Text, _>("1")
                .execute(conn);
            match done {
                Ok(_) => {}
                // A repair would not add this row.
                Err(Error::DatabaseError(CheckViolation | NotNullViolation | UniqueViolation, _)) => {}
                Err(error) => panic!("{}: {error}: {text}", sql.rule),
            }
            conn.batch_execute("ROLLBACK TO s").unwrap();
        }
    }
    conn.batch_execute("ROLLBACK").unwrap();
}
