//! One store for several users, each with a quota: who may have how much, what is refused, and what is left. Who stores
//! what another has pays for it, too, although its bytes are there only once.
//!
//! `cargo run --example quotas`

use heapledger::{Error, Hold, MemManager, QuotaLimits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = MemManager::options()
        .max_mem(1024 * 1024)
        .open(folder.path().join("store.db"))?;
    for user in ["ann", "bob"] {
        let limits = QuotaLimits::none()
            .hard_bytes(100_000)
            .soft_bytes(80_000)
            .hard_objects(50);
        store.set_quota("user", user, limits)?;
    }

    let put = |user: &str, name: &str, content: &[u8]| {
        let name = format!("{user}/{name}");
        store.store_bytes(content, Hold::Name(&name).tag("user", user))
    };
    let handbook = [7; 60_000];
    put("ann", "handbook", &handbook)?;
    assert!(put("bob", "handbook", &handbook)?.dedup);
    assert_eq!(store.memram()?.mem, 60_000);

    // Whether something would fit is known before it is there.
    let plan = store.plan_batch(|planner| {
        planner.hold(Hold::Name("ann/film").tag("user", "ann"))?;
        planner.allocate_size(50_000)
    })?;
    if let Some(over) = plan.over_quota {
        println!("plan: {over}");
        assert_eq!((over.used, over.needed, over.hard), (60_000, 50_000, 100_000));
    }
    match put("ann", "film", &[1; 50_000]) {
        Err(refused @ Error::QuotaExceeded(_)) => println!("film: {refused}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }

    // What takes the place of something else needs only what it is larger by.
    put("ann", "handbook", &[8; 90_000])?;
    for usage in store.quotas()? {
        let (user, used) = (usage.quota.value, usage.quota.used_bytes);
        println!("{user} has {used} bytes: {}", usage.state);
    }
    assert_eq!(store.quota("user", "ann")?.map(|quota| quota.used_bytes), Some(90_000));
    assert_eq!(store.quota("user", "bob")?.map(|quota| quota.used_bytes), Some(60_000));

    // Everybody's bytes together are those of the objects, each once.
    let all: u64 = store.usage_by("user")?.iter().map(|line| line.bytes).sum();
    assert_eq!(all, store.memram()?.mem);
    assert!(store.check()?.is_empty());
    Ok(())
}
