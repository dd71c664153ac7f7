//! Guards against this failure: a reader that was meant to be limited goes on reading an old state,
//! or keeps the write-ahead log after it was refused.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use heapledger::{Error, EventFilter, Hold, MemManager, ObjectId, Result};

use crate::common::{MIB, Place, assert_balanced, content, files_only, quick, server};
use crate::log_limit::fill_log;

const AGE: Duration = Duration::from_millis(200);

/// A heap whose reads may take `age`, with an object of several pieces.
fn heap(age: Duration, plain: bool) -> (Place, MemManager, ObjectId) {
    let place = Place::new();
    let options = quick().plain_io(plain).max_snapshot_age(age);
    let memory = options.open(place.address()).unwrap();
    let stored = memory.store_bytes(&content(1, 2 * MIB), Hold::Name("object")).unwrap();
    (place, memory, stored.id)
}

#[track_caller]
fn too_old<T>(refused: Result<T>) {
    match refused.err().expect("an error") {
        Error::SnapshotTooOld { age, max } => assert!(age > max),
        error => panic!("{error}"),
    }
}

#[test]
fn a_read_that_is_too_old_fails_and_frees_the_log() {
    files_only!(Log);
    for plain in [false, true] {
        let (_dir, memory, id) = heap(AGE, plain);
        let other = memory.clone();
        memory
            .read(|snapshot| {
                fill_log(&other);
                sleep(AGE);
                too_old(snapshot.get_bytes(&id));
                // The closure goes on, but no longer reads the old state.
                other.allocate("more")?;
                too_old(snapshot.find("object"));
                Ok(())
            })
            .unwrap();
        let refused: Result<(), Error> = memory.try_read(|snapshot| {
            sleep(2 * AGE);
            snapshot.contains(&id).map(drop)
        });
        too_old(refused);
        // One that is not looked at again has failed at nothing.
        let seen = memory.read(|snapshot| {
            let seen = snapshot.contains(&id);
            sleep(2 * AGE);
            seen
        });
        assert!(seen.unwrap());
        assert!(memory.contains(&id).unwrap());
    }
}

#[test]
fn everything_of_a_snapshot_becomes_too_old() {
    let (_dir, memory, id) = heap(AGE, false);
    let then = memory.snapshot().unwrap();
    let mut objects = then.objects();
    let mut entries = then.entries();
    let mut events = then.events(EventFilter::default());
    let mut reader = then.reader(&id).unwrap();
    sleep(2 * AGE);
    too_old(then.contains(&id));
    too_old(objects.next().unwrap());
    too_old(entries.next().unwrap());
    too_old(events.next().unwrap());
    let refused = reader.read(&mut [0; 10]).unwrap_err();
    let refused = refused.downcast::<Error>().unwrap();
    assert!(matches!(refused, Error::SnapshotTooOld { .. }), "{refused}");
    too_old(then.stats());
    // A new one is not.
    assert!(memory.snapshot().unwrap().contains(&id).unwrap());
}

#[test]
fn a_writer_ends_a_forgotten_snapshot() {
    files_only!(Log);
    for plain in [false, true] {
        let (_dir, memory, id) = heap(AGE, plain);
        let forgotten = memory.snapshot().unwrap();
        fill_log(&memory);
        sleep(AGE);
        memory.allocate("more").unwrap();
        too_old(forgotten.contains(&id));
        assert_balanced(&quick().open(memory.path()).unwrap());
    }
}

#[test]
fn iterators_and_readers_of_the_manager_hold_nothing() {
    let (_dir, memory, id) = heap(AGE, false);
    memory
        .batch(|batch| (0..600).try_for_each(|number| batch.allocate(&number).map(drop)))
        .unwrap();
    let mut objects = memory.objects();
    let mut reader = memory.reader(&id).unwrap();
    let mut start = vec![0; 1000];
    assert!(objects.next().is_some());
    reader.read_exact(&mut start).unwrap();
    sleep(2 * AGE);
    assert_eq!(objects.filter(|object| object.is_ok()).count(), 600);
    reader.read_to_end(&mut start).unwrap();
    assert!(start == content(1, 2 * MIB));
}

#[test]
fn long_calls_are_reads_of_one_state() {
    let (place, memory, id) = heap(Duration::ZERO, false);
    too_old(memory.check());
    too_old(memory.export(place.folder().join("export")));
    too_old(memory.stats());
    if server().is_none() {
        too_old(memory.space_report());
    }
    too_old(memory.usage());
    too_old(memory.doctor());
    too_old(memory.trial_balance());
    too_old(memory.get::<String>(&id));
    // Writing reads as well, but not an old state.
    memory.allocate("more").unwrap();
    memory.free(&memory.allocate("less").unwrap()).unwrap();
    memory.collect_garbage().unwrap();
    assert_balanced(&quick().open(memory.path()).unwrap());
}
