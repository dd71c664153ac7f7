//! Placement played through on paper: the rules decide, and nothing is written.

use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{Arena, ArenaId, Block, BlockId, MemRam, MemRamId, Pool, PoolId};
use crate::placement::{Room, Step, next_step};
use crate::store::{Conn, queries};

/// What one object would take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Carved {
    pub pieces: u64,
    pub blocks: u64,
    pub pools: u64,
    pub arenas: u64,
}

/// What has room, with all that was placed so far.
pub(super) struct Simulation {
    room: Room,
    next_id: i64,
}

/// Ids of rows that are not there: above every id that is, so that they come last, as
/// new rows do.
const FIRST_ID: i64 = 1 << 62;

impl Simulation {
    pub fn new(geometry: &Geometry, memram: &MemRam) -> Self {
        Self {
            room: Room::unknown(geometry.classes().len(), memram.max_mem - memram.reserved),
            next_id: FIRST_ID,
        }
    }

    /// Places `size` bytes, for which there must be room. O(pieces · log n).
    pub fn place(
        &mut self,
        conn: &mut Conn,
        space: MemRamId,
        geometry: &Geometry,
        class: usize,
        size: u64,
    ) -> Result<Carved> {
        let mut carved = Carved::default();
        let mut remaining = size as i64;
        while remaining > 0 {
            let step = next_step(&self.room, geometry, class, remaining);
            match step.ok_or_else(|| no_room(remaining))? {
                Step::Fill { block, bytes } => {
                    self.fill(geometry, block, bytes)?;
                    remaining -= bytes;
                    carved.pieces += 1;
                }
                Step::CarveBlock { pool, bytes } => {
                    self.carve_block(geometry, pool, bytes)?;
                    carved.blocks += 1;
                }
                Step::CarvePool { arena, class, bytes } => {
                    self.carve_pool(geometry, arena, class, bytes);
                    carved.pools += 1;
                }
                Step::CarveArena { bytes } => {
                    self.carve_arena(space, bytes);
                    carved.arenas += 1;
                }
                // A level is read to its end before anything is carved for it, so no
                // made-up row is ever waited for.
                Step::Load(level) => queries::room::load(conn, space, geometry, &mut self.room, level)?,
            }
        }
        Ok(carved)
    }

    fn fill(&mut self, geometry: &Geometry, mut block: Block, bytes: i64) -> Result<()> {
        block.mem += bytes;
        block.is_free = block.mem < block.max_mem;
        let class = geometry.class_of_block_size(block.block_size as u64)?;
        self.room.note_block(class, block);
        Ok(())
    }

    fn carve_block(&mut self, geometry: &Geometry, mut pool: Pool, bytes: i64) -> Result<()> {
        let class = geometry.class_of_block_size(pool.block_size as u64)?;
        let block = Block {
            id: BlockId(self.id()),
            memram_id: pool.memram_id,
            arena_id: pool.arena_id,
            pool_id: pool.id,
            block_size: pool.block_size,
            max_mem: bytes,
            mem: 0,
            is_free: true,
        };
        pool.reserved += bytes;
        self.room.note_pool(class, pool);
        self.room.note_block(class, block);
        Ok(())
    }

    fn carve_pool(&mut self, geometry: &Geometry, mut arena: Arena, class: usize, bytes: i64) {
        let block_size = geometry.classes().get(class).map_or(0, |class| class.block_size as i64);
        let pool = Pool {
            id: PoolId(self.id()),
            memram_id: arena.memram_id,
            arena_id: arena.id,
            block_size,
            max_mem: bytes,
            mem: 0,
            reserved: 0,
        };
        arena.reserved += bytes;
        self.room.note_arena(arena);
        self.room.note_pool(class, pool);
    }

    fn carve_arena(&mut self, space: MemRamId, bytes: i64) {
        let arena = Arena {
            id: ArenaId(self.id()),
            memram_id: space,
            max_mem: bytes,
            mem: 0,
            reserved: 0,
        };
        self.room.unreserved -= bytes;
        self.room.note_arena(arena);
    }

    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }
}

fn no_room(remaining: i64) -> Error {
    Error::Damaged {
        what: format!("{remaining} bytes are free by the totals and in no arena, pool or block"),
    }
}
