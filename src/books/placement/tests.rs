//! Placement without a database: rows are numbered from 1 as they are carved.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::books::room::Known;
use crate::geometry::SizeClass;
use crate::models::{ArenaId, BlockId, MemRamId, PoolId};

/// A space in memory that executes `next_step`.
struct Space {
    geometry: Geometry,
    room: Room,
    ids: i64,
    blocks: BTreeMap<BlockId, Block>,
}

impl Space {
    fn new(max_mem: i64, geometry: Geometry) -> Self {
        let mut room = Room::unknown(geometry.classes().len(), max_mem);
        room.arenas.complete = true;
        room.pools.iter_mut().for_each(|pools| pools.complete = true);
        room.blocks.iter_mut().for_each(|blocks| blocks.complete = true);
        Self {
            geometry,
            room,
            ids: 0,
            blocks: BTreeMap::new(),
        }
    }

    fn id(&mut self) -> i64 {
        self.ids += 1;
        self.ids
    }

    /// Places `size` bytes; `None` if they do not all fit. Each piece as (block, bytes).
    fn place(&mut self, size: i64) -> Option<Vec<(i64, i64)>> {
        let class = self.geometry.class_for(size as u64);
        let mut remaining = size;
        let mut pieces = Vec::new();
        while remaining > 0 {
            match next_step(&self.room, &self.geometry, class, remaining)? {
                Step::Fill { mut block, bytes } => {
                    assert!(bytes > 0 && bytes <= signed(block.room()) && bytes <= remaining);
                    block.mem += bytes as u64;
                    remaining -= bytes;
                    pieces.push((block.id.0, bytes));
                    self.note(block);
                }
                Step::CarveBlock { pool, bytes } => self.carve_block(pool, bytes),
                Step::CarvePool {
                    arena,
                    class,
                    block_size,
                    bytes,
                } => self.carve_pool(arena, class, block_size, bytes),
                Step::CarveArena { bytes } => self.carve_arena(bytes),
                Step::Load(level) => panic!("{level:?} is complete"),
            }
        }
        Some(pieces)
    }

    fn note(&mut self, block: Block) {
        let class = self.geometry.class_of_block_size(block.block_size).unwrap();
        self.blocks.insert(block.id, block);
        self.room.note_block(class, block);
    }

    fn empty(&mut self, block: i64) {
        let mut block = self.blocks[&BlockId(block)];
        block.mem = 0;
        self.note(block);
    }

    fn carve_block(&mut self, pool: Pool, bytes: i64) {
        assert!(pool.reserved + bytes as u64 <= pool.max_mem);
        let block = Block::carved(BlockId(self.id()), &pool, bytes);
        self.blocks.insert(block.id, block);
        let class = self.geometry.class_of_block_size(pool.block_size).unwrap();
        self.room.add_block(class, block);
    }

    fn carve_pool(&mut self, arena: Arena, class: usize, block_size: i64, bytes: i64) {
        assert!(arena.reserved + bytes as u64 <= arena.max_mem);
        assert_eq!(block_size, self.geometry.classes()[class].block_size as i64);
        let pool = Pool::carved(PoolId(self.id()), &arena, block_size, bytes);
        self.room.add_pool(class, pool);
    }

    fn carve_arena(&mut self, bytes: i64) {
        let arena = Arena::carved(ArenaId(self.id()), MemRamId(1), bytes);
        self.room.add_arena(arena);
        assert!(self.room.unreserved >= 0);
    }
}

fn bytes(pieces: &[(i64, i64)]) -> Vec<i64> {
    pieces.iter().map(|&(_, bytes)| bytes).collect()
}

#[test]
fn a_new_object_continues_in_a_partly_filled_block() {
    let mut space = Space::new(1 << 20, Geometry::classic());
    let first = space.place(700).unwrap();
    let second = space.place(700).unwrap();
    assert_eq!(bytes(&first), [512, 188]);
    assert_eq!(bytes(&second), [324, 376]);
    assert_eq!(first[1].0, second[0].0);
}

#[test]
fn freed_blocks_are_reused_lowest_first_before_anything_is_carved() {
    let mut space = Space::new(1 << 20, Geometry::classic());
    let pieces = space.place(512 * 5).unwrap();
    space.empty(pieces[3].0);
    space.empty(pieces[1].0);
    let carved = space.ids;
    assert_eq!(space.place(1024).unwrap(), [(pieces[1].0, 512), (pieces[3].0, 512)]);
    assert_eq!(space.ids, carved);
}

#[test]
fn each_class_has_separate_pools() {
    let mut space = Space::new(1 << 20, Geometry::standard());
    let room = |size: i64, space: &mut Space| bytes(&space.place(size).unwrap());
    assert_eq!(room(64, &mut space), [64]);
    assert_eq!(room(512, &mut space), [512]);
    assert_eq!(room(4096, &mut space), [4096]);
    assert_eq!(room(300_000, &mut space), [262_144, 37_856]);
    let sizes: BTreeSet<_> = space.blocks.values().map(|block| block.block_size).collect();
    assert_eq!(Vec::from_iter(sizes), [512, 4096, 32_768, 262_144]);
}

#[test]
fn every_byte_of_any_space_can_be_used_by_any_class() {
    let odd = Geometry::new(
        6 * 1000,
        2,
        vec![
            SizeClass {
                block_size: 10,
                pool_size: 30,
            },
            SizeClass {
                block_size: 100,
                pool_size: 600,
            },
            SizeClass {
                block_size: 1000,
                pool_size: 3000,
            },
        ],
    );
    for geometry in [Geometry::standard(), Geometry::classic(), odd.unwrap()] {
        for max_mem in [1, 9, 511, 512, 513, 4095, 6001, 100_003, 262_144, 300_000] {
            for first in [0, 1, 7, 600, 5000] {
                let first = first.min(max_mem);
                let mut space = Space::new(max_mem, geometry.clone());
                space.place(first).unwrap();
                assert!(space.place(max_mem - first).is_some(), "{first} of {max_mem}");
                assert_eq!(space.place(1), None);
            }
        }
    }
}

#[test]
fn the_same_operations_give_the_same_layout() {
    let run = || {
        let mut space = Space::new(1 << 20, Geometry::standard());
        (1..60)
            .map(|n| space.place(n * n * 11 % 5000).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn unknown_rows_are_loaded_before_anything_is_carved() {
    let geometry = Geometry::classic();
    let mut room = Room::unknown(1, 1 << 20);
    let load = |level| Some(Step::Load(level));
    assert_eq!(next_step(&room, &geometry, 0, 1), load(RoomLevel::Blocks(0)));
    room.blocks[0].complete = true;
    assert_eq!(next_step(&room, &geometry, 0, 1), load(RoomLevel::Pools(0)));
    room.pools[0].complete = true;
    assert_eq!(next_step(&room, &geometry, 0, 1), load(RoomLevel::Arenas));
    room.arenas.complete = true;
    assert_eq!(
        next_step(&room, &geometry, 0, 1),
        Some(Step::CarveArena { bytes: 256 * 1024 })
    );
}

#[test]
fn the_last_row_of_a_page_is_known() {
    let mut known: Known<i64, ()> = Known::default();
    known.extend([(1, ()), (2, ())].into_iter(), 2);
    assert!(!known.complete);
    known.note(2, None);
    known.note(2, Some(()));
    assert!(known.get(2).is_some());
    // Rows beyond it are unknown.
    known.note(3, Some(()));
    assert!(known.get(3).is_none());
}
