//! Many spaces in one file. Each has its own name, budget and books, so a full one does not
//! affect the others.
//!
//! `cargo run --example spaces`

use heapledger::{Error, MemManager};

const TENANTS: [(&str, u64); 3] = [("anna", 16 * 1024), ("ben", 64 * 1024), ("carla", 1024 * 1024)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tenants.db");
    let open = |tenant: &str, budget| MemManager::options().space(tenant).max_mem(budget).open(&path);

    for (tenant, budget) in TENANTS {
        let memory = open(tenant, budget)?;
        // Names belong to their space, so each can use the same ones.
        memory.set("settings", &("dark", 12))?;
        for number in 0..10 {
            match memory.allocate_bytes(&vec![number; 3_000]) {
                Ok(_) => {}
                Err(refused @ Error::OutOfMemory { .. }) => {
                    println!("{tenant}: {refused}");
                    break;
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    // Any manager of the file can list all its spaces.
    let (carla, budget) = TENANTS[2];
    let memory = open(carla, budget)?;
    println!("\n{:<8} {:>10} {:>10}", "space", "used", "budget");
    for space in memory.spaces()? {
        println!("{:<8} {:>10} {:>10}", space.name, space.mem, space.max_mem);
    }

    // Objects of one space do not exist in another.
    let theirs = memory.allocate("for carla alone")?;
    assert!(memory.contains(&theirs)?);
    assert!(!open("anna", TENANTS[0].1)?.contains(&theirs)?);

    // A tenant leaves. Their space ends with all that is in it, while the others are used.
    let dropped = memory.drop_space("ben")?;
    println!("\n{} has left, with {} objects", dropped.name, dropped.objects);

    // The check covers the whole file.
    assert!(memory.check()?.is_empty());
    Ok(())
}
