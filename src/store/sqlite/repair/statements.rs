//! What the statements of a rule are.

/// What finds and corrects the rows that break a rule.
pub(super) struct Statements {
    pub rule: &'static str,
    /// The rows that break it, as `id`, `key` (the second half of a key in two parts, else
    /// NULL), `expected` and `found`; `None` where the view `violations` finds them.
    pub find: Option<&'static str>,
    /// What corrects one row: `?1` is its `id`, `?2` its `key`.
    pub correct: &'static [&'static str],
}
