//! Writers of several spaces of one heap on a server, against one writer of one space.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};
use heapledger::MemManager;

use crate::args::Args;
use crate::cell::{Scale, THREADS};
use crate::contents::Contents;
use crate::machine::{progress, settle, timed};
use crate::rounds::median;
use crate::stores::server;

pub const SIZE: usize = 200;

/// Puts per second of all writers together, each into a space of its own.
#[derive(serde::Serialize)]
pub struct Spaces {
    pub one: f64,
    pub several: f64,
}

pub fn run(args: &Args, dir: &Path) -> Result<Spaces> {
    progress(format_args!("spaces"));
    let dir = dir.join("spaces");
    let count = match args.scale() {
        Scale::Full => 500,
        Scale::Quick => 100,
        Scale::Smoke => 3,
    };
    let heap = server::heap(&dir)?;
    let managers: Vec<_> = (0..THREADS)
        .map(|number| {
            let options = MemManager::options().create(true).max_mem(1 << 40);
            options.space(format!("space-{number}")).open(&heap)
        })
        .collect::<Result<_, _>>()?;
    let (one, _) = managers.split_at(1);
    put(&managers, 0, count.min(20))?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..args.rounds() {
        alone.push(put(one, 2 * round + 1, count)?);
        together.push(put(&managers, 2 * round + 2, count)?);
    }
    drop(managers);
    server::discard(&dir)?;
    Ok(Spaces {
        one: median(alone),
        several: median(together),
    })
}

/// Each manager puts `count` objects, on a thread of its own. Returns puts per second.
fn put(managers: &[MemManager], seed: usize, count: usize) -> Result<f64> {
    settle();
    let (took, ()) = timed(|| {
        thread::scope(|scope| {
            let writers = managers.iter().zip(0..);
            let writers: Vec<_> = writers
                .map(|(memory, number)| {
                    let contents = Contents::new((seed * THREADS + number) as u64, SIZE).first(count);
                    scope.spawn(move || {
                        contents
                            .iter()
                            .try_for_each(|content| memory.allocate_bytes(content).map(drop))
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| match writer.join() {
                Ok(result) => Ok(result?),
                Err(_) => Err(anyhow!("a writing thread panicked")),
            })
        })
    })?;
    Ok((managers.len() * count) as f64 / took.as_secs_f64())
}
