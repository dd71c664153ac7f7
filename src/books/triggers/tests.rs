//! Triggers without a database: a change goes in, effects come out.

use std::borrow::Cow;

use super::*;
use crate::books::events::Accounts;
use crate::models::{
    Arena, ArenaId, Block, BlockId, MemRamId, NewEntry, PlacedEntry, PoolId, StoredObject, StoredObjectId, Timestamp,
    signed,
};
use crate::value::{Kind, ObjectId};

const ID: ObjectId = ObjectId::UNKNOWN;

fn run(changes: &[Change<'_>]) -> Effects {
    let mut effects = Effects::default();
    for change in changes {
        for trigger in ALL {
            trigger(change, &mut effects).unwrap();
        }
    }
    effects
}

fn block(mem: u64) -> Block {
    Block {
        id: BlockId(3),
        memram_id: MemRamId(1),
        arena_id: ArenaId(1),
        pool_id: PoolId(2),
        block_size: 512,
        max_mem: 512,
        mem,
        is_free: mem < 512,
    }
}

fn entry(bytes: usize) -> NewEntry<'static> {
    NewEntry {
        stored_object_id: StoredObjectId(1),
        seq: 0,
        arena_id: ArenaId(1),
        pool_id: PoolId(2),
        block_id: BlockId(3),
        allocated_mem: bytes as i64,
        start: 0,
        is_last: true,
        data: Cow::Owned(vec![0; bytes]),
    }
}

fn placed(bytes: i64, block_mem: i64) -> PlacedEntry {
    PlacedEntry {
        memram_id: MemRamId(1),
        block_id: BlockId(3),
        pool_id: PoolId(2),
        arena_id: ArenaId(1),
        allocated_mem: bytes,
        block_size: 512,
        block_max_mem: 512,
        block_mem,
    }
}

#[test]
fn a_piece_changes_every_level_above_it() {
    let effects = run(&[Change::EntryAdded {
        entry: entry(100),
        block: block(50),
    }]);
    let after = effects.blocks[&BlockId(3)];
    assert_eq!((after.mem, after.is_free, after.was_free), (150, true, true));
    assert_eq!(effects.pools[&PoolId(2)].mem, 100);
    assert_eq!(effects.arenas[&ArenaId(1)].mem, 100);
    assert_eq!(effects.classes[&512].mem, 100);
    assert_eq!(effects.classes[&512].entries, 1);
    assert_eq!((effects.space.mem, effects.space.peak), (100, 100));
}

#[test]
fn a_block_is_free_exactly_while_it_has_room() {
    let added = run(&[Change::EntryAdded {
        entry: entry(512),
        block: block(0),
    }]);
    assert!(!added.blocks[&BlockId(3)].is_free);
    assert_eq!(
        (added.classes[&512].full_blocks, added.classes[&512].empty_blocks),
        (1, -1)
    );

    let entries = [placed(512, 512)];
    let removed = run(&[Change::EntriesRemoved {
        object_id: ID,
        entries: &entries,
    }]);
    assert!(removed.blocks[&BlockId(3)].is_free);
    assert_eq!(
        (removed.classes[&512].full_blocks, removed.classes[&512].empty_blocks),
        (-1, 1)
    );
}

#[test]
fn two_pieces_of_one_object_may_leave_the_same_block() {
    let entries = [placed(200, 512), placed(312, 512)];
    let effects = run(&[Change::EntriesRemoved {
        object_id: ID,
        entries: &entries,
    }]);
    assert_eq!(
        (effects.blocks[&BlockId(3)].mem, effects.blocks[&BlockId(3)].is_free),
        (0, true)
    );
    assert_eq!(effects.pools[&PoolId(2)].mem, -512);
    let class = effects.classes[&512];
    assert_eq!((class.full_blocks, class.empty_blocks, class.entries), (-1, 1, -2));
}

#[test]
fn pieces_that_become_one_may_fill_a_block_that_they_leave() {
    let entries = [placed(200, 500), placed(300, 500)];
    let mut effects = Effects {
        recording: true,
        ..Effects::default()
    };
    let change = Change::PiecesMoved {
        object: StoredObjectId(1),
        object_id: ID,
        size: 500,
        seq: 0,
        entries: &entries,
        block: block(500),
        joined: Some(&[0; 500]),
    };
    for trigger in ALL {
        trigger(&change, &mut effects).unwrap();
    }
    assert_eq!(effects.blocks[&BlockId(3)].mem, 500);
    assert_eq!((effects.space.mem, effects.space.peak), (0, 0));
    let class = effects.classes[&512];
    assert_eq!(
        (class.mem, class.entries, class.full_blocks, class.empty_blocks),
        (0, -1, 0, 0)
    );
    let [event] = effects.events.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (event.bytes, event.changes.size, event.accounts),
        (500, Some(500), Accounts::default())
    );
    let moved: Vec<_> = event.changes.pieces.iter().map(|piece| piece.bytes).collect();
    assert_eq!(moved, [-200, -300, 500]);
}

#[test]
fn the_peak_is_the_highest_value_not_the_final_one() {
    let entries = [placed(500, 500)];
    let effects = run(&[
        Change::EntryAdded {
            entry: entry(500),
            block: block(0),
        },
        Change::EntriesRemoved {
            object_id: ID,
            entries: &entries,
        },
    ]);
    assert_eq!((effects.space.mem, effects.space.peak), (0, 500));
}

#[test]
fn carving_reserves_and_moves_no_content() {
    let arena = Arena {
        id: ArenaId(1),
        memram_id: MemRamId(1),
        max_mem: 4096,
        mem: 0,
        reserved: 0,
    };
    let effects = run(&[Change::ArenaAdded(arena), Change::BlockAdded(block(0))]);
    assert_eq!(
        (effects.space.reserved, effects.space.arenas, effects.space.mem),
        (4096, 1, 0)
    );
    assert_eq!(effects.pools[&PoolId(2)].reserved, 512);
    assert_eq!(
        (effects.classes[&512].blocks, effects.classes[&512].empty_blocks),
        (1, 1)
    );
}

#[test]
fn objects_are_counted_by_kind_and_dedup_hits_by_bytes_saved() {
    let new = StoredObject {
        id: StoredObjectId(1),
        memram_id: MemRamId(1),
        object_id: ID,
        kind: Kind::Str,
        type_name: None,
        size: 7,
        held: true,
        created_at: Timestamp::default(),
        held_until: None,
        held_refresh: None,
        expires_at: None,
        pinned: false,
    };
    let row = new.clone();
    let effects = run(&[Change::ObjectStored(new), Change::DedupHit { object: &row }]);
    assert_eq!(
        (effects.kinds[&Kind::Str].objects, effects.kinds[&Kind::Str].mem),
        (1, 7)
    );
    assert_eq!(
        (
            effects.space.allocations,
            effects.space.dedup_hits,
            effects.space.dedup_saved
        ),
        (1, 1, 7)
    );
    let effects = run(&[Change::ObjectRemoved {
        object: row.id,
        object_id: row.object_id,
        kind: row.kind,
        size: signed(row.size),
        entries: 1,
    }]);
    assert_eq!((effects.space.frees, effects.kinds[&Kind::Str].objects), (1, -1));
}

#[test]
fn a_block_that_would_overflow_stops_the_unit_of_work() {
    let change = Change::EntryAdded {
        entry: entry(100),
        block: block(500),
    };
    let result = free_flags::run(&change, &mut Effects::default());
    assert!(matches!(result, Err(Error::Damaged { .. })));
}
