//! What one cache of a replay did.

use std::fmt;

use super::policy::Policy;

/// What decides in a replay which object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReplayStrategy {
    /// A policy that a space can have.
    Policy(Policy),
    /// The object that is asked for last goes first (Belady's MIN). Needs the future.
    Belady,
    /// The object with the largest product of its size and the number of requests until it is asked
    /// for goes first. Sizes that differ by less than a fifth count as the same. Needs the future.
    BeladySize,
}

/// One cache of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayRun {
    /// What decided.
    pub strategy: ReplayStrategy,
    /// Bytes of the cache.
    pub size: u64,
    /// Requests for objects that were there.
    pub hits: u64,
    /// Bytes that these asked for.
    pub hit_bytes: u64,
    /// Evicted objects, each counted every time that it was evicted.
    pub evicted: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Requests for objects that are larger than the cache.
    pub refused: u64,
}

impl ReplayRun {
    pub(super) fn new(strategy: ReplayStrategy, size: u64) -> Self {
        Self {
            strategy,
            size,
            hits: 0,
            hit_bytes: 0,
            evicted: 0,
            evicted_bytes: 0,
            refused: 0,
        }
    }

    pub(super) fn hit(&mut self, size: u64) {
        self.hits += 1;
        // A trace may claim any size.
        self.hit_bytes = self.hit_bytes.saturating_add(size);
    }

    pub(super) fn evicted(&mut self, size: u64) {
        self.evicted += 1;
        self.evicted_bytes = self.evicted_bytes.saturating_add(size);
    }
}

impl fmt::Display for ReplayStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Policy(policy) => policy.as_str(),
            Self::Belady => "belady",
            Self::BeladySize => "belady-size",
        })
    }
}
