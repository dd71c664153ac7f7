//! One file per store.

mod cacache;
mod diskcache;
mod files;
mod heap;
mod raw;
mod redb;

pub use heap::Heap;
pub use raw::Raw;

use crate::contender::{Contender, StoreContender};

/// The baseline that ratios are taken to.
pub const BASELINE: &str = "raw";

/// All of them, or only those named.
pub fn all(named: &[String]) -> Vec<Box<dyn Contender>> {
    let mut all = vec![
        StoreContender::<Raw>::boxed(),
        StoreContender::<Heap>::boxed(),
        StoreContender::<Heap<false>>::boxed(),
        StoreContender::<redb::Redb>::boxed(),
        StoreContender::<cacache::Cacache>::boxed(),
        StoreContender::<files::Files>::boxed(),
    ];
    all.extend(diskcache::Diskcache::found());
    all.retain(|contender| named.is_empty() || named.iter().any(|name| name == contender.name()));
    all
}
