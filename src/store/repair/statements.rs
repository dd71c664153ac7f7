//! The statements of the rules, and how an engine spells them.

use diesel::QueryResult;
use diesel::result::Error;

use super::{contents, levels, totals};
use crate::books::rules::Rule;
use crate::store::conn::Conn;

/// The statements that find and correct violations of a rule; see [`spelled`].
pub(super) struct Statements {
    pub rule: &'static str,
    /// Finds violations, as `id`, `key` (the second part of a compound key, else NULL), `expected` and
    /// `found`; `None` if the view `violations` finds them.
    pub find: Option<&'static str>,
    /// Corrects one row: `?1` is its `id`, `?2` its `key`.
    pub correct: &'static [&'static str],
}

/// The statements of all rules.
pub(super) fn all() -> impl Iterator<Item = &'static Statements> {
    levels::RULES.iter().chain(contents::RULES).chain(totals::RULES)
}

/// The statements that find and correct violations of a rule.
pub(super) fn statements_of(rule: &Rule) -> QueryResult<&'static Statements> {
    let found = all().find(|statements| statements.rule == rule.name);
    // A test checks that every rule has its statements.
    found.ok_or_else(|| Error::QueryBuilderError(format!("no statement repairs {}", rule.name).into()))
}

/// What is spelled differently: in the statements of a repair, in SQLite, and in PostgreSQL. All the rest
/// is SQL that both engines understand:
/// * the type of a number that is passed as text is written, and so is that of NULL;
/// * a sum that could be too large for an integer, with the numbers of a damaged row, is NUMERIC, and no
///   divisor is zero. SQLite has no such errors.
const SPELLINGS: [(&str, &str, &str); 7] = [
    ("greatest(", "max(", "greatest("),
    ("least(", "min(", "least("),
    (
        "now_us()",
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    ),
    ("hex64(id)", "printf('%064x', id)", "lpad(to_hex(id), 64, '0')"),
    ("hex64(?1)", "printf('%064x', ?1)", "lpad(to_hex(?1), 64, '0')"),
    ("text_of(?2)", "CAST(?2 AS TEXT)", "convert_from(?2, 'UTF8')"),
    // Last, because the others have placeholders.
    ("?", "?", "$"),
];

/// A statement as the engine of a connection spells it.
pub(super) fn spelled(conn: &Conn, text: &str) -> String {
    let is_file = matches!(conn, Conn::Sqlite(_));
    let spell = |text: String, (ours, sqlite, postgres): &(&str, &str, &str)| {
        text.replace(ours, if is_file { sqlite } else { postgres })
    };
    SPELLINGS.iter().fold(text.to_owned(), spell)
}
