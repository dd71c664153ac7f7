//! A cache with a hard budget, which makes room for new entries by itself: what was not read for longest goes, and
//! no more than must. What is pinned stays. Whatever is an hour old expires, and its bytes are used first.
//!
//! `cargo run --example cache`

use std::time::Duration;

use heapledger::{Durability, Error, EventFilter, EventKind, Hold, MemManager, Policy};

/// The most that the cache may hold.
const BUDGET: u64 = 64 * 1024;
/// How long an entry is good.
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let cache = MemManager::options()
        .max_mem(BUDGET)
        .evict(Policy::Lru)
        // A cache may lose its newest entries on power loss. The file stays intact.
        .durability(Durability::Normal)
        .open(folder.path().join("cache.db"))?;

    let settings = cache.set("settings", "dark")?;
    cache.pin(&settings.id)?;

    for number in 1..=6 {
        let plan = cache.plan_eviction(20_000)?;
        let evicted: Vec<_> = plan.victims.into_iter().flat_map(|victim| victim.names).collect();
        let name = format!("page/{number}");
        cache.store_bytes(&vec![number; 20_000], Hold::Name(&name).expires_in(HOUR))?;
        let stats = cache.stats()?;
        println!(
            "{name} stored, {} of {} bytes used, evicted: {evicted:?}",
            stats.mem, stats.max_mem
        );
        assert!(stats.mem <= BUDGET);
        if number == 3 {
            // So the second page goes first. The read is noted in memory, and waits for nobody.
            cache.get_bytes_by_name("page/1")?;
        }
    }

    assert_eq!(cache.get_bytes_by_name("page/2")?, None);
    assert_eq!(cache.get_bytes_by_name("page/6")?, Some(vec![6; 20_000]));
    assert_eq!(cache.get_by_name::<String>("settings")?.as_deref(), Some("dark"));

    // An entry larger than the whole budget is refused, and nothing is evicted for it.
    match cache.store_bytes(&vec![0; 100_000], Hold::Name("film")) {
        Err(refused @ Error::OutOfMemory { .. }) => println!("film: {refused}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    assert_eq!(cache.stats()?.objects, 4);

    // The history has what went, and why.
    let evicted = cache.events(EventFilter::default().kinds([EventKind::Evict]));
    assert_eq!(evicted.count(), 3);
    assert!(cache.check()?.is_empty());
    Ok(())
}
