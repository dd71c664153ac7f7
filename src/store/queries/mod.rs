//! Queries, one file per subject. Each function is one statement.
//!
//! They are the same for every engine; the most frequent ones use the engine's own connection, see
//! `on_engine` in `store/conn.rs`.

pub(crate) mod audit;
pub(crate) mod compaction;
pub(crate) mod content;
pub(crate) mod diagnosis;
pub(crate) mod drop;
pub(crate) mod entries;
pub(crate) mod event_counts;
pub(crate) mod event_filter;
pub(crate) mod events;
pub(crate) mod eviction;
pub(crate) mod ids;
pub(crate) mod layout;
pub(crate) mod levels;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod placed;
pub(crate) mod placements;
pub(crate) mod quotas;
pub(crate) mod recency;
pub(crate) mod reservations;
pub(crate) mod room;
pub(crate) mod spaces;
pub(crate) mod sparse;
pub(crate) mod tags;
pub(crate) mod transfer;
pub(crate) mod trim;
pub(crate) mod usage;
pub(crate) mod written;
