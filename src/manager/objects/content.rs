//! Content to store.

use crate::models::StoredObjectId;
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
