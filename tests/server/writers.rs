//! Writers that go on while something happens to their server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use heapledger::{Hold, MemManager};

use crate::common::{assert_balanced, content};

/// Stores contents of `size` bytes with this number of writers until `meanwhile` returns, and reads each back.
/// `meanwhile` gets a question: whether a writer has ended, which means that it failed. Returns how many were
/// stored.
pub fn write_meanwhile(
    writers: u64,
    size: u64,
    open: impl Fn() -> MemManager,
    meanwhile: impl FnOnce(&dyn Fn() -> bool),
) -> u64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        let write = |writer: u64| {
            let memory = open();
            move || {
                let mut count = 0;
                while !done.load(Ordering::SeqCst) {
                    let bytes = content((writer << 32) + count, size);
                    let stored = memory.store_bytes(&bytes, Hold::Anonymous).unwrap();
                    assert!(!stored.dedup, "done twice");
                    assert_eq!(memory.get_bytes(&stored.id).unwrap(), bytes);
                    count += 1;
                }
                count
            }
        };
        let writers: Vec<_> = (1..=writers).map(|writer| scope.spawn(write(writer))).collect();
        meanwhile(&|| writers.iter().any(|writer| writer.is_finished()));
        done.store(true, Ordering::SeqCst);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    })
}

/// Checks that everything was stored once.
#[track_caller]
pub fn assert_stored_once(heap: &MemManager, count: u64) {
    let stats = heap.stats().unwrap();
    assert_eq!([stats.objects, stats.allocations, stats.dedup_hits], [count, count, 0]);
    assert!(heap.check().unwrap().is_empty());
    assert_balanced(heap);
}
