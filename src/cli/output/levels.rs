//! The levels to show: as they are now, or as they were.

use std::collections::HashMap;

use anyhow::Result;
use heapledger::{Arena, ArenaId, Block, Layout, MemManager, Pool, PoolId};

/// How full a level is: content, and what is carved into blocks or reserved by lower levels.
pub struct Fill {
    pub mem: u64,
    pub carved: u64,
    pub max_mem: u64,
}

impl Fill {
    pub fn new(mem: u64, carved: u64, max_mem: u64) -> Self {
        Self { mem, carved, max_mem }
    }
}

/// A source of levels.
pub trait Levels {
    /// The name of the space, and how full it is.
    fn space(&self) -> Result<(String, Fill)>;
    fn arenas(&self) -> Result<Vec<Arena>>;
    fn pools(&self, arena: &Arena) -> Result<Vec<Pool>>;
    fn blocks(&self, pool: &Pool) -> Result<Vec<Block>>;
}

impl Levels for MemManager {
    fn space(&self) -> Result<(String, Fill)> {
        let memram = self.memram()?;
        let fill = Fill::new(memram.mem, memram.reserved, memram.max_mem);
        Ok((memram.name, fill))
    }

    fn arenas(&self) -> Result<Vec<Arena>> {
        Ok(Self::arenas(self)?)
    }

    fn pools(&self, arena: &Arena) -> Result<Vec<Pool>> {
        Ok(Self::pools(self, arena.id)?)
    }

    fn blocks(&self, pool: &Pool) -> Result<Vec<Block>> {
        Ok(Self::blocks(self, pool.id)?)
    }
}

/// A past layout, with children grouped by parent.
pub struct Then {
    layout: Layout,
    pools: HashMap<ArenaId, Vec<Pool>>,
    blocks: HashMap<PoolId, Vec<Block>>,
}

impl From<Layout> for Then {
    fn from(mut layout: Layout) -> Self {
        let (mut pools, mut blocks) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for pool in layout.pools.drain(..) {
            pools.entry(pool.arena_id).or_default().push(pool);
        }
        for block in layout.blocks.drain(..) {
            blocks.entry(block.pool_id).or_default().push(block);
        }
        Self { layout, pools, blocks }
    }
}

impl Levels for Then {
    fn space(&self) -> Result<(String, Fill)> {
        let Layout {
            mem, reserved, max_mem, ..
        } = self.layout;
        Ok((self.layout.space.clone(), Fill::new(mem, reserved, max_mem)))
    }

    fn arenas(&self) -> Result<Vec<Arena>> {
        Ok(self.layout.arenas.clone())
    }

    fn pools(&self, arena: &Arena) -> Result<Vec<Pool>> {
        Ok(self.pools.get(&arena.id).cloned().unwrap_or_default())
    }

    fn blocks(&self, pool: &Pool) -> Result<Vec<Block>> {
        Ok(self.blocks.get(&pool.id).cloned().unwrap_or_default())
    }
}
