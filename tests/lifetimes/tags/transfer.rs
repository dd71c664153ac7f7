//! Exports, imports, copies and backups take tags along.

use heapledger::{CopyOptions, Hold, MemManager};

use super::tags;
use crate::common::{Heap, Place, assert_balanced, files_only, quick};

fn filled() -> Heap {
    let heap = Heap::new();
    heap.store("both", Hold::Name("a").tag("owner", "ann").tag("job", "7"))
        .unwrap();
    heap.store("both", Hold::Name("b")).unwrap();
    heap.store("both", Hold::Anonymous.tag("owner", "bob")).unwrap();
    heap.store("held", Hold::Anonymous.tag("owner", "=é\"")).unwrap();
    heap
}

fn assert_same(heap: &Heap, other: &MemManager) {
    assert_eq!(other.memram().unwrap().tags, 4);
    assert_eq!(other.tags("a").unwrap(), tags([("job", "7"), ("owner", "ann")]));
    assert_eq!(other.tags("b").unwrap(), tags([]));
    for object in heap.objects().map(Result::unwrap) {
        assert_eq!(other.tags(&object.id).unwrap(), heap.tags(&object.id).unwrap());
    }
    assert_balanced(other);
}

#[test]
fn an_export_keeps_tags() {
    let heap = filled();
    let folder = tempfile::tempdir().unwrap();
    heap.export(folder.path().join("export")).unwrap();
    let other = Heap::new();
    for _ in 0..2 {
        other.import(folder.path().join("export")).unwrap();
        assert_same(&heap, &other);
    }
}

#[test]
fn a_copy_keeps_tags() {
    let heap = filled();
    let place = Place::emptied();
    let options = CopyOptions::default().target(quick());
    for _ in 0..2 {
        heap.copy_to_with(place.address(), &options, &mut |_, _, _| {}).unwrap();
    }
    place.has_opened();
    assert_same(&heap, &quick().open(place.address()).unwrap());
}

#[test]
fn a_backup_keeps_tags() {
    files_only!(Backup);
    let heap = filled();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    heap.backup(&copy).unwrap();
    assert_same(&heap, &quick().open(&copy).unwrap());
}
