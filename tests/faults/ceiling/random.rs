//! Random runs: whatever is written, by however many threads and processes, and however they die.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use heapledger::{Durability, Error, History, Hold, MemManager, ObjectId, Options};
use proptest::prelude::*;
use tempfile::tempdir;

use super::watch::{Watch, total};
use crate::common::{self, KIB, MIB, assert_balanced, content, files_only};
use crate::harness::{again, given, given_number};

/// What one writer has stored, by name.
type Model = BTreeMap<String, ObjectId>;

fn options(plain: bool, synced: bool) -> Options {
    let durability = if synced { Durability::Full } else { Durability::Normal };
    let patience = Duration::from_secs(60);
    MemManager::options()
        .plain_io(plain)
        .durability(durability)
        .busy_timeout(patience)
}

/// Mostly small, sometimes larger than the reserve.
fn size(rng: &mut fastrand::Rng) -> u64 {
    match rng.u8(..20) {
        0 => rng.u64(..600 * KIB),
        1..4 => rng.u64(..70 * KIB),
        4..10 => rng.u64(..5 * KIB),
        _ => rng.u64(..200),
    }
}

/// Runs one random operation of writer `writer`; a refused one must not have changed anything.
fn step(memory: &MemManager, rng: &mut fastrand::Rng, model: &mut Model, writer: u64) {
    let name = format!("{writer}/{}", rng.u8(..60));
    let done = match rng.u8(..20) {
        0..9 => {
            let bytes = content(rng.u64(..), size(rng));
            memory.store_bytes(&bytes, Hold::Name(&name)).map(|stored| {
                model.insert(name, stored.id);
            })
        }
        9..11 => {
            let count = rng.u64(1..30);
            let stored = memory.batch(|batch| {
                (0..count).try_fold(Vec::new(), |mut stored, number| {
                    let name = format!("{writer}/{number}");
                    let bytes = content(rng.u64(..), size(rng) / 8);
                    stored.push((name.clone(), batch.store_bytes(&bytes, Hold::Name(&name))?.id));
                    Ok(stored)
                })
            });
            stored.map(|stored| model.extend(stored))
        }
        11..18 => match model.pop_first() {
            None => Ok(()),
            Some((name, _)) => {
                memory.unbind(&name).unwrap();
                Ok(())
            }
        },
        18 => memory.collect_garbage().map(drop),
        _ => memory.stats().map(drop),
    };
    match done {
        Ok(()) | Err(Error::FileFull { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// All names and their objects.
fn names(memory: &MemManager) -> Model {
    let objects = memory.objects().map(Result::unwrap);
    let named = objects.flat_map(|object| object.names.into_iter().map(move |name| (name, object.id)));
    named.collect()
}

fn assert_stored(memory: &MemManager, models: &[Model]) {
    let expected: Model = models.iter().flatten().map(|(name, id)| (name.clone(), *id)).collect();
    assert_eq!(names(memory), expected);
    assert_eq!(memory.check().unwrap(), []);
}

proptest! {
    #![proptest_config(common::cases(10))]

    #[test]
    fn no_run_ever_takes_more_than_the_ceiling(
        seed in any::<u64>(),
        (plain, synced) in any::<(bool, bool)>(),
        max_file in MIB..6 * MIB,
        threads in 1..4_u64,
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        let memory = options(plain, synced).max_file(max_file).open(&path).unwrap();
        let watch = Watch::new(&path);
        let mut models = vec![Model::new(); threads as usize];
        let mut memory = Some(memory);
        for round in 0..3 {
            let opened = memory.take().unwrap_or_else(|| options(plain, synced).open(&path).unwrap());
            std::thread::scope(|scope| {
                for (writer, model) in (0..).zip(&mut models) {
                    let opened = &opened;
                    scope.spawn(move || {
                        let mut rng = fastrand::Rng::with_seed(seed ^ (writer << 8) ^ round);
                        for _ in 0..60 {
                            step(opened, &mut rng, model, writer);
                        }
                    });
                }
            });
            assert_stored(&opened, &models);
        }
        let most = watch.most();
        prop_assert!(most <= max_file, "{most} of {max_file}");
        // It can be emptied.
        let memory = options(plain, synced).open(&path).unwrap();
        for name in names(&memory).keys() {
            memory.unbind(name).unwrap();
        }
        memory.collect_garbage().unwrap();
        prop_assert_eq!(memory.stats().unwrap().objects, 0);
        assert_balanced(&memory);
        prop_assert!(total(&path) <= max_file);
    }
}

#[test]
#[ignore = "the child process that the other tests kill"]
fn child() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let seed = given_number("HEAPLEDGER_SEED");
    let memory = options(given("HEAPLEDGER_PLAIN").is_some(), false).open(path).unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut model = Model::new();
    // What an earlier child has stored under its names.
    let own = format!("{seed}/");
    model.extend(names(&memory).into_iter().filter(|(name, _)| name.starts_with(&own)));
    loop {
        step(&memory, &mut rng, &mut model, seed);
    }
}

/// Starts children that write until they are killed.
fn kill_children(path: &Path, plain: bool, rounds: u64) {
    for round in 0..rounds {
        let children: Vec<_> = (0..2)
            .map(|number| {
                let mut child = again("ceiling::random::child");
                child
                    .env("HEAPLEDGER_PATH", path)
                    .env("HEAPLEDGER_SEED", number.to_string());
                if plain {
                    child.env("HEAPLEDGER_PLAIN", "1");
                }
                child.stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 61 * (round % 7)));
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn survives_kills(plain: bool) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let max_file = 2 * MIB;
    // Bounded, because a whole history would fill the file, and leave no room for content.
    let history = History::Keep {
        age: None,
        bytes: Some(256 * KIB),
    };
    let first = options(plain, false).max_file(max_file).history(history).open(&path);
    drop(first.unwrap());
    let watch = Watch::new(&path);
    for _ in 0..3 {
        kill_children(&path, plain, 4);
        let memory = options(plain, false).open(&path).unwrap();
        assert!(memory.check().unwrap().is_empty());
        memory.set("still", &"writable").map(drop).or_else(only_full).unwrap();
    }
    let memory = options(plain, false).open(&path).unwrap();
    for name in names(&memory).keys() {
        memory.unbind(name).unwrap();
    }
    memory.collect_garbage().unwrap();
    assert_eq!(memory.stats().unwrap().objects, 0);
    memory.allocate_bytes(&content(1, 100 * KIB)).unwrap();
    assert_balanced(&memory);
    let most = watch.most();
    assert!(most <= max_file, "{most} of {max_file}");
}

fn only_full(error: Error) -> heapledger::Result<()> {
    match error {
        Error::FileFull { .. } => Ok(()),
        error => Err(error),
    }
}

#[test]
fn two_processes_that_are_killed_stay_below_the_ceiling() {
    files_only!(Ceiling);
    survives_kills(false);
}

#[test]
fn two_processes_with_plain_io_that_are_killed_stay_below_the_ceiling() {
    files_only!(Ceiling);
    survives_kills(true);
}
