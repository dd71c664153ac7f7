//! Object ids: the hash of an object's content.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Kind;

/// Hexadecimal digits of an object id.
pub(crate) const ID_DIGITS: usize = 64;

/// The SHA-256 of an object's content, shown as 64 lower-case hexadecimal digits.
///
/// For [`Kind::Bytes`] the content alone is hashed, so `sha256sum FILE` prints the same id;
/// for every other kind, the kind's name, a zero byte and the content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// Replaces an invalid id of a damaged file in lists: 64 zeros, which is not the SHA-256 of any
    /// known content.
    pub const UNKNOWN: Self = Self([0; 32]);

    /// The id of `content` stored as bytes. O(content).
    ///
    /// ```
    /// let id = heapledger::ObjectId::of_bytes(b"hello");
    /// assert!(id.to_string().starts_with("2cf24dba5fb0"));
    /// ```
    pub fn of_bytes(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        const_hex::encode(self.0)
    }

    /// The same digits without a heap allocation.
    pub(crate) fn digits(self) -> const_hex::Buffer<32> {
        let mut digits = const_hex::Buffer::new();
        digits.format(&self.0);
        digits
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_hex())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl From<[u8; 32]> for ObjectId {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// Whether `text` is a whole object id, in upper or lower case.
pub(crate) fn spells_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Computes an [`ObjectId`] from content that arrives in parts.
#[derive(Clone)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher for content of `kind`.
    pub fn new(kind: Kind) -> Self {
        let mut digest = Sha256::new();
        if kind != Kind::Bytes {
            digest.update(kind.as_str());
            digest.update([0]);
        }
        Self(digest)
    }

    /// Adds the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The id of all parts together.
    pub fn finish(self) -> ObjectId {
        ObjectId(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}
