//! How many statements each operation of a heap on a server sends: each is a round trip, because the
//! connection waits for the answer to one before it sends the next. The first of a kind takes one more,
//! to be prepared.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use diesel::connection::{InstrumentationEvent, set_default_instrumentation};
use heapledger::MemManager;

use crate::contents::Contents;
use crate::machine::progress;
use crate::stores::server;

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

/// One operation.
#[derive(serde::Serialize)]
pub struct Trips {
    pub operation: &'static str,
    pub statements: usize,
}

pub fn run(dir: &Path) -> Result<Vec<Trips>> {
    progress(format_args!("trips"));
    set_default_instrumentation(|| {
        Some(Box::new(|event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                STATEMENTS.fetch_add(1, Ordering::Relaxed);
            }
        }))
    })?;
    let dir = dir.join("trips");
    let memory = MemManager::options()
        .create(true)
        .max_mem(1 << 40)
        .open(server::heap(&dir)?)?;
    let warm_up = measure(&memory, 1);
    let trips = warm_up.and_then(|_| measure(&memory, 2));
    drop(memory);
    set_default_instrumentation(|| None)?;
    server::discard(&dir)?;
    trips
}

fn measure(memory: &MemManager, seed: u64) -> Result<Vec<Trips>> {
    let contents = |size, number| Contents::new(seed * 10 + number, size);
    let small = contents(200, 0).first(100);
    // Until blocks have room, some puts need more.
    for content in small.iter().skip(1) {
        memory.allocate_bytes(content)?;
    }
    let [first, ..] = small.as_slice() else {
        return Ok(Vec::new());
    };
    let batch = contents(200, 1).first(1_000);
    let large = contents(1 << 20, 2).object(0);
    let larger = contents(4 << 20, 3).object(0);
    let mut trips = Vec::new();
    let mut note = |operation, work: &mut dyn FnMut() -> heapledger::Result<()>| -> Result<()> {
        let before = STATEMENTS.load(Ordering::Relaxed);
        work()?;
        let statements = STATEMENTS.load(Ordering::Relaxed) - before;
        trips.push(Trips { operation, statements });
        Ok(())
    };
    let put = |content: &[u8]| memory.allocate_bytes(content);
    let id = heapledger::ObjectId::of_bytes(first);
    note("put 200 B", &mut || put(first).map(drop))?;
    note("put of known content", &mut || put(first).map(drop))?;
    note("get 200 B", &mut || memory.get_bytes(&id).map(drop))?;
    note("bind", &mut || memory.bind("name", &id).map(drop))?;
    note("resolve", &mut || memory.resolve("name").map(drop))?;
    note("unbind", &mut || memory.unbind("name").map(drop))?;
    note("free 200 B", &mut || memory.free(&id).map(drop))?;
    note("batch of 1,000 puts of 200 B", &mut || {
        memory.batch(|b| batch.iter().try_for_each(|content| b.allocate_bytes(content).map(drop)))
    })?;
    for (put_name, get_name, content) in [("put 1 MiB", "get 1 MiB", &large), ("put 4 MiB", "get 4 MiB", &larger)] {
        let id = heapledger::ObjectId::of_bytes(content);
        note(put_name, &mut || put(content).map(drop))?;
        note(get_name, &mut || memory.get_bytes(&id).map(drop))?;
    }
    Ok(trips)
}
