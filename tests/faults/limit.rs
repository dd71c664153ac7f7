//! A write that the system refuses half-way, with another error than a full disk: a
//! limit on the size of files (`EFBIG`), moved through every write of an allocation.

use std::process::Command;

use crate::common::{KIB, assert_balanced, content, quick, sql};
use crate::harness::{Talk, again_through, given, listen, possible, say};
use crate::rows;
use heapledger::Hold;
use tempfile::tempdir;

#[test]
#[ignore = "the process that is limited"]
fn limited() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().open(path).unwrap();
    let before = rows(&memory);
    say("ready");
    while listen().is_some() {
        match memory.store_bytes(&content(1, 300 * KIB), Hold::Name("big")) {
            Ok(_) => say("heard stored"),
            Err(error) => {
                assert_eq!(rows(&memory), before);
                say(&format!("heard {error}"));
            }
        }
    }
    assert_balanced(&memory);
}

fn limit(process: u32, bytes: u64) {
    let limit = format!("--fsize={bytes}:unlimited");
    assert!(
        Command::new("prlimit")
            .arg(format!("--pid={process}"))
            .arg(limit)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn each_write_of_an_allocation_is_refused_once() {
    if !possible("a limit on file sizes", "prlimit --pid=$$ --fsize") {
        return;
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    quick()
        .open(&path)
        .unwrap()
        .store_bytes(&content(77, 9 * KIB), Hold::Name("kept"))
        .unwrap();
    // What is said goes into a pipe, which has no size.
    let mut command = again_through("trap '' XFSZ; exec \"$@\"", "limit::limited");
    command.env("HEAPLEDGER_PATH", &path);
    let mut child = Talk::start(command);
    child.hear("ready").unwrap();
    let mut faults = 0;
    loop {
        // A frame of the log is 4,120 bytes: each is cut once near its start and once within.
        limit(child.id(), faults * 2_060);
        child.say("store");
        match child.hear("heard").as_deref() {
            Some("stored") => break,
            Some(error) => assert!(error.starts_with("the disk failed") && error.contains("I/O"), "{error}"),
            None => panic!("the process is gone"),
        }
        faults += 1;
    }
    assert!(faults > 60, "{faults}");
    assert!(child.end());
    let memory = quick().open(&path).unwrap();
    assert_balanced(&memory);
    assert_eq!(memory.objects().count(), 2);
    assert_eq!(crate::common::number(&sql(&path), "SELECT count(*) FROM names"), 2);
    println!("{faults} writes refused, nothing changed");
}
