//! Names and history: who changed what and why, what a name meant before, and how full the heap
//! was at the time.
//!
//! `cargo run --example history`

use heapledger::{EventFilter, Hold, MemManager, Moment};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("releases.db");
    let open_as = |actor: &str| MemManager::options().actor(actor).open(&path);

    let ada = open_as("ada")?;
    let first = ada
        .because("release 1")
        .store_bytes(&[1; 5_000], Hold::Name("stable"))?;
    // A second name for the same object, which lives as long as it has either.
    ada.bind("v1", &first.id)?;
    let before = ada.newest_events(&EventFilter::default(), 1)?;
    let before = Moment::Event(before.first().ok_or("no events")?.id);

    let bob = open_as("bob")?;
    let second = bob
        .because("release 2")
        .store_bytes(&[2; 9_000], Hold::Name("stable"))?;
    bob.because("broken, see the log").unbind("v1")?;

    println!("who did what:");
    for event in bob.events(EventFilter::default()) {
        let event = event?;
        println!(
            "  {:>2} {:>5} {} {} {}",
            event.id,
            event.actor.unwrap_or_default(),
            event.kind,
            event.name.unwrap_or_default(),
            event.reason.map(|reason| format!("({reason})")).unwrap_or_default(),
        );
    }

    // What the name means now, and what a deleted name meant.
    assert_eq!(bob.resolve("stable")?, Some(second.id));
    assert_eq!(bob.resolve("v1")?, None);
    assert_eq!(bob.find_ever("v1")?, first.id);

    // The difference between then and now, and the blocks at that time.
    let diff = bob.diff(before, Moment::Event(last_event(&bob)?))?;
    println!("\nsince ada's last change:");
    for object in &diff.added {
        println!("  added {} ({} bytes)", object.object_id, object.size);
    }
    for object in &diff.freed {
        println!("  freed {} ({} bytes)", object.object_id, object.size);
    }
    println!("  {} bytes more", diff.growth());
    assert_eq!(diff.growth(), 4_000);

    let then = bob.layout_at(before)?;
    println!("\nthen: {} of {} bytes used; in blocks:", then.mem, then.max_mem);
    for block in &then.blocks {
        println!("  block {} of {} bytes holds {}", block.id, block.max_mem, block.mem);
    }
    assert_eq!(then.mem, 5_000);
    Ok(())
}

fn last_event(memory: &MemManager) -> Result<heapledger::EventId, Box<dyn std::error::Error>> {
    let newest = memory.newest_events(&EventFilter::default(), 1)?;
    Ok(newest.first().ok_or("no events")?.id)
}
