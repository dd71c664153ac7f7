//! What is to be stored.

use crate::models::StoredObjectId;
use crate::value::{Kind, ObjectId};

/// What is to be stored, without its bytes.
pub(in crate::manager) struct Content<'a> {
    pub id: ObjectId,
    pub kind: Kind,
    pub type_name: Option<&'a str>,
    pub size: u64,
    /// The object with this id, if its stored bytes were read and are the content.
    pub whole: Option<StoredObjectId>,
}
