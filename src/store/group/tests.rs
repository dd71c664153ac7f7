//! What a failing trigger leaves behind: nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::*;
use crate::books::change::Change;
use crate::books::effects::Effects;
use crate::books::triggers::Trigger;
use crate::models::{Arena, BlockId, MemRam, NewEntry, StoredObject, StoredObjectId, Timestamp};
use crate::store::{Readers, new_space, queries};
use crate::value::Kind;

/// Fails at the second piece of an object, when the first is in its block already.
fn fails_half_way(change: &Change<'_>, _: &mut Effects) -> Result<()> {
    match change {
        Change::EntryAdded { entry, .. } if entry.seq == 1 => Err(Error::Damaged {
            what: "a trigger failed".into(),
        }),
        _ => Ok(()),
    }
}

const WITH_FAILURE: &[Trigger] = &[
    triggers::ALL[0],
    triggers::ALL[1],
    triggers::ALL[2],
    triggers::ALL[3],
    fails_half_way,
];

fn heap(folder: &tempfile::TempDir) -> (Group, Readers) {
    let location = Location::at(&folder.path().join("heap.db")).unwrap();
    location.prepare(Access::Write).unwrap();
    let geometry = Geometry::classic();
    let mut conn = location.connect(Access::Write).unwrap();
    new_space::make(&mut conn, "main", 1 << 20, &geometry, Timestamp::default()).unwrap();
    let space = queries::spaces::by_name(&mut ReadTx::new(&mut conn), "main")
        .unwrap()
        .unwrap();
    let writer = Writer::new(Engine::new(location.clone(), conn), space.id, geometry, WITH_FAILURE);
    let group = Group::of(writer, Gate::new(None));
    (group, Readers::new(location, None))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn write<R>(group: &Group, work: impl FnOnce(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
    group.write(soon(), work)
}

/// Stores an object of `pieces` pieces of ten bytes in blocks of its own.
fn store(tx: &mut WriteTx<'_>, pieces: i64, digit: &str) -> Result<StoredObjectId> {
    let arena = Arena {
        id: tx.next_arena_id()?,
        memram_id: tx.space(),
        max_mem: 4096,
        mem: 0,
        reserved: 0,
    };
    tx.apply(Change::ArenaAdded(arena))?;
    let pool = crate::models::Pool {
        id: tx.next_pool_id()?,
        memram_id: tx.space(),
        arena_id: arena.id,
        block_size: 512,
        max_mem: 4096,
        mem: 0,
        reserved: 0,
    };
    tx.apply(Change::PoolAdded(pool))?;
    let id = tx.next_object_id()?;
    tx.apply(Change::ObjectStored(StoredObject {
        id,
        memram_id: tx.space(),
        object_id: digit.repeat(64).parse().unwrap(),
        kind: Kind::Bytes,
        type_name: None,
        size: pieces * 10,
        held: true,
        created_at: Timestamp::default(),
    }))?;
    for seq in 0..pieces {
        let block = crate::models::Block {
            id: tx.next_block_id()?,
            memram_id: tx.space(),
            arena_id: arena.id,
            pool_id: pool.id,
            block_size: 512,
            max_mem: 512,
            mem: 0,
            is_free: true,
        };
        tx.apply(Change::BlockAdded(block))?;
        let entry = NewEntry {
            stored_object_id: id,
            seq,
            arena_id: arena.id,
            pool_id: pool.id,
            block_id: BlockId(block.id.0),
            allocated_mem: 10,
            rest: 10 * (pieces - seq - 1),
            data: vec![0; 10].into(),
        };
        tx.apply(Change::EntryAdded { entry, block })?;
    }
    Ok(id)
}

fn state(readers: &Readers) -> (MemRam, Vec<Arena>, usize) {
    readers
        .snapshot(|tx| {
            let mut found = Vec::new();
            let _ = queries::audit::violations(tx, &mut |violation| {
                found.push(violation);
                std::ops::ControlFlow::Continue(())
            })?;
            assert_eq!(found, []);
            let space = queries::spaces::by_name(tx, "main")?.unwrap();
            let arenas = queries::levels::arenas(tx, space.id)?;
            let objects = queries::objects::info_page(tx, "main", StoredObjectId(0), 100)?.len();
            Ok((space, arenas, objects))
        })
        .unwrap()
}

#[test]
fn a_trigger_that_fails_half_way_undoes_the_whole_unit_of_work() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
    let before = state(&readers);
    let failed = write(&group, |tx| store(tx, 2, "b"));
    assert!(failed.unwrap_err().to_string().contains("a trigger failed"));
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "c")).unwrap();
    assert_eq!(state(&readers).2, 2);
}

#[test]
fn a_unit_that_fails_does_not_take_the_others_in_its_transaction_along() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for digit in ["0", "1", "2", "3", "4", "5", "6", "7"] {
            let (group, failures) = (&group, &failures);
            scope.spawn(move || {
                let odd = digit.parse::<i64>().unwrap() % 2;
                if write(group, |tx| store(tx, 1 + odd, digit)).is_err() {
                    failures.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(failures.load(Ordering::SeqCst), 4);
    assert_eq!(state(&readers).2, 4);
}

#[test]
fn a_unit_that_panics_changes_nothing_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        write(&group, |tx| -> Result<()> {
            store(tx, 1, "a")?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
}

/// SQLite rolls the transaction back itself when it fails to read or write; what it says
/// then is no different from an error that does no harm.
fn fails_and_rolls_back(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.read_written(|tx| {
        tx.conn.batch_execute("ROLLBACK")?;
        Err(Error::DiskFailed {
            why: "disk I/O error".into(),
        })
    })
}

#[test]
fn what_others_have_gathered_is_not_written_without_the_transaction_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&turn.outcome);
    assert!(turn.work(soon(), fails_and_rolls_back).is_err());
    assert_eq!(state(&readers), before);
    // The first is told that it is lost, and does not wait for ever.
    assert!(outcome.wait().is_err());
    drop(entered);
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "b")).unwrap();
    assert_eq!(state(&readers).2, 1);
}

#[test]
fn an_object_of_a_lost_transaction_is_not_found_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    assert!(turn.work(soon(), fails_and_rolls_back).is_err());
    drop(entered);
    let found = write(&group, |tx| tx.find(&"a".repeat(64).parse()?)).unwrap();
    assert!(found.is_none());
}

/// The last unit is the first that writes: what the others have gathered goes first.
#[test]
fn units_whose_rows_cannot_be_written_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&turn.outcome);
    let failed = turn.work(soon(), |tx| {
        tx.read_written(|tx| Ok(tx.conn.batch_execute("ALTER TABLE arenas RENAME TO away")?))?;
        tx.read_rows(|_| Ok(()))
    });
    assert!(failed.is_err());
    assert!(
        outcome.get().is_some_and(|outcome| outcome.is_err()),
        "{:?}",
        outcome.get()
    );
    drop(entered);
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "b")).unwrap();
    assert_eq!(state(&readers).2, 1);
}

#[test]
fn a_unit_that_goes_on_after_its_transaction_is_lost_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let kept = write(&group, |tx| {
        // A number cannot be looked up.
        tx.read_written(|tx| Ok(tx.conn.batch_execute("ALTER TABLE sequences RENAME TO away")?))?;
        assert!(matches!(tx.next_object_id(), Err(Error::Database { .. })));
        Ok(())
    });
    assert!(matches!(kept, Err(Error::BatchFailed)));
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
}

#[test]
fn a_unit_that_ignores_a_change_that_failed_half_way_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let kept = write(&group, |tx| {
        assert!(store(tx, 2, "b").is_err());
        Ok(())
    });
    assert!(matches!(kept, Err(Error::BatchFailed)), "{kept:?}");
    assert_eq!(state(&readers), before);
}

#[test]
fn a_rehearsal_shows_what_all_its_units_have_done() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
    let before = state(&readers);
    group
        .rehearse(soon(), |rehearsal| {
            rehearsal.unit(|tx| store(tx, 1, "b"))?;
            rehearsal.unit(|tx| {
                store(tx, 1, "c")?;
                // Half of it is written, the totals are not.
                tx.read_rows(|_| Ok(()))
            })?;
            let found = queries::spaces::by_name(&mut rehearsal.read()?, "main")?.unwrap();
            assert_eq!((found.mem, found.allocations), (30, 3));
            Ok(())
        })
        .unwrap();
    assert_eq!(state(&readers), before);
}

#[test]
fn reading_goes_on_beside_the_writers_after_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    assert!(group.read_if_idle(|_| Ok(())).is_none());
    // Left open for a thread that is still to come.
    group.gate.joining.store(1, Ordering::SeqCst);
    drop(entered);
    assert!(
        group.read_if_idle(|_| Ok(())).is_none(),
        "what is not committed is seen"
    );
    group.gate.joining.store(0, Ordering::SeqCst);
    write(&group, |tx| store(tx, 1, "b")).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| write(&group, |_| -> Result<()> { panic!("here") })));
    assert!(panicked.is_err());
    assert!(group.read_if_idle(|_| Ok(())).is_some());
}

#[test]
fn what_many_units_gather_is_no_more_than_what_one_may() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    for unit in 0..3 {
        let stored = turn.work(soon(), |tx| {
            for object in 0..2000 {
                let id = tx.next_object_id()?;
                tx.apply(Change::ObjectStored(StoredObject {
                    id,
                    memram_id: tx.space(),
                    object_id: format!("{unit:04x}{object:060x}").parse().unwrap(),
                    kind: Kind::Bytes,
                    type_name: None,
                    size: 0,
                    held: true,
                    created_at: Timestamp::default(),
                }))?;
            }
            Ok(())
        });
        assert!(stored.is_ok());
    }
    let space = turn.writer.space;
    let written = queries::objects::with_prefix(&mut turn.writer.engine.read(), space, "0000", 1).unwrap();
    assert_eq!(written.len(), 1, "all of it is still in memory");
    turn.commit().unwrap();
    drop(entered);
    assert_eq!(state(&readers).0.allocations, 6000);
}

#[test]
fn a_transaction_is_committed_although_the_thread_that_was_to_join_it_gave_up() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&entered.turn.outcome);
    let impatient = Deadline::after(Duration::from_millis(20));
    let gave_up = std::thread::scope(|scope| {
        let thread = scope.spawn(|| group.write(impatient, |tx| store(tx, 1, "b")));
        thread.join().unwrap()
    });
    assert!(matches!(gave_up, Err(Error::Busy { waited_ms: 20.. })), "{gave_up:?}");
    drop(entered);
    assert!(outcome.wait().is_ok());
    assert_eq!(state(&readers).2, 1);
}

/// Without end, if nobody wakes it.
#[test]
fn a_thread_that_sleeps_until_its_turn_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let group = Arc::new(group);
    let entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let (tells, told) = mpsc::channel();
    let waits = Arc::clone(&group);
    std::thread::spawn(move || {
        let patient = Deadline::after(Duration::MAX);
        tells
            .send(waits.write(patient, |tx| store(tx, 1, "a")).is_ok())
            .unwrap();
    });
    // Long enough for it to stop asking.
    std::thread::sleep(Duration::from_millis(50));
    drop(entered);
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
    assert_eq!(state(&readers).2, 1);
}

/// Units that fail count, too: there may be no end to them.
#[test]
fn a_unit_that_is_done_does_not_wait_for_others_that_fail() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&entered.turn.outcome);
    // As if somebody always waited who will join.
    group.gate.joining.store(1, Ordering::SeqCst);
    drop(entered);
    for failed in 1..MOST_UNITS {
        assert!(outcome.get().is_none(), "committed after {failed} units");
        let result = write(&group, |_| Err::<(), _>(Error::ReadOnly));
        assert!(matches!(result, Err(Error::ReadOnly)), "{result:?}");
    }
    assert!(matches!(outcome.get(), Some(Ok(()))), "still open");
    assert_eq!(state(&readers).2, 1);
}

/// The one that has joined cannot be withdrawn, so that what it waits for must be short.
#[test]
fn what_is_done_is_committed_before_work_that_may_take_long() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&entered.turn.outcome);
    group.gate.joining.store(1, Ordering::SeqCst);
    drop(entered);
    group.gate.joining.store(0, Ordering::SeqCst);
    assert!(outcome.get().is_none());
    let (told, tells) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| told.send(outcome.wait().is_ok()).unwrap());
        let apart = group.write_apart(soon(), |tx| {
            assert_eq!(tells.recv_timeout(Duration::from_secs(60)), Ok(true));
            store(tx, 1, "b")
        });
        apart.unwrap();
    });
    assert_eq!(state(&readers).2, 2);
}

#[test]
fn all_that_share_a_commit_get_the_error_that_it_failed_with() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    // It is full with the pages that it has.
    turn.writer
        .engine
        .read()
        .conn
        .batch_execute("PRAGMA max_page_count = 1")
        .unwrap();
    for digit in ["a", "b"] {
        let stored = turn.work(soon(), |tx| {
            let id = tx.next_object_id()?;
            tx.apply(Change::ObjectStored(StoredObject {
                id,
                memram_id: tx.space(),
                object_id: digit.repeat(64).parse().unwrap(),
                kind: Kind::Json,
                type_name: Some(digit.repeat(100_000)),
                size: 0,
                held: true,
                created_at: Timestamp::default(),
            }))
        });
        assert!(stored.is_ok());
    }
    let outcome = Arc::clone(&turn.outcome);
    assert!(matches!(turn.commit(), Err(Error::DiskFull)));
    assert!(matches!(outcome.wait(), Err(Error::DiskFull)));
    drop(entered);
    assert_eq!(state(&readers), before);
}

/// What is left of the time is for both, the turn and the file.
#[test]
fn a_call_that_has_waited_does_not_wait_again_for_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let tool = rusqlite::Connection::open(folder.path().join("heap.db")).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deadline = Deadline::after(Duration::from_millis(20));
    std::thread::sleep(Duration::from_millis(20));
    let Err(Error::Busy { waited_ms }) = group.write(deadline, |tx| store(tx, 1, "a")) else {
        panic!("nobody was waited for");
    };
    // Of the 5 s that the connection was opened with nothing is left.
    assert!((20..4000).contains(&waited_ms), "{waited_ms}");
    tool.execute_batch("ROLLBACK").unwrap();
    write(&group, |tx| store(tx, 1, "a")).unwrap();
    assert_eq!(state(&readers).2, 1);
}
