//! Allocation in a nearly full heap whose room is in scattered holes, compared with heaps of
//! the same bound: one with as many objects but contiguous room, and an empty one.

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

/// Results for one size of object. Times in seconds per object.
#[derive(serde::Serialize)]
pub struct Fragmented {
    pub max_mem: u64,
    /// Bytes free when the clock starts.
    pub room: u64,
    pub size: usize,
    pub objects: usize,
    pub empty: f64,
    /// The room is contiguous and was never used.
    pub in_one: f64,
    pub fragmented: f64,
}

/// Bytes of the objects whose freeing leaves the holes; a block is not a multiple of it.
const HOLE: usize = 200;
/// One out of this many objects is freed.
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

/// Fills a heap with `count` objects and frees all but `kept` of them, evenly spread.
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

/// Seconds per object, in one transaction, in a copy of `template` or in a new heap.
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
