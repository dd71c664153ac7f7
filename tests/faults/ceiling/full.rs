//! A full file can be emptied, and then filled again.

use heapledger::{Durability, Error, EventFilter, EventKind, Geometry, History, Hold, MemManager, ObjectId, Options};
use proptest::prelude::*;
use tempfile::tempdir;

use super::watch::{Watch, total};
use crate::common::{KIB, MIB, assert_balanced, cases, content, files_only, options, quick};

/// Stores objects of this size until the file is full, first many at a time.
fn fill(memory: &MemManager, seed: u64, size: u64) -> Vec<ObjectId> {
    let mut stored = Vec::new();
    let many = (100 * KIB / (size + 500)).max(1);
    while let Ok(more) = memory.batch(|batch| {
        let at = seed + stored.len() as u64;
        let more = (at..at + many).map(|at| batch.allocate_bytes(&content(at, size)));
        more.collect::<heapledger::Result<Vec<_>>>()
    }) {
        stored.extend(more);
    }
    loop {
        let at = seed + stored.len() as u64;
        let bytes = content(at, size);
        let before = memory.stats().unwrap();
        match memory.allocate_bytes(&bytes) {
            Ok(id) => stored.push(id),
            Err(Error::FileFull {
                needed,
                file,
                log,
                reserve,
                max_file,
            }) => {
                assert!(needed + file + log + reserve > max_file);
                let after = memory.stats().unwrap();
                assert_eq!(
                    (after.mem, after.objects, after.allocations),
                    (before.mem, before.objects, before.allocations)
                );
                return stored;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn fills_and_empties(options: Options, max_file: u64, size: u64, shuffle: bool, history: History) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options.max_file(max_file).open(&path).unwrap();
    memory.set_history(history).unwrap();
    let watch = Watch::new(&path);
    let mut rng = fastrand::Rng::with_seed(size);
    for round in 0..2 {
        let mut stored = fill(&memory, round << 32, size);
        let held = stored.len() as u64 * size;
        let room = max_file - max_file / 16;
        println!(
            "{size}: {} objects, {held} bytes, {} on disk",
            stored.len(),
            total(&path)
        );
        assert!(size < 1000 || held > (room - 500 * KIB) / 2, "{held} of {max_file}");
        if shuffle {
            rng.shuffle(&mut stored);
        }
        for (index, id) in stored.iter().enumerate() {
            memory
                .free(id)
                .unwrap_or_else(|error| panic!("after {index} of {}: {error}", stored.len()));
            if index % 500 == 0 {
                memory.collect_garbage().unwrap();
            }
        }
        memory.collect_garbage().unwrap();
        assert_eq!(memory.stats().unwrap().objects, 0);
        assert_balanced(&memory);
        let again = memory.allocate_bytes(b"and storing works again").unwrap();
        memory.free(&again).unwrap();
    }
    let most = watch.most();
    assert!(most <= max_file, "{most} of {max_file}");
}

#[test]
fn small_objects() {
    files_only!(Ceiling);
    fills_and_empties(quick(), MIB, 20, true, History::On);
}

#[test]
fn small_objects_without_history() {
    files_only!(Ceiling);
    fills_and_empties(quick(), MIB, 20, false, History::Off);
}

#[test]
fn objects_of_a_block() {
    files_only!(Ceiling);
    fills_and_empties(quick(), 3 * MIB, 4 * KIB, true, History::On);
}

#[test]
fn large_objects() {
    files_only!(Ceiling);
    fills_and_empties(quick(), 24 * MIB, 700 * KIB, true, History::On);
}

#[test]
fn objects_larger_than_the_cache() {
    files_only!(Ceiling);
    fills_and_empties(quick().max_mem(400 * MIB), 200 * MIB, 40 * MIB, false, History::On);
}

#[test]
fn objects_of_many_pieces() {
    files_only!(Ceiling);
    let classic = quick().geometry(Geometry::classic());
    fills_and_empties(classic, 4 * MIB, 90 * KIB, true, History::On);
}

#[test]
fn with_plain_io() {
    files_only!(Ceiling);
    fills_and_empties(quick().plain_io(true), MIB, 2000, true, History::On);
}

#[test]
fn synced() {
    files_only!(Ceiling);
    fills_and_empties(options().durability(Durability::Full), MIB, 3000, true, History::On);
}

#[test]
fn a_full_file_can_be_unbound_released_trimmed_repaired_and_resized() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(2 * MIB).open(&path).unwrap();
    memory.store_bytes(&content(1, 5000), Hold::Name("named")).unwrap();
    let held = memory.allocate_bytes(&content(2, 5000)).unwrap();
    fill(&memory, 100, 10_000);
    fill(&memory, 1000, 100);
    memory.unbind("named").unwrap();
    memory.release(&held).unwrap();
    memory.set_history(History::Off).unwrap();
    memory.set_history(History::On).unwrap();
    assert!(memory.repair().unwrap().left.is_empty());
    assert!(memory.check().unwrap().is_empty());
    memory.collect_garbage().unwrap();
    memory.set_max_file(Some(3 * MIB)).unwrap();
    memory.allocate_bytes(&content(3, 300 * KIB)).unwrap();
}

#[test]
fn what_a_batch_sets_aside_counts() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(4 * MIB).open(&path).unwrap();
    let refused = memory.batch(|batch| {
        let kept = batch.allocate_bytes(b"kept")?;
        let refused = batch.allocate_from(content(1, 4 * MIB).as_slice());
        let Err(Error::FileFull {
            needed,
            file,
            log,
            reserve,
            max_file,
        }) = refused
        else {
            panic!("{refused:?}");
        };
        // Below that are the parts that were set aside before.
        assert!(needed + file + log + reserve > max_file && log > 2 * MIB, "{log}");
        // It is given back, and the batch goes on.
        batch.allocate_from(content(2, 1100 * KIB).as_slice())?;
        Ok(kept)
    });
    assert!(memory.contains(&refused.unwrap()).unwrap());
    assert_eq!(memory.stats().unwrap().objects, 2);
}

/// The events of what is freed need more room than the reserve.
#[test]
fn the_oldest_events_make_room_for_those_of_frees() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().history(History::On).max_file(MIB).open(&path).unwrap();
    let watch = Watch::new(&path);
    let mut stored = fill(&memory, 0, 20);
    let first = memory.events(EventFilter::default()).next().unwrap().unwrap().id;
    fastrand::Rng::with_seed(1).shuffle(&mut stored);
    let wordy = memory.because(&"in the way ".repeat(90));
    for (index, id) in stored.iter().enumerate() {
        let freed = wordy.free(id);
        freed.unwrap_or_else(|error| panic!("after {index} of {}: {error}", stored.len()));
    }
    let oldest = memory.events(EventFilter::default()).next().unwrap().unwrap();
    assert!(oldest.id > first && oldest.kind == EventKind::Opening, "{oldest:?}");
    assert_eq!(memory.check().unwrap(), []);
    let most = watch.most();
    assert!(most <= MIB, "{most}");
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn any_full_file_can_be_emptied_and_filled_again(
        seed in any::<u64>(),
        max_file in MIB..2 * MIB,
        // Contents of fewer bytes would repeat.
        sizes in prop::collection::vec(prop_oneof![8..200_u64, 200..5000_u64, 5000..300_000_u64], 1..4),
        (plain, classic, recorded) in any::<(bool, bool, bool)>(),
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        let geometry = if classic { Geometry::classic() } else { Geometry::standard() };
        let history = if recorded { History::On } else { History::Off };
        let options = MemManager::options().plain_io(plain).durability(Durability::Normal);
        let memory = options.geometry(geometry).history(history).max_file(max_file).open(&path).unwrap();
        let watch = Watch::new(&path);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut stored: Vec<_> = (0..).zip(&sizes)
            .flat_map(|(number, &size)| fill(&memory, number << 32, size))
            .collect();
        rng.shuffle(&mut stored);
        for id in &stored {
            memory.free(id).unwrap();
            if rng.u8(..) == 0 {
                memory.collect_garbage().unwrap();
            }
        }
        memory.collect_garbage().unwrap();
        prop_assert_eq!(memory.stats().unwrap().objects, 0);
        assert_balanced(&memory);
        memory.allocate_bytes(b"again").unwrap();
        let most = watch.most();
        prop_assert!(most <= max_file, "{most} of {max_file}");
    }
}
