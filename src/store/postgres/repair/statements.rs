//! The statements of a rule, and of all rules.

use diesel::QueryResult;
use diesel::result::Error;

use super::{contents, levels, totals};
use crate::books::rules::Rule;

/// The statements that find and correct violations of a rule.
pub(super) struct Statements {
    pub rule: &'static str,
    /// Finds violations, as `id`, `key` (the second part of a compound key, else NULL), `expected` and
    /// `found`; `None` if the view `violations` finds them.
    pub find: Option<&'static str>,
    /// Corrects one row: `$1` is its `id`, `$2` its `key`. No row ever violates a CHECK, not even between
    /// two statements: only foreign keys are deferred.
    pub correct: &'static [&'static str],
}

/// Rules about a row that a CHECK already enforces; on SQLite a connection can turn these off.
pub(super) const ENFORCED: &[&str] = &[
    "space_row",
    "entry_length",
    "entry_empty",
    "object_type",
    "name_empty",
    "event_row",
];

/// The statements that find and correct violations of a rule.
pub(super) fn statements_of(rule: &Rule) -> QueryResult<&'static Statements> {
    let mut all = levels::RULES.iter().chain(contents::RULES).chain(totals::RULES);
    let found = all.find(|statements| statements.rule == rule.name);
    // A test checks that every rule has its statements, or is enforced.
    found.ok_or_else(|| Error::QueryBuilderError(format!("no statement repairs {}", rule.name).into()))
}
