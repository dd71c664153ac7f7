//! Carving ahead of need, and resizing the space.

use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::MemManager;
use crate::manager::objects::{place, reclaim};
use crate::models::{Arena, ArenaId, Block, MemRam, Pool, PoolId, Stripe, signed};
use crate::store::queries;

impl MemManager {
    /// Carves an arena from the space, ahead of need; the last one may be shorter. O(log n).
    ///
    /// # Errors
    /// [`Error::NoRoom`] if all bytes of the space are reserved; what [any write](MemManager#errors) fails with.
    pub fn add_arena(&self) -> Result<Arena> {
        self.write(|tx| {
            let memram = tx.memram()?;
            let bytes = signed(memram.arena_size.min(memram.unreserved()));
            if bytes <= 0 {
                return Err(no_room("arena", format!("space {}", memram.name), memram.max_mem));
            }
            let arena = place::carve_arena(tx, bytes)?;
            let space = tx.space();
            tx.read(|tx| queries::levels::arena(tx, space, arena.id))?
                .ok_or_else(vanished)
        })
    }

    /// Carves a pool for blocks of `block_size` bytes from an arena, ahead of need. O(log n).
    ///
    /// # Errors
    /// [`Error::UnknownRow`], [`Error::UnknownClass`]; [`Error::NoRoom`] if all bytes of
    /// the arena are reserved; what [any write](MemManager#errors) fails with.
    pub fn add_pool(&self, arena: ArenaId, block_size: u64) -> Result<Pool> {
        let class = self.geometry().class_of_block_size(block_size)?;
        let pool_size = self
            .geometry()
            .classes()
            .get(class)
            .map_or(0, |class| class.pool_size as i64);
        self.write(|tx| {
            let space = tx.space();
            let row = tx.read(|tx| queries::levels::arena(tx, space, arena))?;
            let row = row.ok_or_else(|| self.unknown("arena", arena.0))?;
            let bytes = pool_size.min(signed(row.uncarved()));
            if bytes <= 0 {
                return Err(no_room("pool", format!("arena {}", arena.n()), row.max_mem));
            }
            let pool = place::carve_pool(tx, &row, block_size as i64, bytes)?;
            tx.read(|tx| queries::levels::pool(tx, space, pool.id))?
                .ok_or_else(vanished)
        })
    }

    /// Carves a block from a pool, ahead of need. O(log n).
    ///
    /// # Errors
    /// [`Error::UnknownRow`]; [`Error::NoRoom`] if all bytes of the pool are reserved;
    /// what [any write](MemManager#errors) fails with.
    pub fn add_block(&self, pool: PoolId) -> Result<Block> {
        self.write(|tx| {
            let space = tx.space();
            let row = tx.read(|tx| queries::levels::pool(tx, space, pool))?;
            let row = row.ok_or_else(|| self.unknown("pool", pool.0))?;
            let bytes = signed(row.block_size.min(row.uncarved()));
            if bytes <= 0 {
                return Err(no_room("block", format!("pool {}", pool.n()), row.max_mem));
            }
            place::carve_block(tx, &row, bytes)
        })
    }

    /// Changes the capacity of the space to `max_mem` bytes.
    ///
    /// # Errors
    /// [`Error::BadMaxMem`]; [`Error::CannotShrink`] below what arenas reserve, or below what is
    /// stored and promised to reservations;
    /// what [any write](MemManager#errors) fails with.
    pub fn resize(&self, max_mem: u64) -> Result<MemRam> {
        let wanted = i64::try_from(max_mem).ok().filter(|&bytes| bytes > 0);
        let wanted = wanted.ok_or(Error::BadMaxMem { max_mem })?;
        self.write(|tx| {
            let mut memram = tx.memram()?;
            if max_mem < memram.mem.saturating_add(memram.promised) {
                reclaim::all_due(tx)?;
                memram = tx.memram()?;
            }
            let MemRam {
                reserved,
                mem,
                promised,
                ..
            } = memram;
            if max_mem < reserved.max(mem.saturating_add(promised)) {
                return Err(Error::CannotShrink {
                    space: memram.name,
                    max_mem,
                    reserved,
                    mem,
                    promised,
                });
            }
            tx.apply(Change::Resized {
                by: wanted - signed(memram.max_mem),
            })?;
            tx.memram()
        })
    }

    pub(in crate::manager) fn unknown(&self, what: &'static str, id: i64) -> Error {
        let is_own = Stripe::space(id) == self.inner.space;
        Error::UnknownRow {
            what,
            id: if is_own { Stripe::n(id) } else { id },
            space: self.space().to_owned(),
        }
    }
}

fn no_room(child: &'static str, parent: String, max_mem: u64) -> Error {
    Error::NoRoom { child, parent, max_mem }
}

fn vanished() -> Error {
    Error::Damaged {
        what: "a row that was just written cannot be read back".into(),
    }
}
