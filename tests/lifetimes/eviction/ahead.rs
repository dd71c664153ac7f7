//! What a writer has read ahead of its evictions decides as the rows do.

use std::collections::BTreeSet;

use heapledger::{Error, Geometry, Hold, HoldWith, MemManager, ObjectId, Policy};

use crate::HOUR;
use crate::common::{Heap, KIB, assert_balanced, content, quick, server};

/// Object `seed` of those that are put.
fn object(seed: u64) -> Vec<u8> {
    content(seed, 100 + seed * 7919 % 900)
}

fn ids(memory: &MemManager) -> BTreeSet<ObjectId> {
    memory.objects().map(|object| object.unwrap().id).collect()
}

#[derive(Debug)]
enum Step {
    Put(Vec<u64>),
    Read(u64),
    Free(u64),
    Pin(u64),
    Unpin(u64),
}

fn step(random: &mut fastrand::Rng) -> Step {
    let mut seed = || (random.f64().powi(2) * 250.0) as u64;
    let (one, other, third) = (seed(), seed(), seed());
    match random.u8(..20) {
        0..6 => Step::Put(vec![one]),
        6..12 => Step::Put(vec![one, other, third]),
        12..17 => Step::Read(one),
        17 => Step::Free(one),
        18 => Step::Pin(one),
        _ => Step::Unpin(one),
    }
}

fn hold(seed: u64) -> HoldWith<'static> {
    match seed % 3 {
        // Other tests let the clock jump ahead, but not as far.
        0 => Hold::Anonymous.expires_in(HOUR * 100_000),
        _ => Hold::Anonymous.into(),
    }
}

fn put(memory: &MemManager, seed: u64) {
    memory.store_bytes(&object(seed), hold(seed)).unwrap();
}

fn take(memory: &MemManager, step: &Step) {
    let id = |seed: &u64| ObjectId::of_bytes(&object(*seed));
    match step {
        Step::Put(seeds) => seeds.iter().for_each(|&seed| put(memory, seed)),
        Step::Read(seed) => {
            if_stored(memory.get_bytes(&id(seed)));
            // A write, so that the use is written now and not by a thread some time later. It evicts nothing.
            memory.allocate_bytes(b"").unwrap();
        }
        Step::Free(seed) => if_stored(memory.force_free(&id(seed))),
        Step::Pin(seed) => if_stored(memory.pin(&id(seed))),
        Step::Unpin(seed) => if_stored(memory.unpin(&id(seed))),
    }
}

fn if_stored<T>(done: Result<T, Error>) {
    match done {
        Ok(_) | Err(Error::NotStored { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// One heap stays open and puts several objects in a batch; the other is opened again for each of them, which on a
/// server takes longest.
fn compare(policy: Policy) {
    let new = || Heap::made(quick().max_mem(64 * KIB).geometry(Geometry::standard()).evict(policy));
    let (open, reopened) = (new(), new());
    let mut random = fastrand::Rng::with_seed(11);
    let steps = if server().is_some() { 150 } else { 400 };
    for memory in [&*open, &*reopened] {
        memory
            .batch(|batch| (300..400).try_for_each(|seed| batch.store_bytes(&object(seed), hold(seed)).map(drop)))
            .unwrap();
    }
    for number in 0..steps {
        let step = step(&mut random);
        match &step {
            Step::Put(seeds) if seeds.len() > 1 => {
                open.batch(|batch| {
                    seeds
                        .iter()
                        .try_for_each(|seed| batch.store_bytes(&object(*seed), hold(*seed)).map(drop))
                })
                .unwrap();
                seeds
                    .iter()
                    .for_each(|&seed| take(&reopened.open_again(), &Step::Put(vec![seed])));
            }
            step => {
                take(&open, step);
                take(&reopened.open_again(), step);
            }
        }
        let (open, reopened) = (ids(&open), ids(&reopened));
        let differ: Vec<_> = open.symmetric_difference(&reopened).collect();
        assert!(differ.is_empty(), "{policy}, {number}: {step:?}: {differ:?}");
    }
    assert!(open.stats().unwrap().evictions > 100);
    assert_eq!(open.layout_digest().unwrap(), reopened.layout_digest().unwrap());
    assert_balanced(&open);
    assert_balanced(&reopened);
}

#[test]
fn the_oldest() {
    compare(Policy::Oldest);
}

#[test]
fn lru() {
    compare(Policy::Lru);
}

#[test]
fn sieve() {
    compare(Policy::Sieve);
}

#[test]
fn s3_fifo() {
    compare(Policy::S3Fifo);
}

#[test]
fn many_that_stay_in_front_hide_nothing() {
    for policy in Policy::ALL {
        let heap = Heap::made(quick().max_mem(64 * KIB).geometry(Geometry::standard()).evict(policy));
        let small = |seed: u64| content(seed, 20);
        let stored = heap.batch(|batch| {
            (0..1500)
                .map(|seed| batch.allocate_bytes(&small(seed)))
                .collect::<Result<Vec<_>, _>>()
        });
        for id in stored.unwrap() {
            heap.pin(&id).unwrap();
        }
        for seed in 2000..2200 {
            heap.allocate_bytes(&content(seed, 1000)).unwrap();
        }
        let stays = |seed| heap.contains(&ObjectId::of_bytes(&small(seed))).unwrap();
        assert!((0..1500).all(stays), "{policy}");
        assert!(heap.stats().unwrap().evictions >= 150);
        assert_balanced(&heap);
    }
}

#[test]
fn no_key_comes_back_where_one_object_takes_the_place_of_another() {
    let heap = Heap::made(
        quick()
            .max_mem(64 * KIB)
            .geometry(Geometry::standard())
            .evict(Policy::Oldest),
    );
    let mut last = None;
    for seed in 0..40 {
        let memory = heap.open_again();
        let id = memory.allocate_bytes(&content(seed, 8 * KIB)).unwrap();
        let key = memory.objects().map(|object| object.unwrap().key).max();
        assert!(key > last, "{seed}: {key:?} after {last:?}");
        last = key;
        if seed % 3 == 0 {
            memory.free(&id).unwrap();
        }
    }
    assert!(heap.stats().unwrap().evictions > 10);
    assert_balanced(&heap);
}
