//! Setting the ceiling.

use heapledger::{Bound, Error, Hold, SpaceError};
use tempfile::tempdir;

use super::watch::total;
use crate::common::{Heap, KIB, MIB, content, files_only, quick};

#[test]
fn a_new_heap_has_the_ceiling_it_was_made_with() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_file(MIB).open(&path).unwrap();
    assert_eq!(memory.disk_use().unwrap().max_file, Some(MIB));
    drop(memory);
    let again = quick().max_file(MIB).space("other").open(&path).unwrap();
    assert_eq!(again.stats().unwrap().disk.max_file, Some(MIB));
    for (options, why) in [
        (
            quick().max_file(2 * MIB),
            "the ceiling of the file is 1048576 bytes, not 2097152",
        ),
        (quick().max_file(2 * MIB).space("third"), "not 2097152"),
    ] {
        let refused = options.open(&path).unwrap_err();
        assert!(
            matches!(refused, Error::Space(SpaceError::OtherCeiling { .. })) && refused.to_string().contains(why),
            "{refused}"
        );
        assert!(refused.advice().is_some_and(|advice| advice.contains("set_max_file")));
    }
    assert_eq!(again.spaces().unwrap().len(), 2);
}

#[test]
fn a_heap_without_a_ceiling_is_not_opened_with_one() {
    files_only!(Ceiling);
    let heap = Heap::new();
    let refused = quick().max_file(MIB).open(heap.path()).unwrap_err();
    assert!(refused.to_string().contains("is none, not 1048576"), "{refused}");
}

#[test]
fn a_ceiling_below_the_least_is_refused_with_the_figures() {
    files_only!(Ceiling);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    for wanted in [0, 1, MIB - 1] {
        let refused = quick().max_file(wanted).open(&path).unwrap_err();
        assert!(
            matches!(refused, Error::BadMaxFile { wanted: found, least: MIB, free: 0 } if found == wanted),
            "{refused}"
        );
        assert!(!path.exists());
    }
}

#[test]
fn a_ceiling_below_what_is_there_is_refused_and_the_least_is_possible() {
    files_only!(Ceiling);
    let heap = Heap::new();
    heap.resize(64 * MIB).unwrap();
    heap.store_bytes(&content(1, 4 * MIB), Hold::Name("kept")).unwrap();
    heap.store_bytes(&content(2, 4 * MIB), Hold::Name("gone")).unwrap();
    heap.unbind("gone").unwrap();
    let before = heap.disk_use().unwrap();
    let refused = heap.set_max_file(Some(2 * MIB)).unwrap_err();
    let Error::BadMaxFile { wanted, least, free } = refused else {
        panic!("{refused}");
    };
    assert_eq!(wanted, 2 * MIB);
    assert!(free > 4 * MIB - 100 * KIB && least > 8 * MIB, "{free} {least}");
    let said = refused.to_string();
    assert!(
        said.contains("the least is") && said.contains("free pages that a collection gives back"),
        "{said}"
    );
    assert_eq!(heap.disk_use().unwrap().max_file, before.max_file);

    // The refused call has emptied the log.
    assert!(heap.set_max_file(Some(least - 2)).is_err());
    assert_eq!(heap.set_max_file(Some(least)).unwrap().max_file, Some(least));
    assert!(total(heap.path()) <= least);
    heap.collect_garbage().unwrap();
    assert_eq!(heap.set_max_file(Some(6 * MIB)).unwrap().max_file, Some(6 * MIB));
    assert!(heap.check().unwrap().is_empty());
    assert_eq!(heap.set_max_file(None).unwrap().max_file, None);
}

#[test]
fn a_ceiling_of_another_process_or_manager_is_obeyed() {
    files_only!(Ceiling);
    let heap = Heap::new();
    heap.resize(64 * MIB).unwrap();
    let other = heap.open_again();
    other.allocate(&1).unwrap();
    heap.set_max_file(Some(2 * MIB)).unwrap();
    let refused = other.allocate_bytes(&content(1, 2 * MIB)).unwrap_err();
    let Error::FileFull {
        needed,
        file,
        log,
        reserve,
        max_file,
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((reserve, max_file), (256 * KIB, 2 * MIB));
    assert!(needed + file + log + reserve > max_file, "{refused}");
    assert!(refused.to_string().starts_with("file full: "), "{refused}");
    other.set_max_file(Some(8 * MIB)).unwrap();
    heap.allocate_bytes(&content(1, 2 * MIB)).unwrap();
}

#[test]
fn a_first_small_object_does_not_make_the_estimate_small() {
    files_only!(Ceiling);
    let heap = Heap::new();
    heap.resize(10 * MIB).unwrap();
    heap.set_max_file(Some(20 * MIB)).unwrap();
    let mut stored = 0;
    for count in [1, 10, 100, 1000] {
        while stored < count {
            heap.allocate_bytes(&content(stored, 200)).unwrap();
            stored += 1;
        }
        let plan = heap.plan_allocation(5 * MIB).unwrap();
        assert!(plan.fits(), "after {count}: {plan:?}");
    }
    heap.allocate_bytes(&content(0, 5 * MIB)).unwrap();
}

#[test]
fn the_estimate_says_which_bound_is_first() {
    files_only!(Ceiling);
    let heap = Heap::new();
    let disk = heap.disk_use().unwrap();
    assert_eq!((disk.fits_estimated, disk.first_bound(1)), (None, Bound::MaxMem));
    heap.resize(64 * MIB).unwrap();
    heap.set_max_file(Some(16 * MIB)).unwrap();
    let id = heap.allocate_bytes(&content(1, MIB)).unwrap();
    let disk = heap.disk_use().unwrap();
    let ratio = disk.file_bytes_per_stored_byte.unwrap();
    assert!((1.0..1.2).contains(&ratio), "{ratio}");
    let fits = disk.fits_estimated.unwrap();
    assert_eq!(disk.first_bound(63 * MIB), Bound::MaxFile);
    assert_eq!(disk.first_bound(fits), Bound::MaxMem);
    // As the estimate says.
    heap.free(&id).unwrap();
    heap.allocate_bytes(&content(2, fits * 95 / 100)).unwrap();
    let refused = heap.allocate_bytes(&content(3, fits));
    assert!(matches!(refused, Err(Error::FileFull { .. })));
}
