//! The books: changes, their consequences, and where bytes go. Pure: no connection, no SQL, no
//! clock.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod compaction;
pub(crate) mod effects;
pub(crate) mod event_rows;
pub(crate) mod events;
pub(crate) mod evicting;
pub(crate) mod eviction;
pub(crate) mod fix;
pub(crate) mod history_change;
pub(crate) mod invariants;
pub(crate) mod limits;
pub(crate) mod placement;
pub(crate) mod refusals;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod triggers;
