//! How the size classes of a space are used.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manager::report::layout::Undone;

/// How a size class is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassUse {
    /// Bytes of a whole block.
    pub block_size: u64,
    /// Number of pools.
    pub pools: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Blocks without room.
    pub full_blocks: u64,
    /// Blocks with nothing in them.
    pub empty_blocks: u64,
    /// Bytes of content.
    pub mem: u64,
    /// Bytes of its blocks.
    pub reserved: u64,
    /// Bytes of its pools.
    pub pooled: u64,
}

impl ClassUse {
    pub(super) fn empty(block_size: u64) -> Self {
        Self {
            block_size,
            pools: 0,
            blocks: 0,
            full_blocks: 0,
            empty_blocks: 0,
            mem: 0,
            reserved: 0,
            pooled: 0,
        }
    }
}

/// The classes that have pools. O(levels).
pub(super) fn classes(levels: &Undone) -> Vec<ClassUse> {
    let mut classes: BTreeMap<u64, ClassUse> = BTreeMap::new();
    let mut add = |block_size: u64, more: ClassUse| {
        let class = classes.entry(block_size).or_insert(ClassUse::empty(block_size));
        for (sum, more) in [
            (&mut class.pools, more.pools),
            (&mut class.blocks, more.blocks),
            (&mut class.full_blocks, more.full_blocks),
            (&mut class.empty_blocks, more.empty_blocks),
            (&mut class.mem, more.mem),
            (&mut class.reserved, more.reserved),
            (&mut class.pooled, more.pooled),
        ] {
            *sum = sum.saturating_add(more);
        }
    };
    for pool in levels.pools.values() {
        let one = ClassUse {
            pools: 1,
            pooled: pool.max_mem,
            ..ClassUse::empty(pool.block_size)
        };
        add(pool.block_size, one);
    }
    for block in levels.blocks.values() {
        let one = ClassUse {
            blocks: 1,
            full_blocks: u64::from(block.mem >= block.max_mem),
            empty_blocks: u64::from(block.mem == 0),
            mem: block.mem,
            reserved: block.max_mem,
            ..ClassUse::empty(block.block_size)
        };
        add(block.block_size, one);
    }
    classes.into_values().collect()
}
