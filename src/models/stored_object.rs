//! `stored_objects`: one value, identified by its content.

use diesel::prelude::*;

use super::{MemRamId, ShownIfAny, Timestamp, striped_id};
use crate::error::{Error, Result};
use crate::models::schema::stored_objects;
use crate::value::{Kind, ObjectId};

striped_id! {
    /// Key of a stored object; the key of its content is its [`crate::ObjectId`].
    StoredObjectId
}

/// One value, identified by the SHA-256 of its content.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = stored_objects)]
#[non_exhaustive]
pub struct StoredObject {
    /// Key.
    pub id: StoredObjectId,
    /// The space.
    pub memram_id: MemRamId,
    /// The SHA-256 of its content.
    pub object_id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// For [`Kind::Json`], the Rust type that was stored.
    #[diesel(deserialize_as = ShownIfAny)]
    pub type_name: Option<String>,
    /// Bytes of content.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub size: u64,
    /// Whether an allocation without a name holds it.
    pub held: bool,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl StoredObject {
    /// Its id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file has something else there.
    pub(crate) fn known_id(&self) -> Result<ObjectId> {
        if self.object_id == ObjectId::UNKNOWN {
            return Err(Error::Damaged {
                what: format!("object {} of the table has an id that is not a SHA-256", self.id),
            });
        }
        Ok(self.object_id)
    }
}
