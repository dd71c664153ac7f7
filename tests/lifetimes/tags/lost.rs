//! Tags go when their hold does, and never otherwise.

use heapledger::{Hold, Invariant};

use super::{rows, tags};
use crate::common::{Heap, assert_balanced};
use crate::{Clock, HOUR, assert_repaired};

#[test]
fn tags_go_with_their_hold() {
    let heap = Heap::new();
    let store = |text: &str, hold: Hold<'_>| heap.store(text, hold.tag("k", "v").tag("l", "w")).unwrap().id;
    let left = |expected: i64, what: &str| {
        assert_eq!(rows(&heap), expected, "{what}");
        assert_eq!(heap.memram().unwrap().tags as i64, expected, "{what}");
        assert_balanced(&heap);
    };
    let id = store("one", Hold::Anonymous);
    store("one", Hold::Name("a"));
    store("one", Hold::Name("b"));
    left(6, "three holds");
    heap.unbind("a").unwrap();
    left(4, "a name was unbound");
    heap.release(&id).unwrap();
    left(2, "the anonymous hold was dropped");
    heap.set("b", "two").unwrap();
    left(0, "the name moved, and its object was freed");
    assert_eq!(heap.tags("b").unwrap(), tags([]));

    let id = store("three", Hold::Anonymous);
    heap.free(&id).unwrap();
    left(0, "the object was freed");
    let id = store("three", Hold::Name("c"));
    store("three", Hold::Anonymous);
    heap.force_free(&id).unwrap();
    left(0, "the object was freed with its name");
    store("four", Hold::Anonymous);
    store("four", Hold::Name("d"));
    heap.set("d", "five").unwrap();
    left(2, "the name moved, and the object stayed");
}

#[test]
fn tags_go_when_their_hold_expires() {
    let clock = Clock::take();
    let heap = Heap::new();
    let soon = |hold: Hold<'static>| hold.expires_in(HOUR).tag("owner", "ann");
    let id = heap.store("one", soon(Hold::Anonymous)).unwrap().id;
    heap.store("one", soon(Hold::Name("a"))).unwrap();
    heap.store("one", Hold::Name("b").tag("owner", "bob")).unwrap();
    heap.store("two", soon(Hold::Name("c"))).unwrap();
    clock.advance(HOUR);
    assert_eq!(heap.tags(&id).unwrap(), tags([]));
    let owners: Vec<_> = heap
        .usage_by("owner")
        .unwrap()
        .into_iter()
        .map(|row| row.value)
        .collect();
    assert_eq!(owners, [Some("bob".to_owned())]);
    assert_eq!(heap.tagged([("owner", Some("ann"))]).count(), 0);
    assert_eq!(heap.tag_values().unwrap().len(), 1);
    heap.collect_expired().unwrap();
    // The anonymous hold of what something else holds is over, but not given back before somebody meets it.
    assert_eq!(heap.release(&id).unwrap(), None);
    assert_eq!(rows(&heap), 1);
    assert_eq!(heap.tags("b").unwrap(), tags([("owner", "bob")]));
    assert_balanced(&heap);
}

#[test]
fn tags_go_with_their_space() {
    let heap = Heap::new();
    let other = crate::common::quick().space("other").open(heap.address()).unwrap();
    other.store("it", Hold::Name("a").tag("k", "v")).unwrap();
    other.store("held", Hold::Anonymous.tag("k", "v")).unwrap();
    heap.store("it", Hold::Name("a").tag("k", "v")).unwrap();
    drop(other);
    heap.drop_space("other").unwrap();
    assert_eq!(rows(&heap), 1);
    assert_balanced(&heap);
}

#[test]
fn i14_each_tag_has_its_hold_and_is_counted() {
    let heap = Heap::new();
    heap.store("named", Hold::Name("a").tag("k", "v")).unwrap();
    heap.store("held", Hold::Anonymous.tag("k", "v")).unwrap();
    let wrong = [
        "UPDATE memram SET tags = tags + 1",
        "UPDATE memram SET tags = 0",
        "INSERT INTO tags VALUES (1, 1, 'b', 'k', 'v')",
        "INSERT INTO tags VALUES (1, 1, '', 'k', 'v')",
        "INSERT INTO tags VALUES (1, 77, 'a', 'k', 'v')",
        "INSERT INTO tags VALUES (1, 77, '', 'k', 'v')",
        "DELETE FROM tags WHERE name = ''",
    ];
    for statement in wrong {
        assert_repaired(&heap, statement, Invariant::I14);
    }
    assert_eq!(heap.tags("a").unwrap(), tags([("k", "v")]));
    assert_eq!(rows(&heap), 1);
}
