//! The statements of a rule.

/// The statements that find and correct violations of a rule.
pub(super) struct Statements {
    pub rule: &'static str,
    /// Finds violations, as `id`, `key` (the second part of a compound key, else NULL), `expected` and
    /// `found`; `None` if the view `violations` finds them.
    pub find: Option<&'static str>,
    /// Corrects one row: `?1` is its `id`, `?2` its `key`.
    pub correct: &'static [&'static str],
}
