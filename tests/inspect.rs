//! Looking at what is there: every object, every entry, and the way from one to the other.

#![cfg(test)]

mod common;

use std::collections::BTreeSet;

use common::{Heap, MIB, content, quick};
use heapledger::{Error, Hold, ObjectId};

#[test]
fn every_object_is_listed_once_in_the_order_of_storing() {
    let heap = Heap::new();
    let ids: Vec<_> = heap
        .batch(|batch| (0..1234).map(|number| batch.allocate(&number)).collect())
        .unwrap();
    let listed: Vec<ObjectId> = heap
        .objects()
        .map(|info| info.unwrap().object_id.parse().unwrap())
        .collect();
    assert_eq!(listed, ids);
}

#[test]
fn every_entry_is_listed_once() {
    let heap = Heap::classic();
    heap.batch(|batch| (0..300).try_for_each(|seed| batch.allocate_bytes(&content(seed, 2000)).map(drop)))
        .unwrap();
    let listed: Vec<_> = heap.entries().map(Result::unwrap).collect();
    assert_eq!(listed.iter().map(|entry| entry.allocated_mem).sum::<i64>(), 300 * 2000);
    let keys: BTreeSet<_> = listed.iter().map(|entry| (entry.stored_object_id, entry.seq)).collect();
    assert_eq!(keys.len(), listed.len());
}

#[test]
fn an_object_is_shown_with_its_value_names_and_pieces() {
    let heap = Heap::new();
    let id = heap.store("grüße", Hold::Name("b")).unwrap().id;
    heap.bind("a", &id).unwrap();
    let info = heap.object_info(&id).unwrap();
    assert_eq!(
        (info.object_id.as_str(), info.space.as_str(), info.kind.as_str()),
        (&*id.to_hex(), "main", "str")
    );
    assert_eq!((info.size, info.pieces, info.held), (7, 1, false));
    assert_eq!(info.names, ["a", "b"]);
    assert_eq!(info.value.as_deref(), Some("grüße"));
    assert_eq!(heap.objects().next().unwrap().unwrap().object_id, id.to_hex());
}

#[test]
fn a_value_in_several_pieces_and_bytes_are_not_shown_as_text() {
    let heap = Heap::classic();
    let long = heap.allocate(&"x".repeat(600)).unwrap();
    let bytes = heap.allocate_bytes(b"bytes").unwrap();
    let empty = heap.allocate("").unwrap();
    assert_eq!(heap.object_info(&long).unwrap().value, None);
    assert_eq!(heap.object_info(&bytes).unwrap().value, None);
    assert_eq!(heap.object_info(&empty).unwrap().value.as_deref(), Some(""));
}

#[test]
fn the_ledger_of_an_object_leads_to_its_bytes() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 300)).unwrap();
    let id = heap.allocate_bytes(&content(2, 1500)).unwrap();
    let mut found = Vec::new();
    for (seq, entry) in heap.ledger(&id).unwrap().iter().enumerate() {
        assert_eq!(entry.seq, seq as i64);
        let pieces = heap.pieces_in(entry.block_id).unwrap();
        let piece = pieces.iter().find(|piece| piece.entry.id == entry.id).unwrap();
        assert_eq!((piece.entry, piece.object_id.as_str()), (*entry, &*id.to_hex()));
        found.extend_from_slice(&piece.data);
    }
    assert_eq!(found, content(2, 1500));
}

#[test]
fn arenas_pools_and_blocks_lead_to_every_byte() {
    let heap = Heap::new();
    for seed in 0..20 {
        heap.allocate_bytes(&content(seed, 100 + 1000 * seed)).unwrap();
    }
    let arenas = heap.arenas().unwrap();
    let pools: Vec<_> = arenas.iter().flat_map(|arena| heap.pools(arena.id).unwrap()).collect();
    let blocks: Vec<_> = pools.iter().flat_map(|pool| heap.blocks(pool.id).unwrap()).collect();
    let pieces: Vec<_> = blocks
        .iter()
        .flat_map(|block| heap.pieces_in(block.id).unwrap())
        .collect();
    let mem = heap.memram().unwrap().mem;
    assert_eq!(arenas.iter().map(|arena| arena.mem).sum::<i64>(), mem);
    assert_eq!(pools.iter().map(|pool| pool.mem).sum::<i64>(), mem);
    assert_eq!(blocks.iter().map(|block| block.mem).sum::<i64>(), mem);
    assert_eq!(pieces.iter().map(|piece| piece.data.len() as i64).sum::<i64>(), mem);
}

#[test]
fn a_list_shows_its_own_space_only() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.path()).unwrap();
    heap.allocate_bytes(&content(1, 5000)).unwrap();
    let there = other.allocate_bytes(&content(2, 5000)).unwrap();
    assert_eq!(heap.objects().count(), 1);
    assert_eq!(
        heap.entries().map(|entry| entry.unwrap().allocated_mem).sum::<i64>(),
        5000
    );
    assert!(matches!(heap.object_info(&there), Err(Error::NotStored { .. })));
    assert!(matches!(heap.ledger(&there), Err(Error::NotStored { .. })));
}

#[test]
fn what_is_not_stored_is_named_in_the_error() {
    let heap = Heap::new();
    let missing = ObjectId::of("missing").unwrap();
    for error in [
        heap.object(&missing).unwrap_err(),
        heap.object_info(&missing).unwrap_err(),
        heap.ledger(&missing).unwrap_err(),
        heap.names(&missing).unwrap_err(),
        heap.get::<String>(&missing).unwrap_err(),
        heap.get_bytes(&missing).unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::NotStored { id, space } if *id == missing && space == "main"),
            "{error}"
        );
    }
}
