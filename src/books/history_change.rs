//! Changes to the history other than new events.

use super::refusals::RepeatedRefusal;
use crate::models::{EventId, HistoryMode};

/// Changes to the history other than new events.
#[derive(Debug, Default)]
pub(crate) struct HistoryChange {
    /// Whether and how long events are kept from now on.
    pub setting: Option<HistorySetting>,
    /// Events up to this one are removed.
    pub trimmed: Option<EventId>,
    /// Refusals in the file that happened again.
    pub repeated: Vec<RepeatedRefusal>,
}

/// Whether and how long events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistorySetting {
    pub mode: HistoryMode,
    /// For `keep`, microseconds.
    pub keep: Option<i64>,
    /// For `keep`, bytes of events.
    pub max_bytes: Option<i64>,
}

impl HistorySetting {
    /// Every event is kept.
    pub const ON: Self = Self {
        mode: HistoryMode::On,
        keep: None,
        max_bytes: None,
    };
}
