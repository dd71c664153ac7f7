//! `dropped_spaces`: spaces that were dropped.

use diesel::prelude::*;

use super::{MemRamId, Shown, ShownIfAny, Timestamp};
use crate::models::schema::dropped_spaces;

/// A space that was dropped, and what it had when that began. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = dropped_spaces)]
#[non_exhaustive]
pub struct DroppedSpace {
    /// Its key, which no other space gets.
    pub id: MemRamId,
    /// Its name, which another space may get.
    #[diesel(deserialize_as = Shown)]
    pub name: String,
    /// Its capacity.
    #[diesel(deserialize_as = super::amount::Capacity)]
    pub max_mem: u64,
    /// Bytes of content stored.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Number of objects.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub objects: u64,
    /// Number of names.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub names: u64,
    /// Number of open reservations.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub reservations: u64,
    /// Bytes of its events.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub history_bytes: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was dropped: since then it takes no content.
    pub dropped_at: Timestamp,
    /// When its last row was removed; `None` before.
    pub gone_at: Option<Timestamp>,
    /// Who dropped it, if given.
    #[diesel(deserialize_as = ShownIfAny)]
    pub actor: Option<String>,
    /// Why, if given.
    #[diesel(deserialize_as = ShownIfAny)]
    pub reason: Option<String>,
}
