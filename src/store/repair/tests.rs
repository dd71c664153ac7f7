//! The catalogue, the view and the statements have the same rules, and the statements are valid.

use std::collections::BTreeSet;

use diesel::result::DatabaseErrorKind::{ForeignKeyViolation, NotNullViolation, UniqueViolation};
use diesel::result::Error;

use super::*;
use crate::books::rules::Stage;
#[cfg(feature = "postgres")]
use crate::models::MemRamId;
use crate::store::sqlite::exec;
use crate::store::sqlite::migrations::in_memory;

/// Each `'Ix', 'rule', 'table'` that a view selects.
fn named_by_the_views() -> BTreeSet<(String, String, String)> {
    let schema = exec::schema(&mut in_memory().unwrap()).unwrap();
    let views = schema.iter().filter(|row| row.name.ends_with("violations"));
    let mut named = BTreeSet::new();
    for view in views {
        for arm in view.sql.split("SELECT 'I").skip(1) {
            let texts: Vec<_> = arm.split('\'').collect();
            // One SELECT finds two rules, with a CASE.
            let (rules, table): (&[_], _) = if texts[1].contains("CASE") {
                (&[2, 4], 6)
            } else {
                (&[2], 4)
            };
            for &rule in rules {
                named.insert((
                    format!("I{}", texts[0]),
                    texts[rule].to_owned(),
                    texts[table].to_owned(),
                ));
            }
        }
    }
    named
}

#[test]
fn the_views_find_exactly_the_rules_of_the_catalogue() {
    let named = named_by_the_views();
    assert!(named.len() > 20, "{named:?}");
    for rule in RULES {
        let (invariant, name, table) = (rule.invariant.to_string(), rule.name.to_owned(), rule.table.to_owned());
        let in_view = named.contains(&(invariant, name, table));
        assert!(in_view || rule.found == FoundBy::Repair, "no view finds {}", rule.name);
    }
    for (invariant, name, table) in named {
        let rule = RULES.iter().find(|rule| rule.name == name);
        let rule = rule.unwrap_or_else(|| panic!("the catalogue has no rule {name}"));
        assert_eq!((rule.invariant.name(), rule.table), (&*invariant, &*table), "{name}");
    }
}

#[test]
fn each_rule_has_its_statements() {
    let mut names = BTreeSet::new();
    for rule in RULES {
        assert!(names.insert(rule.name), "{} is duplicated", rule.name);
        if rule.stage == Stage::Elsewhere {
            assert!(statements_of(rule).is_err(), "{} needs no statement", rule.name);
            continue;
        }
        let sql = statements_of(rule).unwrap();
        assert_eq!(sql.find.is_some(), rule.found == FoundBy::Repair, "{}", rule.name);
        let by_a_fix = matches!(rule.stage, Stage::Keys | Stage::Places | Stage::Books);
        assert_eq!(sql.correct.is_empty(), by_a_fix, "{}", rule.name);
    }
    for name in statements::all().map(|sql| sql.rule).chain(OF_ROWS) {
        assert!(names.contains(name), "{name} is not in the catalogue");
    }
}

#[test]
fn every_statement_of_a_repair_runs_in_a_file() {
    let mut conn = in_memory().unwrap();
    conn.batch_execute("PRAGMA ignore_check_constraints = ON; BEGIN")
        .unwrap();
    every_statement_runs(&mut conn, &[]);
}

#[cfg(feature = "postgres")]
#[test]
fn every_statement_of_a_repair_runs_on_a_server() {
    use crate::store::postgres::skip;
    let Ok(url) = std::env::var("HEAPLEDGER_TEST_URL") else {
        return skip::skip("a server", "HEAPLEDGER_TEST_URL is not set");
    };
    let mut conn = PgConnection::establish(&url).unwrap();
    let up = include_str!("../../../migrations/postgres/2026-11-26-000001_heap/up.sql");
    let begin = "BEGIN; CREATE SCHEMA repair_statements; SET LOCAL search_path TO repair_statements, pg_temp;";
    conn.batch_execute(&format!("{begin} {up}; {}", lifted::BEGIN)).unwrap();
    let enforce = lifted::lift(&mut conn, MemRamId::FIRST).unwrap();
    let mut conn = Conn::Postgres(conn);
    // The column that this rule corrects exists only in files: on a server nothing finds it.
    every_statement_runs(&mut conn, &["object_endless"]);
    for statement in enforce.iter().map(String::as_str).chain(["ROLLBACK"]) {
        conn.batch_execute(statement).unwrap();
    }
}

/// On a heap without a space, in which no row breaks a rule.
fn every_statement_runs(conn: &mut Conn, but: &[&str]) {
    assert!(find(conn, STRAY).unwrap().is_empty());
    for sql in statements::all().filter(|sql| !but.contains(&sql.rule)) {
        if let Some(text) = sql.find {
            assert!(find(conn, text).unwrap().is_empty(), "{}", sql.rule);
        }
        let rule = RULES.iter().find(|rule| rule.name == sql.rule).unwrap();
        let fix = Fix::Row {
            rule,
            id: 1,
            key: Some("1"),
        };
        conn.batch_execute("SAVEPOINT s").unwrap();
        match execute(conn, &fix) {
            Ok(()) => {}
            // A repair would not add this row.
            Err(Error::DatabaseError(NotNullViolation | UniqueViolation | ForeignKeyViolation, _)) => {}
            Err(error) => panic!("{}: {error}", sql.rule),
        }
        conn.batch_execute("ROLLBACK TO s").unwrap();
    }
}
