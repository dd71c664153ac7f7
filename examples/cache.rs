//! A cache with a hard budget. The heap refuses what does not fit, with the figures, and never
//! drops anything by itself, so the program decides what to evict: here, the oldest entry. Whatever is
//! an hour old expires, and its bytes are used again without being asked for.
//!
//! `cargo run --example cache`

use std::time::Duration;

use heapledger::{Durability, Error, Hold, MemManager};

/// The most that the cache may hold.
const BUDGET: u64 = 64 * 1024;
/// How long an entry is good.
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let cache = MemManager::options()
        .max_mem(BUDGET)
        // A cache may lose its newest entries on power loss. The file stays intact.
        .durability(Durability::Normal)
        .open(folder.path().join("cache.db"))?;

    for number in 1..=6 {
        let page = vec![number; 20_000];
        let evicted = put(&cache, &format!("page/{number}"), &page)?;
        let stats = cache.stats()?;
        println!(
            "page/{number} stored, {} of {} bytes used, evicted: {evicted:?}",
            stats.mem, stats.max_mem
        );
        assert!(stats.mem <= BUDGET);
    }

    assert_eq!(cache.get_bytes_by_name("page/1")?, None);
    assert_eq!(cache.get_bytes_by_name("page/6")?, Some(vec![6; 20_000]));

    // An entry larger than the whole budget is refused, and nothing is evicted for it.
    match put(&cache, "film", &vec![0; 100_000]) {
        Err(refused @ Error::OutOfMemory { .. }) => println!("film: {refused}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    assert_eq!(cache.stats()?.objects, 3);
    assert!(cache.check()?.is_empty());
    Ok(())
}

/// Stores an entry and returns the names of the evicted entries, oldest first.
///
/// All in one transaction, so an entry that does not fit in the end evicts nothing.
fn put(cache: &MemManager, name: &str, content: &[u8]) -> Result<Vec<String>, Error> {
    cache.because(&format!("room for {name}")).batch(|batch| {
        let mut evicted = Vec::new();
        // Rows are numbered in the order of their creation, so the oldest object comes first.
        let mut oldest = cache.objects();
        loop {
            let missing = match batch.store_bytes(content, Hold::Name(name).expires_in(HOUR)) {
                Ok(_) => return Ok(evicted),
                // Every free byte is usable, so exactly this much is missing.
                Err(Error::OutOfMemory {
                    needed,
                    available,
                    max_mem,
                    ..
                }) if needed <= max_mem => needed - available,
                Err(other) => return Err(other),
            };
            let mut freed = 0;
            while freed < missing
                && let Some(object) = oldest.next().transpose()?
            {
                for name in object.names {
                    freed += batch.unbind(&name)?.map_or(0, |object| object.size);
                    evicted.push(name);
                }
            }
        }
    })
}
