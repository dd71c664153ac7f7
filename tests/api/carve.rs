//! Carving ahead: arenas, pools and blocks that a caller adds before they are needed.

use crate::common::{Heap, KIB, assert_balanced, content, dump, quick};
use heapledger::{ArenaId, BlockId, Error, Geometry, PoolId, SizeClass};

#[test]
fn arenas_are_carved_until_the_space_is_reserved() {
    let heap = Heap::of(600 * KIB, Geometry::standard());
    let sizes: Vec<_> = (0..3).map(|_| heap.add_arena().unwrap().max_mem).collect();
    assert_eq!(sizes, [256 * 1024, 256 * 1024, 88 * 1024], "the last arena is shorter");
    let before = dump(&heap.sql());
    let error = heap.add_arena().unwrap_err();
    assert!(matches!(error, Error::NoRoom { child: "arena", .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "no room for another arena in space main: all of its 614,400 bytes are reserved"
    );
    assert_eq!(dump(&heap.sql()), before);
    assert_eq!(heap.memram().unwrap().reserved, 600 * 1024);
    assert_balanced(&heap);
}

#[test]
fn pools_of_any_class_are_carved_until_the_arena_is_reserved() {
    let heap = Heap::of(200 * KIB, Geometry::standard());
    let arena = heap.add_arena().unwrap().id;
    let small = heap.add_pool(arena, 512).unwrap();
    assert_eq!((small.block_size, small.max_mem, small.arena_id), (512, 4096, arena));
    let large = heap.add_pool(arena, 32 * KIB).unwrap();
    assert_eq!(large.max_mem, 196 * 1024, "a pool is as long as the arena has room");
    assert!(matches!(
        heap.add_pool(arena, 512),
        Err(Error::NoRoom { child: "pool", .. })
    ));
    assert_eq!(heap.pools(arena).unwrap(), [small, large]);
    assert_balanced(&heap);
}

#[test]
fn blocks_are_carved_until_the_pool_is_reserved() {
    let heap = Heap::of(4096 - 100, Geometry::classic());
    let arena = heap.add_arena().unwrap().id;
    let pool = heap.add_pool(arena, 512).unwrap().id;
    let sizes: Vec<_> = (0..8).map(|_| heap.add_block(pool).unwrap().max_mem).collect();
    assert_eq!(
        sizes,
        [512, 512, 512, 512, 512, 512, 512, 412],
        "the last block is shorter"
    );
    assert!(matches!(
        heap.add_block(pool),
        Err(Error::NoRoom { child: "block", .. })
    ));
    let blocks = heap.blocks(pool).unwrap();
    assert_eq!(blocks.len(), 8);
    assert!(blocks.iter().all(|block| block.is_free && block.mem == 0));
    assert_eq!(heap.block(blocks[3].id).unwrap(), blocks[3]);
    assert_balanced(&heap);
}

#[test]
fn an_object_is_placed_in_what_was_carved_ahead() {
    let heap = Heap::classic();
    let arena = heap.add_arena().unwrap().id;
    let pool = heap.add_pool(arena, 512).unwrap().id;
    let block = heap.add_block(pool).unwrap().id;
    let id = heap.allocate_bytes(&content(1, 700)).unwrap();
    let entries = heap.ledger(&id).unwrap();
    assert_eq!(
        (entries[0].arena_id, entries[0].pool_id, entries[0].block_id),
        (arena, pool, block)
    );
    assert_eq!(entries[1].pool_id, pool);
    assert_eq!(heap.blocks(pool).unwrap().len(), 2);
    let pieces = heap.pieces_in(block).unwrap();
    assert_eq!(pieces[0].object_id, Some(id));
    assert_eq!(pieces[0].data, content(1, 700)[..512]);
    assert_balanced(&heap);
}

#[test]
fn the_error_names_a_missing_parent() {
    let heap = Heap::new();
    heap.add_arena().unwrap();
    let unknown = |error: Error| match error {
        Error::UnknownRow { what, id, .. } => (what, id),
        other => panic!("{other}"),
    };
    assert_eq!(unknown(heap.add_pool(ArenaId(9), 512).unwrap_err()), ("arena", 9));
    assert_eq!(unknown(heap.add_block(PoolId(8)).unwrap_err()), ("pool", 8));
    assert_eq!(unknown(heap.block(BlockId(7)).unwrap_err()), ("block", 7));
    assert_eq!(unknown(heap.pools(ArenaId(9)).unwrap_err()), ("arena", 9));
    assert_eq!(unknown(heap.blocks(PoolId(8)).unwrap_err()), ("pool", 8));
    assert_eq!(unknown(heap.pieces_in(BlockId(7)).unwrap_err()), ("block", 7));
}

#[test]
fn an_unknown_class_is_refused_with_a_list_of_the_known_ones() {
    let heap = Heap::new();
    let arena = heap.add_arena().unwrap().id;
    let before = dump(&heap.sql());
    let error = heap.add_pool(arena, 1000).unwrap_err();
    assert!(
        matches!(&error, Error::UnknownClass { known, .. } if *known == [512, 4096, 32768, 262_144]),
        "{error}"
    );
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn the_rows_of_another_space_are_out_of_reach() {
    let heap = Heap::new();
    let other = quick().space("other").open(heap.address()).unwrap();
    let arena = heap.add_arena().unwrap().id;
    let pool = heap.add_pool(arena, 512).unwrap().id;
    let block = heap.add_block(pool).unwrap().id;
    let before = dump(&heap.sql());
    assert!(matches!(other.add_pool(arena, 512), Err(Error::UnknownRow { .. })));
    assert!(matches!(other.add_block(pool), Err(Error::UnknownRow { .. })));
    assert!(matches!(other.block(block), Err(Error::UnknownRow { .. })));
    assert!(matches!(other.pieces_in(block), Err(Error::UnknownRow { .. })));
    assert_eq!(other.arenas().unwrap(), []);
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn the_smallest_space_has_one_arena_one_pool_and_one_block() {
    let heap = Heap::of(
        1,
        Geometry::new(
            1,
            1,
            vec![SizeClass {
                block_size: 1,
                pool_size: 1,
            }],
        )
        .unwrap(),
    );
    let arena = heap.add_arena().unwrap();
    let pool = heap.add_pool(arena.id, 1).unwrap();
    let block = heap.add_block(pool.id).unwrap();
    assert_eq!((arena.max_mem, pool.max_mem, block.max_mem), (1, 1, 1));
    let id = heap.allocate(&7).unwrap();
    assert_eq!(heap.get::<u8>(&id).unwrap(), 7);
    assert!(!heap.block(block.id).unwrap().is_free);
    assert_balanced(&heap);
}
