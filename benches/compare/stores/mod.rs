//! One file per store.

mod cacache;
mod diskcache;
mod files;
mod heap;
mod raw;
mod redb;
#[cfg(feature = "postgres")]
pub mod server;

pub use heap::Heap;
pub use raw::Raw;

use crate::contender::{Contender, StoreContender};

const RAW: &str = "raw";
const PLAIN: &str = "plain io";
const TABLE: &str = "table";

/// Whether ratios are taken to this store. No run has both.
pub fn is_baseline(store: &str) -> bool {
    [RAW, PLAIN, TABLE].contains(&store)
}

/// heapledger without its file system below SQLite, and with it.
pub fn with_and_without_io() -> Vec<Box<dyn Contender>> {
    vec![
        StoreContender::<Heap<heap::PlainIo>>::boxed(),
        StoreContender::<Heap>::boxed(),
    ]
}

/// One hand-written table on a server, and heapledger on the same.
#[cfg(feature = "postgres")]
pub fn on_server() -> Vec<Box<dyn Contender>> {
    vec![
        StoreContender::<server::Table>::boxed(),
        StoreContender::<Heap<server::OnServer>>::boxed(),
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
