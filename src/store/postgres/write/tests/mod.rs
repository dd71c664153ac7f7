//! Needs a server: `HEAPLEDGER_TEST_URL`.

mod heap;
mod rows;

use std::thread;

use diesel::prelude::*;
use diesel::result::Error;

use self::heap::{Heap, SPACE, run, value};
use super::statement::MISSING;
use super::{How, Written, fits_lazily, write};
use crate::books::change::Change;
use crate::books::rows::Binding;
use crate::models::Timestamp;
use crate::store::engine::Present;

const COUNTS: &str = "SELECT (SELECT count(*) FROM stored_objects), (SELECT count(*) FROM ledger), \
    (SELECT count(*) FROM names), (SELECT sum(mem) FROM blocks), (SELECT sum(mem) FROM pools), \
    (SELECT sum(mem) FROM arenas), (SELECT sum(mem) FROM size_classes), (SELECT mem FROM memram)";

#[test]
fn a_batch_is_written_by_one_statement() {
    let Some(mut heap) = Heap::create("one") else { return };
    let mut batch = heap.batch();
    let first = heap.store(&mut batch, &[1; 200], 0);
    heap.store(&mut batch, &[2; 5000], 1);
    let (object, object_id, at) = (first.id, first.object_id, Timestamp::from_micros(9));
    heap.apply(
        &mut batch,
        Change::NameBound {
            name: "it",
            binding: Binding {
                object,
                at,
                expires_at: None,
                refresh: None,
            },
            object_id,
            lifetime: None,
        },
    );
    let batch = heap.complete(&mut batch);
    assert!(fits_lazily(&batch));
    let how = heap.how();
    assert_eq!(write(&mut heap.conn, SPACE, how, &batch), Ok(Written::Done));
    assert_eq!(heap.query(COUNTS), "(2,3,1,5200,5200,5200,5200,5200)");
    assert_eq!(
        heap.query("SELECT mem, is_free, is_empty FROM blocks WHERE id = 2"),
        "(4096,f,f)"
    );
    let totals = "SELECT blocks, full_blocks, empty_blocks, entries FROM size_classes WHERE block_size = 4096";
    assert_eq!(heap.query(totals), "(8,1,5,3)");
    let totals = "SELECT version, commits, allocations, peak_mem, history_bytes = \
        (SELECT sum(56 + coalesce(octet_length(object), 0) + coalesce(octet_length(name), 0) \
            + coalesce(octet_length(changes), 0)) FROM events) FROM memram";
    assert_eq!(heap.query(totals), "(2,\"{101,100}\",2,5200,t)");
    assert_eq!(
        heap.query("SELECT data = decode(repeat('02', 904), 'hex'), is_last FROM ledger WHERE id = 3"),
        "(t,t)"
    );
}

#[test]
fn objects_are_freed_by_one_statement() {
    let Some(mut heap) = Heap::create("free") else { return };
    let mut batch = heap.batch();
    let small = heap.store(&mut batch, &[1; 200], 0);
    let large = heap.store(&mut batch, &[2; 9000], 1);
    heap.store(&mut batch, &[3; 300], 0);
    heap.write(batch);
    let mut batch = heap.batch();
    heap.free(&mut batch, &small, 0);
    heap.free(&mut batch, &large, 1);
    let batch = heap.complete(&mut batch);
    assert!(fits_lazily(&batch));
    let how = heap.how();
    assert_eq!(write(&mut heap.conn, SPACE, how, &batch), Ok(Written::Done));
    assert_eq!(heap.query(COUNTS), "(1,1,0,300,300,300,300,300)");
    assert_eq!(
        heap.query("SELECT last_id FROM sequences WHERE name = 'stored_objects'"),
        "(8)"
    );
}

#[test]
fn an_object_whose_pieces_are_missing_is_not_freed() {
    let Some(mut heap) = Heap::create("missing") else {
        return;
    };
    let mut batch = heap.batch();
    let object = heap.store(&mut batch, &[1; 9000], 0);
    heap.write(batch);
    run(&mut heap.conn, "DELETE FROM ledger WHERE seq = 2");
    let before = heap.everything();
    let mut batch = heap.batch();
    heap.free(&mut batch, &object, 0);
    let batch = heap.complete(&mut batch);
    let how = heap.how();
    let error = write(&mut heap.conn, SPACE, how, &batch).unwrap_err();
    assert!(
        matches!(&error, Error::DeserializationError(what) if what.to_string() == MISSING),
        "{error:?}"
    );
    assert_eq!(heap.everything(), before);
}

#[test]
fn an_outdated_batch_changes_nothing() {
    let Some(mut heap) = Heap::create("outdated") else {
        return;
    };
    let mut ours = heap.batch();
    heap.store(&mut ours, &[1; 200], 0);
    let ours = heap.complete(&mut ours);
    let how = heap.how();
    // Somebody else has written, but not committed yet, when our statement begins.
    let mut other = heap.connect();
    run(&mut other, "BEGIN; UPDATE memram SET version = version + 1");
    let mut conn = heap.connect();
    let pid = value(&mut conn, "SELECT pg_backend_pid()");
    let outcome = thread::scope(|scope| {
        let writer = scope.spawn(move || write(&mut conn, SPACE, how, &ours));
        let pid = pid.trim_matches(['(', ')']);
        let waits = format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}");
        while value(&mut heap.conn, &waits) != "(Lock)" {
            thread::yield_now();
        }
        run(&mut other, "COMMIT");
        writer.join().unwrap()
    });
    assert_eq!(outcome, Ok(Written::Stale));
    assert_eq!(heap.query(COUNTS), "(0,0,0,0,0,0,0,0)");
    assert_eq!(
        heap.query("SELECT version, (SELECT count(*) FROM events) FROM memram"),
        "(2,11)"
    );
}

#[test]
fn a_batch_waits_for_a_writer_that_changes_nothing() {
    let Some(mut heap) = Heap::create("waits") else { return };
    let mut ours = heap.batch();
    heap.store(&mut ours, &[1; 200], 0);
    let ours = heap.complete(&mut ours);
    let how = heap.how();
    let mut other = heap.connect();
    run(&mut other, "BEGIN; SELECT FROM memram FOR NO KEY UPDATE");
    let mut conn = heap.connect();
    let outcome = thread::scope(|scope| {
        let writer = scope.spawn(move || write(&mut conn, SPACE, how, &ours));
        run(&mut other, "ROLLBACK");
        writer.join().unwrap()
    });
    assert_eq!(outcome, Ok(Written::Done));
    assert_eq!(heap.query(COUNTS), "(1,1,0,200,200,200,200,200)");
}

#[test]
fn a_batch_that_fails_halfway_leaves_nothing() {
    let Some(mut heap) = Heap::create("halfway") else {
        return;
    };
    let mut batch = heap.batch();
    heap.store(&mut batch, &[1; 200], 0);
    heap.write(batch);
    // A row that has a key of the batch already.
    run(
        &mut heap.conn,
        "INSERT INTO events (id, memram_id, at, kind, bytes, mem) VALUES (13, 1, 0, 'gc', 0, 0)",
    );
    let before = heap.everything();
    let mut batch = heap.batch();
    heap.store(&mut batch, &[2; 200], 0);
    let batch = heap.complete(&mut batch);
    let how = heap.how();
    let error = write(&mut heap.conn, SPACE, how, &batch).unwrap_err();
    assert!(
        matches!(
            error,
            Error::DatabaseError(diesel::result::DatabaseErrorKind::UniqueViolation, _)
        ),
        "{error:?}"
    );
    assert_eq!(heap.everything(), before);
}

#[test]
fn objects_that_are_there_already_are_returned_and_nothing_changes() {
    let Some(mut heap) = Heap::create("present") else {
        return;
    };
    for contents in [vec![[1; 200]], vec![[1; 200], [2; 200]]] {
        let mut batch = heap.batch();
        let object = heap.store(&mut batch, &contents[0], 0);
        if contents.len() == 1 {
            heap.write(batch);
        }
        let before = heap.everything();
        let mut batch = heap.batch();
        for content in &contents {
            heap.store(&mut batch, content, 0);
        }
        let batch = heap.complete(&mut batch);
        let how = How {
            is_lazy: true,
            ..heap.how()
        };
        let outcome = write(&mut heap.conn, SPACE, how, &batch).unwrap();
        let Written::Present(present) = outcome else {
            panic!("{outcome:?}")
        };
        let [Present { object: found, pieces }] = present.as_slice() else {
            panic!("{present:?}")
        };
        assert_eq!(found.object_id, object.object_id);
        assert_eq!((found.size, found.held), (200, true));
        let bytes: usize = pieces.iter().map(|piece| piece.data.len()).sum();
        assert_eq!(bytes, if contents.len() == 1 { 200 } else { 0 });
        assert_eq!(heap.everything(), before);
    }
    let mut batch = heap.batch();
    heap.store(&mut batch, &[3; 200], 0);
    let batch = heap.complete(&mut batch);
    let how = How {
        is_lazy: true,
        ..heap.how()
    };
    assert_eq!(write(&mut heap.conn, SPACE, how, &batch), Ok(Written::Done));
}

#[test]
fn a_transaction_raises_the_version_once() {
    let Some(mut heap) = Heap::create("once") else { return };
    let how = heap.how();
    let mut batches = Vec::new();
    for byte in 1..=2 {
        let mut batch = heap.batch();
        heap.store(&mut batch, &[byte; 200], 0);
        batches.push(heap.complete(&mut batch));
    }
    heap.conn
        .transaction(|conn| {
            assert_eq!(write(conn, SPACE, how, &batches[0])?, Written::Done);
            let how = How {
                version: 2,
                is_first: false,
                ..how
            };
            assert_eq!(write(conn, SPACE, how, &batches[1])?, Written::Done);
            QueryResult::Ok(())
        })
        .unwrap();
    assert_eq!(heap.query(COUNTS), "(2,2,0,400,400,400,400,400)");
    assert_eq!(heap.query("SELECT version, commits FROM memram"), "(2,\"{101,100}\")");
}

#[test]
fn an_object_can_be_freed_and_stored_again_in_one_batch() {
    let Some(mut heap) = Heap::create("again") else { return };
    let mut batch = heap.batch();
    let object = heap.store(&mut batch, &[1; 200], 0);
    heap.write(batch);
    let mut batch = heap.batch();
    heap.free(&mut batch, &object, 0);
    heap.store(&mut batch, &[1; 200], 0);
    let complete = heap.complete(&mut batch);
    assert!(!fits_lazily(&complete));
    let how = heap.how();
    let outcome = heap.conn.transaction(|conn| write(conn, SPACE, how, &complete));
    assert_eq!(outcome, Ok(Written::Done));
    assert_eq!(
        heap.query("SELECT id, (SELECT count(*) FROM stored_objects) FROM stored_objects"),
        "(2,1)"
    );
}
