//! A write that the system refuses halfway with an error other than a full disk: a limit on
//! file sizes (`EFBIG`), moved through every write of an allocation.

use std::process::Command;

use crate::common::{KIB, MIB, assert_balanced, content, files_only, number, quick, row_counts, sql};
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

#[test]
#[ignore = "the process that is limited"]
fn limited_parts() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().open(&path).unwrap();
    let bytes = content(1, 18 * MIB);
    say("ready");
    while listen().is_some() {
        match memory.store_from(bytes.as_slice(), Hold::Name("big")) {
            Ok(_) => say("heard stored"),
            Err(error) => {
                assert_eq!(memory.objects().count(), 1);
                assert_balanced(&memory);
                say(&format!("heard {error}"));
            }
        }
    }
}

#[test]
fn a_part_of_a_large_object_that_is_refused_leaves_nothing() {
    files_only!(Medium);
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
    let before = row_counts(&sql(&path));
    let mut command = again_through("trap '' XFSZ; exec \"$@\"", "limit::limited_parts");
    command.env("HEAPLEDGER_PATH", &path);
    let mut child = Talk::start(command);
    child.hear("ready").unwrap();
    let mut faults = 0;
    loop {
        limit(child.id(), 1_000_000 + faults * 2_500_000);
        child.say("store");
        match child.hear("heard").as_deref() {
            Some("stored") => break,
            Some(error) => assert!(error.starts_with("the disk failed") && error.contains("I/O"), "{error}"),
            None => panic!("the process is gone"),
        }
        // If there was no room to give it back, others do it after the lease.
        let memory = quick().open(&path).unwrap();
        sql(&path).execute("UPDATE reservations SET expires_at = 1");
        memory.collect_garbage().unwrap();
        assert_eq!(row_counts(&sql(&path)), before, "{faults}");
        assert_eq!(number(&sql(&path), "SELECT count(*) FROM reservations"), 0);
        faults += 1;
    }
    assert!(faults > 3, "{faults}");
    assert!(child.end());
    assert_balanced(&quick().open(&path).unwrap());
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
    files_only!(Medium);
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
    // The child reports through a pipe, which has no size limit.
    let mut command = again_through("trap '' XFSZ; exec \"$@\"", "limit::limited");
    command.env("HEAPLEDGER_PATH", &path);
    let mut child = Talk::start(command);
    child.hear("ready").unwrap();
    let mut faults = 0;
    loop {
        // A frame of the log is 4,120 bytes: each is cut off once near its start and once within.
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
    assert_eq!(number(&sql(&path), "SELECT count(*) FROM names"), 2);
    println!("{faults} writes refused, nothing changed");
}

#[test]
#[ignore = "the process with few file descriptors"]
fn few_descriptors() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    // Reserved first, so that the crate fails and not the test.
    let mut held = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    let folder = std::path::Path::new(&path).parent().unwrap();
    for free in 0..16 {
        let new = folder.join(format!("new-{free}.db"));
        let spaces = [
            quick().read_only(true).open(&path).map(drop),
            quick().open(&path).and_then(|memory| memory.allocate(&free).map(drop)),
            quick()
                .open(&new)
                .and_then(|memory| memory.backup(new.with_extension("backup")).map(drop)),
        ];
        for error in spaces.into_iter().filter_map(Result::err) {
            say(&format!("heard {free}: {error}"));
        }
        held.pop();
    }
    say("end");
}

#[test]
fn running_out_of_file_descriptors_is_a_clear_error_and_leaves_nothing() {
    files_only!(Medium);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(quick().open(&path).unwrap());
    let mut command = again_through("ulimit -n 40; exec \"$@\"", "limit::few_descriptors");
    command.env("HEAPLEDGER_PATH", &path);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let heard: Vec<_> = said.lines().filter_map(|line| line.split_once("heard ")).collect();
    assert!(heard.len() > 3 && said.contains("end"), "{said}");
    for (_, error) in heard {
        let names_it = error.contains("Too many open files");
        assert!(
            names_it && !error.contains("read-only") && !error.contains(".heapledger-"),
            "{error}"
        );
    }
    for name in std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
    {
        assert!(!name.to_string_lossy().starts_with('.'), "{name:?} is left");
    }
    assert_balanced(&quick().open(&path).unwrap());
}
