//! The works, with the same code for every store. Only what `timed` encloses is measured;
//! contents, keys and initial objects are made before.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;

use crate::cell::{Cell, THREADS, Work};
use crate::contents::Contents;
use crate::machine::{disk_usage, settle, timed};
use crate::store::{Durability, Store};
use crate::trial::{Sample, Trial};

/// A store at one cell.
pub struct StoreTrial<S: Store> {
    cell: Cell,
    dir: PathBuf,
    /// Reading does not change a store, so it is filled once, in the first round.
    filled: Option<(S, Vec<S::Key>)>,
}

impl<S: Store> StoreTrial<S> {
    pub fn new(cell: Cell, dir: &Path) -> Self {
        Self {
            cell,
            dir: dir.to_owned(),
            filled: None,
        }
    }

    fn read_round(&mut self, round: usize) -> Result<Duration> {
        let (store, keys) = match self.filled.take() {
            Some(filled) => filled,
            None => fill::<S>(&self.cell, &self.dir)?,
        };
        let wanted = pick(&keys, self.cell.count, round);
        settle();
        let one_read = self.cell.work == Work::GetTx;
        let (took, _) = timed(|| {
            if one_read {
                store.get_in_one_read(&wanted)
            } else {
                get_each(&store, &wanted)
            }
        })?;
        self.filled = Some((store, keys));
        Ok(took)
    }

    fn write_round(&self, round: usize, dir: &Path) -> Result<Duration> {
        let cell = &self.cell;
        match cell.work {
            Work::Free => free(&fill::<S>(cell, dir)?, cell, round),
            Work::Mixed => mixed(fill::<S>(cell, dir)?, cell, round),
            _ => {
                let store = S::open(dir, cell.durability)?;
                let contents = Contents::new(round as u64 + 1, cell.size);
                match cell.work {
                    Work::BatchPut => put_batches(&store, &contents.first(cell.count), cell),
                    Work::Dedup => put_batches(&store, &nine_of_ten_known(&contents, cell.count), cell),
                    Work::Threads => put_from_threads(&store, &contents.first(cell.count)),
                    _ => put_each(&store, &contents.first(cell.count)),
                }
            }
        }
    }
}

impl<S: Store> Trial for StoreTrial<S> {
    fn round(&mut self, round: usize) -> Result<Sample> {
        if matches!(self.cell.work, Work::Get | Work::GetTx) {
            let took = self.read_round(round)?;
            return Ok(per_operation(took, self.cell.count));
        }
        let dir = self.dir.join(format!("round-{round}"));
        let sample = if self.cell.work == Work::Space {
            space::<S>(&self.cell, &dir)?
        } else {
            per_operation(self.write_round(round, &dir)?, self.cell.count)
        };
        S::discard(&dir)?;
        Ok(sample)
    }
}

impl<S: Store> Drop for StoreTrial<S> {
    fn drop(&mut self) {
        self.filled = None;
        let _ = S::discard(&self.dir);
    }
}

fn per_operation(took: Duration, operations: usize) -> Sample {
    Sample {
        figure: took.as_secs_f64() / operations as f64,
    }
}

fn put_batches<S: Store>(store: &S, contents: &[Vec<u8>], cell: &Cell) -> Result<Duration> {
    settle();
    let (took, ()) = timed(|| {
        for batch in contents.chunks(cell.batch) {
            black_box(store.put_batch(batch)?);
        }
        Ok(())
    })?;
    Ok(took)
}

fn put_each<S: Store>(store: &S, contents: &[Vec<u8>]) -> Result<Duration> {
    settle();
    let (took, ()) = timed(|| {
        for content in contents {
            black_box(store.put(content)?);
        }
        Ok(())
    })?;
    Ok(took)
}

fn put_from_threads<S: Store>(store: &S, contents: &[Vec<u8>]) -> Result<Duration> {
    settle();
    let (took, ()) = timed(|| {
        std::thread::scope(|scope| {
            let shares = contents.chunks(contents.len().div_ceil(THREADS));
            let threads: Vec<_> = shares
                .map(|share| scope.spawn(move || share.iter().try_for_each(|content| store.put(content).map(drop))))
                .collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => Err(anyhow::anyhow!("a writing thread panicked")),
            })
        })
    })?;
    Ok(took)
}

fn get_each<S: Store>(store: &S, keys: &[S::Key]) -> Result<usize> {
    let mut bytes = 0;
    for key in keys {
        bytes += black_box(store.get(key)?).len();
    }
    Ok(bytes)
}

/// Frees a random half (or `count`) of the objects.
fn free<S: Store>((store, keys): &(S, Vec<S::Key>), cell: &Cell, round: usize) -> Result<Duration> {
    let mut doomed = keys.clone();
    Rng::with_seed(round as u64).shuffle(&mut doomed);
    doomed.truncate(cell.count);
    settle();
    let (took, ()) = timed(|| {
        for batch in doomed.chunks(cell.batch) {
            store.free_batch(batch)?;
        }
        Ok(())
    })?;
    Ok(took)
}

fn mixed<S: Store>((store, mut keys): (S, Vec<S::Key>), cell: &Cell, round: usize) -> Result<Duration> {
    let mut rng = Rng::with_seed(round as u64);
    let mut fresh = Contents::new(round as u64 + 1_000, cell.size)
        .first(cell.count)
        .into_iter();
    settle();
    let (took, ()) = timed(|| {
        for _ in 0..cell.count {
            let victim = rng.usize(..keys.len());
            match rng.u8(..10) {
                0..7 => drop(keys.get(victim).map(|key| store.get(key).map(black_box)).transpose()?),
                7..9 => keys.extend(fresh.next().map(|content| store.put(&content)).transpose()?),
                _ if keys.len() > 1 => store.free(&keys.swap_remove(victim))?,
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(took)
}

/// What a closed store with `population` objects takes on the disk.
fn space<S: Store>(cell: &Cell, dir: &Path) -> Result<Sample> {
    let cell = Cell {
        population: cell.count,
        ..*cell
    };
    drop(fill::<S>(&cell, dir)?);
    settle();
    let stored = (cell.count * cell.size) as f64;
    Ok(Sample {
        figure: disk_usage(dir)? as f64 / stored,
    })
}

/// A store with `population` objects. It is filled with [`Durability::Normal`] for speed, and
/// reopened with the durability of the work.
fn fill<S: Store>(cell: &Cell, dir: &Path) -> Result<(S, Vec<S::Key>)> {
    let store = S::open(dir, Durability::Normal)?;
    let contents = Contents::new(0, cell.size).first(cell.population);
    let mut keys = Vec::new();
    for batch in contents.chunks(cell.batch) {
        keys.extend(store.put_batch(batch)?);
    }
    drop(store);
    Ok((S::open(dir, cell.durability)?, keys))
}

fn pick<K: Clone>(keys: &[K], count: usize, round: usize) -> Vec<K> {
    let mut rng = Rng::with_seed(round as u64);
    (0..count).filter_map(|_| rng.choice(keys).cloned()).collect()
}

/// A tenth of the contents, each ten times, shuffled.
fn nine_of_ten_known(contents: &Contents, count: usize) -> Vec<Vec<u8>> {
    let distinct = count.div_ceil(10) as u64;
    let mut all: Vec<_> = (0..count as u64)
        .map(|index| contents.object(index % distinct))
        .collect();
    Rng::with_seed(0).shuffle(&mut all);
    all
}
