//! All ways to inspect a file, and what must hold for any contents.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::common::quick;
use heapledger::{MemManager, ObjectId, Result};

/// Inspects the file in every way; errors are fine, panics are not. Returns whether the heap
/// passed as intact.
pub fn survey(path: &Path) -> bool {
    let whole = quick().read_only(true).open(path).is_ok_and(|memory| inspect(&memory));
    if let Ok(memory) = quick().open(path) {
        let _ = change(&memory);
        inspect(&memory);
    }
    whole
}

fn inspect(memory: &MemManager) -> bool {
    let found = memory.check();
    if let Ok(found) = &found {
        found
            .iter()
            .take(100)
            .for_each(|violation| assert!(!violation.to_string().is_empty()));
    }
    let _ = memory.stats();
    let _ = memory.trial_balance();
    let _ = memory.spaces();
    let _ = memory.find("name 3");
    let _ = memory.find("abcdef");
    let _ = memory.entries().take(5_000).all(|entry| entry.is_ok());
    let mut readable = true;
    let objects: Vec<_> = memory.objects().take(1_000).collect();
    for object in objects {
        // Text that is not UTF-8 cannot be listed, and the check does not look for it.
        let Ok(object) = object else { break };
        readable &= read(memory, &object.id).is_ok();
    }
    let _ = levels(memory);
    let whole = found.is_ok_and(|found| found.is_empty());
    assert!(
        !whole || readable,
        "the check finds nothing wrong, and an object cannot be read"
    );
    whole
}

fn read(memory: &MemManager, id: &ObjectId) -> Result<()> {
    let _ = memory.names(id);
    let _ = memory.ledger(id);
    let _ = memory.object_info(id);
    let _ = memory.get::<String>(id);
    if let Ok(mut reader) = memory.reader(id) {
        let size = reader.size();
        let mut some = [0; 64];
        for position in [0, size / 2, size.saturating_sub(1), size, u64::MAX / 2, u64::MAX] {
            let _ = reader
                .seek(SeekFrom::Start(position))
                .and_then(|_| reader.read(&mut some));
        }
        let _ = reader
            .seek(SeekFrom::End(i64::MIN))
            .and_then(|_| reader.read(&mut some));
        let _ = reader.rewind();
        let mut read = 0;
        while let Ok(count) = reader.read(&mut some) {
            read += count;
            if count == 0 || read > 1 << 20 {
                break;
            }
        }
    }
    memory.get_bytes(id).map(drop)
}

fn levels(memory: &MemManager) -> Result<()> {
    for arena in memory.arenas()?.into_iter().take(50) {
        for pool in memory.pools(arena.id)?.into_iter().take(100) {
            for block in memory.blocks(pool.id)?.into_iter().take(100) {
                let _ = memory.block(block.id);
                let _ = memory.pieces_in(block.id);
            }
        }
    }
    Ok(())
}

/// Writes of every kind, which may be refused.
fn change(memory: &MemManager) -> Result<()> {
    let id = memory.allocate_bytes(&[7; 3_000]);
    let _ = memory.allocate_bytes(&[8; 90_000]);
    let _ = memory.batch(|batch| {
        let id = batch.allocate("one more")?;
        batch.bind("name 0", &id)
    });
    let _ = memory.unbind("name 1");
    let _ = memory
        .add_arena()
        .and_then(|arena| memory.add_pool(arena.id, 512))
        .and_then(|pool| memory.add_block(pool.id));
    let _ = id.and_then(|id| memory.free(&id));
    let _ = memory.resize(2 << 20);
    let objects: Vec<_> = memory.objects().take(100).filter_map(Result::ok).collect();
    for object in objects {
        let _ = memory.force_free(&object.id);
    }
    memory.collect_garbage().map(drop)
}
