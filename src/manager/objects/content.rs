//! Content to store.

use super::hold::{Hold, HoldWith};
use crate::error::Result;
use crate::models::{StoredObject, StoredObjectId, Term};
use crate::store::WriteTx;
use crate::value::{Kind, ObjectId};

/// A description of content to store, without its bytes.
pub(in crate::manager) struct Content<'a> {
    pub id: ObjectId,
    pub kind: Kind,
    pub type_name: Option<&'a str>,
    pub size: u64,
    /// The object with this id, if its stored bytes were already compared and are intact.
    pub whole: Option<StoredObjectId>,
}

impl Content<'_> {
    /// The row of a new object with this content.
    pub fn object(&self, tx: &WriteTx<'_>, key: StoredObjectId, hold: &HoldWith<'_>) -> Result<StoredObject> {
        let Term { ends, refresh } = hold.expiry.term(tx.at())?;
        let held = hold.hold == Hold::Anonymous;
        Ok(StoredObject {
            id: key,
            memram_id: tx.space(),
            object_id: self.id,
            kind: self.kind,
            type_name: self.type_name.map(str::to_owned),
            size: self.size,
            held,
            created_at: tx.at(),
            held_until: ends.filter(|_| held),
            expires_at: ends,
            pinned: false,
            held_refresh: refresh.filter(|_| held),
        })
    }
}
