//! Names hold objects: binding, rebinding, unbinding, and finding.

use std::collections::HashMap;

use crate::common::{Heap, MIB, assert_balanced, dump, quick};
use heapledger::{Error, EventFilter, Hold, ObjectId};
use proptest::prelude::*;

#[test]
fn a_name_resolves_to_the_object_it_is_bound_to() {
    let heap = Heap::new();
    let id = heap.allocate("grüße").unwrap();
    assert_eq!(heap.resolve("greeting").unwrap(), None);
    heap.bind("greeting", &id).unwrap();
    assert_eq!(heap.resolve("greeting").unwrap(), Some(id));
    let names: Vec<_> = heap.names(&id).unwrap().into_iter().map(|name| name.name).collect();
    assert_eq!(names, ["greeting"]);
    assert_balanced(&heap);
}

#[test]
fn a_name_is_looked_up_with_what_it_is_bound_to() {
    let heap = Heap::new();
    for name in ["a", "ab", "abc", "\u{10ffff}"] {
        heap.store(name, Hold::Name(name).tag("spelled", name)).unwrap();
    }
    heap.unbind("ab").unwrap();
    assert_eq!(heap.name_info("ab").unwrap(), None);
    for name in ["", "A", "a'", "abcd", "\u{10ffff}\u{10ffff}"] {
        assert_eq!(heap.name_info(name).unwrap(), None);
    }
    for name in heap.names_with_prefix("").map(Result::unwrap) {
        assert_eq!(name.tags["spelled"], name.name);
        assert_eq!(heap.name_info(&name.name).unwrap().as_ref(), Some(&name));
    }
    let other = quick().space("other").open(heap.address()).unwrap();
    assert_eq!(other.name_info("a").unwrap(), None);
}

#[test]
fn storing_under_a_name_takes_no_anonymous_hold() {
    let heap = Heap::new();
    let stored = heap.store(&42, Hold::Name("answer")).unwrap();
    assert_eq!(heap.resolve("answer").unwrap(), Some(stored.id));
    assert!(!heap.object(&stored.id).unwrap().held);
    let freed = heap.unbind("answer").unwrap().unwrap();
    assert_eq!((freed.id, freed.size), (stored.id, 2));
    assert!(!heap.contains(&stored.id).unwrap());
    assert_balanced(&heap);
}

#[test]
fn storing_the_same_again_under_its_name_is_a_dedup_hit() {
    let heap = Heap::new();
    for content in [&b""[..], b"content"] {
        let stored = heap.store_bytes(content, Hold::Name("it")).unwrap();
        let again = heap.store_bytes(content, Hold::Name("it")).unwrap();
        assert_eq!((again.id, again.dedup, again.freed), (stored.id, true, None));
        assert_eq!(heap.get_bytes(&stored.id).unwrap(), content);
    }
    assert_eq!(heap.stats().unwrap().dedup_hits, 2);
    assert_balanced(&heap);
}

#[test]
fn rebinding_moves_the_name_and_frees_an_object_without_holds() {
    let heap = Heap::new();
    let old = heap.store("old", Hold::Name("it")).unwrap().id;
    let new = heap.store("new", Hold::Name("it")).unwrap().id;
    assert_eq!(heap.resolve("it").unwrap(), Some(new));
    assert!(!heap.contains(&old).unwrap());
    assert_balanced(&heap);
}

#[test]
fn rebinding_does_not_free_an_object_with_another_hold() {
    let heap = Heap::new();
    let held = heap.allocate("held").unwrap();
    heap.bind("it", &held).unwrap();
    let named_twice = heap.store("named twice", Hold::Name("it")).unwrap().id;
    heap.bind("other", &named_twice).unwrap();
    heap.store("last", Hold::Name("it")).unwrap();
    assert!(heap.contains(&held).unwrap());
    assert_eq!(heap.resolve("other").unwrap(), Some(named_twice));
    assert_balanced(&heap);
}

#[test]
fn binding_a_name_to_its_own_object_changes_nothing() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("it")).unwrap().id;
    heap.bind("it", &id).unwrap();
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
    assert_eq!(heap.get::<String>(&id).unwrap(), "it");
    assert_balanced(&heap);
}

#[test]
fn unbinding_frees_only_without_other_holds() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("a")).unwrap().id;
    heap.bind("b", &id).unwrap();
    assert!(heap.unbind("a").unwrap().is_none());
    assert!(heap.contains(&id).unwrap());
    assert_eq!(heap.unbind("b").unwrap().unwrap().id, id);
    assert!(!heap.contains(&id).unwrap());

    let held = heap.allocate("held").unwrap();
    heap.bind("c", &held).unwrap();
    assert!(heap.unbind("c").unwrap().is_none());
    assert!(heap.contains(&held).unwrap());
    assert_balanced(&heap);
}

#[test]
fn an_unknown_name_cannot_be_unbound() {
    let heap = Heap::new();
    let error = heap.unbind("nobody").unwrap_err();
    assert!(
        matches!(&error, Error::UnknownName { name, space } if name == "nobody" && space == "main"),
        "{error}"
    );
}

#[test]
fn a_name_cannot_be_bound_to_an_object_that_is_not_stored() {
    let heap = Heap::new();
    let kept = heap.store("kept", Hold::Name("it")).unwrap().id;
    let before = dump(&heap.sql());
    let missing = ObjectId::of("missing").unwrap();
    assert!(matches!(heap.bind("it", &missing), Err(Error::NotStored { id, .. }) if id == missing));
    assert!(matches!(heap.bind("fresh", &missing), Err(Error::NotStored { .. })));
    assert_eq!(heap.resolve("it").unwrap(), Some(kept));
    assert_eq!(dump(&heap.sql()), before);
}

#[test]
fn a_name_has_1_to_4096_bytes() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    let before = dump(&heap.sql());
    for bad in [String::new(), "n".repeat(4097), "é".repeat(2049)] {
        let wanted = bad.len();
        assert!(matches!(heap.bind(&bad, &id), Err(Error::BadName { length }) if length == wanted));
        assert!(matches!(heap.store("x", Hold::Name(&bad)), Err(Error::BadName { .. })));
    }
    assert_eq!(
        dump(&heap.sql()),
        before,
        "a refused name leaves no trace and stores nothing"
    );
    for good in ["n".to_owned(), "n".repeat(4096), "é".repeat(2048)] {
        heap.bind(&good, &id).unwrap();
        assert_eq!(heap.resolve(&good).unwrap(), Some(id));
    }
    assert_balanced(&heap);
}

/// SQLite's functions would truncate the name there.
#[test]
fn a_name_has_no_nul() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    for name in ["\0", "a\0b"] {
        let refused = heap.bind(name, &id);
        assert!(matches!(refused, Err(Error::NulInName { .. })), "{refused:?}");
        let refused = heap.set(name, "other");
        assert!(matches!(refused, Err(Error::NulInName { .. })), "{refused:?}");
    }
    assert_eq!(heap.names(&id).unwrap(), []);
}

#[test]
fn names_belong_to_their_space() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    let here = heap.store("here", Hold::Name("it")).unwrap().id;
    let there = other.store("there", Hold::Name("it")).unwrap().id;
    assert_eq!(heap.resolve("it").unwrap(), Some(here));
    assert_eq!(other.resolve("it").unwrap(), Some(there));
    assert!(matches!(heap.bind("there", &there), Err(Error::NotStored { .. })));
    heap.unbind("it").unwrap();
    assert_eq!(other.resolve("it").unwrap(), Some(there));
    assert_balanced(&heap);
    assert_balanced(&other);
}

#[test]
fn find_takes_a_name_an_id_or_the_start_of_one() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("it")).unwrap().id;
    let hex = id.to_hex();
    for reference in ["it", &hex, &hex[..63], &hex[..6]] {
        assert_eq!(heap.find(reference).unwrap(), id, "{reference}");
    }
    let missing = ObjectId::of("missing").unwrap().to_hex();
    for reference in ["", "nobody", &hex[..5], "a_%*?[", &missing, &missing[..8]] {
        let error = heap.find(reference).unwrap_err();
        assert!(
            matches!(error, Error::UnknownReference { .. } | Error::NotStored { .. }),
            "{reference:?}: {error}"
        );
    }
}

#[test]
fn a_whole_id_means_its_object_even_if_it_is_also_a_name() {
    let heap = Heap::new();
    let spelled = heap.allocate("spelled").unwrap();
    let named = heap.store("named", Hold::Name("it")).unwrap().id;
    let name = spelled.to_hex();
    // Another tool has bound the name.
    let sql = heap.sql();
    sql.change(&format!("UPDATE names SET name = '{name}'"));
    sql.change(&format!("UPDATE events SET name = '{name}' WHERE name = 'it'"));
    sql.change("UPDATE memram SET history_bytes = (SELECT sum(bytes) FROM event_sizes)");
    for text in [&name, &name.to_uppercase()] {
        assert_eq!(heap.find(text).unwrap(), spelled);
        assert_eq!(heap.find_ever(text).unwrap(), spelled);
        assert_eq!(heap.read(|snapshot| snapshot.find(text)).unwrap(), spelled);
        assert_eq!(heap.batch(|batch| batch.find(text)).unwrap(), spelled);
    }
    // The name can still be read and unbound.
    assert_eq!(heap.resolve(&name).unwrap(), Some(named));
    heap.free(&spelled).unwrap();
    assert_eq!(heap.find(&name).unwrap(), named);
    assert_eq!(heap.unbind(&name).unwrap().unwrap().id, named);
    assert_balanced(&heap);
}

#[test]
fn a_name_spelled_like_an_id_cannot_be_bound() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    let before = dump(&heap.sql());
    for name in [id.to_hex(), "0".repeat(64), "F".repeat(64)] {
        let refused = |result: Result<(), Error>| {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::NameIsId { name: ref told } if *told == name),
                "{error}"
            );
            assert!(error.to_string().contains("taken for an object id"), "{error}");
        };
        refused(heap.bind(&name, &id).map(drop));
        refused(heap.bind_new(&name, &id));
        for hold in [Hold::Name(&name), Hold::NewName(&name)] {
            refused(heap.store("new", hold).map(drop));
            refused(heap.store_bytes(b"new", hold).map(drop));
            refused(heap.store_from(&b"new"[..], hold).map(drop));
            refused(heap.batch(|batch| batch.store("new", hold)).map(drop));
        }
        refused(heap.batch(|batch| batch.bind(&name, &id)).map(drop));
    }
    assert_eq!(dump(&heap.sql()), before);
    // One digit less or more, or another character, makes it an ordinary name.
    for name in ["0".repeat(63), "0".repeat(65), format!("{}g", "0".repeat(63))] {
        heap.bind(&name, &id).unwrap();
        assert_eq!(heap.find(&name).unwrap(), id);
    }
    assert_balanced(&heap);
}

/// Kind, object and name of every event after the first, in order.
fn events(heap: &Heap) -> Vec<(&'static str, Option<ObjectId>, Option<String>)> {
    let events = heap.events(EventFilter::default()).skip(1).map(Result::unwrap);
    events
        .map(|event| (event.kind.as_str(), event.object, event.name))
        .collect()
}

#[test]
fn moving_a_name_returns_and_records_the_old_object() {
    let heap = Heap::new();
    let old = heap.store("old", Hold::Name("it")).unwrap();
    assert_eq!(old.freed, None);
    let new = heap.store("new", Hold::Name("it")).unwrap();
    let freed = new.freed.unwrap();
    assert_eq!((freed.id, freed.size, freed.pieces), (old.id, 3, 1));
    assert_eq!(freed.names, ["it"]);
    let held = heap.allocate("held").unwrap();
    let freed = heap.bind("it", &held).unwrap().unwrap();
    assert_eq!(freed.id, new.id);
    // An object with another hold stays.
    let last = heap.batch(|batch| batch.store("last", Hold::Name("it"))).unwrap();
    assert_eq!(last.freed, None);
    assert!(heap.contains(&held).unwrap());
    // Binding it again does not move it.
    assert_eq!(heap.bind("it", &last.id).unwrap(), None);

    let it = || Some("it".to_owned());
    let expected = [
        ("allocate", old.id, None),
        ("bind", old.id, it()),
        ("allocate", new.id, None),
        ("unbind", old.id, it()),
        ("bind", new.id, it()),
        ("free", old.id, None),
        ("allocate", held, None),
        ("unbind", new.id, it()),
        ("bind", held, it()),
        ("free", new.id, None),
        ("allocate", last.id, None),
        ("unbind", held, it()),
        ("bind", last.id, it()),
    ];
    let expected = expected.map(|(kind, id, name)| (kind, Some(id), name));
    assert_eq!(events(&heap), expected);
    assert_balanced(&heap);
}

#[test]
fn repeated_updates_under_a_name_leave_one_object() {
    let heap = Heap::new();
    for version in 0..20 {
        heap.set("single", &version).unwrap();
        heap.batch(|batch| batch.set("batched", &(version, version))).unwrap();
        // Allocating and binding hold it twice; after the release only the name does.
        heap.batch(|batch| {
            let id = batch.allocate(&format!("version {version}"))?;
            batch.bind("bound", &id)?;
            batch.release(&id)
        })
        .unwrap();
    }
    assert_eq!(heap.objects().count(), 3);
    assert_eq!(heap.get_by_name::<i32>("single").unwrap(), Some(19));
    assert_eq!(heap.get_bytes_by_name("batched").unwrap().unwrap(), b"[19,19]");
    assert_eq!(
        heap.batch(|batch| batch.get_by_name::<i32>("single")).unwrap(),
        Some(19)
    );
    assert_eq!(heap.get_by_name::<i32>("nobody").unwrap(), None);
    assert_eq!(heap.get_bytes_by_name("nobody").unwrap(), None);
    assert!(matches!(heap.get_by_name::<i32>("bound"), Err(Error::WrongType { .. })));
    assert_balanced(&heap);
}

#[test]
fn a_released_object_lives_as_long_as_its_names() {
    let heap = Heap::new();
    let named = heap.allocate("named").unwrap();
    heap.bind("it", &named).unwrap();
    assert_eq!(heap.release(&named).unwrap(), None);
    assert!(!heap.object(&named).unwrap().held);
    // There is no anonymous hold left.
    assert_eq!(heap.release(&named).unwrap(), None);
    assert_eq!(heap.unbind("it").unwrap().unwrap().id, named);

    let plain = heap.allocate("plain").unwrap();
    heap.allocate("plain").unwrap();
    let freed = heap.release(&plain).unwrap().unwrap();
    assert_eq!((freed.id, freed.size, freed.names.len()), (plain, 5, 0));
    assert!(matches!(heap.release(&plain), Err(Error::NotStored { .. })));
    // Also within the batch that stored it.
    let gone = heap
        .batch(|batch| {
            let id = batch.allocate("gone")?;
            batch.release(&id)?;
            Ok(id)
        })
        .unwrap();
    assert!(!heap.contains(&gone).unwrap());
    assert_balanced(&heap);

    let kinds: Vec<_> = events(&heap).into_iter().map(|(kind, ..)| kind).collect();
    let expected = [
        "allocate",
        "bind",
        "release",
        "unbind",
        "free",
        "allocate",
        "dedup_hit",
        "release",
        "free",
        "allocate",
        "release",
        "free",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_new_name_is_refused_if_it_is_taken() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::NewName("it")).unwrap().id;
    let other = heap.allocate("other").unwrap();
    heap.bind_new("other", &other).unwrap();
    let before = dump(&heap.sql());
    let refused = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, Error::NameTaken { name, id: taken, .. } if name == "it" && *taken == id),
            "{error}"
        );
    };
    let mut file = tempfile::tempfile().unwrap();
    let new = Hold::NewName("it");
    refused(heap.store("new", new).map(drop));
    refused(heap.store_bytes(b"new", new).map(drop));
    refused(heap.store_from(&b"new"[..], new).map(drop));
    refused(heap.store_file(&mut file, new).map(drop));
    refused(heap.bind_new("it", &other));
    refused(heap.batch(|batch| batch.bind_new("it", &other)));
    refused(heap.batch(|batch| batch.store("new", new)).map(drop));
    // Even if the same object has it: a caller who asks for a new name wants to be the only one.
    refused(heap.store("it", new).map(drop));
    refused(heap.bind_new("it", &id));
    assert_eq!(dump(&heap.sql()), before);
    assert_balanced(&heap);
}

#[test]
fn find_refuses_a_prefix_that_several_ids_share() {
    let heap = Heap::new();
    let (first, second) = two_contents_whose_ids_start_alike();
    let id = heap.allocate_bytes(first.as_bytes()).unwrap();
    heap.allocate_bytes(second.as_bytes()).unwrap();
    let error = heap.find(&id.to_hex()[..6]).unwrap_err();
    assert!(matches!(error, Error::AmbiguousPrefix { count: 2, .. }), "{error}");
    assert_eq!(heap.find(&id.to_hex()).unwrap(), id);
}

/// Six digits are 24 bits, so a few thousand numbers contain a pair.
fn two_contents_whose_ids_start_alike() -> (String, String) {
    let mut seen = HashMap::new();
    for number in 0.. {
        let content = number.to_string();
        let start = ObjectId::of_bytes(content.as_bytes()).to_hex()[..6].to_owned();
        if let Some(earlier) = seen.insert(start, content.clone()) {
            return (earlier, content);
        }
    }
    unreachable!("there are fewer starts than numbers")
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn any_text_can_be_a_name(name in any::<String>().prop_filter("1 to 4,096 bytes", |name| (1..=4096).contains(&name.len()))) {
        let heap = Heap::new();
        let id = heap.store("it", Hold::Name(&name)).unwrap().id;
        prop_assert_eq!(heap.resolve(&name).unwrap(), Some(id));
        prop_assert_eq!(heap.find(&name).unwrap(), id);
        prop_assert_eq!(heap.unbind(&name).unwrap().unwrap().names, [name]);
        assert_balanced(&heap);
    }
}

#[test]
fn a_name_with_u0000_is_refused_in_words() {
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    let before = dump(&heap.sql());
    for name in ["\0", "\0after", "be\0fore", "before\0"] {
        let refused = |result: Result<(), Error>| {
            let error = result.unwrap_err();
            assert!(
                matches!(&error, Error::NulInName { name: told } if told == name),
                "{error}"
            );
            assert!(error.to_string().contains("U+0000"), "{error}");
        };
        refused(heap.bind(name, &id).map(drop));
        refused(heap.bind_new(name, &id));
        refused(heap.set(name, "new").map(drop));
        refused(heap.store_from(&b"new"[..], Hold::NewName(name)).map(drop));
        refused(heap.batch(|batch| batch.set(name, "new")).map(drop));
        refused(
            heap.batch(|batch| batch.store_from(&b"new"[..], Hold::Name(name)))
                .map(drop),
        );
        refused(heap.plan_batch(|planner| planner.check_hold(Hold::Name(name))));
        refused(heapledger::MemManager::options().space(name).plan_new(|_| Ok(())));
    }
    assert_eq!(dump(&heap.sql()), before);
}
