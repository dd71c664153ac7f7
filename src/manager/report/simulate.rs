//! Simulates placement by the same rules, without writing.

use crate::books::placement::{RoomLevel, Step, next_step};
use crate::books::room::Room;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{Arena, ArenaId, Block, BlockId, MemRam, MemRamId, Pool, PoolId, signed, unsigned};
use crate::store::{ReadTx, queries};

/// What one object would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::manager) struct Carved {
    pub pieces: u64,
    pub blocks: u64,
    pub pools: u64,
    pub arenas: u64,
}

/// Whether whole units are calculated together, or carved step by step for tests to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Calculate,
    #[cfg(test)]
    StepByStep,
}

/// Units that are carved and completely filled, with everything in them.
struct Whole {
    bytes: i64,
    carved: Carved,
}

impl Whole {
    /// `count` units of `size` bytes, with a block, a pool and an arena for every `per` bytes.
    fn new(count: i64, size: i64, per: [i64; 3]) -> Option<Self> {
        let bytes = count * size;
        let [blocks, pools, arenas] = per.map(|per| (bytes / per) as u64);
        let carved = Carved {
            pieces: blocks,
            blocks,
            pools,
            arenas,
        };
        (count > 0).then_some(Self { bytes, carved })
    }
}

impl Carved {
    fn add(&mut self, whole: &Whole) {
        self.pieces += whole.carved.pieces;
        self.blocks += whole.carved.blocks;
        self.pools += whole.carved.pools;
        self.arenas += whole.carved.arenas;
    }
}

/// The room, after everything placed so far.
pub(in crate::manager) struct Simulation {
    room: Room,
    next_id: i64,
}

/// Ids of simulated rows: above all existing ids, so that they come last, as new rows do.
const FIRST_ID: i64 = 1 << 62;

impl Simulation {
    pub fn new(geometry: &Geometry, memram: &MemRam) -> Self {
        Self {
            room: Room::unknown(geometry.classes().len(), signed(memram.unreserved())),
            next_id: FIRST_ID,
        }
    }

    /// Places `size` bytes, for which there must be room. New arenas, pools and blocks are
    /// uniform and are calculated instead of carved one by one: O(r · log n) with r rows that
    /// are reused.
    pub fn place(
        &mut self,
        tx: &mut ReadTx<'_>,
        space: MemRamId,
        geometry: &Geometry,
        class: usize,
        size: u64,
    ) -> Result<Carved> {
        let mut load = |room: &mut Room, level| queries::room::load(tx, space, geometry, room, level);
        self.place_with(space, geometry, class, size, Pace::Calculate, &mut load)
    }

    fn place_with(
        &mut self,
        space: MemRamId,
        geometry: &Geometry,
        class: usize,
        size: u64,
        pace: Pace,
        load: &mut dyn FnMut(&mut Room, RoomLevel) -> Result<()>,
    ) -> Result<Carved> {
        let class_of = |block_size| geometry.class_of_block_size(block_size);
        let mut carved = Carved::default();
        let mut remaining = size as i64;
        while remaining > 0 {
            let step = next_step(&self.room, geometry, class, remaining);
            let step = step.ok_or_else(|| no_room(remaining))?;
            if pace == Pace::Calculate
                && let Some(whole) = self.whole(&step, geometry, class, remaining)
            {
                remaining -= whole.bytes;
                carved.add(&whole);
                continue;
            }
            match step {
                Step::Fill { block, bytes } => {
                    self.room.fill(class_of(block.block_size)?, block, bytes);
                    remaining -= bytes;
                    carved.pieces += 1;
                }
                Step::CarveBlock { pool, bytes } => {
                    let block = Block::carved(BlockId(self.id()), &pool, bytes);
                    self.room.add_block(class_of(pool.block_size)?, block);
                    carved.blocks += 1;
                }
                Step::CarvePool {
                    arena,
                    class,
                    block_size,
                    bytes,
                } => {
                    let pool = Pool::carved(PoolId(self.id()), &arena, block_size, bytes);
                    self.room.add_pool(class, pool);
                    carved.pools += 1;
                }
                Step::CarveArena { bytes } => {
                    let arena = Arena::carved(ArenaId(self.id()), space, bytes);
                    self.room.add_arena(arena);
                    carved.arenas += 1;
                }
                // A level is read to its end before anything is carved, so simulated rows are
                // never read from the database.
                Step::Load(level) => load(&mut self.room, level)?,
            }
        }
        Ok(carved)
    }

    /// The whole units, of what `step` carves, that the object fills completely. A full unit leaves
    /// no room except in its parent, from which the next step carves again, so they can all be taken
    /// together.
    fn whole(&mut self, step: &Step, geometry: &Geometry, class: usize, remaining: i64) -> Option<Whole> {
        let of_class = geometry.classes().get(class)?;
        let (block_size, pool_size) = (of_class.block_size as i64, of_class.pool_size as i64);
        match step {
            Step::CarveArena { bytes } if *bytes == geometry.arena_size() as i64 => {
                let count = remaining.min(self.room.unreserved) / bytes;
                self.room.unreserved -= count * bytes;
                Whole::new(count, *bytes, [block_size, pool_size, *bytes])
            }
            Step::CarvePool { arena, bytes, .. } if *bytes == pool_size => {
                let mut arena = *arena;
                let count = remaining.min(signed(arena.uncarved())) / bytes;
                arena.reserved += unsigned(count * bytes);
                self.room.note_arena(arena);
                Whole::new(count, *bytes, [block_size, pool_size, i64::MAX])
            }
            // The pool may belong to another class, with a different block size.
            Step::CarveBlock { pool, bytes } if *bytes == signed(pool.block_size) => {
                let mut pool = *pool;
                let count = remaining.min(signed(pool.uncarved())) / bytes;
                let class = geometry.class_of_block_size(pool.block_size).ok()?;
                pool.reserved += unsigned(count * bytes);
                self.room.note_pool(class, pool);
                Whole::new(count, *bytes, [*bytes, i64::MAX, i64::MAX])
            }
            _ => None,
        }
    }

    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }
}

fn no_room(remaining: i64) -> Error {
    Error::Damaged {
        what: format!("{remaining} bytes are free according to the totals, but in no arena, pool or block"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::SizeClass;

    const SPACE: MemRamId = MemRamId(1);

    fn geometries() -> impl Strategy<Value = Geometry> {
        let class = |block_size, pool_size| SizeClass { block_size, pool_size };
        let odd = Geometry::new(840, 3, vec![class(5, 15), class(7, 70), class(60, 420)]).unwrap();
        let one = Geometry::new(64, 1, vec![class(1, 1), class(8, 64), class(64, 64)]).unwrap();
        let vast = Geometry::new(1 << 20, 8, vec![class(16, 1 << 19), class(64, 64)]).unwrap();
        prop_oneof![
            Just(Geometry::standard()),
            Just(Geometry::classic()),
            Just(odd),
            Just(one),
            Just(vast)
        ]
    }

    fn empty(geometry: &Geometry, max_mem: i64) -> Simulation {
        Simulation {
            room: Room::unknown(geometry.classes().len(), max_mem),
            next_id: FIRST_ID,
        }
    }

    /// A new space has no rows to read.
    fn load(room: &mut Room, level: RoomLevel) -> Result<()> {
        match level {
            RoomLevel::Arenas => room.arenas.complete = true,
            RoomLevel::Pools(class) => room.pools[class].complete = true,
            RoomLevel::Blocks(class) => room.blocks[class].complete = true,
        }
        Ok(())
    }

    fn place(simulation: &mut Simulation, geometry: &Geometry, size: u64, pace: Pace) -> Carved {
        let class = geometry.class_for(size);
        let placed = simulation.place_with(SPACE, geometry, class, size, pace, &mut load);
        placed.unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn calculated_units_equal_the_single_steps(
            geometry in geometries(),
            space in 1u64..1_000_000,
            shares in prop::collection::vec((0u64..1000, 0u32..20), 1..12),
        ) {
            let mut calculated = empty(&geometry, space as i64);
            let mut stepped = empty(&geometry, space as i64);
            let mut left = space;
            for (share, shift) in shares {
                // Large and small objects, up to the last byte.
                let size = ((space * share / 1000) >> shift).min(left);
                left -= size;
                let one = place(&mut calculated, &geometry, size, Pace::Calculate);
                let other = place(&mut stepped, &geometry, size, Pace::StepByStep);
                prop_assert_eq!(one, other, "{} of {}", size, space);
            }
            prop_assert_eq!(
                place(&mut calculated, &geometry, left, Pace::Calculate),
                place(&mut stepped, &geometry, left, Pace::StepByStep)
            );
            prop_assert_eq!(calculated.room.unreserved, stepped.room.unreserved);
        }
    }

    #[test]
    fn an_exbibyte_is_calculated_quickly() {
        let exbibyte = 1 << 60;
        let carved = place(
            &mut empty(&Geometry::standard(), i64::MAX),
            &Geometry::standard(),
            exbibyte,
            Pace::Calculate,
        );
        let arenas = exbibyte / (256 * 1024);
        let expected = Carved {
            pieces: arenas,
            blocks: arenas,
            pools: arenas,
            arenas,
        };
        assert_eq!(carved, expected);
        // Also if one arena is the whole space and the last block is short.
        let class = SizeClass {
            block_size: 512,
            pool_size: 4096,
        };
        let vast = Geometry::new(exbibyte, 8, vec![class]).unwrap();
        let half = exbibyte / 2;
        let carved = place(&mut empty(&vast, 1 << 60), &vast, half + 1, Pace::Calculate);
        let blocks = half / 512 + 1;
        let expected = Carved {
            pieces: blocks,
            blocks,
            pools: half / 4096 + 1,
            arenas: 1,
        };
        assert_eq!(carved, expected);
    }
}
