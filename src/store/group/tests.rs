//! Units of work that share a transaction.

mod gathered;
mod shared;
mod undone;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::*;
use crate::books::change::Change;
use crate::books::effects::Effects;
use crate::books::evicting::EvictionSetting;
use crate::books::history_change::HistorySetting;
use crate::books::triggers::Trigger;
use crate::models::{Arena, Block, MemRam, NewEntry, Pool, StoredObject, StoredObjectId, Timestamp};
use crate::store::new_space::SpaceToMake;
use crate::store::readers::Readers;
use crate::store::settings::Access;
use crate::store::sqlite::engine::SqliteEngine;
use crate::store::sqlite::location::FileLocation;
use crate::store::sqlite::readers::FileReaders;
use crate::store::{new_space, queries};
use crate::value::Kind;

/// Fails at the second piece of an object, when the first is already in its block.
fn fails_halfway(change: &Change<'_>, _: &mut Effects) -> Result<()> {
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
    fails_halfway,
];

fn heap(folder: &tempfile::TempDir) -> (Group, Readers) {
    let location = FileLocation::at(&folder.path().join("heap.db")).unwrap();
    location.prepare(Access::Write).unwrap();
    let geometry = Geometry::classic();
    let mut conn = location.connect(Access::Write).unwrap();
    let space = SpaceToMake {
        name: "main",
        max_mem: 1 << 20,
        geometry: &geometry,
        history: HistorySetting::ON,
        eviction: EvictionSetting::default(),
        max_file: None,
        created_at: Timestamp::default(),
    };
    new_space::make(&mut conn, space).unwrap();
    let space = queries::spaces::by_name(&mut ReadTx::new(&mut conn), "main")
        .unwrap()
        .unwrap();
    let writer = Writer::new(
        Box::new(SqliteEngine::new(location.clone(), conn)),
        space.id,
        geometry,
        WITH_FAILURE,
    );
    let group = Group::of(writer, Gate::new(None), Location::File(location.clone()));
    (group, Readers::File(FileReaders::new(location, None)))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn write<R>(group: &Group, work: impl FnMut(&mut WriteTx<'_>) -> Result<R>) -> Result<R> {
    group.write(0, soon(), work)
}

/// Stores an object of `pieces` pieces of ten bytes in new blocks.
fn store(tx: &mut WriteTx<'_>, pieces: i64, digit: &str) -> Result<StoredObjectId> {
    let arena = Arena::carved(tx.next_arena_id()?, tx.space(), 4096);
    tx.apply(Change::ArenaAdded(arena))?;
    let pool = Pool::carved(tx.next_pool_id()?, &arena, 512, 4096);
    tx.apply(Change::PoolAdded(pool))?;
    let id = tx.next_object_id(0)?;
    tx.apply(Change::ObjectStored(StoredObject {
        id,
        memram_id: tx.space(),
        object_id: digit.repeat(64).parse().unwrap(),
        kind: Kind::Bytes,
        type_name: None,
        size: pieces as u64 * 10,
        held: true,
        created_at: Timestamp::default(),
        held_until: None,
        held_refresh: None,
        expires_at: None,
        pinned: false,
    }))?;
    for seq in 0..pieces {
        let block = Block::carved(tx.next_block_id()?, &pool, 512);
        tx.apply(Change::BlockAdded(block))?;
        let entry = NewEntry {
            stored_object_id: id,
            seq,
            arena_id: arena.id,
            pool_id: pool.id,
            block_id: block.id,
            allocated_mem: 10,
            start: 10 * seq,
            is_last: seq + 1 == pieces,
            data: vec![0; 10].into(),
        };
        tx.apply(Change::EntryAdded { entry, block })?;
    }
    Ok(id)
}

fn state(readers: &Readers) -> (MemRam, Vec<Arena>, usize) {
    readers
        .snapshot(|tx| {
            let mut found = Vec::new();
            let _ = queries::audit::violations(tx, &mut |violation| {
                found.push(violation);
                std::ops::ControlFlow::Continue(())
            })?;
            assert_eq!(found, []);
            let space = queries::spaces::by_name(tx, "main")?.unwrap();
            let arenas = queries::levels::arenas(tx, space.id)?;
            let objects = queries::objects::tagged_page(tx, &[], StoredObjectId(0), 100)?.len();
            Ok((space, arenas, objects))
        })
        .unwrap()
}
