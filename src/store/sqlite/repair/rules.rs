//! The statements of all rules.

use diesel::QueryResult;
use diesel::result::Error;

use super::statements::Statements;
use super::{contents, levels, totals};
use crate::books::invariants::Rule;

/// What finds and corrects the rows that break a rule.
pub(super) fn statements_of(rule: &Rule) -> QueryResult<&'static Statements> {
    let mut all = levels::RULES.iter().chain(contents::RULES).chain(totals::RULES);
    let found = all.find(|statements| statements.rule == rule.name);
    // A test finds the statements of every rule.
    found.ok_or_else(|| Error::QueryBuilderError(format!("no statement repairs {}", rule.name).into()))
}
