//! Finding, counting and freeing by tag.

use std::time::Duration;

use heapledger::{ClaimName, Hold, MemManager, TagBucket};

use crate::common::{Heap, assert_balanced, content};

/// What each row of the totals by `owner` has.
fn owners(memory: &MemManager) -> Vec<(TagBucket, Option<String>, u64, u64)> {
    let rows = memory.usage_by("owner").unwrap().into_iter();
    rows.map(|row| (row.bucket, row.value, row.objects, row.bytes))
        .collect()
}

fn row(value: &str, objects: u64, bytes: u64) -> (TagBucket, Option<String>, u64, u64) {
    (TagBucket::Tagged, Some(value.to_owned()), objects, bytes)
}

#[test]
fn totals_are_of_one_time() {
    let heap = Heap::new();
    heap.set("plain", "x").unwrap();
    // Each expires a millisecond after the one before.
    heap.batch(|batch| {
        for number in 1..=1000_u16 {
            let lasts = Duration::from_millis(200 + u64::from(number));
            let hold = Hold::Anonymous.tag("owner", "ann").expires_in(lasts);
            batch.store_bytes(&number.to_le_bytes(), hold)?;
        }
        Ok(())
    })
    .unwrap();
    loop {
        let mut rows = owners(&heap);
        assert_eq!(rows.pop(), Some((TagBucket::Untagged, None, 1, 1)), "{rows:?}");
        if rows.is_empty() {
            break;
        }
    }
}

#[test]
fn totals_count_each_object_once_and_add_up() {
    let heap = Heap::new();
    assert_eq!(owners(&heap), []);
    let ann = |name| Hold::Name(name).tag("owner", "ann");
    heap.store_bytes(&content(1, 1000), ann("a")).unwrap();
    heap.store_bytes(&content(1, 1000), ann("a again")).unwrap();
    heap.store_bytes(&content(1, 1000), Hold::Name("nobody's")).unwrap();
    heap.store_bytes(&content(2, 200), ann("b")).unwrap();
    heap.store_bytes(&content(3, 30), Hold::Anonymous.tag("owner", "bob"))
        .unwrap();
    heap.store_bytes(&content(4, 4), ann("c")).unwrap();
    heap.store_bytes(&content(4, 4), Hold::Anonymous.tag("owner", "bob"))
        .unwrap();
    heap.store_bytes(&content(5, 50_000), Hold::Name("d").tag("job", "7"))
        .unwrap();
    let shared = (TagBucket::Shared, None, 1, 4);
    let untagged = (TagBucket::Untagged, None, 1, 50_000);
    assert_eq!(
        owners(&heap),
        [row("ann", 2, 1200), row("bob", 1, 30), shared, untagged]
    );
    let stats = heap.stats().unwrap();
    let claim = stats
        .claims
        .iter()
        .find(|claim| claim.claim == ClaimName::Objects)
        .unwrap();
    assert_eq!(owners(&heap).iter().map(|row| row.3).sum::<u64>(), claim.bytes);
    assert_eq!(owners(&heap).iter().map(|row| row.2).sum::<u64>(), stats.objects);

    let values = heap.tag_values().unwrap().into_iter();
    let values: Vec<_> = values.map(|tag| (tag.key, tag.value, tag.holds)).collect();
    let value = |key: &str, value: &str, holds| (key.to_owned(), value.to_owned(), holds);
    assert_eq!(
        values,
        [value("job", "7", 1), value("owner", "ann", 4), value("owner", "bob", 2)]
    );
}

#[test]
fn objects_are_found_by_their_tags() {
    let heap = Heap::new();
    let a = heap
        .store("a", Hold::Name("a").tag("owner", "ann").tag("job", "1"))
        .unwrap()
        .id;
    let b = heap.store("b", Hold::Anonymous.tag("owner", "ann")).unwrap().id;
    heap.store("b", Hold::Name("b").tag("job", "2")).unwrap();
    heap.store("c", Hold::Name("c").tag("owner", "bob")).unwrap();
    heap.allocate("d").unwrap();
    let found = |tags: &[(&str, Option<&str>)]| {
        let objects = heap.tagged(tags.iter().copied());
        objects.map(|object| object.unwrap().id).collect::<Vec<_>>()
    };
    assert_eq!(found(&[("owner", Some("ann"))]), [a, b]);
    assert_eq!(found(&[("owner", None)]).len(), 3);
    assert_eq!(found(&[("owner", Some("ann")), ("job", Some("2"))]), [b]);
    assert_eq!(found(&[("owner", Some("bob")), ("job", None)]), []);
    assert_eq!(found(&[("nothing", None)]), []);
    assert_eq!(found(&[]).len(), 4);
}

#[test]
fn what_has_a_tag_is_given_up_and_the_rest_stays() {
    let heap = Heap::new();
    let ann = |hold: Hold<'static>| hold.tag("owner", "ann");
    let bob = heap
        .store("shared", Hold::Name("bob's").tag("owner", "bob"))
        .unwrap()
        .id;
    heap.store("shared", ann(Hold::Name("ann's"))).unwrap();
    let own = heap.store("own", ann(Hold::Name("own"))).unwrap().id;
    heap.store("own", ann(Hold::Anonymous)).unwrap();
    let many: Vec<_> = (0..600).map(|at| format!("many {at}")).collect();
    heap.batch(|batch| {
        let mut many = many.iter();
        many.try_for_each(|name| batch.store(name, Hold::Name(name).tag("owner", "ann")).map(drop))
    })
    .unwrap();
    let mut planned = heap.only_tagged("owner", "ann").unwrap();
    assert_eq!(planned.len(), 601);
    assert!(planned.contains(&own) && !planned.contains(&bob));

    let done = heap.free_tagged("owner", "ann").unwrap();
    assert_eq!(done.holds, 603);
    let mut freed: Vec<_> = done.freed.iter().map(|freed| freed.id).collect();
    freed.sort();
    planned.sort();
    assert_eq!(freed, planned);
    assert_eq!(heap.resolve("bob's").unwrap(), Some(bob));
    assert_eq!(heap.resolve("ann's").unwrap(), None);
    assert_eq!(heap.stats().unwrap().objects, 1);
    assert_balanced(&heap);
    assert_eq!(heap.free_tagged("owner", "ann").unwrap().holds, 0);
}

#[test]
fn what_is_freed_by_its_tag_says_all_names_that_it_had() {
    let heap = Heap::new();
    let ann = |name: &'static str| Hold::Name(name).tag("owner", "ann");
    for name in ["one", "three", "two"] {
        heap.store("shared", ann(name)).unwrap();
    }
    let done = heap.free_tagged("owner", "ann").unwrap();
    let [freed] = done.freed.as_slice() else {
        panic!("{:?}", done.freed);
    };
    let mut names = freed.names.clone();
    names.sort();
    assert_eq!(
        (done.holds, names),
        (3, ["one", "three", "two"].map(str::to_owned).to_vec())
    );
}
