//! Past layouts: the current rows with all later events undone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::books::events::{Carving, Changes};
use crate::error::{Error, Result};
use crate::manager::{MemManager, Moment};
use crate::models::{
    Arena, ArenaId, Block, BlockId, Event, EventId, EventKind, MemRam, MemRamId, Pool, PoolId, Timestamp, unsigned,
};
use crate::store::queries::events;
use crate::store::{ReadTx, queries};

/// The levels of a space at a moment of its history. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Layout {
    /// The space.
    pub space: String,
    /// The last event of the space up to the moment; the first event for a moment before the
    /// creation of the space.
    pub event_id: EventId,
    /// When that was.
    pub at: Timestamp,
    /// Capacity.
    pub max_mem: u64,
    /// Bytes of content.
    pub mem: u64,
    /// Bytes of the arenas.
    pub reserved: u64,
    /// The arenas by key.
    pub arenas: Vec<Arena>,
    /// The pools by key.
    pub pools: Vec<Pool>,
    /// The blocks by key.
    pub blocks: Vec<Block>,
}

impl MemManager {
    /// Arenas, pools and blocks at a moment, reconstructed from the current rows and the events
    /// since. Fails if these contradict each other. O(rows + events since).
    ///
    /// # Errors
    /// [`Error::HistoryOff`]; [`Error::OutsideHistory`] before the last opening, in the future, or
    /// before a repair; [`Error::Damaged`] if rows and events disagree;
    /// what [any call](MemManager#errors) fails with.
    pub fn layout_at(&self, moment: Moment) -> Result<Layout> {
        self.inner.readers.snapshot(|tx| {
            let mark = self.mark(tx, moment)?;
            let mut undone = Undone::read(tx, self.inner.space)?;
            events::each_back_to(tx, self.inner.space, mark.id, |event| undone.undo(&event, moment))?;
            let layout = undone.layout(mark.id, mark.at);
            agree(mark.id, layout.mem, unsigned(mark.mem))?;
            Ok(layout)
        })
    }
}

/// The changes of an event to blocks and levels.
pub(in crate::manager) fn changes_of(event: &Event) -> Result<Changes> {
    let Some(changes) = &event.changes else {
        return Ok(Changes::default());
    };
    Changes::read(changes).map_err(|why| disagree(event.id, &why))
}

/// The levels of a space while events are undone. Only blocks have bytes here; those of pools and
/// arenas are sums.
pub(super) struct Undone {
    space: MemRam,
    pub max_mem: i64,
    pub arenas: BTreeMap<ArenaId, Arena>,
    pub pools: BTreeMap<PoolId, Pool>,
    pub blocks: BTreeMap<BlockId, Block>,
}

impl Undone {
    pub fn read(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<Self> {
        let memram = queries::spaces::get(tx, space)?;
        let arenas = queries::levels::arenas(tx, space)?;
        let pools = queries::levels::all_pools(tx, space)?;
        let blocks = queries::levels::all_blocks(tx, space)?;
        Ok(Self {
            max_mem: memram.max_mem as i64,
            space: memram,
            arenas: arenas.into_iter().map(|arena| (arena.id, arena)).collect(),
            pools: pools.into_iter().map(|pool| (pool.id, pool)).collect(),
            blocks: blocks.into_iter().map(|block| (block.id, block)).collect(),
        })
    }

    /// Undoes an event in reverse order: what it removed was empty then, and pieces were placed after
    /// carving.
    pub fn undo(&mut self, event: &Event, wanted: Moment) -> Result<()> {
        // A repair of a single object restored its bytes and moved none.
        if event.kind == EventKind::Repair && event.object.is_none() {
            let why = format!("the books were repaired by event {}", event.id.n());
            return Err(crate::manager::history::events::outside(wanted, why));
        }
        let changes = changes_of(event)?;
        for carving in changes.removed.iter().rev() {
            self.put_back(carving);
        }
        // A move may fill a block that it has made room in.
        for piece in changes.pieces.iter().rev() {
            let fits = self.blocks.get_mut(&piece.block).is_some_and(|block| {
                let before = block.mem.checked_add_signed(-piece.bytes);
                block.mem = before.unwrap_or(u64::MAX);
                block.is_free = block.mem < block.max_mem;
                block.mem <= block.max_mem
            });
            if !fits {
                let (block, bytes) = (piece.block.n(), piece.bytes);
                return Err(disagree(event.id, &format!("{bytes} bytes for block {block}")));
            }
        }
        for carving in changes.carved.iter().rev() {
            self.take_away(carving, event.id)?;
        }
        self.max_mem -= event.capacity;
        Ok(())
    }

    fn take_away(&mut self, carving: &Carving, event: EventId) -> Result<()> {
        let (what, id, was_there) = match *carving {
            Carving::Arena(_, id, _) => ("arena", id, self.arenas.remove(&ArenaId(id)).is_some()),
            Carving::Pool(_, id, ..) => ("pool", id, self.pools.remove(&PoolId(id)).is_some()),
            Carving::Block(_, id, ..) => {
                let block = self.blocks.remove(&BlockId(id));
                ("block", id, block.is_some_and(|block| block.mem == 0))
            }
        };
        if was_there {
            return Ok(());
        }
        let n = BlockId(id).n();
        Err(disagree(event, &format!("{what} {n} is missing or not empty")))
    }

    /// Restores a removed level, which was empty.
    fn put_back(&mut self, carving: &Carving) {
        let memram_id = self.space.id;
        match *carving {
            Carving::Arena(_, id, max_mem) => {
                let id = ArenaId(id);
                self.arenas.insert(id, Arena::carved(id, memram_id, max_mem));
            }
            // Of the levels above, only the keys and the class matter.
            Carving::Pool(_, id, arena, block_size, max_mem) => {
                let (id, arena) = (PoolId(id), Arena::carved(ArenaId(arena), memram_id, 0));
                self.pools.insert(id, Pool::carved(id, &arena, block_size, max_mem));
            }
            Carving::Block(_, id, pool, arena, block_size, max_mem) => {
                let (id, arena) = (BlockId(id), Arena::carved(ArenaId(arena), memram_id, 0));
                let pool = Pool::carved(PoolId(pool), &arena, block_size, 0);
                self.blocks.insert(id, Block::carved(id, &pool, max_mem));
            }
        }
    }

    /// The levels with their sums.
    fn layout(mut self, event_id: EventId, at: Timestamp) -> Layout {
        for pool in self.pools.values_mut() {
            (pool.mem, pool.reserved) = (0, 0);
        }
        for arena in self.arenas.values_mut() {
            (arena.mem, arena.reserved) = (0, 0);
        }
        for block in self.blocks.values() {
            if let Some(pool) = self.pools.get_mut(&block.pool_id) {
                pool.mem += block.mem;
                pool.reserved += block.max_mem;
            }
        }
        for pool in self.pools.values() {
            if let Some(arena) = self.arenas.get_mut(&pool.arena_id) {
                arena.mem += pool.mem;
                arena.reserved += pool.max_mem;
            }
        }
        Layout {
            space: self.space.name,
            event_id,
            at,
            max_mem: unsigned(self.max_mem),
            mem: self.blocks.values().map(|block| block.mem).sum(),
            reserved: self.arenas.values().map(|arena| arena.max_mem).sum(),
            arenas: self.arenas.into_values().collect(),
            pools: self.pools.into_values().collect(),
            blocks: self.blocks.into_values().collect(),
        }
    }
}

/// Fails if the blocks after an event do not have the bytes that were recorded with it.
pub(super) fn agree(event: EventId, found: u64, recorded: u64) -> Result<()> {
    if found == recorded {
        return Ok(());
    }
    let what = format!("{recorded} bytes were stored then, and {found} are found");
    Err(disagree(event, &what))
}

/// Rows and events contradict each other.
fn disagree(event: EventId, what: &str) -> Error {
    Error::Damaged {
        what: format!("the rows contradict event {}: {what}", event.n()),
    }
}
