//! Allocation in a heap that is nearly full, its room in holes all over, beside the
//! same in heaps of the same bound: one that holds as many objects and has its room in
//! one place, and an empty one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fastrand::Rng;
use heapledger::ObjectId;

use crate::args::Args;
use crate::cell::Scale;
use crate::contents::Contents;
use crate::machine::{progress, settle, timed};
use crate::rounds::median;
use crate::store::{Durability, Store};
use crate::stores::Heap;

/// What is allocated into the holes. Times in seconds, for one object.
#[derive(serde::Serialize)]
pub struct Fragmented {
    pub max_mem: u64,
    /// Bytes free when the clock starts.
    pub room: u64,
    pub size: usize,
    pub objects: usize,
    pub empty: f64,
    /// The room is what no object has had yet.
    pub in_one: f64,
    pub fragmented: f64,
}

/// The bytes of the objects that leave the holes; they tile no block.
const HOLE: usize = 200;
/// Out of so many objects, one is freed.
const ONE_OF: usize = 16;
const SEED: u64 = 7;

pub fn run(args: &Args, dir: &Path) -> Result<Vec<Fragmented>> {
    let max_mem = match args.scale() {
        Scale::Full => 16 << 20,
        Scale::Quick => 4 << 20,
        Scale::Smoke => 1 << 20,
    };
    progress(format_args!("fragmented"));
    let [holes, in_one] = ["holes", "in_one"].map(|name| dir.join(name));
    let count = max_mem as usize / HOLE;
    let kept = count - count / ONE_OF;
    fill(&holes, max_mem, count, kept)?;
    fill(&in_one, max_mem, kept, kept)?;
    let room = max_mem - (kept * HOLE) as u64;
    let cells = [(HOLE, 1_000), (4 << 10, 50), (20 << 10, 10)];
    let mut results = Vec::new();
    for (size, objects) in cells {
        let objects = objects.min(room as usize / size);
        let cell = (size, objects);
        let mut times = [const { Vec::new() }; 3];
        for round in 0..args.rounds() {
            for (times, template) in times.iter_mut().zip([None, Some(&in_one), Some(&holes)]) {
                times.push(allocate(dir, template.map(PathBuf::as_path), max_mem, cell, round)?);
            }
        }
        let [empty, in_one, fragmented] = times.map(median);
        results.push(Fragmented {
            max_mem,
            room,
            size,
            objects,
            empty,
            in_one,
            fragmented,
        });
    }
    Ok(results)
}

/// Fills a heap with `count` objects and frees all but `kept` of them, here and there.
fn fill(dir: &Path, max_mem: u64, count: usize, kept: usize) -> Result<()> {
    let heap: Heap = Heap::bounded(dir, Durability::Normal, max_mem)?;
    let contents = Contents::new(SEED, HOLE).first(count);
    let mut ids: Vec<ObjectId> = Vec::new();
    for batch in contents.chunks(1_000) {
        ids.extend(heap.put_batch(batch)?);
    }
    Rng::with_seed(SEED).shuffle(&mut ids);
    ids.truncate(count - kept);
    heap.free_batch(&ids)
}

/// Seconds for one object, in one transaction, in a copy of `template` or a new heap.
fn allocate(
    dir: &Path,
    template: Option<&Path>,
    max_mem: u64,
    (size, objects): (usize, usize),
    round: usize,
) -> Result<f64> {
    let place = tempfile::tempdir_in(dir)?;
    if let Some(template) = template {
        for file in std::fs::read_dir(template)? {
            let file = file?;
            std::fs::copy(file.path(), place.path().join(file.file_name()))?;
        }
    }
    let heap: Heap = Heap::bounded(place.path(), Durability::Full, max_mem)?;
    let contents = Contents::new(SEED + 1 + round as u64, size).first(objects);
    settle();
    let (took, _) = timed(|| heap.put_batch(&contents))?;
    Ok(took.as_secs_f64() / objects as f64)
}
