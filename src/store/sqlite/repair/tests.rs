//! The catalogue, the view and the statements have the same rules.

use std::collections::BTreeSet;

use super::*;
use crate::books::rules::{RULES, Stage};
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
    let all = levels::RULES.iter().chain(contents::RULES).chain(totals::RULES);
    for sql in all {
        assert!(names.contains(sql.rule), "{} is not in the catalogue", sql.rule);
    }
}

#[test]
fn every_query_of_a_repair_runs() {
    let mut conn = in_memory().unwrap();
    let conn = conn.sqlite().unwrap();
    for sql in levels::RULES.iter().chain(contents::RULES).chain(totals::RULES) {
        if let Some(find) = sql.find {
            let found = diesel::sql_query(find).load::<Broken>(conn);
            assert!(found.unwrap().is_empty(), "{}", sql.rule);
        }
    }
}
