//! Inspection: every object, every ledger entry, and how one leads to the other.

use std::collections::BTreeSet;

use crate::common::{Heap, MIB, content, quick, server};
use heapledger::{Error, EventFilter, Hold, Kind, ObjectId};

#[test]
fn every_object_is_listed_once_in_the_order_of_allocation() {
    let heap = Heap::new();
    let ids: Vec<_> = heap
        .batch(|batch| (0..1234).map(|number| batch.allocate(&number)).collect())
        .unwrap();
    let listed: Vec<ObjectId> = heap.objects().map(|info| info.unwrap().id).collect();
    assert_eq!(listed, ids);
}

#[test]
fn every_entry_is_listed_once() {
    let heap = Heap::classic();
    heap.batch(|batch| (0..300).try_for_each(|seed| batch.allocate_bytes(&content(seed, 2000)).map(drop)))
        .unwrap();
    let listed: Vec<_> = heap.entries().map(Result::unwrap).collect();
    assert_eq!(listed.iter().map(|entry| entry.allocated_mem).sum::<u64>(), 300 * 2000);
    let keys: BTreeSet<_> = listed.iter().map(|entry| (entry.stored_object_id, entry.seq)).collect();
    assert_eq!(keys.len(), listed.len());
}

#[test]
fn an_object_is_shown_with_its_value_names_and_pieces() {
    let heap = Heap::new();
    let id = heap.store("grüße", Hold::Name("b")).unwrap().id;
    heap.bind("a", &id).unwrap();
    let info = heap.object_info(&id).unwrap();
    assert_eq!((info.id, info.space.as_str(), info.kind), (id, "main", Kind::Str));
    assert_eq!((info.size, info.pieces, info.held), (7, 1, false));
    assert_eq!(info.names, ["a", "b"]);
    assert_eq!(info.value.as_deref(), Some("grüße"));
    assert_eq!(heap.objects().next().unwrap().unwrap().id, id);
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
        assert_eq!(entry.seq, seq as u64);
        let pieces = heap.pieces_in(entry.block_id).unwrap();
        let piece = pieces.iter().find(|piece| piece.entry.id == entry.id).unwrap();
        assert_eq!((piece.entry, piece.object_id), (*entry, Some(id)));
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
    assert_eq!(arenas.iter().map(|arena| arena.mem).sum::<u64>(), mem);
    assert_eq!(pools.iter().map(|pool| pool.mem).sum::<u64>(), mem);
    assert_eq!(blocks.iter().map(|block| block.mem).sum::<u64>(), mem);
    assert_eq!(pieces.iter().map(|piece| piece.data.len() as u64).sum::<u64>(), mem);
}

#[test]
fn a_list_shows_only_its_own_space() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    heap.allocate_bytes(&content(1, 5000)).unwrap();
    let there = other.allocate_bytes(&content(2, 5000)).unwrap();
    assert_eq!(heap.objects().count(), 1);
    assert_eq!(
        heap.entries().map(|entry| entry.unwrap().allocated_mem).sum::<u64>(),
        5000
    );
    assert!(matches!(heap.object_info(&there), Err(Error::NotStored { .. })));
    assert!(matches!(heap.ledger(&there), Err(Error::NotStored { .. })));
}

#[test]
fn the_error_names_what_is_not_stored() {
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

/// Objects of several kinds and pieces, names, and a second space.
fn lived_in() -> Heap {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 900)).unwrap();
    heap.store_bytes(&content(2, 1500), Hold::Name("it")).unwrap();
    heap.bind("spare", &heap.resolve("it").unwrap().unwrap()).unwrap();
    heap.allocate(&vec![1, 2]).unwrap();
    let two = heap.batch(|b| {
        [3, 4]
            .iter()
            .try_for_each(|&seed| b.allocate_bytes(&content(seed, 100)).map(drop))
    });
    two.unwrap();
    drop(quick().space("other").max_mem(1 << 16).open(heap.address()).unwrap());
    heap
}

/// Of a row that is damaged, or that a later version wrote, the readable part is shown.
#[test]
fn no_listing_fails_because_of_one_row() {
    let mut failed = Vec::new();
    let whole = lived_in();
    // A server stores no such text.
    let bad = "CAST(x'ff6162c3' AS TEXT)";
    for (table, column, value, row) in [
        ("memram", "name", bad, "name = 'other'"),
        ("memram", "history", bad, "name = 'other'"),
        ("other_kinds", "kind", bad, "kind = 'str' AND memram_id = 1"),
        ("sequences", "name", bad, "name = 'pools'"),
        ("stored_objects", "object_id", bad, "id = 1"),
        ("stored_objects", "kind", bad, "id = 1"),
        ("stored_objects", "kind", "'odd'", "id = 1"),
        ("stored_objects", "type_name", bad, "kind = 'json'"),
        ("names", "name", bad, "name = 'spare'"),
        ("events", "kind", bad, "kind = 'bind'"),
        ("events", "kind", "'odd'", "kind = 'bind'"),
        ("events", "actor", bad, "kind = 'allocate'"),
        ("events", "reason", bad, "kind = 'allocate'"),
        ("events", "name", bad, "kind = 'bind'"),
        ("events", "changes", bad, "kind = 'allocate'"),
        ("events", "changes", "'{\"pieces\":['", "kind = 'allocate'"),
        ("events", "changes", "'{\"pieces\":[[1,\"x\"]]}'", "kind = 'allocate'"),
        ("events", "changes", "'7'", "kind = 'allocate'"),
        ("events", "changes", "'[[1,2,\"x\"],\"y\"]'", "length(object) = 64"),
        ("events", "changes", "'[[1,2,3,4,5,\"x\"]]'", "length(object) = 64"),
        ("events", "changes", "'{\"0\":[[1]]}'", "length(object) = 64"),
        ("events", "object", "zeroblob(33)", "length(object) = 64"),
    ] {
        let what = format!("{table}.{column} = {value}");
        if server().is_some() && value == bad {
            continue;
        }
        let heap = lived_in();
        heap.sql()
            .damage(&format!("UPDATE {table} SET {column} = {value} WHERE {row}"));
        let memory = quick().read_only(true).open(heap.address()).unwrap();
        assert_eq!(memory.objects().filter(Result::is_ok).count(), 5, "{what}");
        assert!(memory.entries().all(|entry| entry.is_ok()), "{what}");
        assert!(
            memory.events(EventFilter::default()).all(|event| event.is_ok()),
            "{what}"
        );
        let id = memory.resolve("it").unwrap().unwrap();
        let names = memory.names(&id).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(names.len(), 2, "{what}");
        let whole = quick().read_only(true).open(whole.address()).unwrap();
        if let Err(error) = memory.diff_files(&whole) {
            failed.push(format!("{what}: diff: {error}"));
        }
        let found = memory.check().unwrap_or_else(|error| panic!("{what}: {error}"));
        if found.is_empty() {
            failed.push(format!("{what}: the check finds nothing"));
        }
        for command in [
            "ls",
            "ls --format json",
            "log",
            "log --format json",
            "tree",
            "sparse",
            "spaces",
            "stats",
            "doctor",
            "space",
            "usage",
            "usage --over-time",
            "ledger it",
            "show it",
            "block 1",
            "check",
        ] {
            let mut heapledger = std::process::Command::new(assert_cmd::cargo::cargo_bin("heapledger"));
            let ran = heapledger
                .arg("--db")
                .arg(heap.address())
                .args(command.split(' '))
                .output()
                .unwrap();
            let said = String::from_utf8(ran.stderr).unwrap();
            let status = ran.status.code().unwrap();
            if !(status == 0 || command == "check" && status == 1) {
                failed.push(format!("{what}: {command}: {said}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
