//! Tags are those of a hold: they find and count what it holds, and go with it.

mod holds;
mod lost;
mod totals;
mod transfer;

use std::collections::BTreeMap;

use crate::common::{Heap, number};

/// Values by key.
pub fn tags<const N: usize>(tags: [(&str, &str); N]) -> BTreeMap<String, String> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    tags.into_iter().map(owned).collect()
}

/// Rows of the table.
pub fn rows(heap: &Heap) -> i64 {
    number(&heap.sql(), "SELECT count(*) FROM tags")
}
