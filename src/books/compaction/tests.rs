//! Compaction without a database.

use super::*;
use crate::geometry::SizeClass;
use crate::models::{Block, MemRamId, Pool};

/// Arenas of 64 bytes, with pools of 16 bytes and blocks of 8.
fn geometry() -> Geometry {
    let class = SizeClass {
        block_size: 8,
        pool_size: 16,
    };
    Geometry::new(64, 1, vec![class]).unwrap()
}

/// A space whose blocks have these bytes, arena by arena. Block `10 * arena + n` is the n-th.
struct Space {
    arenas: Vec<Arena>,
    room: Room,
    geometry: Geometry,
}

impl Space {
    fn new(used: &[&[u64]]) -> Self {
        let mut space = Self {
            arenas: Vec::new(),
            room: Room::unknown(1, 0),
            geometry: geometry(),
        };
        let room = &mut space.room;
        room.arenas.complete = true;
        room.pools[0].complete = true;
        room.blocks[0].complete = true;
        for (id, blocks) in (1..).zip(used) {
            let mut arena = Arena::carved(ArenaId(id), MemRamId(1), 64);
            arena.mem = blocks.iter().sum();
            for (index, pair) in (0..).zip(blocks.chunks(2)) {
                let mut pool = Pool::carved(PoolId(10 * id + index), &arena, 8, 16);
                for (n, &mem) in (0..).zip(pair) {
                    let mut block = Block::carved(BlockId(10 * id + 2 * index + n), &pool, 8);
                    block.mem = mem;
                    room.note_block(0, block);
                    pool.reserved += 8;
                }
                room.note_pool(0, pool);
                arena.reserved += 16;
            }
            room.note_arena(arena);
            space.arenas.push(arena);
        }
        space
    }

    fn compaction(&self, under: u8) -> Compaction<'_> {
        Compaction::new(&self.geometry, self.arenas.clone(), &self.room, under)
    }
}

/// An object with one piece.
fn single(object: i64, block: i64, bytes: i64) -> Occupant {
    let here = vec![SparsePiece {
        seq: 0,
        block: BlockId(block),
        block_size: 8,
        bytes,
    }];
    Occupant {
        object: StoredObjectId(object),
        object_id: ObjectId::from([object as u8; 32]),
        size: bytes,
        here,
        all: None,
    }
}

fn targets(slice: &Slice) -> Vec<Place> {
    slice.moves.iter().map(|moved| moved.to).collect()
}

#[test]
fn a_piece_goes_to_the_fullest_block_that_has_room_for_it() {
    let space = Space::new(&[&[3], &[5, 4, 8, 7, 8, 8, 8, 8]]);
    let mut compaction = space.compaction(25);
    let arena = compaction.next_arena().unwrap();
    assert!(compaction.empty(&arena, &[single(1, 10, 3)], 64).unwrap());
    let slice = compaction.end_slice();
    assert_eq!(targets(&slice), [Place::Existing(BlockId(20))]);
    assert_eq!((slice.emptied, slice.bytes), (vec![ArenaId(1)], 3));
    assert_eq!(compaction.next_arena(), None);
}

#[test]
fn the_fullest_candidate_is_kept_for_the_others() {
    let space = Space::new(&[&[2], &[4], &[3]]);
    let mut compaction = space.compaction(25);
    let mut emptied = Vec::new();
    while let Some(arena) = compaction.next_arena() {
        let block = 10 * arena.id.0;
        if compaction
            .empty(&arena, &[single(block, block, arena.mem as i64)], 64)
            .unwrap()
        {
            emptied.push(arena.id.0);
        }
    }
    assert_eq!(emptied, [1, 3]);
    // Both fit only if the second gets a new block.
    let slice = compaction.end_slice();
    assert_eq!(targets(&slice), [Place::Existing(BlockId(20)), Place::New(0)]);
    assert_eq!(slice.blocks, [InPool::Existing(PoolId(20))]);
}

#[test]
fn nothing_is_left_of_an_arena_that_cannot_be_emptied() {
    let space = Space::new(&[&[7, 7], &[1, 8, 8, 8, 8, 8, 8, 8]]);
    let mut compaction = space.compaction(50);
    let arena = compaction.next_arena().unwrap();
    let both = [single(1, 10, 7), single(2, 11, 7)];
    assert!(!compaction.empty(&arena, &both, 64).unwrap());
    assert_eq!(*compaction.slice(), Slice::default());
    // The room that was taken for the first is there again.
    let mut compaction = space.compaction(50);
    let arena = compaction.next_arena().unwrap();
    assert!(!compaction.empty(&arena, &both, 64).unwrap());
    let last = Occupant {
        all: Some(vec![(BlockId(10), 3), (BlockId(11), 4)]),
        ..single(3, 10, 7)
    };
    assert!(compaction.join(&last));
    assert_eq!(compaction.slice().moves.len(), 1);
}

#[test]
fn the_rows_of_a_slice_are_not_named_by_the_next() {
    let space = Space::new(&[&[1], &[2], &[8, 8, 8, 8, 8, 8]]);
    let mut compaction = space.compaction(25);
    let arena = compaction.next_arena().unwrap();
    assert!(compaction.empty(&arena, &[single(1, 10, 1)], 64).unwrap());
    let slice = compaction.end_slice();
    // The last pool that can be carved, with room for the other piece, too.
    assert_eq!(
        (&slice.pools, &slice.blocks),
        (&vec![(ArenaId(3), 0)], &vec![InPool::New(0)])
    );
    assert_eq!(targets(&slice), [Place::New(0)]);
    let arena = compaction.next_arena().unwrap();
    assert!(!compaction.empty(&arena, &[single(2, 20, 2)], 64).unwrap());
}

#[test]
fn an_object_is_joined_if_that_is_within_the_limit() {
    let space = Space::new(&[&[1], &[1, 8, 8, 8, 8, 8, 8, 8]]);
    let in_two = Occupant {
        size: 5,
        all: Some(vec![(BlockId(10), 1), (BlockId(20), 4)]),
        ..single(1, 10, 1)
    };
    for (most, pieces) in [(4, 1), (5, 2)] {
        let mut compaction = space.compaction(25);
        let arena = compaction.next_arena().unwrap();
        assert!(compaction.empty(&arena, std::slice::from_ref(&in_two), most).unwrap());
        assert_eq!(compaction.slice().moves[0].from.len(), pieces);
    }
}

#[test]
fn an_empty_arena_is_neither_emptied_nor_filled() {
    let space = Space::new(&[&[1], &[0]]);
    let mut compaction = space.compaction(100);
    let arena = compaction.next_arena().unwrap();
    assert_eq!(arena.id, ArenaId(1));
    assert!(!compaction.empty(&arena, &[single(1, 10, 1)], 64).unwrap());
    assert_eq!(compaction.next_arena(), None);
}
