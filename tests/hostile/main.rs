//! Guards against this failure: somebody passes a damaged or malicious heap file, and opening
//! or inspecting it panics, hangs, uses excessive memory, or runs code planted in it.
//!
//! Files are inspected in a separate process with bounded memory, which announces each file;
//! if it dies or stays silent for too long, the test names the file.

#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod flips;
mod fuzz_smoke;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod lies;
mod names;
mod planted;
mod survey;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use common::{Place, content, quick, server, sql};
use heapledger::{Geometry, Hold};

/// The time limit for one file; generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Address space in KiB.
const MEMORY: u64 = 3 << 20;

/// Runs an ignored test of this program within the bounds; it announces each file by `look …`.
fn bounded(test: &str) {
    let script = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let mut command = harness::again_through(&script, test);
    command.env("HEAPLEDGER_HOSTILE", "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (say, heard) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
    let (mut last, mut looks) = (String::new(), 0);
    loop {
        match heard.recv_timeout(PATIENCE) {
            Ok(line) if line.starts_with("look ") => (last, looks) = (line, looks + 1),
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                panic!("hangs at: {last}");
            }
        }
    }
    assert!(child.wait().unwrap().success(), "failed at: {last}");
    assert!(looks > 0);
    println!("{looks} hostile files inspected");
}

fn is_bounded() -> bool {
    harness::given("HEAPLEDGER_HOSTILE").is_some()
}

/// A closed heap with rows in every table. One in a file has all of them there, not in a log.
fn specimen() -> (Place, std::path::PathBuf) {
    let place = Place::emptied();
    let path = place.address().to_owned();
    // Without blocks of 256 KiB, so that a large object has several pieces.
    let standard = Geometry::standard();
    let classes = standard
        .classes()
        .iter()
        .copied()
        .filter(|class| class.block_size < 262_144);
    let geometry = Geometry::new(standard.arena_size(), standard.per_block(), classes.collect()).unwrap();
    let memory = quick().max_mem(1 << 20).geometry(geometry).open(&path).unwrap();
    for (number, size) in (0..).zip([0, 1, 100, 700, 3_000, 20_000, 100_000]) {
        let hold = format!("name {number}");
        memory.store_bytes(&content(number, size), Hold::Name(&hold)).unwrap();
    }
    memory.allocate("text").unwrap();
    memory.allocate(&(1, 2.5, "json", None::<bool>)).unwrap();
    let freed = memory.allocate_bytes(&content(99, 5_000)).unwrap();
    memory.free(&freed).unwrap();
    drop(memory);
    place.has_opened();
    let other = quick().space("other").max_mem(1 << 16).open(&path).unwrap();
    other.allocate(&7).unwrap();
    drop(other);
    if server().is_none() {
        sql(&path).execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    (place, path)
}
