//! A path is a path, whatever it is spelled like.

#![cfg(test)]

mod common;

use common::{files_in, quick};
use heapledger::MemManager;
use tempfile::tempdir;

#[test]
fn a_path_is_a_path_whatever_it_is_spelled_like() {
    let dir = tempdir().unwrap();
    let names = [
        "with space.db",
        "what?.db",
        "mode=memory?mode=memory",
        "a#b.db",
        "100%25.db",
        "żółć 🐢.db",
        "'quoted\".db",
        "-rf",
        "file:heap.db",
    ];
    for name in names {
        let path = dir.path().join(name);
        let id = MemManager::open(&path).unwrap().allocate(name).unwrap();
        assert!(path.is_file(), "{name}");
        let memory = quick().read_only(true).open(&path).unwrap();
        assert_eq!(memory.get::<String>(&id).unwrap(), name);
    }
    assert_eq!(files_in(dir.path()).len(), names.len());
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused_or_used_as_it_is() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"heap-\xff.db"));
    match MemManager::open(&path) {
        Ok(_) => assert!(path.is_file()),
        Err(error) => assert!(files_in(dir.path()).is_empty() && !error.to_string().is_empty()),
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_heap_is_that_heap() {
    let dir = tempdir().unwrap();
    let (path, link) = (dir.path().join("heap.db"), dir.path().join("link.db"));
    std::os::unix::fs::symlink("heap.db", &link).unwrap();
    let memory = MemManager::open(&path).unwrap();
    let linked = MemManager::open(&link).unwrap();
    let id = memory.allocate("it").unwrap();
    assert_eq!(linked.get::<String>(&id).unwrap(), "it");
    linked.free(&id).unwrap();
    assert!(!memory.contains(&id).unwrap());
}
