//! `tags`: what a hold is marked with.

use super::StoredObjectId;

/// A tag of a hold of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub object: StoredObjectId,
    /// The name, unless it is the anonymous hold.
    pub name: Option<&'a str>,
    pub key: &'a str,
    pub value: &'a str,
}

/// The key of a row: a hold, and the key of a tag. The order is that of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TagKey {
    pub object: StoredObjectId,
    /// The name, or an empty text for the anonymous hold.
    pub name: String,
    pub key: String,
}

impl From<Tag<'_>> for TagKey {
    fn from(tag: Tag<'_>) -> Self {
        Self {
            object: tag.object,
            name: tag.name.unwrap_or_default().to_owned(),
            key: tag.key.to_owned(),
        }
    }
}
