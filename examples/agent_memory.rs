//! The memory of an agent: facts under names, as values of custom types. For each fact the
//! history records why it was learned, even after the fact has changed.
//!
//! `cargo run --example agent_memory`

use heapledger::{EventFilter, MemManager};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Fact {
    text: String,
    /// From 0 to 1.
    confidence: f64,
}

impl Fact {
    fn new(text: &str, confidence: f64) -> Self {
        Self {
            text: text.into(),
            confidence,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("memory.db");
    let memory = MemManager::options().max_mem(1 << 20).actor("assistant").open(&path)?;

    // A newer value takes over the name, and the older one is freed if nothing else holds it.
    memory
        .because("guessed from the time zone")
        .set("user/city", &Fact::new("lives in Berlin", 0.6))?;
    memory
        .because("the user said so")
        .set("user/city", &Fact::new("lives in Vienna", 1.0))?;

    // Facts that belong together are stored together or not at all.
    memory.because("the first conversation").batch(|batch| {
        batch.set("user/languages", &["German", "English"])?;
        batch.set("user/visits", &1)?;
        Ok(())
    })?;

    // As if the program ended and started again.
    drop(memory);
    let memory = MemManager::open(&path)?;
    let city: Fact = memory.get_by_name("user/city")?.ok_or("forgotten")?;
    println!("user/city: {} ({:.0} % sure)", city.text, city.confidence * 100.0);
    assert_eq!(city, Fact::new("lives in Vienna", 1.0));
    assert_eq!(memory.get_by_name::<Fact>("user/shoe size")?, None);

    println!("\nall facts:");
    for object in memory.objects() {
        let object = object?;
        println!("  {}: {}", object.names.join(", "), object.value.unwrap_or_default());
    }

    println!("\nhow it learned them:");
    for event in memory.events(EventFilter::default()) {
        let event = event?;
        if let (Some(name), Some(actor), Some(reason)) = (event.name, event.actor, event.reason) {
            println!("  {} {name}, by {actor}: {reason}", event.kind);
        }
    }
    Ok(())
}
