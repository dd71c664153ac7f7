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

const RAW: &str = "raw";
const PLAIN: &str = "plain io";

/// Whether ratios are taken to this store. No run has both.
pub fn is_baseline(store: &str) -> bool {
    store == RAW || store == PLAIN
}

/// heapledger without its file system below SQLite, and with it.
pub fn with_and_without_io() -> Vec<Box<dyn Contender>> {
    vec![
        StoreContender::<Heap<heap::PlainIo>>::boxed(),
        StoreContender::<Heap>::boxed(),
    ]
}

/// All of them, or only those named.
pub fn all(named: &[String]) -> Vec<Box<dyn Contender>> {
    let mut all = vec![
        StoreContender::<Raw>::boxed(),
        StoreContender::<Heap>::boxed(),
        StoreContender::<Heap<heap::NoHistory>>::boxed(),
        StoreContender::<redb::Redb>::boxed(),
        StoreContender::<cacache::Cacache>::boxed(),
        StoreContender::<files::Files>::boxed(),
    ];
    all.extend(diskcache::Diskcache::found());
    all.retain(|contender| named.is_empty() || named.iter().any(|name| name == contender.name()));
    all
}
