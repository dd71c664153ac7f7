//! A failed unit of work leaves nothing behind.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::sqlite::exec::pragma;

use super::*;

#[test]
fn a_trigger_that_fails_halfway_rolls_back_the_whole_unit_of_work() {
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
fn a_failed_unit_does_not_affect_the_others_in_its_transaction() {
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
fn a_unit_that_panics_changes_nothing_and_the_next_one_works() {
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

/// SQLite itself rolls back the transaction if it fails to read or write. The error looks the same
/// as a harmless one.
fn fails_and_rolls_back(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.read_written(|tx| {
        tx.conn()?.batch_execute("ROLLBACK")?;
        Err(Error::DiskFailed {
            why: "disk I/O error".into(),
        })
    })
}

#[test]
fn gathered_rows_are_not_written_after_their_transaction_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&turn.outcome);
    assert!(turn.work(Begin::Locked, soon(), fails_and_rolls_back).is_err());
    assert_eq!(state(&readers), before);
    // The first unit learns that it is lost, and does not wait forever.
    assert!(outcome.wait().is_err());
    drop(entered);
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "b")).unwrap();
    assert_eq!(state(&readers).2, 1);
}

#[test]
fn an_object_of_a_lost_transaction_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    assert!(turn.work(Begin::Locked, soon(), fails_and_rolls_back).is_err());
    drop(entered);
    let found = write(&group, |tx| tx.find(&"a".repeat(64).parse()?)).unwrap();
    assert!(found.is_none());
}

/// The last unit is the first to write, so the rows gathered by the others are written first.
#[test]
fn units_whose_rows_cannot_be_written_get_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    assert!(turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&turn.outcome);
    let failed = turn.work(Begin::Locked, soon(), |tx| {
        tx.read_written(|tx| Ok(tx.conn()?.batch_execute("ALTER TABLE arenas RENAME TO away")?))?;
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
fn a_unit_that_continues_after_its_transaction_is_lost_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let done = write(&group, |tx| {
        // A number cannot be looked up.
        tx.read_written(|tx| Ok(tx.conn()?.batch_execute("ALTER TABLE sequences RENAME TO away")?))?;
        assert!(matches!(tx.next_object_id(0), Err(Error::Database { .. })));
        Ok(())
    });
    assert!(matches!(done, Err(Error::BatchFailed)));
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
}

#[test]
fn a_unit_that_ignores_a_half_failed_change_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let done = write(&group, |tx| {
        assert!(store(tx, 2, "b").is_err());
        Ok(())
    });
    assert!(matches!(done, Err(Error::BatchFailed)), "{done:?}");
    assert_eq!(state(&readers), before);
}

#[test]
fn a_rehearsal_shows_the_effects_of_all_its_units() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
    let before = state(&readers);
    group
        .rehearse(soon(), |rehearsal| {
            rehearsal.unit(|tx| store(tx, 1, "b"))?;
            rehearsal.unit(|tx| {
                store(tx, 1, "c")?;
                // The rows are written, the totals are not.
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
fn reading_on_the_writing_connection_works_after_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    assert!(group.read_if_idle(|_| Ok(())).is_none());
    // Left open for a thread that is expected to join.
    group.gate.joining.store(1, Ordering::SeqCst);
    drop(entered);
    assert!(
        group.read_if_idle(|_| Ok(())).is_none(),
        "uncommitted changes are visible"
    );
    group.gate.joining.store(0, Ordering::SeqCst);
    write(&group, |tx| store(tx, 1, "b")).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| write(&group, |_| -> Result<()> { panic!("here") })));
    assert!(panicked.is_err());
    assert!(group.read_if_idle(|_| Ok(())).is_some());
}

/// How commits of the connection are synced: 1 is NORMAL, 2 is FULL.
fn level(tx: &mut WriteTx<'_>) -> Result<i64> {
    tx.read_written(|tx| pragma(tx.conn()?, "synchronous"))
}

#[test]
fn after_an_unsynced_unit_commits_are_synced_again_whatever_happened_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (group, _) = heap(&folder);
    assert_eq!(write(&group, level).unwrap(), 2);
    let unsynced = |end: fn(&mut WriteTx<'_>) -> Result<()>| {
        group.write_unsynced(soon(), |tx| {
            assert_eq!(level(tx)?, 1);
            store(tx, 1, "a")?;
            end(tx)
        })
    };
    assert!(unsynced(|_| Err(Error::ReadOnly)).is_err());
    assert_eq!(write(&group, level).unwrap(), 2);
    assert!(catch_unwind(AssertUnwindSafe(|| unsynced(|_| panic!("in the middle")))).is_err());
    assert_eq!(write(&group, level).unwrap(), 2);
    assert!(unsynced(fails_and_rolls_back).is_err());
    assert_eq!(write(&group, level).unwrap(), 2);
    unsynced(|_| Ok(())).unwrap();
    let outside = group.transaction(soon(), |conn| pragma(conn, "synchronous"));
    assert_eq!(outside.unwrap(), 2);
}
