//! `stored_objects`: one value, identified by its content.

use diesel::prelude::*;

use super::{Lifetime, MemRamId, ShownIfAny, Term, Timestamp, is_over, striped_id};
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
    /// When the hold of an allocation without a name ends; `None` if it never does, or there is none.
    pub held_until: Option<Timestamp>,
    /// When the last of its holds ends; `None` if one never does.
    pub expires_at: Option<Timestamp>,
    /// Whether it is never evicted.
    pub pinned: bool,
    /// Microseconds that the hold of an allocation without a name lasts from each read on, if reads refresh it.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub held_refresh: Option<u64>,
}

impl StoredObject {
    /// The object as it is seen at a time: `None` if it has expired; without its anonymous hold if that has ended.
    pub(crate) fn seen_at(mut self, now: Timestamp) -> Option<Self> {
        if is_over(self.held_until, now) {
            (self.held, self.held_until, self.held_refresh) = (false, None, None);
        }
        (!is_over(self.expires_at, now)).then_some(self)
    }

    /// How long its anonymous hold lasts.
    pub(crate) fn term(&self) -> Term {
        Term {
            ends: self.held_until,
            refresh: self.held_refresh,
        }
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime {
            held: self.held,
            held_until: self.held_until,
            held_refresh: self.held_refresh,
            expires_at: self.expires_at,
            pinned: self.pinned,
        }
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: Lifetime) {
        self.held = lifetime.held;
        self.held_until = lifetime.held_until;
        self.held_refresh = lifetime.held_refresh;
        self.expires_at = lifetime.expires_at;
        self.pinned = lifetime.pinned;
    }

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
