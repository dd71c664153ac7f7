//! Copies from one space of a heap into another.

use std::time::Duration;

use crate::common::{Heap, KIB, MIB, assert_balanced, content, files_only, quick};
use heapledger::{
    Copied, CopyOptions, Error, Geometry, Hold, MemManager, ObjectId, ObjectInfo, OnConflict, Phase, TransferError,
};

/// Another space of the same heap.
fn space(heap: &Heap, name: &str) -> MemManager {
    quick().space(name).open(heap.address()).unwrap()
}

/// A heap whose space `main` has objects of all kinds and sizes.
fn filled() -> Heap {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    for seed in 0..1500 {
        heap.allocate_bytes(&content(seed, 50 + seed % 300)).unwrap();
    }
    heap.set("answer", &42).unwrap();
    heap.set("list", &vec![1, 2, 3]).unwrap();
    let id = heap.store_bytes(&content(9, MIB), Hold::Name("photo")).unwrap().id;
    heap.bind("the photo", &id).unwrap();
    heap.allocate_bytes(&content(9, MIB)).unwrap();
    heap.store_bytes(&content(10, 9 * MIB), Hold::Name("film")).unwrap();
    let hour = Duration::from_secs(3600);
    heap.set("empty", "").unwrap();
    heap.store_bytes(b"for an hour", Hold::Name("expiring").expires_in(hour))
        .unwrap();
    heap
}

/// What a space has, without its keys: ids, kinds, types, sizes, names and holds.
type Described = (ObjectId, String, Option<String>, u64, Vec<String>, bool);

fn described(memory: &MemManager) -> Vec<Described> {
    let described = |object: ObjectInfo| {
        let kind = object.kind.to_string();
        (
            object.id,
            kind,
            object.type_name,
            object.size,
            object.names,
            object.held,
        )
    };
    memory.objects().map(|object| described(object.unwrap())).collect()
}

#[test]
fn everything_in_a_space_is_copied_into_another_one() {
    let heap = filled();
    let copied = heap.because("to keep").copy_to_space("archive").unwrap();
    assert_eq!(copied.spaces.len(), 1);
    let done = &copied.spaces[0];
    assert_eq!((done.space.as_str(), done.objects, done.names), ("archive", 1506, 7));
    let archive = space(&heap, "archive");
    assert_eq!(described(&archive), described(&heap));
    assert_eq!(archive.layout_digest().unwrap(), heap.layout_digest().unwrap());
    assert_eq!(archive.get_by_name::<i64>("answer").unwrap(), Some(42));
    let ends = |memory: &MemManager| memory.names(&memory.resolve("expiring").unwrap().unwrap()).unwrap()[0].expires_at;
    assert!(ends(&heap).is_some() && ends(&archive) == ends(&heap));
    assert!(archive.get_bytes_by_name("film").unwrap().unwrap() == content(10, 9 * MIB));
    let (one, other) = (heap.memram().unwrap(), archive.memram().unwrap());
    assert_eq!((one.mem, one.max_mem), (other.mem, other.max_mem));
    assert_balanced(&heap);

    // What is there already is not copied again.
    let again = heap.copy_to_space("archive").unwrap();
    assert_eq!((again.spaces[0].objects, again.spaces[0].already), (0, 1506));
    heap.set("later", "more").unwrap();
    assert_eq!(heap.copy_to_space("archive").unwrap().spaces[0].objects, 1);
    // The copy is its own: freeing here changes nothing there.
    heap.drop_space("main").unwrap();
    assert_eq!(archive.objects().count(), 1507);
    assert_balanced(&archive);
}

/// A file keeps its log short: the copy does not read one old state while it writes.
#[test]
fn a_copy_within_a_file_does_not_hold_its_log() {
    files_only!(Log);
    let heap = Heap::made(quick().max_mem(64 * MIB).max_file(160 * MIB));
    heap.store_bytes(&content(1, 50 * MIB), Hold::Name("large")).unwrap();
    let copied = heap.copy_to_space("archive").unwrap();
    assert_eq!(copied.spaces[0].bytes, 50 * MIB);
    assert!(heap.disk_use().unwrap().wal_size <= 40 * MIB);
}

#[test]
fn a_space_is_copied_into_one_of_another_heap_under_another_name() {
    let heap = filled();
    let place = crate::common::Place::new();
    let options = CopyOptions::default().to_space("saved").target(quick());
    let copied = heap.copy_to_with(place.address(), &options, &mut |_, _, _| {}).unwrap();
    assert_eq!(copied.spaces[0].space, "saved");
    let saved = quick().space("saved").read_only(true).open(place.address()).unwrap();
    assert_eq!(described(&saved), described(&heap));
    assert_eq!(saved.spaces().unwrap().len(), 1);
}

fn copy_with(heap: &Heap, on_conflict: OnConflict) -> Result<Copied, Error> {
    let options = CopyOptions::default().to_space("other").on_conflict(on_conflict);
    heap.copy_to_with(heap.address(), &options, &mut |_, _, _| {})
}

#[test]
fn a_space_with_something_of_its_own_is_refused_unless_a_rule_says_what_to_do() {
    let heap = Heap::new();
    heap.set("x", "ours").unwrap();
    let other = space(&heap, "other");
    other.set("x", "theirs").unwrap();
    let refused = copy_with(&heap, OnConflict::Refuse);
    assert!(
        matches!(&refused, Err(Error::Transfer(TransferError::Occupied { space, .. })) if space == "other"),
        "{refused:?}"
    );
    let name = |name: &str| other.get_by_name::<String>(name).unwrap();
    let skipped = copy_with(&heap, OnConflict::Skip).unwrap();
    assert_eq!((skipped.spaces[0].left_out, name("x").as_deref()), (1, Some("theirs")));
    let renamed = copy_with(&heap, OnConflict::Rename).unwrap();
    let renamed = renamed.spaces[0].conflicts[0].renamed.clone().unwrap();
    assert_eq!(name(&renamed).as_deref(), Some("ours"));
    copy_with(&heap, OnConflict::Replace).unwrap();
    assert_eq!(name("x").as_deref(), Some("ours"));
    assert_balanced(&heap);
}

#[test]
fn a_space_is_not_copied_into_itself_or_a_dropped_one() {
    let heap = Heap::new();
    heap.set("x", "1").unwrap();
    let refused = heap.copy_to_space("main").unwrap_err().to_string();
    assert!(refused.contains("the target is this space itself"), "{refused}");
    let refused = heap.copy_to(heap.address()).unwrap_err().to_string();
    assert!(refused.contains("the target is this heap itself"), "{refused}");
    // One that does not fit is refused as any allocation, and what came before it stays.
    let small = quick().space("small").max_mem(KIB).open(heap.address()).unwrap();
    heap.allocate_bytes(&content(1, 2 * KIB)).unwrap();
    assert!(matches!(heap.copy_to_space("small"), Err(Error::OutOfMemory { .. })));
    assert!(small.objects().count() <= 1);
    assert_balanced(&small);
}

#[test]
fn what_is_freed_meanwhile_is_left_out() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let film = heap.allocate_bytes(&content(1, 30 * MIB)).unwrap();
    let small = heap.allocate_bytes(&content(2, 5 * KIB)).unwrap();
    let kept = heap.allocate_bytes(&content(3, 5 * KIB)).unwrap();
    let mut freed = false;
    let options = CopyOptions::default().to_space("other");
    let copied = heap.copy_to_with(heap.address(), &options, &mut |phase, bytes, _| {
        if phase == Phase::Copying && bytes > 0 && !freed {
            heap.free(&film).unwrap();
            heap.free(&small).unwrap();
            freed = true;
        }
    });
    assert_eq!(copied.unwrap().spaces[0].objects, 1);
    let other = space(&heap, "other");
    assert!(other.contains(&kept).unwrap());
    other.collect_garbage().unwrap();
    assert_eq!(other.objects().count(), 1);
    assert_balanced(&other);
}

#[test]
fn a_comparison_fails_if_others_write_to_the_space_meanwhile() {
    let heap = Heap::new();
    heap.set("x", "1").unwrap();
    let mut written = false;
    let options = CopyOptions::default().to_space("other");
    let copied = heap.copy_to_with(heap.address(), &options, &mut |phase, bytes, _| {
        if phase == Phase::Copying && bytes > 0 && !written {
            heap.set("y", "2").unwrap();
            written = true;
        }
    });
    assert!(
        matches!(&copied, Err(Error::Transfer(TransferError::CopyDiffers { .. }))),
        "{copied:?}"
    );
    // The next call copies what has come.
    assert_eq!(heap.copy_to_space("other").unwrap().spaces[0].objects, 1);
}
