//! One round of work and its result.

use anyhow::Result;

/// The result of one round.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds per operation; for [`crate::cell::Work::Space`], bytes on disk per stored byte.
    pub figure: f64,
}

/// A contender at one cell, round after round.
pub trait Trial {
    fn round(&mut self, round: usize) -> Result<Sample>;
}
