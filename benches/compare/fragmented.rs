//! Allocation in a heap that is nearly full, its room in holes all over, beside the
//! same in an empty heap of the same bound.

use std::path::Path;

use anyhow::Result;
use fastrand::Rng;
use heapledger::ObjectId;

use crate::args::{Args, Scale};
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
    let template = dir.join("template");
    let room = make_holes(&template, max_mem)?;
    let cells = [(HOLE, 1_000), (4 << 10, 50), (20 << 10, 10)];
    let mut results = Vec::new();
    for (size, objects) in cells {
        let objects = objects.min(room as usize / size);
        let cell = (size, objects);
        let mut empty = Vec::new();
        let mut fragmented = Vec::new();
        for round in 0..args.rounds() {
            empty.push(allocate(dir, None, max_mem, cell, round)?);
            fragmented.push(allocate(dir, Some(&template), max_mem, cell, round)?);
        }
        results.push(Fragmented {
            max_mem,
            room,
            size,
            objects,
            empty: median(empty),
            fragmented: median(fragmented),
        });
    }
    Ok(results)
}

/// Fills a heap to its bound and frees one object of sixteen; returns the bytes free.
fn make_holes(dir: &Path, max_mem: u64) -> Result<u64> {
    let heap: Heap = Heap::bounded(dir, Durability::Normal, max_mem)?;
    let contents = Contents::new(SEED, HOLE).first(max_mem as usize / HOLE);
    let mut ids: Vec<ObjectId> = Vec::new();
    for batch in contents.chunks(1_000) {
        ids.extend(heap.put_batch(batch)?);
    }
    Rng::with_seed(SEED).shuffle(&mut ids);
    ids.truncate(ids.len() / ONE_OF);
    heap.free_batch(&ids)?;
    Ok(max_mem - (contents.len() - ids.len()) as u64 * HOLE as u64)
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
