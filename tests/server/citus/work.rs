//! Each kind of work, on Citus.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::{
    CopyOptions, Error, EventFilter, EventKind, Geometry, History, Hold, MemManager, ObjectId, ObjectInfo, Policy,
    QuotaLimits, Result, ServerError,
};
use tempfile::tempdir;

use super::cluster::Cluster;
use super::{Over, assert_one_shard};
use crate::common::{KIB, MIB, assert_balanced, content, quick};
use crate::roles::Role;
use crate::same_layout::assert_same_layouts;

/// Two hundred new names in one batch.
fn store_many(memory: &MemManager, seeds: Range<u64>) {
    let stored = memory.batch(|batch| {
        for seed in seeds {
            let bytes = content(seed, 8 + 40 * (seed % 100));
            batch.store_bytes(&bytes, Hold::Name(&format!("name {seed}")))?;
        }
        Ok(())
    });
    stored.unwrap();
}

/// Several kinds, names, pieces and classes.
fn fill(memory: &MemManager) {
    memory.set("answer", &42).unwrap();
    memory.store("text", Hold::Anonymous).unwrap();
    memory.store_bytes(&content(1, 300 * KIB), Hold::Name("photo")).unwrap();
    store_many(memory, 10..210);
}

fn contents(memory: &MemManager) -> BTreeMap<ObjectId, Vec<u8>> {
    let content = |object: Result<ObjectInfo>| {
        let id = object.unwrap().id;
        (id, memory.get_bytes(&id).unwrap())
    };
    memory.objects().map(content).collect()
}

#[test]
fn random_operations_give_the_same_layout_as_in_a_file() {
    let Some(cluster) = Cluster::new() else { return };
    assert_same_layouts(cluster.address(), 120);
}

/// Copies all spaces; returns how many objects were not there before.
fn copy(from: &Path, to: &Path) -> Result<u64> {
    let options = CopyOptions::default().target(quick());
    let copied = quick()
        .open(from)
        .unwrap()
        .copy_to_with(to, &options, &mut |_, _, _| {})?;
    Ok(copied.spaces.iter().map(|space| space.objects).sum())
}

#[test]
fn a_heap_is_copied_to_citus_within_it_and_back() {
    let (Some(one), Some(two)) = (Cluster::new(), Cluster::new()) else {
        return;
    };
    let folder = tempdir().unwrap();
    let [original, back] = ["original.db", "back.db"].map(|name| folder.path().join(name));
    let spaces = [("main", Geometry::standard()), ("classic", Geometry::classic())];
    for (space, geometry) in &spaces {
        let options = quick().space(*space).geometry(geometry.clone()).max_mem(32 * MIB);
        fill(&options.open(&original).unwrap());
    }
    // Stored in parts.
    let main = quick().open(&original).unwrap();
    main.store_bytes(&content(2, 9 * MIB), Hold::Name("film")).unwrap();

    let ways = [
        [&*original, one.address()],
        [one.address(), two.address()],
        [two.address(), &back],
    ];
    for [from, to] in ways {
        assert_eq!(copy(from, to).unwrap(), 203 + 204);
        assert_eq!(copy(from, to).unwrap(), 0);
        for (space, _) in &spaces {
            let [first, copy] = [&original, to].map(|heap| quick().space(*space).open(heap).unwrap());
            assert_eq!(copy.layout_digest().unwrap(), first.layout_digest().unwrap());
            assert_eq!(copy.trial_balance().unwrap(), first.trial_balance().unwrap());
            assert_balanced(&copy);
        }
    }
    // From one node to another, if they were not on two before.
    if one.node() == two.node() {
        two.move_away();
    }
    quick().open(one.address()).unwrap().set("new", &43).unwrap();
    assert_eq!(copy(one.address(), two.address()).unwrap(), 1);
    let refused = copy(&original, two.address()).unwrap_err();
    assert!(matches!(refused, Error::Transfer(_)), "{refused}");
}

#[test]
fn damage_is_found_and_repaired() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open_with(quick().max_mem(16 * MIB).evict(Policy::S3Fifo));
    fill(&memory);
    let limits = QuotaLimits::none().hard_objects(5);
    memory.set_quota("owner", "ann", limits).unwrap();
    for name in ["a", "b", "c"] {
        let mine = Hold::Name(name)
            .tag("owner", "ann")
            .expires_in(Duration::from_secs(3600));
        memory.store(name, mine).unwrap();
    }
    let (before, sql) = (contents(&memory), cluster.sql());
    for damage in [
        "UPDATE memram SET mem = mem - 1",
        "UPDATE memram SET history_bytes = 1",
        "UPDATE arenas SET reserved = reserved - 512 WHERE id = 1",
        "UPDATE pools SET mem = mem - 1 WHERE id = 1",
        "UPDATE blocks SET mem = mem - 1, is_free = TRUE WHERE id = 1",
        "UPDATE blocks SET block_size = 4096 WHERE block_size = 512",
        "UPDATE size_classes SET entries = entries + 1",
        "UPDATE pools SET block_size = 777 WHERE id = 1",
        "DELETE FROM size_classes WHERE mem > 0",
        "UPDATE other_kinds SET objects = objects + 1",
        "UPDATE stored_objects SET size = size + 1 WHERE id = 1",
        "UPDATE stored_objects SET held = FALSE",
        "DELETE FROM events WHERE id = 3",
        "UPDATE stored_objects SET expires_at = NULL",
        "UPDATE memram SET tags = tags + 1",
        "UPDATE quotas SET used_bytes = 1, used_objects = 4",
        "DELETE FROM recency WHERE queue = 'trial'",
        "UPDATE memram SET evict_main = evict_main + 1",
    ] {
        sql.change(damage);
        assert!(!memory.check().unwrap().is_empty(), "{damage}");
        let repaired = memory.repair().unwrap_or_else(|error| panic!("{damage}: {error}"));
        let is_whole = repaired.left.is_empty() && !repaired.corrections.is_empty();
        assert!(is_whole, "{damage}: {repaired:#?}");
        assert!(memory.repair().unwrap().corrections.is_empty(), "{damage}");
        assert_balanced(&memory);
        assert_eq!(contents(&memory), before, "{damage}");
    }

    let whole = memory.get_bytes_by_name("photo").unwrap().unwrap();
    let photo = memory.resolve("photo").unwrap().unwrap();
    let pieces = memory.ledger(&photo).unwrap();
    assert!(pieces.len() > 1);
    sql.change(&format!("DELETE FROM ledger WHERE id = {}", pieces[0].id));
    assert!(memory.get_bytes(&photo).is_err());
    memory.repair().unwrap();
    assert_balanced(&memory);
    let rest = memory.get_bytes_by_name(&format!("damaged/{photo}")).unwrap().unwrap();
    assert_eq!(rest, whole[pieces[0].allocated_mem as usize..]);
    memory.allocate_bytes(&content(3, 20 * KIB)).unwrap();
    assert_balanced(&memory);
}

#[test]
fn altered_parts_of_the_schema_are_restored() {
    let Some(cluster) = Cluster::new() else { return };
    fill(&cluster.open());
    let sql = cluster.sql();
    sql.execute("DROP VIEW promises");
    sql.execute("DROP INDEX ledger_by_block");
    let refused = quick().open(cluster.address()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::AlteredSchema { .. }), "{refused}");
    let restored = quick().restore_schema(cluster.address()).unwrap();
    assert!(restored.len() >= 2, "{restored:?}");
    assert!(quick().restore_schema(cluster.address()).unwrap().is_empty());
    assert_balanced(&cluster.open());
    assert_one_shard(&cluster);
}

/// Fails after its bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the source fails")),
            count => Ok(count),
        }
    }
}

#[test]
fn large_objects_are_stored_as_reserved_or_not_at_all() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open_with(quick().max_mem(48 * MIB));
    let film = content(1, 20 * MIB);
    let reserved = memory.reserve(20 * MIB).key("film").make().unwrap();
    assert_eq!(memory.memram().unwrap().promised, 20 * MIB);
    let refused = memory.reserve(30 * MIB).make().unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");

    let stored = reserved.post_from(&*film, Hold::Name("film")).unwrap();
    assert_eq!((stored.size, stored.dedup), (20 * MIB, false));
    assert!(memory.get_bytes(&stored.id).unwrap() == film);
    assert!(memory.store_from(&*film, Hold::Anonymous).unwrap().dedup);
    let before = memory.layout_digest().unwrap();
    memory.allocate_from(Broken(&content(2, 18 * MIB))).unwrap_err();
    memory.collect_garbage().unwrap();
    assert_eq!(memory.layout_digest().unwrap(), before);
    assert_balanced(&memory);

    memory.reserve(MIB).key("other").make().unwrap().void().unwrap();
    memory.force_free(&stored.id).unwrap();
    memory.collect_garbage().unwrap();
    let space = memory.memram().unwrap();
    assert_eq!((space.mem, space.promised, space.reserved), (0, 0, 0));
    assert_balanced(&memory);
}

#[test]
fn a_bounded_history_stays_within_its_limit() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();
    memory.set_history(History::keep_bytes(20 * KIB)).unwrap();
    for seed in 0..300 {
        memory.store_bytes(&content(seed, 100), Hold::Name("it")).unwrap();
        assert!(memory.memram().unwrap().history_bytes <= 20 * KIB);
    }
    store_many(&memory, 1000..3000);
    assert!(memory.memram().unwrap().history_bytes <= 20 * KIB);
    let first = memory.events(EventFilter::default()).next().unwrap().unwrap();
    assert_eq!(first.kind, EventKind::Opening);
    assert_balanced(&memory);
}

#[test]
fn a_thousand_objects_are_renamed_and_freed_in_batches() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();
    store_many(&memory, 0..1000);
    let ids: Vec<_> = memory.objects().map(|object| object.unwrap().id).collect();
    assert_eq!(ids.len(), 1000);
    let renamed = memory.batch(|batch| {
        for (seed, id) in ids.iter().enumerate() {
            batch.bind(&format!("second {seed}"), id)?;
            batch.unbind(&format!("name {seed}"))?;
        }
        Ok(())
    });
    renamed.unwrap();
    assert_eq!(memory.resolve("second 999").unwrap(), Some(ids[999]));
    assert_eq!(memory.resolve("name 999").unwrap(), None);
    assert_eq!(memory.stats().unwrap().objects, 1000);
    assert_balanced(&memory);

    let held = memory.batch(|batch| {
        for seed in 0..1000 {
            batch.allocate_bytes(&content(5000 + seed, 100 + seed))?;
        }
        Ok(())
    });
    held.unwrap();
    let held: Vec<_> = memory
        .objects()
        .map(Result::unwrap)
        .filter(|object| object.held)
        .collect();
    let freed = memory.batch(|batch| {
        held.iter().try_for_each(|object| batch.free(&object.id).map(drop))?;
        (0..1000).try_for_each(|seed| batch.unbind(&format!("second {seed}")).map(drop))
    });
    freed.unwrap();
    let space = memory.memram().unwrap();
    assert_eq!((space.mem, space.frees), (0, 2000));
    memory.collect_garbage().unwrap();
    assert_eq!(memory.memram().unwrap().reserved, 0);
    assert_balanced(&memory);
}

#[test]
fn spaces_are_written_in_parallel() {
    let Some(cluster) = Cluster::new() else { return };
    drop(cluster.open());
    let open = |space: u64| cluster.open_with(quick().space(format!("space {space}")).max_mem(4 * MIB));
    let write = |thread: u64| {
        let memory = open(thread % 4);
        for seed in 0..40 {
            let id = memory.allocate_bytes(&content(1000 * thread + seed, 300)).unwrap();
            if seed % 2 == 0 {
                memory.free(&id).unwrap();
            }
        }
    };
    // Two writers in each space.
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || write(thread));
        }
    });
    for space in 0..4 {
        let memory = open(space);
        let space = memory.memram().unwrap();
        assert_eq!((space.allocations, space.frees), (80, 40));
        assert_balanced(&memory);
    }
}

#[test]
fn a_reader_with_select_reads_on_every_node() {
    let Some(cluster) = Cluster::new() else { return };
    fill(&cluster.open());
    let role = Role::new(cluster.place(), "reader");
    let address = role.address();
    let open = || MemManager::options().read_only(true).open(&address);
    let refused = open().map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Server(ServerError::NotAllowed { .. })),
        "{refused}"
    );
    role.may_read();
    for _ in 0..2 {
        let memory = open().unwrap();
        assert_eq!(memory.get_by_name::<i64>("answer").unwrap(), Some(42));
        assert!(memory.check().unwrap().is_empty());
        memory.space_report().unwrap();
        cluster.move_away();
    }
    let refused = MemManager::open(&address).map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Server(ServerError::NotAllowed { .. })),
        "{refused}"
    );
}

/// What takes several statements or transactions, while the heap is moved.
#[test]
fn batches_and_large_objects_go_on_during_moves() {
    let Some(cluster) = Cluster::new() else { return };
    let open = || cluster.open_with(quick().max_mem(64 * MIB));
    let (batches, films, names) = (open(), open(), open());
    let is_over = AtomicBool::new(false);
    let repeat = |write: &dyn Fn(u64)| {
        let mut turn = 0;
        while !is_over.load(Ordering::Relaxed) {
            turn += 1;
            write(turn);
        }
        turn
    };
    let turns = thread::scope(|scope| {
        let batches = scope.spawn(|| repeat(&|turn| store_many(&batches, 1000 * turn..1000 * turn + 100)));
        let films = scope.spawn(|| {
            repeat(&|turn| {
                let film = content(turn, 9 * MIB);
                let reserved = films.reserve(9 * MIB).make().unwrap();
                let id = reserved.post_from(&*film, Hold::Name("film")).unwrap().id;
                assert!(films.get_bytes(&id).unwrap() == film);
            })
        });
        let names = scope.spawn(|| {
            repeat(&|turn| {
                names.set("turn", &turn).unwrap();
                assert_eq!(names.get_by_name::<u64>("turn").unwrap(), Some(turn));
                names.collect_garbage().unwrap();
            })
        });
        let over = Over(&is_over);
        for _ in 0..3 {
            cluster.move_away();
        }
        drop(over);
        [batches, films, names].map(|writer| writer.join().unwrap())
    });
    let now = open();
    assert_eq!(now.get_by_name::<u64>("turn").unwrap(), Some(turns[2]));
    assert_eq!(now.stats().unwrap().objects, 100 * turns[0] + 2);
    assert_balanced(&now);
}
