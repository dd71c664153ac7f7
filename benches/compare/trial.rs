//! What a round of work is, and what it comes to.

use anyhow::Result;

/// What one round of a work came to.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds for one operation; for [`crate::cell::Work::Space`] bytes on disk for each stored.
    pub figure: f64,
}

/// A contender at one cell, round after round.
pub trait Trial {
    fn round(&mut self, round: usize) -> Result<Sample>;
}
