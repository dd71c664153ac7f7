//! Who holds the bytes, by tags.

use serde::Serialize;

use crate::error::Result;
use crate::manager::{MemManager, TagUsage};
use crate::store::queries;

/// Whose the objects are, according to the tags of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Holders {
    /// The key.
    pub key: String,
    /// The values that hold the most bytes, at most 12; objects that several hold or none holds count as a value, too.
    pub largest: Vec<TagUsage>,
    /// All other values together.
    pub others: HeldBy,
}

/// Several values of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct HeldBy {
    /// How many values.
    pub values: u64,
    /// Their objects.
    pub objects: u64,
    /// Bytes of the contents of these.
    pub bytes: u64,
}

/// How many keys and, of each, values are listed.
const KEYS: i64 = 4;
const VALUES: usize = 12;

/// The holders by the keys that the most holds have. O(tags).
pub(super) fn holders(memory: &MemManager) -> Result<Vec<Holders>> {
    let space = memory.inner.space;
    let keys = memory.inner.readers.single(|tx| queries::tags::keys(tx, space, KEYS))?;
    let of_key = |key: String| {
        let mut largest = memory.usage_by(&key)?;
        largest.sort_by_key(|usage| std::cmp::Reverse(usage.bytes));
        let mut others = HeldBy::default();
        for usage in largest.split_off(VALUES.min(largest.len())) {
            others.values += 1;
            others.objects = others.objects.saturating_add(usage.objects);
            others.bytes = others.bytes.saturating_add(usage.bytes);
        }
        Ok(Holders { key, largest, others })
    };
    keys.into_iter().map(of_key).collect()
}
