//! What a unit of work that fails leaves behind: nothing.

use super::*;

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
    // The first is told that it is lost, and does not wait forever.
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
fn a_unit_that_goes_on_after_its_transaction_is_lost_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let done = write(&group, |tx| {
        // A number cannot be looked up.
        tx.read_written(|tx| Ok(tx.conn.batch_execute("ALTER TABLE sequences RENAME TO away")?))?;
        assert!(matches!(tx.next_object_id(0), Err(Error::Database { .. })));
        Ok(())
    });
    assert!(matches!(done, Err(Error::BatchFailed)));
    assert_eq!(state(&readers), before);
    write(&group, |tx| store(tx, 1, "a")).unwrap();
}

#[test]
fn a_unit_that_ignores_a_change_that_failed_half_way_is_not_committed() {
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
