//! Units of work that share a commit, and threads that wait for them.

use super::*;

#[test]
fn many_units_gather_no_more_than_the_limit_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    for unit in 0..3 {
        let stored = turn.work(Begin::Locked, soon(), |tx| {
            for object in 0..2000 {
                let id = tx.next_object_id(0)?;
                tx.apply(Change::ObjectStored(StoredObject {
                    id,
                    memram_id: tx.space(),
                    object_id: format!("{unit:04x}{object:060x}").parse().unwrap(),
                    kind: Kind::Bytes,
                    type_name: None,
                    size: 0,
                    held: true,
                    created_at: Timestamp::default(),
                    held_until: None,
                    held_refresh: None,
                    expires_at: None,
                    pinned: false,
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
fn a_transaction_is_committed_even_if_the_thread_that_would_join_it_gave_up() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&entered.turn.outcome);
    let impatient = Deadline::after(Duration::from_millis(20));
    let gave_up = std::thread::scope(|scope| {
        let thread = scope.spawn(|| group.write(0, impatient, |tx| store(tx, 1, "b")));
        thread.join().unwrap()
    });
    assert!(matches!(gave_up, Err(Error::Busy { waited_ms: 20.. })), "{gave_up:?}");
    drop(entered);
    assert!(outcome.wait().is_ok());
    assert_eq!(state(&readers).2, 1);
}

/// Without a wake-up it would sleep forever.
#[test]
fn a_sleeping_thread_is_woken_for_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let group = Arc::new(group);
    let entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let (tells, told) = mpsc::channel();
    let waits = Arc::clone(&group);
    std::thread::spawn(move || {
        let patient = Deadline::after(Duration::MAX);
        tells
            .send(waits.write(0, patient, |tx| store(tx, 1, "a")).is_ok())
            .unwrap();
    });
    // Long enough for it to stop spinning.
    std::thread::sleep(Duration::from_millis(50));
    drop(entered);
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
    assert_eq!(state(&readers).2, 1);
}

/// Failed units count too, because they may never stop coming.
#[test]
fn a_finished_unit_does_not_wait_for_failing_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
    let outcome = Arc::clone(&entered.turn.outcome);
    // As if another thread always waited to join.
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

/// A finished unit can only commit, so it must not have to wait for long work.
#[test]
fn finished_units_are_committed_before_work_that_may_take_long() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    assert!(entered.turn.work(Begin::Locked, soon(), |tx| store(tx, 1, "a")).is_ok());
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
fn all_units_of_a_failed_commit_get_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let mut entered = group.enter(Coming::ToJoin, soon()).unwrap();
    let turn = &mut *entered.turn;
    // No more pages than the file already has.
    turn.writer
        .engine
        .read()
        .conn()
        .unwrap()
        .batch_execute("PRAGMA max_page_count = 1")
        .unwrap();
    for digit in ["a", "b"] {
        let stored = turn.work(Begin::Locked, soon(), |tx| {
            let id = tx.next_object_id(0)?;
            tx.apply(Change::ObjectStored(StoredObject {
                id,
                memram_id: tx.space(),
                object_id: digit.repeat(64).parse().unwrap(),
                kind: Kind::Json,
                type_name: Some(digit.repeat(100_000)),
                size: 0,
                held: true,
                created_at: Timestamp::default(),
                held_until: None,
                held_refresh: None,
                expires_at: None,
                pinned: false,
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

/// The remaining time is shared by the waits for the turn and for the file.
#[test]
fn a_call_does_not_wait_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let tool = rusqlite::Connection::open(folder.path().join("heap.db")).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deadline = Deadline::after(Duration::from_millis(20));
    std::thread::sleep(Duration::from_millis(20));
    let Err(Error::Busy { waited_ms }) = group.write(0, deadline, |tx| store(tx, 1, "a")) else {
        panic!("it did not wait");
    };
    // The connection's own timeout of 5 s has no effect.
    assert!((20..4000).contains(&waited_ms), "{waited_ms}");
    tool.execute_batch("ROLLBACK").unwrap();
    write(&group, |tx| store(tx, 1, "a")).unwrap();
    assert_eq!(state(&readers).2, 1);
}
