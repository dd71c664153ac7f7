//! `stored_objects`: one value, identified by its content.

use diesel::prelude::*;

use super::{MemRamId, Shown, ShownIfAny, Timestamp, id};
use crate::models::schema::stored_objects;

id! {
    /// Key of a stored object; the key of its content is its [`crate::ObjectId`].
    StoredObjectId
}

/// One value, identified by the SHA-256 of its content.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = stored_objects)]
pub struct StoredObject {
    /// Key.
    pub id: StoredObjectId,
    /// The space.
    pub memram_id: MemRamId,
    /// The SHA-256, as 64 lower-case hexadecimal digits.
    #[diesel(deserialize_as = Shown)]
    pub object_id: String,
    /// `bytes`, `str`, `int`, `float`, `bool`, `none` or `json`.
    #[diesel(deserialize_as = Shown)]
    pub kind: String,
    /// For `json`, the Rust type that was stored.
    #[diesel(deserialize_as = ShownIfAny)]
    pub type_name: Option<String>,
    /// Bytes of content.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub size: i64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// When it was stored.
    pub created_at: Timestamp,
}
