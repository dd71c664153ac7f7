//! Quotas: what an owner may have, what counts, and what is refused.

mod concurrent;
mod counted;
mod planned;
mod refused;
mod transfer;

use heapledger::{Hold, HoldWith, MemManager, QuotaLimits};

/// Content of this length, which no other number makes.
pub fn content(number: u8, length: usize) -> Vec<u8> {
    vec![number; length]
}

pub fn ann(hold: Hold<'_>) -> HoldWith<'_> {
    hold.tag("owner", "ann")
}

pub fn bob(hold: Hold<'_>) -> HoldWith<'_> {
    hold.tag("owner", "bob")
}

/// Lets an owner have at most this many bytes.
pub fn limit(heap: &MemManager, owner: &str, bytes: u64) {
    let limits = QuotaLimits::none().hard_bytes(bytes);
    heap.set_quota("owner", owner, limits).unwrap();
}

/// Bytes and objects that an owner has.
pub fn used(heap: &MemManager, owner: &str) -> (u64, u64) {
    let quota = heap.quota("owner", owner).unwrap().unwrap();
    (quota.used_bytes, quota.used_objects)
}
