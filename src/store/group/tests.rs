//! What a failing trigger leaves behind: nothing.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::models::{Arena, BlockId, MemRam, NewEntry, NewStoredObject, StoredObjectId};
use crate::store::change::Change;
use crate::store::{Access, Durability, Readers, prepare_file, queries};
use crate::triggers::Effects;

/// Fails at the second piece of an object, when the first is in its block already.
fn fails_half_way(change: &Change<'_>, _: &mut Effects) -> Result<()> {
    match change {
        Change::EntryAdded { entry, .. } if entry.seq == 1 => Err(Error::Damaged {
            what: "a trigger failed".into(),
        }),
        _ => Ok(()),
    }
}

const WITH_FAILURE: &[Trigger] = &[
    triggers::ALL[0],
    triggers::ALL[1],
    triggers::ALL[2],
    triggers::ALL[3],
    fails_half_way,
];

fn heap(folder: &tempfile::TempDir) -> (Group, Readers) {
    let settings = Settings {
        path: folder.path().join("heap.db"),
        durability: Durability::Full,
        busy_timeout: Duration::from_secs(5),
        file: None,
    };
    prepare_file(&settings, Access::Write).unwrap();
    let geometry = Geometry::classic();
    let mut conn = settings.connect(Access::Write).unwrap();
    queries::spaces::make(&mut conn, "main", 1 << 20, &geometry, 0).unwrap();
    let space = queries::spaces::by_name(&mut conn, "main").unwrap().unwrap();
    let group = Group::with_triggers(settings.clone(), space.id, geometry, WITH_FAILURE).unwrap();
    (group, Readers::new(settings))
}

/// Stores an object of `pieces` pieces of ten bytes in blocks of its own.
fn store(tx: &mut WriteTx<'_>, pieces: i64, digit: &str) -> Result<StoredObjectId> {
    let arena = crate::models::NewArena {
        id: tx.next_arena_id()?,
        memram_id: tx.space(),
        max_mem: 4096,
        mem: 0,
        reserved: 0,
    };
    tx.apply(Change::ArenaAdded(arena))?;
    let pool = crate::models::NewPool {
        id: tx.next_pool_id()?,
        memram_id: tx.space(),
        arena_id: arena.id,
        block_size: 512,
        max_mem: 4096,
        mem: 0,
        reserved: 0,
    };
    tx.apply(Change::PoolAdded(pool))?;
    let id = tx.next_object_id()?;
    tx.apply(Change::ObjectStored(NewStoredObject {
        id,
        memram_id: tx.space(),
        object_id: digit.repeat(64),
        kind: "bytes".into(),
        type_name: None,
        size: pieces * 10,
        held: true,
        created_at: 0,
    }))?;
    for seq in 0..pieces {
        let block = crate::models::Block {
            id: tx.next_block_id()?,
            memram_id: tx.space(),
            arena_id: arena.id,
            pool_id: pool.id,
            block_size: 512,
            max_mem: 512,
            mem: 0,
            is_free: true,
        };
        tx.apply(Change::BlockAdded(block))?;
        let entry = NewEntry {
            stored_object_id: id,
            seq,
            arena_id: arena.id,
            pool_id: pool.id,
            block_id: BlockId(block.id.0),
            allocated_mem: 10,
            rest: 10 * (pieces - seq - 1),
            data: vec![0; 10].into(),
        };
        tx.apply(Change::EntryAdded { entry, block })?;
    }
    Ok(id)
}

fn state(readers: &Readers) -> (MemRam, Vec<Arena>, usize) {
    readers
        .snapshot(|conn| {
            let mut found = Vec::new();
            let _ = queries::audit::violations(conn, &mut |violation| {
                found.push(violation);
                std::ops::ControlFlow::Continue(())
            })?;
            assert_eq!(found, []);
            let space = queries::spaces::by_name(conn, "main")?.unwrap();
            let arenas = queries::levels::arenas(conn, space.id)?;
            let objects = queries::objects::info_page(conn, "main", StoredObjectId(0), 100)?.len();
            Ok((space, arenas, objects))
        })
        .unwrap()
}

#[test]
fn a_trigger_that_fails_half_way_undoes_the_whole_unit_of_work() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    group.write(|tx| store(tx, 1, "a")).unwrap();
    let before = state(&readers);
    let failed = group.write(|tx| store(tx, 2, "b"));
    assert!(failed.unwrap_err().to_string().contains("a trigger failed"));
    assert_eq!(state(&readers), before);
    group.write(|tx| store(tx, 1, "c")).unwrap();
    assert_eq!(state(&readers).2, 2);
}

#[test]
fn a_unit_that_fails_does_not_take_the_others_in_its_transaction_along() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for digit in ["0", "1", "2", "3", "4", "5", "6", "7"] {
            let (group, failures) = (&group, &failures);
            scope.spawn(move || {
                let odd = digit.parse::<i64>().unwrap() % 2;
                if group.write(|tx| store(tx, 1 + odd, digit)).is_err() {
                    failures.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(failures.load(Ordering::SeqCst), 4);
    assert_eq!(state(&readers).2, 4);
}

#[test]
fn a_unit_that_panics_changes_nothing_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (group, readers) = heap(&folder);
    let before = state(&readers);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        group.write(|tx| -> Result<()> {
            store(tx, 1, "a")?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(state(&readers), before);
    group.write(|tx| store(tx, 1, "a")).unwrap();
}
