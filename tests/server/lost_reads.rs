//! Guards against these failures: a read whose connection is lost fails although nothing of it was handed
//! out, or a closure of the caller runs twice.

use std::thread;
use std::time::Duration;

use heapledger::{Error, MemManager, ObjectId, Result, ServerError};

use crate::common::{Heap, Sql, number, on_server};

/// Runs `read` while all tables are locked, and ends its connection as soon as it waits for them.
fn cut<R: Send>(heap: &Heap, read: impl FnOnce(&MemManager) -> R + Send) -> R {
    let (other, boss) = (heap.sql(), heap.sql());
    other.execute("BEGIN; LOCK TABLE memram, size_classes, arenas, stored_objects, ledger, names, events");
    thread::scope(|scope| {
        let reading = scope.spawn(|| read(heap));
        while !end_waiting(&boss) {
            assert!(!reading.is_finished(), "it has not waited");
            thread::sleep(Duration::from_millis(2));
        }
        other.execute("ROLLBACK");
        reading.join().unwrap()
    })
}

fn end_waiting(boss: &Sql) -> bool {
    let ended = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND pid IN (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            WHERE NOT l.granted AND c.relnamespace = current_schema()::regnamespace)) t WHERE ended";
    number(boss, ended) > 0
}

#[test]
fn a_read_that_the_library_owns_runs_again() {
    if !on_server() {
        return;
    }
    let heap = Heap::new();
    let id = heap.set("answer", &42).unwrap().id;
    type Read = fn(&MemManager, &ObjectId) -> Result<bool>;
    let reads: [(&str, Read); 10] = [
        ("get", |heap, id| Ok(heap.get::<i64>(id)? == 42)),
        ("get_by_name", |heap, _| {
            Ok(heap.get_by_name::<i64>("answer")? == Some(42))
        }),
        ("get_bytes_by_name", |heap, _| {
            Ok(heap.get_bytes_by_name("answer")? == Some(b"42".to_vec()))
        }),
        ("get_bytes", |heap, id| Ok(heap.get_bytes(id)? == b"42")),
        ("find", |heap, id| Ok(heap.find("answer")? == *id)),
        ("object_info", |heap, id| Ok(heap.object_info(id)?.size == 2)),
        ("stats", |heap, _| Ok(heap.stats()?.objects == 1)),
        ("ledger", |heap, id| Ok(heap.ledger(id)?.len() == 1)),
        ("usage_over_time", |heap, _| Ok(!heap.usage_over_time(2)?.is_empty())),
        ("layout_digest", |heap, _| heap.layout_digest().map(|_| true)),
    ];
    for (what, read) in reads {
        let done = cut(&heap, |heap| read(heap, &id));
        assert!(done.unwrap_or_else(|error| panic!("{what}: {error}")), "{what}");
    }
}

#[test]
fn a_closure_of_the_caller_runs_once() {
    if !on_server() {
        return;
    }
    let heap = Heap::new();
    heap.set("answer", &42).unwrap();
    let mut runs = 0;
    let lost = cut(&heap, |heap| {
        heap.read(|snapshot| {
            runs += 1;
            snapshot.get_by_name::<i64>("answer")
        })
    });
    assert!(matches!(lost, Err(Error::Server(ServerError::Lost { .. }))), "{lost:?}");
    assert_eq!(runs, 1);
    let then = heap.snapshot().unwrap();
    let lost = cut(&heap, |_| then.get_by_name::<i64>("answer"));
    assert!(matches!(lost, Err(Error::Server(ServerError::Lost { .. }))), "{lost:?}");
    assert_eq!(heap.get_by_name::<i64>("answer").unwrap(), Some(42));
}
