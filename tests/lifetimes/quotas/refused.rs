//! What a quota refuses, and that nothing else changes then.

use heapledger::{Error, Eviction, Geometry, Hold, Policy, QuotaLimit, QuotaLimits, Severity};

use super::{ann, bob, content, limit, used};
use crate::common::{Heap, assert_balanced, number, texts};
use crate::{Clock, DAY, HOUR};

/// Who was refused, and what there was, was needed and was allowed.
fn figures<T: std::fmt::Debug>(refused: Result<T, Error>) -> (String, QuotaLimit, [u64; 3]) {
    let error = refused.unwrap_err();
    assert!(error.is_out_of_room() && !error.is_retryable());
    match error {
        Error::QuotaExceeded(over) => (
            format!("{}={}", over.key, over.value),
            over.limit,
            [over.used, over.needed, over.hard],
        ),
        other => panic!("{other:?}"),
    }
}

fn of_ann(figures: [u64; 3]) -> (String, QuotaLimit, [u64; 3]) {
    ("owner=ann".to_owned(), QuotaLimit::Bytes, figures)
}

#[test]
fn a_full_owner_is_refused_with_who_how_much_and_of_what() {
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    let before = heap.layout_digest().unwrap();
    let refused = heap.store_bytes(&content(2, 41), ann(Hold::Anonymous));
    assert_eq!(figures(refused), of_ann([60, 41, 100]));
    let error = heap.store_bytes(&content(2, 41), ann(Hold::Name("b"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "quota exceeded: owner=ann has 60 of 100 bytes, and needs 41 more; free some of its objects, or allow it more \
         with MemManager::set_quota"
    );
    assert_eq!(heap.layout_digest().unwrap(), before);
    assert_eq!(heap.resolve("b").unwrap(), None);
    assert_eq!(used(&heap, "ann"), (60, 1));
    let events = "SELECT bytes || ' ' || count || ' ' || changes FROM events WHERE kind = 'refusal'";
    let changes = r#"{"available":40,"owner":"owner=ann","limit":"bytes","used":60,"hard":100,"shortfall":1}"#;
    assert_eq!(texts(&heap.sql(), events), [format!("41 2 {changes}")]);

    heap.store_bytes(&content(2, 40), ann(Hold::Name("b"))).unwrap();
    heap.store_bytes(&content(3, 500), bob(Hold::Name("c"))).unwrap();
    heap.store_bytes(&content(4, 500), Hold::Name("d")).unwrap();
    assert_balanced(&heap);
}

#[test]
fn objects_are_limited_too() {
    let heap = Heap::new();
    heap.set_quota("owner", "ann", QuotaLimits::none().hard_objects(1))
        .unwrap();
    heap.store_bytes(&content(1, 10), ann(Hold::Name("a"))).unwrap();
    heap.store_bytes(&content(1, 10), ann(Hold::Name("b"))).unwrap();
    let refused = figures(heap.store_bytes(&content(2, 0), ann(Hold::Name("c"))));
    assert_eq!(refused, ("owner=ann".to_owned(), QuotaLimit::Objects, [1, 1, 1]));
    let events = "SELECT bytes || ' ' || changes FROM events WHERE kind = 'refusal'";
    let changes = r#"{"owner":"owner=ann","limit":"objects","used":1,"hard":1}"#;
    assert_eq!(texts(&heap.sql(), events), [format!("0 {changes}")]);
    assert_balanced(&heap);
}

#[test]
fn tags_on_what_is_stored_are_refused_too() {
    let heap = Heap::new();
    limit(&heap, "ann", 10);
    let id = heap.store_bytes(&content(1, 20), Hold::Name("a")).unwrap().id;
    assert_eq!(figures(heap.tag("a", "owner", "ann")), of_ann([0, 20, 10]));
    // The same content again is as much as another's.
    let again = heap.store_bytes(&content(1, 20), ann(Hold::Anonymous));
    assert_eq!(figures(again), of_ann([0, 20, 10]));
    let again = heap.store_bytes(&content(1, 20), ann(Hold::Name("b")));
    assert_eq!(figures(again), of_ann([0, 20, 10]));
    assert!(!heap.object(&id).unwrap().held);
    assert!(heap.tags("a").unwrap().is_empty());
    // Of two values the last one counts.
    heap.store_bytes(&content(1, 20), ann(Hold::Name("c")).tag("owner", "bob"))
        .unwrap();
    assert_balanced(&heap);
}

#[test]
fn what_a_name_leaves_in_the_same_call_counts_as_left() {
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 100), ann(Hold::Name("a"))).unwrap();
    heap.store_bytes(&content(2, 100), ann(Hold::Name("a"))).unwrap();
    let refused = heap.store_bytes(&content(3, 101), ann(Hold::Name("a")));
    assert_eq!(figures(refused), of_ann([100, 1, 100]));
    // Another hold of the owner keeps the old object.
    heap.store_bytes(&content(2, 100), ann(Hold::Name("b"))).unwrap();
    let refused = heap.store_bytes(&content(3, 10), ann(Hold::Name("a")));
    assert_eq!(figures(refused), of_ann([100, 10, 100]));
    assert_eq!(used(&heap, "ann"), (100, 1));
    assert_balanced(&heap);
}

#[test]
fn a_batch_is_measured_by_what_it_has_done_itself() {
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    heap.batch(|batch| {
        let refused = batch.store_bytes(&content(2, 50), ann(Hold::Name("b")));
        assert_eq!(figures(refused), of_ann([60, 50, 100]));
        batch.unbind("a")?;
        batch.store_bytes(&content(2, 50), ann(Hold::Name("b")))?;
        let refused = batch.store_bytes(&content(3, 51), ann(Hold::Anonymous));
        assert_eq!(figures(refused), of_ann([50, 51, 100]));
        batch.store_bytes(&content(3, 50), ann(Hold::Anonymous)).map(drop)
    })
    .unwrap();
    assert_eq!(used(&heap, "ann"), (100, 2));
    let refused = heap.batch(|batch| {
        batch.unbind("b")?;
        batch.store_bytes(&content(4, 51), ann(Hold::Anonymous))
    });
    assert_eq!(figures(refused), of_ann([50, 51, 100]));
    assert_eq!(used(&heap, "ann"), (100, 2), "all of it was undone");
    assert_eq!(
        number(&heap.sql(), "SELECT count(*) FROM events WHERE kind = 'refusal'"),
        3
    );
    assert_balanced(&heap);
}

#[test]
fn a_lower_limit_drops_nothing_but_growth_is_refused() {
    let heap = Heap::new();
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    limit(&heap, "ann", 10);
    assert_eq!(used(&heap, "ann"), (60, 1));
    assert_eq!(
        figures(heap.store_bytes(&content(2, 1), ann(Hold::Name("b")))),
        of_ann([60, 1, 10])
    );
    heap.store_bytes(&content(1, 60), ann(Hold::Name("b"))).unwrap();
    heap.unbind("b").unwrap();
    heap.store_bytes(&content(3, 50), ann(Hold::Name("a"))).unwrap();
    assert_eq!(used(&heap, "ann"), (50, 1), "less is no growth");
    assert_balanced(&heap);
}

#[test]
fn nothing_is_refused_while_what_expired_would_do() {
    let clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    let soon = |hold: Hold<'static>| ann(hold).expires_in(HOUR);
    heap.store_bytes(&content(1, 30), soon(Hold::Name("a"))).unwrap();
    // An anonymous hold that is over is met by nobody while a name keeps the object.
    heap.store_bytes(&content(2, 30), soon(Hold::Anonymous)).unwrap();
    heap.store_bytes(&content(2, 30), bob(Hold::Name("b"))).unwrap();
    // A name that is over, of an object that another name keeps.
    heap.store_bytes(&content(3, 30), soon(Hold::Name("c"))).unwrap();
    heap.store_bytes(&content(3, 30), Hold::Name("d")).unwrap();
    assert_eq!(
        figures(heap.store_bytes(&content(4, 100), ann(Hold::Name("e")))),
        of_ann([90, 100, 100])
    );
    clock.advance(HOUR);
    heap.store_bytes(&content(4, 100), ann(Hold::Name("e"))).unwrap();
    assert_eq!(used(&heap, "ann"), (100, 1));
    assert!(heap.resolve("b").unwrap().is_some());
    assert!(heap.resolve("d").unwrap().is_some());
    assert_balanced(&heap);
}

#[test]
fn a_name_that_is_over_counts_as_left_when_it_is_stored_again() {
    let clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 30), ann(Hold::Anonymous)).unwrap();
    heap.store_bytes(&content(2, 60), ann(Hold::Name("a")).expires_in(HOUR))
        .unwrap();
    clock.advance(HOUR);
    // Nothing else of hers is over, so it is not looked for again.
    heap.store_bytes(&content(3, 70), ann(Hold::Name("a"))).unwrap();
    assert_eq!(used(&heap, "ann"), (100, 2));
    assert_balanced(&heap);
}

#[test]
fn a_clock_that_is_far_ahead_gives_nothing_back_for_a_quota() {
    let clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a")).expires_in(HOUR))
        .unwrap();
    clock.advance(2 * DAY);
    assert_eq!(
        figures(heap.store_bytes(&content(2, 60), ann(Hold::Name("b")))),
        of_ann([60, 60, 100])
    );
    heap.collect_expired().unwrap();
    heap.store_bytes(&content(2, 60), ann(Hold::Name("b"))).unwrap();
    assert_balanced(&heap);
}

#[test]
fn nothing_is_evicted_for_a_quota() {
    let heap = Heap::new();
    heap.set_eviction(Some(Eviction::by(Policy::Oldest))).unwrap();
    limit(&heap, "ann", 100);
    heap.store_bytes(&content(1, 60), ann(Hold::Name("a"))).unwrap();
    assert_eq!(
        figures(heap.store_bytes(&content(2, 60), ann(Hold::Name("b")))),
        of_ann([60, 60, 100])
    );
    assert!(heap.resolve("a").unwrap().is_some());
    assert_balanced(&heap);
}

#[test]
fn a_large_object_is_refused_early_and_leaves_nothing() {
    // If it moved, a large object would count as abandoned while it is being stored.
    let _clock = Clock::take();
    const LARGE: usize = 9 << 20;
    let heap = Heap::of(64 << 20, Geometry::standard());
    limit(&heap, "ann", 10 << 20);
    let first = content(1, LARGE);
    heap.store_bytes(&first, ann(Hold::Name("a"))).unwrap();
    let large = content(2, LARGE);
    let needed = [LARGE as u64, LARGE as u64, 10 << 20];
    assert_eq!(figures(heap.store_bytes(&large, ann(Hold::Name("b")))), of_ann(needed));
    assert_eq!(
        figures(heap.store_from(&large[..], ann(Hold::Name("b")))),
        of_ann(needed)
    );
    // A stream is read to its end, because it may be stored already.
    heap.store_from(&first[..], ann(Hold::Name("b"))).unwrap();
    let stored = number(&heap.sql(), "SELECT sum(mem) FROM memram");
    assert_eq!(stored, LARGE as i64);
    assert_eq!(
        number(&heap.sql(), "SELECT sum(count) FROM events WHERE kind = 'refusal'"),
        2
    );
    assert_eq!(used(&heap, "ann"), (LARGE as u64, 1));
    assert_balanced(&heap);
}

#[test]
fn a_reservation_is_posted_within_the_quota() {
    let _clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    let reservation = heap.reserve(200).key("key").make().unwrap();
    assert_eq!(
        figures(reservation.post_bytes(&content(1, 150), ann(Hold::Name("a")))),
        of_ann([0, 150, 100])
    );
    reservation.post_bytes(&content(1, 90), ann(Hold::Name("a"))).unwrap();
    assert_eq!(used(&heap, "ann"), (90, 1));
    assert_balanced(&heap);
}

#[test]
fn doctor_finds_owners_that_are_full_or_over_a_soft_limit() {
    let heap = Heap::new();
    limit(&heap, "ann", 100);
    heap.set_quota("owner", "bob", QuotaLimits::none().soft_bytes(10))
        .unwrap();
    let found = || {
        heap.doctor()
            .unwrap()
            .into_iter()
            .find(|finding| finding.code == "quotas")
    };
    assert_eq!(found(), None);
    heap.store_bytes(&content(1, 20), bob(Hold::Name("b"))).unwrap();
    let finding = found().unwrap();
    assert_eq!(finding.severity, Severity::Note);
    assert_eq!(
        finding.sentence,
        "Of 2 owners with a quota, 0 may have no more, and 1 should have less."
    );
    heap.store_bytes(&content(2, 100), ann(Hold::Name("a"))).unwrap();
    let finding = found().unwrap();
    assert_eq!(finding.severity, Severity::Action);
    assert_eq!(finding.figures["owners"].to_string(), "owner=ann; owner=bob");
    heap.store_bytes(&content(3, 50), ann(Hold::Name("c"))).unwrap_err();
    let findings = heap.doctor().unwrap();
    let refused = findings.iter().find(|finding| finding.code == "refused").unwrap();
    assert_eq!(
        refused.sentence,
        "A quota refused an object in the last day, 1 time; it needed 50 B."
    );
    // Refusals of others are other events.
    let larger = content(4, 2 << 20);
    heap.store_bytes(&larger, bob(Hold::Name("d"))).unwrap_err();
    heap.store_bytes(&larger, bob(Hold::Name("d"))).unwrap_err();
    let findings = heap.doctor().unwrap();
    let refused = findings.iter().find(|finding| finding.code == "refused").unwrap();
    assert_eq!(refused.figures["refused_times"].to_string(), "3");
}

#[test]
fn an_object_that_a_hold_no_longer_pays_for_is_a_gain() {
    let clock = Clock::take();
    let heap = Heap::new();
    let only = |objects| {
        heap.set_quota("owner", "ann", QuotaLimits::none().hard_objects(objects))
            .unwrap()
    };
    only(2);
    let passing = heap
        .store_bytes(&content(1, 10), ann(Hold::Anonymous).expires_in(HOUR))
        .unwrap()
        .id;
    heap.bind("kept", &passing).unwrap();
    heap.store_bytes(&content(2, 10), ann(Hold::Name("hers"))).unwrap();
    clock.advance(2 * HOUR);
    only(1);
    let again = || heap.store_bytes(&content(1, 10), ann(Hold::Name("again"))).map(drop);
    let refusal = ("owner=ann".to_owned(), QuotaLimit::Objects, [1, 1, 1]);
    assert_eq!(figures(again()), refusal);
    assert_eq!(figures(heap.tag("kept", "owner", "ann")), refusal);
    only(2);
    heap.tag("kept", "owner", "ann").unwrap();
    assert_eq!(used(&heap, "ann"), (20, 2));
    // Neither is it one while another hold pays.
    only(1);
    again().unwrap();
    assert_balanced(&heap);
}
