//! The sizes of a space: its arena and its ladder of size classes.

use bytesize::ByteSize;

use crate::error::{Error, Result};

/// One rung of the ladder: the size of a block and of the pools that hold such blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SizeClass {
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes of a pool; a whole number of blocks.
    pub pool_size: u64,
}

/// Arena size and size classes of a space, fixed when the space is made.
///
/// The shape is CPython's (`Objects/obmalloc.c`): arenas hold pools, a pool holds
/// blocks of one size class.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Geometry {
    arena_size: u64,
    per_block: u64,
    classes: Vec<SizeClass>,
}

const KIB: u64 = 1024;

impl Geometry {
    /// Arenas of 256 KiB and four classes: small (512 B), medium (4 KiB) and large (32 KiB)
    /// with eight blocks to a pool, and huge (256 KiB), where one block fills a pool and an
    /// arena. An object goes to the smallest class whose blocks hold eight objects of its
    /// size, so that few objects are split.
    pub fn standard() -> Self {
        let arena_size = 256 * KIB;
        let class = |block_size| SizeClass {
            block_size,
            pool_size: arena_size.min(8 * block_size),
        };
        Self {
            arena_size,
            per_block: 8,
            classes: vec![class(512), class(4 * KIB), class(32 * KIB), class(256 * KIB)],
        }
    }

    /// Only the small class: reproduces the original design block for block
    /// (512 / 4096 / 262144).
    pub fn classic() -> Self {
        Self {
            arena_size: 256 * KIB,
            per_block: 8,
            classes: vec![SizeClass {
                block_size: 512,
                pool_size: 4 * KIB,
            }],
        }
    }

    /// A custom ladder. An object goes to the smallest class whose blocks hold `per_block`
    /// objects of its size. A larger number means fewer split objects and fewer blocks, but a
    /// block takes longer to become empty.
    ///
    /// # Errors
    /// [`Error::BadGeometry`] unless block sizes are ascending and at most 256 MiB, every pool
    /// is a whole number of its blocks, and the arena is at most 1 EiB and a whole number of
    /// each kind of pool.
    pub fn new(arena_size: u64, per_block: u64, classes: Vec<SizeClass>) -> Result<Self> {
        let refuse = |why: String| Err(Error::BadGeometry { why });
        if classes.is_empty() || per_block == 0 {
            return refuse("at least one size class and one object per block are needed".into());
        }
        if per_block > MOST {
            return refuse(format!("{per_block} objects per block are over the limit of {MOST}"));
        }
        if arena_size > MOST {
            return refuse(format!(
                "an arena of {arena_size} bytes is over the limit of {}",
                ByteSize::b(MOST)
            ));
        }
        for class in &classes {
            let SizeClass { block_size, pool_size } = *class;
            if block_size == 0 || pool_size == 0 || pool_size % block_size != 0 {
                return refuse(format!(
                    "a pool of {pool_size} bytes is not a whole number of blocks of {block_size} bytes"
                ));
            }
            if block_size > MAX_BLOCK {
                return refuse(format!(
                    "a block of {block_size} bytes is over the limit of {}",
                    ByteSize::b(MAX_BLOCK)
                ));
            }
            if arena_size == 0 || !arena_size.is_multiple_of(pool_size) {
                return refuse(format!(
                    "an arena of {arena_size} bytes is not a whole number of pools of {pool_size} bytes"
                ));
            }
        }
        if !classes.is_sorted_by(|a, b| a.block_size < b.block_size) {
            return refuse("block sizes must be in ascending order, without duplicates".into());
        }
        Ok(Self {
            arena_size,
            per_block,
            classes,
        })
    }

    /// The same ladder with arenas of another size.
    ///
    /// # Errors
    /// [`Error::BadGeometry`] if the arena is not a whole number of each kind of pool.
    pub fn with_arena_size(self, arena_size: u64) -> Result<Self> {
        Self::new(arena_size, self.per_block, self.classes)
    }

    /// Bytes of an arena.
    pub fn arena_size(&self) -> u64 {
        self.arena_size
    }

    /// How many objects of its size must fit in a block of the class that an object goes to.
    pub fn per_block(&self) -> u64 {
        self.per_block
    }

    /// The size classes, smallest first.
    pub fn classes(&self) -> &[SizeClass] {
        &self.classes
    }

    /// The class that is tried first for an object of `size` bytes.
    pub fn class_for(&self, size: u64) -> usize {
        self.classes
            .iter()
            .position(|&class| size <= self.most_for(class))
            .unwrap_or(self.classes.len() - 1)
    }

    /// Bytes of the largest object for which this class is tried first.
    pub(crate) fn most_for(&self, class: SizeClass) -> u64 {
        class.block_size / self.per_block
    }

    /// The class with blocks of `block_size` bytes.
    ///
    /// # Errors
    /// [`Error::UnknownClass`], which lists the known classes.
    pub fn class_of_block_size(&self, block_size: u64) -> Result<usize> {
        let found = self.classes.iter().position(|class| class.block_size == block_size);
        found.ok_or_else(|| Error::UnknownClass {
            block_size,
            known: self.classes.iter().map(|class| class.block_size).collect(),
        })
    }
}

impl Default for Geometry {
    fn default() -> Self {
        Self::standard()
    }
}

/// A piece is one BLOB, and SQLite's default limit for one is 1 GB.
const MAX_BLOCK: u64 = 256 * 1024 * 1024;

/// Upper limit for sizes read from a file, so that their sums do not overflow
/// (see `models::amount`).
const MOST: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_goes_to_the_smallest_class_whose_blocks_hold_eight_of_its_size() {
        let geometry = Geometry::standard();
        let block_size = |size| geometry.classes()[geometry.class_for(size)].block_size;
        assert_eq!(block_size(0), 512);
        assert_eq!(block_size(64), 512);
        assert_eq!(block_size(65), 4096);
        assert_eq!(block_size(512), 4096);
        assert_eq!(block_size(513), 32768);
        assert_eq!(block_size(4096), 32768);
        assert_eq!(block_size(4097), 262_144);
        assert_eq!(block_size(u64::MAX), 262_144);
    }

    #[test]
    fn the_built_in_ladders_are_valid() {
        for built_in in [Geometry::standard(), Geometry::classic()] {
            let same = Geometry::new(built_in.arena_size, built_in.per_block, built_in.classes.clone());
            assert_eq!(same.unwrap(), built_in);
        }
    }

    #[test]
    fn an_invalid_ladder_is_refused() {
        let class = |block_size, pool_size| SizeClass { block_size, pool_size };
        for (arena, pieces, classes) in [
            (4096, 4, vec![]),
            (4096, 0, vec![class(512, 4096)]),
            (4096, 4, vec![class(0, 4096)]),
            (4096, 4, vec![class(500, 4096)]),
            (4097, 4, vec![class(512, 4096)]),
            (0, 4, vec![class(512, 4096)]),
            (8192, 4, vec![class(1024, 4096), class(512, 4096)]),
            (u64::MAX, 4, vec![class(1, 1)]),
            (4096, u64::MAX, vec![class(512, 4096)]),
            (4096, MOST + 1, vec![class(512, 4096)]),
            (1 << 61, 4, vec![class(512, 4096)]),
        ] {
            assert!(Geometry::new(arena, pieces, classes).is_err());
        }
    }
}
