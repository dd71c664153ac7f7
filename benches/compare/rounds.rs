//! Rounds in the order A B C, A B C, …, so that a slow minute of the machine affects all stores.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cell::Cell;
use crate::contender::Contender;

/// A contender's figures for one cell, one per round; none if it cannot do the work.
pub struct Samples {
    pub store: &'static str,
    pub figures: Vec<f64>,
}

pub fn alternate(contenders: &[Box<dyn Contender>], cell: &Cell, dir: &Path, rounds: usize) -> Result<Vec<Samples>> {
    let mut trials = Vec::new();
    let mut samples = Vec::new();
    for contender in contenders {
        let store = contender.name();
        let own = dir.join(store);
        trials.push(contender.can(cell).then(|| contender.begin(cell, &own)));
        samples.push(Samples {
            store,
            figures: Vec::new(),
        });
    }
    for round in 0..rounds {
        for (trial, samples) in trials.iter_mut().zip(&mut samples) {
            let Some(trial) = trial else { continue };
            let sample = trial
                .round(round)
                .with_context(|| format!("{} at {cell:?}", samples.store))?;
            samples.figures.push(sample.figure);
        }
    }
    Ok(samples)
}

/// The middle figure, or the lower of the two middle ones. NaN if there are none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len().saturating_sub(1) / 2;
    figures.get(middle).copied().unwrap_or(f64::NAN)
}
