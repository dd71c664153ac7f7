//! Opening for reading never changes a byte, and never creates a file or a space.

use crate::common::{MIB, Place, assert_balanced, dump, files_in, files_only, quick, sql};
use heapledger::{Error, MemManager};
use tempfile::tempdir;

#[test]
fn opening_read_only_never_creates_a_file_or_a_space() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let error = quick().read_only(true).open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::NoFile { path: named } if *named == path),
        "{error}"
    );
    assert_eq!(files_in(dir.path()).len(), 0);

    drop(MemManager::open(&path).unwrap());
    let before = files_in(dir.path());
    let error = quick().read_only(true).space("other").open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::UnknownSpace { known, .. } if *known == ["main"]),
        "{error}"
    );
    assert!(files_in(dir.path()) == before);
}

#[test]
fn a_read_only_heap_can_be_read_in_full_but_not_written() {
    let place = Place::new();
    let path = place.address();
    let writer = quick().max_mem(MIB).open(path).unwrap();
    let id = writer.allocate("it").unwrap();
    writer.bind("name", &id).unwrap();
    let memory = quick().read_only(true).open(path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    assert_eq!(memory.resolve("name").unwrap(), Some(id));
    assert_eq!(memory.objects().count(), 1);
    memory.stats().unwrap();
    assert_balanced(&memory);

    let before = dump(&sql(path));
    let refusals = [
        memory.allocate("more").err(),
        memory.allocate("it").err(),
        memory.allocate_bytes(b"more").err(),
        memory.allocate_from(&b"more"[..]).err(),
        memory.free(&id).err(),
        memory.force_free(&id).err(),
        memory.bind("other", &id).err(),
        memory.unbind("name").err(),
        memory.add_arena().err(),
        memory.collect_garbage().err(),
        memory.resize(2 * MIB).err(),
        memory.batch(|batch| batch.allocate("more")).err(),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        assert!(matches!(refusal, Some(Error::ReadOnly)), "call {index}: {refusal:?}");
    }
    assert_eq!(dump(&sql(path)), before);
}

#[test]
fn a_heap_that_nobody_has_open_can_be_read_only() {
    files_only!(File);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let id = MemManager::open(&path).unwrap().allocate("it").unwrap();
    let before = files_in(dir.path());
    let memory = quick().read_only(true).open(&path).unwrap();
    assert_eq!(memory.get::<String>(&id).unwrap(), "it");
    drop(memory);
    assert!(files_in(dir.path())["heap.db"] == before["heap.db"]);
}
