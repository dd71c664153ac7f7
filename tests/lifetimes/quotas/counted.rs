//! What an owner pays for.

use heapledger::{Hold, Invariant, QuotaLimits, QuotaState};

use super::{ann, bob, content, limit, used};
use crate::common::{Heap, assert_balanced, number, texts};
use crate::{Clock, HOUR, assert_repaired};

#[test]
fn each_holder_pays_in_full_and_once() {
    let heap = Heap::new();
    limit(&heap, "ann", 1000);
    limit(&heap, "bob", 1000);
    let shared = content(1, 100);
    let id = heap.store_bytes(&shared, ann(Hold::Anonymous)).unwrap().id;
    heap.store_bytes(&shared, ann(Hold::Name("a"))).unwrap();
    heap.store_bytes(&shared, bob(Hold::Name("b"))).unwrap();
    heap.store_bytes(&content(2, 50), bob(Hold::Name("c"))).unwrap();
    heap.store_bytes(&content(3, 7), Hold::Name("nobody's")).unwrap();
    assert_eq!(used(&heap, "ann"), (100, 1), "for two holds of one object");
    assert_eq!(used(&heap, "bob"), (150, 2), "whoever else has it");

    let [one, two] = heap.quotas().unwrap().try_into().unwrap();
    assert_eq!(
        (one.quota.value.as_str(), one.shared_bytes, one.shared_objects),
        ("ann", 100, 1)
    );
    assert_eq!(
        (two.quota.value.as_str(), two.shared_bytes, two.shared_objects),
        ("bob", 100, 1)
    );

    heap.release(&id).unwrap();
    assert_eq!(used(&heap, "ann"), (100, 1), "the name is left");
    heap.unbind("a").unwrap();
    assert_eq!(used(&heap, "ann"), (0, 0));
    assert_eq!(used(&heap, "bob"), (150, 2), "nobody pays more because another let go");
    heap.unbind("b").unwrap();
    assert_eq!(used(&heap, "bob"), (50, 1));
    assert_balanced(&heap);
}

#[test]
fn what_is_used_follows_every_change_of_a_tag() {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 10), ann(Hold::Name("a"))).unwrap();
    limit(&heap, "ann", 100);
    limit(&heap, "bob", 100);
    assert_eq!(used(&heap, "ann"), (10, 1), "what it had before counts");
    heap.tag("a", "owner", "bob").unwrap();
    assert_eq!((used(&heap, "ann"), used(&heap, "bob")), ((0, 0), (10, 1)));
    heap.untag("a", "owner").unwrap();
    assert_eq!(used(&heap, "bob"), (0, 0));
    heap.tag("a", "owner", "ann").unwrap();
    heap.set("a", "another").unwrap();
    assert_eq!(used(&heap, "ann"), (0, 0), "the name lost its tags");

    heap.store_bytes(&content(2, 20), ann(Hold::Name("b"))).unwrap();
    heap.store_bytes(&content(3, 30), ann(Hold::Name("b"))).unwrap();
    assert_eq!(used(&heap, "ann"), (30, 1), "the name moved");
    let id = heap.resolve("b").unwrap().unwrap();
    heap.force_free(&id).unwrap();
    assert_eq!(used(&heap, "ann"), (0, 0));

    heap.batch(|batch| {
        batch.store_bytes(&content(4, 40), ann(Hold::Name("c")))?;
        let id = batch.store_bytes(&content(4, 40), bob(Hold::Anonymous))?.id;
        batch.tag(&id, "owner", "ann")?;
        batch.unbind("c").map(drop)
    })
    .unwrap();
    assert_eq!((used(&heap, "ann"), used(&heap, "bob")), ((40, 1), (0, 0)));
    heap.free_tagged("owner", "ann").unwrap();
    assert_eq!(used(&heap, "ann"), (0, 0));
    assert_balanced(&heap);
}

#[test]
fn what_has_expired_counts_until_it_is_given_back() {
    let clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a")).expires_in(HOUR))
        .unwrap();
    heap.store_bytes(&content(2, 30), ann(Hold::Name("b"))).unwrap();
    clock.advance(HOUR);
    let [usage] = heap.quotas().unwrap().try_into().unwrap();
    assert_eq!(
        (usage.quota.used_bytes, usage.expired_bytes, usage.expired_objects),
        (90, 60, 1)
    );
    heap.collect_expired().unwrap();
    let [usage] = heap.quotas().unwrap().try_into().unwrap();
    assert_eq!((usage.quota.used_bytes, usage.expired_bytes), (30, 0));
    assert_balanced(&heap);
}

#[test]
fn quotas_are_changed_and_removed() {
    let heap = Heap::new();
    assert!(heap.quotas().unwrap().is_empty());
    assert_eq!(heap.quota("owner", "ann").unwrap(), None);
    assert!(!heap.remove_quota("owner", "ann").unwrap());
    heap.store_bytes(&content(1, 10), ann(Hold::Name("a"))).unwrap();
    let limits = QuotaLimits::none().soft_bytes(5).soft_objects(1);
    heap.set_quota("owner", "ann", limits).unwrap();
    let quota = heap.quota("owner", "ann").unwrap().unwrap();
    assert_eq!((quota.limits, quota.state()), (limits, QuotaState::OverSoft));
    heap.set_quota("owner", "ann", QuotaLimits::none()).unwrap();
    let quota = heap.quota("owner", "ann").unwrap().unwrap();
    assert_eq!((quota.used_bytes, quota.state()), (10, QuotaState::Within));
    assert_eq!(heap.memram().unwrap().quotas, 1);
    assert!(heap.remove_quota("owner", "ann").unwrap());
    assert_eq!(heap.memram().unwrap().quotas, 0);
    heap.store_bytes(&content(2, 10), ann(Hold::Name("b"))).unwrap();
    assert!(heap.set_quota("own=er", "ann", limits).is_err());
    assert_balanced(&heap);
}

#[test]
fn each_space_has_its_own_and_they_go_with_it() {
    let heap = Heap::new();
    limit(&heap, "ann", 10);
    let other = crate::common::quick().space("other").open(heap.address()).unwrap();
    limit(&other, "ann", 1000);
    other.store_bytes(&content(1, 500), ann(Hold::Name("a"))).unwrap();
    assert_eq!(used(&heap, "ann"), (0, 0));
    drop(other);
    heap.drop_space("other").unwrap();
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM quotas"), 1);
    assert_balanced(&heap);
}

#[test]
fn the_claims_of_owners_add_up_to_the_objects() {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 100), ann(Hold::Name("a"))).unwrap();
    heap.store_bytes(&content(2, 10), ann(Hold::Name("b"))).unwrap();
    heap.store_bytes(&content(2, 10), bob(Hold::Anonymous)).unwrap();
    heap.store_bytes(&content(3, 7), Hold::Name("c")).unwrap();
    let lines = "SELECT bucket || ' ' || coalesce(value, '-') || ' ' || objects || ' ' || bytes FROM claims_by_owner \
        WHERE space = 'main' AND key = 'owner' ORDER BY line, value";
    assert_eq!(
        texts(&heap.sql(), lines),
        ["tagged ann 1 100", "shared - 1 10", "untagged - 1 7"]
    );
    let sums = "SELECT count(*) FROM (SELECT sum(bytes) AS bytes FROM claims_by_owner GROUP BY space, key) s \
        JOIN claims c ON c.bucket = 'objects' WHERE s.bytes <> c.bytes";
    assert_eq!(number(&heap.sql(), sums), 0);
}

#[test]
fn i15_quotas_add_up_what_their_owners_have() {
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 10), ann(Hold::Name("a"))).unwrap();
    heap.store_bytes(&content(1, 10), ann(Hold::Anonymous)).unwrap();
    let wrong = [
        "UPDATE memram SET quotas = quotas + 1",
        "UPDATE memram SET quotas = 0",
        "UPDATE quotas SET used_bytes = 11",
        "UPDATE quotas SET used_objects = 0",
        "INSERT INTO quotas (memram_id, key, value, used_bytes, used_objects) VALUES (1, 'owner', 'bob', 1, 1)",
    ];
    for statement in wrong {
        assert_repaired(&heap, statement, Invariant::I15);
    }
    assert_eq!(used(&heap, "ann"), (10, 1));
}
