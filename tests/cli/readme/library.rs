use heapledger::{Error, MemManager};

fn main() -> Result<(), Error> {
    let memory = MemManager::options().max_mem(1 << 20).open("heap.db")?;

    // Any value that serde can serialise, under a name; again, and the name moves to it.
    memory.set("theme", "light")?;
    memory.set("theme", "dark")?;
    assert_eq!(memory.get_by_name::<String>("theme")?.as_deref(), Some("dark"));

    // Or by its id, a SHA-256 of its kind and content, until it is freed.
    let id = memory.allocate(&vec!["a", "b"])?;
    let raw = memory.allocate_bytes(&[7; 3000])?;
    assert_eq!(memory.get::<Vec<String>>(&id)?, ["a", "b"]);

    // A batch is one transaction: all of it or nothing.
    memory.batch(|batch| {
        batch.set("size", &(80, 24))?;
        batch.free(&raw)?;
        Ok(())
    })?;

    // The bound is hard. What does not fit is refused, and nothing else changes.
    let refused = memory.allocate_bytes(&vec![0; 2 << 20]);
    assert!(matches!(refused, Err(Error::OutOfMemory { needed, available, .. }) if needed > available));

    // Where the bytes are, and the proof that the books balance.
    let stats = memory.stats()?;
    println!("{} of {} bytes used", stats.mem, stats.max_mem);
    assert!(memory.check()?.is_empty());
    Ok(())
}
