//! Guards against these failures: a server that restarts or crashes lets a call fail, or something
//! acknowledged is lost or done twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::Hold;

use crate::common::{assert_balanced, content, options};
use crate::own::OwnServer;

const WRITERS: u64 = 4;

#[test]
fn writers_and_readers_go_on_when_a_server_restarts() {
    let Some(server) = OwnServer::start("") else { return };
    let open = || {
        options()
            .busy_timeout(Duration::from_secs(60))
            .open(server.socket())
            .unwrap()
    };
    let heap = open();
    let done = AtomicBool::new(false);
    let counts: Vec<u64> = thread::scope(|scope| {
        let done = &done;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let memory = open();
                scope.spawn(move || {
                    let mut count = 0;
                    while !done.load(Ordering::SeqCst) {
                        let bytes = content((writer << 32) + count, 300);
                        let stored = memory.store_bytes(&bytes, Hold::Anonymous).unwrap();
                        assert!(!stored.dedup, "done twice");
                        assert_eq!(memory.get_bytes(&stored.id).unwrap(), bytes);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for mode in ["fast", "immediate"] {
            thread::sleep(Duration::from_millis(200));
            server.pg_ctl(&["restart", "-w", "-m", mode]);
        }
        thread::sleep(Duration::from_millis(200));
        done.store(true, Ordering::SeqCst);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let stats = heap.stats().unwrap();
    let count: u64 = counts.iter().sum();
    assert_eq!([stats.objects, stats.allocations, stats.dedup_hits], [count, count, 0]);
    assert!(heap.check().unwrap().is_empty());
    assert_balanced(&heap);
}
