//! Guards against these failures: an error of the server leaves half of a unit of work, is taken for
//! another one, or is given to the caller although it is over when the unit runs again.

use std::thread;
use std::time::Duration;

use heapledger::{Error, Geometry, ServerError};

use crate::common::{Heap, MIB, Place, Sql, assert_balanced, number, on_server, options};

/// Waits until a session waits for a lock, and returns its process.
fn waiting(sql: &Sql) -> i64 {
    loop {
        let found = number(
            sql,
            "SELECT coalesce(max(pid), 0) FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database()
               AND pid IN (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                           WHERE c.relname = 'memram' AND c.relnamespace = current_schema()::regnamespace)",
        );
        if found > 0 {
            return found;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_space_that_stays_locked_is_busy() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    let other = heap.sql();
    for is_lazy in [true, false] {
        let memory = options()
            .busy_timeout(Duration::from_millis(300))
            .open(heap.address())
            .unwrap();
        memory.allocate(&("before", is_lazy)).unwrap();
        other.execute("BEGIN; SELECT FROM memram FOR UPDATE");
        let error = match is_lazy {
            true => memory.allocate("not now").map(drop).unwrap_err(),
            false => memory.batch(|batch| batch.allocate("not now")).map(drop).unwrap_err(),
        };
        assert!(
            matches!(error, Error::Busy { waited_ms } if waited_ms >= 300),
            "{error:?}"
        );
        other.execute("ROLLBACK");
        memory.allocate(&("after", is_lazy)).unwrap();
    }
    assert_eq!(heap.stats().unwrap().objects, 4);
    assert_balanced(&heap);
}

#[test]
fn a_statement_that_is_cancelled_changes_nothing() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    heap.allocate("before").unwrap();
    for is_lazy in [true, false] {
        let (other, boss) = (heap.sql(), heap.sql());
        other.execute("BEGIN; SELECT FROM memram FOR UPDATE");
        thread::scope(|scope| {
            let put = scope.spawn(|| match is_lazy {
                true => heap.allocate("cancelled").map(drop),
                false => heap.batch(|batch| batch.allocate("cancelled")).map(drop),
            });
            boss.execute(&format!("SELECT pg_cancel_backend({})", waiting(&boss)));
            let error = put.join().unwrap().unwrap_err();
            assert!(
                matches!(error, Error::Server(ServerError::Cancelled { .. })),
                "{error:?}"
            );
        });
        other.execute("ROLLBACK");
        heap.allocate(&is_lazy).unwrap();
    }
    assert_eq!(heap.stats().unwrap().objects, 3);
    assert_balanced(&heap);
}

#[test]
fn an_error_names_the_server_wherever_it_occurs() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    heap.set("answer", &42).unwrap();
    let boss = heap.sql();
    let end_all = || {
        let others = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE application_name = current_schema() AND pid <> pg_backend_pid()) t";
        assert!(number(&boss, others) > 0);
    };
    let lost = [
        heap.batch(|batch| {
            end_all();
            let found = batch.get_by_name::<i64>("answer");
            let inside = found.as_ref().unwrap_err().to_string();
            assert!(inside.starts_with("the connection to the server was lost"), "{inside}");
            found
        }),
        heap.batch(|batch| {
            end_all();
            batch.set("answer", &43).map(|_| None)
        }),
        heap.read(|snapshot| {
            end_all();
            snapshot.get_by_name("answer")
        }),
    ];
    for error in lost.map(Result::unwrap_err) {
        assert!(matches!(error, Error::Server(ServerError::Lost { .. })), "{error:?}");
        assert!(error.to_string().contains("postgres"), "{error}");
    }
    assert_eq!(heap.get_by_name::<i64>("answer").unwrap(), Some(42));
}

#[test]
fn a_deadlock_is_resolved_by_itself() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    heap.allocate("before").unwrap();
    let (other, boss) = (heap.sql(), heap.sql());
    // The other way round: first what a put locks last.
    other.execute(
        "SET deadlock_timeout = '60s'; BEGIN; SELECT FROM sequences FOR UPDATE; SELECT FROM size_classes FOR UPDATE",
    );
    thread::scope(|scope| {
        let put = scope.spawn(|| heap.allocate("after"));
        waiting(&boss);
        other.execute("SELECT FROM memram FOR UPDATE");
        other.execute("COMMIT");
        put.join().unwrap().unwrap();
    });
    assert_eq!(heap.stats().unwrap().objects, 2);
    assert_balanced(&heap);
}

#[test]
fn the_isolation_that_a_role_prefers_lets_no_writer_fail() {
    if !on_server() {
        return;
    }
    for level in ["serializable", "repeatable%5C%20read"] {
        let place = Place::new();
        let address = format!(
            "{}&options=-c%20default_transaction_isolation%3D{level}",
            place.address().display()
        );
        let open = || options().open(&address).unwrap();
        let heap = open();
        thread::scope(|scope| {
            for writer in 0..4 {
                let memory = open();
                scope.spawn(move || {
                    for number in 0..10 {
                        memory.allocate(&(writer, number)).unwrap();
                        memory
                            .batch(|batch| batch.set("last", &(number, writer, "of all")))
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(heap.stats().unwrap().objects, 4 * 10 + 1);
        assert_balanced(&heap);
    }
}

#[test]
fn a_unit_that_changes_nothing_does_not_believe_what_is_outdated() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    let other = heap.open_again();
    heap.resize(3 * MIB).unwrap();
    other.resize(2 * MIB).unwrap();
    // This one remembers 3 MiB.
    heap.resize(3 * MIB).unwrap();
    assert_eq!(other.stats().unwrap().max_mem, 3 * MIB);
}

#[test]
fn a_batch_waits_for_no_other_manager_of_its_heap() {
    if !on_server() {
        return;
    }
    let heap = Heap::of(MIB, Geometry::standard());
    let other = options().busy_timeout(Duration::MAX).open(heap.address()).unwrap();
    heap.batch(|batch| {
        assert!(matches!(other.allocate(&1), Err(Error::Reentered)));
        batch.allocate(&2)
    })
    .unwrap();
    assert_eq!(heap.stats().unwrap().objects, 1);
}
