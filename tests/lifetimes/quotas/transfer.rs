//! What happens to quotas, and by them, when spaces are copied and imported.

use std::fmt::Debug;

use heapledger::{Error, Hold};

use super::{ann, content, limit, used};
use crate::common::{Heap, assert_balanced};

#[test]
fn a_copy_has_the_quotas_even_of_who_has_more() {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    limit(&heap, "ann", 10);
    let other = Heap::new();
    heap.copy_to(other.address()).unwrap();
    assert_eq!(used(&other, "ann"), (60, 1));
    limit(&other, "ann", 70);
    heap.copy_to(other.address()).unwrap();
    let quota = other.quota("owner", "ann").unwrap().unwrap();
    assert_eq!(quota.limits.hard_bytes, Some(70), "one that is there stays");
    heap.copy_to_space("archive").unwrap();
    let archive = crate::common::quick().space("archive").open(heap.address()).unwrap();
    assert_eq!(used(&archive, "ann"), (60, 1));
    assert_balanced(&other);
    assert_balanced(&archive);
}

#[track_caller]
fn assert_refuses_60_of_10<T: Debug>(done: Result<T, Error>) {
    match done {
        Err(Error::QuotaExceeded(over)) => assert_eq!([over.used, over.needed, over.hard], [0, 60, 10]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_copied_and_imported_is_measured_by_the_quotas_there() {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    let target = crate::common::quick().space("target").open(heap.address()).unwrap();
    limit(&target, "ann", 10);
    assert_refuses_60_of_10(heap.copy_to_space("target"));
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    heap.export(&export).unwrap();
    assert_refuses_60_of_10(target.import(&export));
    assert_eq!(target.stats().unwrap().objects, 0);
    limit(&target, "ann", 60);
    target.import(&export).unwrap();
    assert_eq!(used(&target, "ann"), (60, 1));
    assert_balanced(&target);
}
