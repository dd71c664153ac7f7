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

#[cfg(unix)]
#[test]
fn a_heap_is_made_where_a_link_leads() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let (folder, link) = (dir.path().join("folder"), dir.path().join("link.db"));
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("folder/heap.db", &link).unwrap();
    let id = MemManager::open(&link).unwrap().allocate("it").unwrap();
    let path = folder.join("heap.db");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let memory = MemManager::open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.check().unwrap(), []);
}

#[cfg(unix)]
#[test]
fn reading_through_a_link_that_leads_nowhere_makes_nothing() {
    let dir = tempdir().unwrap();
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink("heap.db", &link).unwrap();
    let refused = MemManager::options().read_only(true).open(&link).unwrap_err();
    assert!(matches!(refused, heapledger::Error::NoFile { .. }), "{refused}");
    assert!(!dir.path().join("heap.db").exists());
}
