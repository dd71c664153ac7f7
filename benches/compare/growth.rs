//! The cost of each operation as the store grows tenfold again and again.
//!
//! Only the freed indices are held in memory: the content and key of an object follow from its
//! index.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use anyhow::Result;
use fastrand::Rng;

use crate::args::Args;
use crate::cell::Scale;
use crate::contents::Contents;
use crate::machine::{disk_usage, progress, settle, timed};
use crate::rounds::median;
use crate::store::{Durability, Growing};
use crate::stores::{Heap, Raw};

/// One store at one number of objects. Times in seconds per object.
#[derive(serde::Serialize)]
pub struct Point {
    pub objects: u64,
    pub store: &'static str,
    pub put: f64,
    pub get: f64,
    pub free: f64,
    /// Seconds to open the file.
    pub open: f64,
    /// Seconds to add up all that is stored.
    pub stats: f64,
    /// Bytes on disk per stored byte.
    pub space: f64,
}

pub const SIZE: usize = 200;
pub const BATCH: usize = 1_000;

pub fn run(args: &Args, dir: &Path) -> Result<Vec<Point>> {
    let samples = if args.scale() == Scale::Smoke { 1 } else { 5 };
    let mut raw = Curve::<Raw>::new(&dir.join("growing-raw"), samples);
    let mut heap = Curve::<Heap>::new(&dir.join("growing-heap"), samples);
    let mut points = Vec::new();
    for objects in args.decades() {
        progress(format_args!("growth, {objects} objects"));
        points.push(raw.grow_to(objects)?);
        points.push(heap.grow_to(objects)?);
    }
    Ok(points)
}

struct Curve<S> {
    dir: std::path::PathBuf,
    contents: Contents,
    /// The next index to be put.
    next: u64,
    freed: HashSet<u64>,
    rng: Rng,
    samples: usize,
    store: std::marker::PhantomData<S>,
}

impl<S: Growing> Curve<S> {
    fn new(dir: &Path, samples: usize) -> Self {
        Self {
            dir: dir.to_owned(),
            contents: Contents::new(0, SIZE),
            next: 0,
            freed: HashSet::new(),
            rng: Rng::with_seed(0),
            samples,
            store: std::marker::PhantomData,
        }
    }

    /// Fills up to `objects`, then measures. The measured puts and frees cancel out.
    fn grow_to(&mut self, objects: u64) -> Result<Point> {
        let store = S::open(&self.dir, Durability::Normal)?;
        while self.next - (self.freed.len() as u64) < objects {
            self.put_batch(&store)?;
        }
        drop(store);
        settle();
        let space = disk_usage(&self.dir)? as f64 / (objects * SIZE as u64) as f64;
        read_through(&self.dir)?;
        let (open, store) = timed(|| S::open(&self.dir, Durability::Full))?;
        let (stats, _) = timed(|| store.stats())?;
        let samples = 0..self.samples;
        Ok(Point {
            objects,
            store: S::NAME,
            put: median(samples.clone().map(|_| self.put_batch(&store)).collect::<Result<_>>()?),
            get: median(samples.clone().map(|_| self.get_batch(&store)).collect::<Result<_>>()?),
            free: median(samples.map(|_| self.free_batch(&store)).collect::<Result<_>>()?),
            open: open.as_secs_f64(),
            stats: stats.as_secs_f64(),
            space,
        })
    }

    fn put_batch(&mut self, store: &S) -> Result<f64> {
        let end = self.next + BATCH as u64;
        let batch = self.contents.range(self.next..end);
        self.next = end;
        per_object(|| store.put_batch(&batch).map(drop))
    }

    fn get_batch(&mut self, store: &S) -> Result<f64> {
        let keys = self.keys(false);
        per_object(|| store.get_in_one_read(&keys).map(drop))
    }

    fn free_batch(&mut self, store: &S) -> Result<f64> {
        let keys = self.keys(true);
        per_object(|| store.free_batch(&keys))
    }

    /// Distinct keys of random stored objects.
    fn keys(&mut self, to_free: bool) -> Vec<S::Key> {
        let mut chosen = HashSet::new();
        let mut keys = Vec::new();
        while keys.len() < BATCH {
            let index = self.rng.u64(..self.next);
            if !self.freed.contains(&index) && chosen.insert(index) {
                keys.push(S::key_of(&self.contents.object(index)));
            }
        }
        if to_free {
            self.freed.extend(chosen);
        }
        keys
    }
}

/// Reads the files into the page cache, which may have been used for something else.
fn read_through(dir: &Path) -> Result<()> {
    for file in std::fs::read_dir(dir)? {
        std::io::copy(&mut File::open(file?.path())?, &mut std::io::sink())?;
    }
    Ok(())
}

fn per_object(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (took, ()) = timed(work)?;
    Ok(took.as_secs_f64() / BATCH as f64)
}
