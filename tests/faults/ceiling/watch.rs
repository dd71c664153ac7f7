//! The lengths of a heap's files, seen from outside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes of the file, its log and its index at one moment: read until they are twice the same, because
/// one may shrink and another grow in between.
pub fn total(heap: &Path) -> u64 {
    let paths = ["", "-wal", "-shm"].map(|suffix| {
        let mut path = OsString::from(heap);
        path.push(suffix);
        PathBuf::from(path)
    });
    let lengths = || {
        paths
            .each_ref()
            .map(|path| std::fs::metadata(path).map_or(0, |file| file.len()))
    };
    let mut before = lengths();
    loop {
        let now = lengths();
        if now == before {
            return now.into_iter().sum();
        }
        before = now;
    }
}

/// Watches a heap until it is dropped or asked.
pub struct Watch {
    ended: Arc<AtomicBool>,
    watcher: Option<JoinHandle<u64>>,
}

impl Watch {
    pub fn new(heap: &Path) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (heap, is_over) = (heap.to_owned(), Arc::clone(&ended));
        let watcher = std::thread::spawn(move || {
            let mut most = total(&heap);
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(total(&heap));
                std::thread::yield_now();
            }
            most
        });
        let watcher = Some(watcher);
        Self { ended, watcher }
    }

    /// The most bytes that the files ever had together.
    pub fn most(mut self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.watcher.take().unwrap().join().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
