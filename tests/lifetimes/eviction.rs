//! A space that evicts makes room for what would be refused: with the objects that its policy names, and no other.

mod ahead;
mod causes;
mod model;
mod now;
mod order;
mod pins;
mod repair;
mod replayed;
mod settings;
mod stays;

use crate::common::{Heap, KIB, content, quick};
use heapledger::{Eviction, Geometry, MemManager, ObjectId};

/// A heap of 64 KiB that evicts.
pub fn cache(eviction: impl Into<Eviction>) -> Heap {
    Heap::made(quick().max_mem(64 * KIB).geometry(Geometry::standard()).evict(eviction))
}

/// Stores objects of these sizes.
pub fn fill(heap: &MemManager, sizes: &[u64]) -> Vec<ObjectId> {
    let sizes = sizes.iter().enumerate();
    let ids = sizes.map(|(seed, &size)| heap.allocate_bytes(&content(seed as u64, size)).unwrap());
    ids.collect()
}

/// Which of these objects are stored.
pub fn stored(heap: &MemManager, ids: &[ObjectId]) -> Vec<bool> {
    ids.iter().map(|id| heap.contains(id).unwrap()).collect()
}

/// What is planned to be evicted for an object of this size.
pub fn planned(heap: &MemManager, size: u64) -> Vec<ObjectId> {
    let plan = heap.plan_eviction(size).unwrap();
    plan.victims.into_iter().map(|victim| victim.id).collect()
}
