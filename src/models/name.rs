//! `names`: the names of objects.

use diesel::prelude::*;

use super::{MemRamId, Shown, StoredObjectId, Timestamp};
use crate::models::schema::names;

/// A name bound to an object.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = names)]
#[non_exhaustive]
pub struct Name {
    /// The space.
    pub memram_id: MemRamId,
    /// The name, unique in its space.
    #[diesel(deserialize_as = Shown)]
    pub name: String,
    /// The object.
    pub stored_object_id: StoredObjectId,
    /// When it was bound.
    pub bound_at: Timestamp,
    /// When it expires; `None` if it never does.
    pub expires_at: Option<Timestamp>,
    /// Microseconds that it lasts from each read on, if reads refresh it.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub refresh: Option<u64>,
}
