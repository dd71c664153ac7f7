//! Many spaces in one file: each has a name, a budget and books of its own, so that one
//! that is full does not touch the others.
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
        // The same names in each: they are the space's own.
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

    // Any manager of the file sees all its spaces.
    let (carla, budget) = TENANTS[2];
    let memory = open(carla, budget)?;
    println!("\n{:<8} {:>10} {:>10}", "space", "used", "budget");
    for space in memory.spaces()? {
        println!("{:<8} {:>10} {:>10}", space.name, space.mem, space.max_mem);
    }

    // The bytes of one space are not there in another.
    let theirs = memory.allocate("for carla alone")?;
    assert!(memory.contains(&theirs)?);
    assert!(!open("anna", TENANTS[0].1)?.contains(&theirs)?);

    // The check is of the whole file.
    assert!(memory.check()?.is_empty());
    Ok(())
}
