//! The same operations have the same results on a server as in a file, and give the same layout after each.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use heapledger::{Allocation, Batch, CompactOptions, Geometry, History, Hold, MemManager, ObjectId, Result};
use tempfile::tempdir;

use crate::common::{MIB, Place, assert_balanced, content, on_server, quick};
use crate::same_answers::assert_same_answers;

const STEPS: u64 = 2_000;

/// A name and a geometry for each space.
fn spaces() -> [(&'static str, u64, Geometry); 2] {
    [
        ("main", 24 * MIB, Geometry::standard()),
        ("classic", MIB / 4, Geometry::classic()),
    ]
}

#[test]
fn two_thousand_random_operations_give_the_same_layout_on_a_server_and_in_a_file() {
    if !on_server() {
        return;
    }
    assert_same_layouts(Place::new().address(), STEPS);
}

/// Does the same random operations in a new heap at `server` and in a file.
pub fn assert_same_layouts(server: &Path, steps: u64) {
    let folder = tempdir().unwrap();
    let addresses = [server.to_owned(), folder.path().join("heap.db")];
    let open = |space: usize| {
        let (name, max_mem, geometry) = spaces()[space].clone();
        addresses.each_ref().map(|address| {
            let options = quick().space(name).geometry(geometry.clone());
            // It may have been resized since.
            let is_new = options.clone().max_mem(max_mem).open(address);
            is_new.or_else(|_| options.open(address)).unwrap()
        })
    };
    let mut engines = [open(0), open(1)];
    let mut random = Rng::with_seed(7);
    for step in 0..steps {
        let space = usize::from(random.u32(..4) == 0);
        if random.u32(..100) == 0 {
            engines[space] = open(space);
        }
        let seed = random.u64(..);
        let told = engines[space].each_ref().map(|memory| take(memory, seed, step));
        assert_eq!(told[0], told[1], "step {step}, seed {seed}");
        let digests = engines[space].each_ref().map(|memory| memory.layout_digest().unwrap());
        assert_eq!(digests[0], digests[1], "step {step}, seed {seed}: {}", told[0]);
        if step % 100 == 99 {
            assert_same_answers(engines[space].each_ref(), seed);
        }
    }
    for [server, file] in &engines {
        for memory in [server, file] {
            assert_balanced(memory);
        }
        let ids = objects(file);
        assert_eq!(objects(server), ids);
        for id in ids {
            assert_eq!(server.get_bytes(&id).unwrap(), file.get_bytes(&id).unwrap());
        }
    }
}

fn objects(memory: &MemManager) -> Vec<ObjectId> {
    memory.objects().map(|object| object.unwrap().id).collect()
}

/// What a call returned, or why it was refused.
fn told<T: Debug>(result: Result<T>) -> String {
    result.map_or_else(|refused| refused.to_string(), |value| format!("{value:?}"))
}

fn stored(result: Result<Allocation>) -> String {
    told(result.map(|it| (it.id, it.size, it.pieces, it.dedup, it.freed.map(|freed| freed.id))))
}

/// One operation, the same for each `seed` on the same state. Returns what the caller can see of it.
fn take(memory: &MemManager, seed: u64, step: u64) -> String {
    let random = &mut Rng::with_seed(seed);
    let name = format!("name {}", random.u32(..6));
    let key = format!("key {}", random.u32(..6));
    match random.u32(..100) {
        0..35 => stored(memory.store_bytes(&bytes(random, step), hold(random, &name))),
        35..40 => stored(memory.store_from(&*bytes(random, step), hold(random, &name))),
        40..48 => stored(value(memory, random, step)),
        48..66 => one_of(&objects(memory), random, |id| told(memory.free(&id))),
        66..69 => one_of(&objects(memory), random, |id| told(memory.force_free(&id))),
        69..72 => one_of(&objects(memory), random, |id| told(memory.bind(&name, &id))),
        72..75 => told(memory.unbind(&name)),
        75..77 => told(
            memory
                .compact(CompactOptions::default().under(random.u8(10..=100)).join(random.bool()))
                .map(|it| {
                    (
                        it.totals.moves,
                        it.totals.moved_bytes,
                        it.totals.joined,
                        it.totals.arenas,
                    )
                }),
        ),
        77..79 => told(
            memory
                .collect_garbage()
                .map(|it| (it.blocks, it.pools, it.arenas, it.bytes)),
        ),
        79 => told(memory.add_arena()),
        80 => add_pool(memory, random),
        81 => add_block(memory, random),
        82 => told(
            memory
                .resize(random.u64(MIB / 2..30 * MIB))
                .map(|it| (it.max_mem, it.mem, it.reserved, it.arenas)),
        ),
        83..86 => told(
            memory
                .reserve(random.u64(1..400_000))
                .key(&key)
                .expires_in(Duration::MAX)
                .make()
                .map(|it| (it.bytes, it.state)),
        ),
        86..89 => {
            let post = memory.reservation(&key);
            stored(post.and_then(|it| it.post_bytes(&bytes(random, step), Hold::Anonymous)))
        }
        89 => told(memory.reservation(&key).and_then(|it| it.void())),
        90 => told(memory.set_history(History::keep_bytes(random.u64(4096..40_000)))),
        _ => batch(memory, random, step),
    }
}

fn hold<'n>(random: &mut Rng, name: &'n str) -> Hold<'n> {
    if random.u32(..4) == 0 {
        Hold::Name(name)
    } else {
        Hold::Anonymous
    }
}

/// Mostly new content, of many sizes.
fn bytes(random: &mut Rng, step: u64) -> Vec<u8> {
    let size = match random.u32(..400) {
        0..200 => random.u64(..700),
        200..320 => random.u64(..9_000),
        320..385 => random.u64(..70_000),
        385..399 => random.u64(..600_000),
        // Stored in parts.
        _ => random.u64(9 * MIB..11 * MIB),
    };
    let of = if random.u32(..8) == 0 { random.u64(..4) } else { step };
    content(of, size)
}

fn value(memory: &MemManager, random: &mut Rng, step: u64) -> Result<Allocation> {
    let hold = Hold::Anonymous;
    match random.u32(..6) {
        0 => memory.store(&step, hold),
        1 => memory.store(&(step as f64 / 8.0), hold),
        2 => memory.store(&random.bool(), hold),
        3 => memory.store(&(), hold),
        4 => memory.store(&vec![step; random.usize(..900)], hold),
        _ => memory.store(&"żółw ".repeat(random.usize(..900)), hold),
    }
}

fn one_of<T: Copy>(all: &[T], random: &mut Rng, take: impl FnOnce(T) -> String) -> String {
    random
        .choice(all)
        .map_or_else(|| "there is none".to_owned(), |one| take(*one))
}

fn add_pool(memory: &MemManager, random: &mut Rng) -> String {
    let arenas: Vec<_> = memory.arenas().unwrap().iter().map(|arena| arena.id).collect();
    let class = *random.choice(memory.geometry().classes()).unwrap();
    one_of(&arenas, random, |arena| told(memory.add_pool(arena, class.block_size)))
}

fn add_block(memory: &MemManager, random: &mut Rng) -> String {
    let arenas = memory.arenas().unwrap();
    let pools = arenas.iter().flat_map(|arena| memory.pools(arena.id).unwrap());
    let pools: Vec<_> = pools.map(|pool| pool.id).collect();
    one_of(&pools, random, |pool| told(memory.add_block(pool)))
}

/// Several writes in one transaction, which is committed or rolled back.
fn batch(memory: &MemManager, random: &mut Rng, step: u64) -> String {
    let ids = objects(memory);
    let (writes, is_kept) = (random.u64(1..40), random.u32(..4) > 0);
    let mut said = Vec::new();
    let done = memory.batch(|batch| {
        for number in 0..writes {
            said.push(write(batch, random, &ids, 10_000 * (number + 1) + step));
        }
        if is_kept {
            Ok(())
        } else {
            batch.free(&ObjectId::of_bytes(b"never stored")).map(drop)
        }
    });
    format!("{said:?} {}", told(done))
}

fn write(batch: &mut Batch<'_, '_>, random: &mut Rng, ids: &[ObjectId], number: u64) -> String {
    let name = format!("name {}", random.u32(..6));
    match random.u32(..10) {
        0..6 => {
            let size = random.u64(..3_000);
            stored(batch.store_bytes(&content(number, size), hold(random, &name)))
        }
        6..8 => one_of(ids, random, |id| told(batch.free(&id))),
        8 => one_of(ids, random, |id| told(batch.bind(&name, &id))),
        _ => told(batch.unbind(&name)),
    }
}
