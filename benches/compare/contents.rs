//! Contents that no store can compress, and that are all different.

use fastrand::Rng;

/// Pseudo-random contents of one size: the same seed and index, the same bytes.
#[derive(Clone, Copy)]
pub struct Contents {
    seed: u64,
    size: usize,
}

impl Contents {
    pub fn new(seed: u64, size: usize) -> Self {
        Self { seed, size }
    }

    pub fn object(&self, index: u64) -> Vec<u8> {
        // An odd factor keeps neighbouring indices and seeds far apart.
        let seed = (self.seed << 40 ^ index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut content = vec![0; self.size];
        Rng::with_seed(seed).fill(&mut content);
        content
    }

    pub fn range(&self, indices: std::ops::Range<u64>) -> Vec<Vec<u8>> {
        indices.map(|index| self.object(index)).collect()
    }

    pub fn first(&self, count: usize) -> Vec<Vec<u8>> {
        self.range(0..count as u64)
    }
}
