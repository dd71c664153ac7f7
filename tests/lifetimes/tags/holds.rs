//! Setting tags, reading them, and what a hold has after another call.

use std::time::Duration;

use heapledger::{Error, ExpiryError, Held, Hold};

use super::{rows, tags};
use crate::Clock;
use crate::common::{Heap, assert_balanced};

#[test]
fn a_hold_has_the_tags_that_it_was_taken_with() {
    let heap = Heap::new();
    let year = Duration::from_secs(365 * 24 * 3600);
    let hold = Hold::Name("a").tag("owner", "ann").expires_in(year).tag("job", "7");
    let stored = heap.store("it", hold).unwrap();
    assert_eq!(heap.tags("a").unwrap(), tags([("job", "7"), ("owner", "ann")]));
    assert!(heap.names(&stored.id).unwrap()[0].expires_at.is_some());

    let held = heap.store("held", Hold::Anonymous.tag("owner", "bob")).unwrap();
    assert_eq!(heap.tags(&held.id).unwrap(), tags([("owner", "bob")]));
    assert_eq!(heap.tags(&stored.id).unwrap(), tags([]), "it has no anonymous hold");
    assert_eq!(heap.memram().unwrap().tags, 3);
    assert_balanced(&heap);
}

#[test]
fn a_name_has_exactly_the_last_tags_and_the_anonymous_hold_keeps_its_own() {
    let heap = Heap::new();
    heap.store("it", Hold::Name("a").tag("x", "1").tag("y", "1")).unwrap();
    heap.store("it", Hold::Name("a").tag("y", "2").tag("z", "2")).unwrap();
    assert_eq!(heap.tags("a").unwrap(), tags([("y", "2"), ("z", "2")]));
    heap.set("a", "it").unwrap();
    assert_eq!(heap.tags("a").unwrap(), tags([]));

    let id = heap
        .store("it", Hold::Anonymous.tag("x", "1").tag("y", "1"))
        .unwrap()
        .id;
    heap.store("it", Hold::Anonymous.tag("y", "2").tag("y", "3")).unwrap();
    heap.allocate("it").unwrap();
    assert_eq!(heap.tags(&id).unwrap(), tags([("x", "1"), ("y", "3")]));
    assert_balanced(&heap);
}

#[test]
fn tag_and_untag_change_what_is_there() {
    let heap = Heap::new();
    let id = heap.allocate("held").unwrap();
    heap.set("a", "named").unwrap();
    heap.tag("a", "owner", "ann").unwrap();
    heap.tag("a", "owner", "bob").unwrap();
    heap.tag(&id, "owner", "").unwrap();
    assert_eq!(heap.tags("a").unwrap(), tags([("owner", "bob")]));
    assert_eq!(heap.tags(&id).unwrap(), tags([("owner", "")]));
    assert!(heap.untag("a", "owner").unwrap());
    assert!(!heap.untag("a", "owner").unwrap());
    assert_eq!(heap.memram().unwrap().tags, 1);
    assert_balanced(&heap);

    let unknown = heap.tag("b", "owner", "ann");
    assert!(matches!(unknown, Err(Error::UnknownName { .. })));
    let named = heap.resolve("a").unwrap().unwrap();
    let not_held = heap.tag(&named, "owner", "ann");
    assert!(matches!(not_held, Err(Error::Expiry(ExpiryError::NotHeld { .. }))));
}

#[test]
fn invalid_tags_are_refused_before_anything_is_stored() {
    let heap = Heap::new();
    let long = "x".repeat(1025);
    let wrong = [
        ("", "v"),
        (&long[..129], "v"),
        ("k", long.as_str()),
        ("k=", "v"),
        ("k\0", "v"),
        ("k", "\0"),
    ];
    for (key, value) in wrong {
        let refused = heap.store("it", Hold::Name("a").tag(key, value));
        assert!(matches!(refused, Err(Error::BadTag { .. })), "{key:?} {value:?}");
    }
    assert_eq!(heap.stats().unwrap().objects, 0);
    heap.store("it", Hold::Name("a").tag(&long[..128], &long[..1024]))
        .unwrap();
    for at in 1..256 {
        heap.tag("a", &at.to_string(), "v").unwrap();
    }
    assert!(matches!(heap.tag("a", "one more", "v"), Err(Error::BadTag { .. })));
    heap.tag("a", "7", "another").unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_batch_sees_its_own_tags() {
    let heap = Heap::new();
    let id = heap
        .batch(|batch| {
            let id = batch.store("it", Hold::Anonymous.tag("a", "1").tag("b", "1"))?.id;
            batch.store("it", Hold::Anonymous.tag("b", "2"))?;
            assert!(batch.untag(&id, "a")?);
            assert!(!batch.untag(&id, "a")?);
            batch.store("other", Hold::Name("n").tag("a", "1"))?;
            batch.tag(Held::Name("n"), "c", "3")?;
            batch.unbind("n")?;
            batch.store("other", Hold::Name("n").tag("d", "4"))?;
            Ok(id)
        })
        .unwrap();
    assert_eq!(heap.tags(&id).unwrap(), tags([("b", "2")]));
    assert_eq!(heap.tags("n").unwrap(), tags([("d", "4")]));
    assert_eq!(rows(&heap), 2);
    assert_balanced(&heap);
    let undone = heap.batch(|batch| {
        batch.tag(&id, "b", "3")?;
        Err::<(), _>(Error::BatchFailed)
    });
    assert!(undone.is_err());
    assert_eq!(heap.tags(&id).unwrap(), tags([("b", "2")]));
}

#[test]
fn a_large_object_has_tags() {
    // If it moved, a large object would count as abandoned while it is being stored.
    let _clock = Clock::take();
    let heap = Heap::of(64 << 20, heapledger::Geometry::standard());
    let content = crate::common::content(1, 9 << 20);
    let id = heap
        .store_bytes(&content, Hold::Anonymous.tag("owner", "ann"))
        .unwrap()
        .id;
    heap.store_from(&content[..], Hold::Name("n").tag("owner", "bob"))
        .unwrap();
    assert_eq!(heap.tags(&id).unwrap(), tags([("owner", "ann")]));
    assert_eq!(heap.tags("n").unwrap(), tags([("owner", "bob")]));
    heap.force_free(&id).unwrap();
    assert_eq!(rows(&heap), 0);
    assert_balanced(&heap);
}
