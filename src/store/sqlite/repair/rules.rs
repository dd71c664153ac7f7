//! The statements of all rules.

use diesel::QueryResult;
use diesel::result::Error;

use super::statements::Statements;
use super::{contents, levels, totals};
use crate::books::rules::Rule;

/// The statements that find and correct violations of a rule.
pub(super) fn statements_of(rule: &Rule) -> QueryResult<&'static Statements> {
    let mut all = levels::RULES.iter().chain(contents::RULES).chain(totals::RULES);
    let found = all.find(|statements| statements.rule == rule.name);
    // A test checks that every rule has its statements.
    found.ok_or_else(|| Error::QueryBuilderError(format!("no statement repairs {}", rule.name).into()))
}
