//! Several processes on one file, and paths as a shell passes them.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use crate::common::{Place, assert_balanced, content, files_only, options, quick};
use crate::harness::{again, given, given_number};
use heapledger::{MemManager, ObjectId};
use tempfile::tempdir;

const PUTS: u64 = 12;

/// Starts `child` in directory `dir`, to put objects into the heap at `path`.
fn start(dir: &Path, path: &str, number: u64) -> Child {
    let number = number.to_string();
    let vars = [("HEAPLEDGER_PATH", path), ("HEAPLEDGER_NUMBER", &number)];
    again("shared_file::child")
        .current_dir(dir)
        .envs(vars)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn content_of(child: u64, put: u64) -> Vec<u8> {
    content(child * 1000 + put, 50 + 100 * put)
}

#[test]
#[ignore = "the child process of the other tests"]
fn child() {
    let Some(path) = given("HEAPLEDGER_PATH") else {
        return;
    };
    let number = given_number("HEAPLEDGER_NUMBER");
    for put in 0..PUTS {
        let memory = quick().open(&path).unwrap();
        memory.allocate_bytes(&content_of(number, put)).unwrap();
    }
}

fn assert_all_there(memory: &MemManager, children: u64) {
    for child in 0..children {
        for put in 0..PUTS {
            let bytes = content_of(child, put);
            assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&bytes)).unwrap(), bytes);
        }
    }
    assert_eq!(memory.objects().count() as u64, children * PUTS);
    assert_eq!(memory.spaces().unwrap().len(), 1);
    assert_balanced(memory);
}

#[test]
fn processes_that_create_a_heap_at_the_same_time_share_it() {
    let place = Place::new();
    let path = place.address().to_str().unwrap();
    let children: Vec<_> = (0..4).map(|number| start(place.folder(), path, number)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_all_there(&options().open(place.address()).unwrap(), 4);
}

#[test]
fn a_relative_path_starts_at_the_current_directory() {
    files_only!(File);
    for path in ["heap.db", "./heap.db", "../here/heap.db", "file:heap.db", "./:memory:"] {
        let parent = tempdir().unwrap();
        let dir = parent.path().join("here");
        std::fs::create_dir(&dir).unwrap();
        assert!(start(&dir, path, 0).wait().unwrap().success());
        assert!(dir.join(path).is_file(), "{path}");
        assert_all_there(&options().open(dir.join(path)).unwrap(), 1);
    }
}

#[test]
fn threads_that_create_a_heap_at_the_same_time_share_it() {
    for _ in 0..5 {
        let place = Place::new();
        let path = place.address();
        thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || quick().open(path).unwrap().allocate(&number).unwrap());
            }
        });
        let memory = options().open(path).unwrap();
        assert_eq!(memory.objects().count(), 8);
        assert_eq!(memory.spaces().unwrap().len(), 1);
        assert_balanced(&memory);
    }
}

#[test]
fn threads_can_create_the_spaces_of_a_file_at_the_same_time() {
    let place = Place::new();
    let path = place.address();
    thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || quick().space(format!("space {}", number % 3)).open(path).unwrap());
        }
    });
    let memory = quick().space("space 0").open(path).unwrap();
    assert_eq!(memory.spaces().unwrap().len(), 3);
    assert_balanced(&memory);
}
