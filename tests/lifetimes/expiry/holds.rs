//! Expiry sits on holds, and an object lasts as long as the last of them.

use std::time::Duration;

use heapledger::{Error, EventKind, Expiry, ExpiryError, Held, Hold, Timestamp};

use super::{events, rows};
use crate::common::{Heap, assert_balanced};
use crate::{Clock, HOUR, MINUTE};

#[test]
fn an_object_lasts_as_long_as_its_last_hold() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("it", Hold::Anonymous.expires_in(HOUR)).unwrap().id;
    heap.store("it", Hold::Name("short").expires_in(2 * HOUR)).unwrap();
    heap.store("it", Hold::Name("long").expires_in(3 * HOUR)).unwrap();
    let names = || heap.names(&id).unwrap().len();
    clock.advance(HOUR);
    assert!(!heap.object(&id).unwrap().held);
    assert_eq!(names(), 2);
    clock.advance(HOUR);
    assert_eq!(names(), 1);
    assert_balanced(&heap);
    clock.advance(HOUR);
    assert!(!heap.contains(&id).unwrap());
    heap.collect_garbage().unwrap();
    assert_eq!(rows(&heap), 0);
    let expired = events(&heap, &[EventKind::Expire, EventKind::Unbind]);
    let kinds: Vec<_> = expired.iter().map(|(kind, name, _)| (*kind, name.as_deref())).collect();
    let expire = |name| (EventKind::Expire, name);
    assert_eq!(kinds, [expire(Some("long")), expire(Some("short")), expire(None)]);
    let bytes: Vec<_> = expired.iter().map(|(.., bytes)| *bytes).collect();
    assert_eq!(bytes, [0, 0, 2], "the last one tells what it freed");
    assert_balanced(&heap);
}

#[test]
fn a_hold_that_never_ends_keeps_the_object() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.allocate("it").unwrap();
    heap.store("it", Hold::Name("short").expires_in(HOUR)).unwrap();
    clock.advance(HOUR);
    assert_eq!(heap.resolve("short").unwrap(), None);
    assert_eq!(heap.get::<String>(&id).unwrap(), "it");
    heap.allocate("any write gives the name back").unwrap();
    assert_eq!(events(&heap, &[EventKind::Expire]).len(), 1);
    assert_balanced(&heap);
}

#[test]
fn expire_sets_any_time_and_touch_never_shortens() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("it")).unwrap().id;
    assert_eq!(heap.touch("it", HOUR).unwrap(), None, "what never ends stays so");
    let long = heap.expire("it", 3 * HOUR).unwrap().unwrap();
    assert_eq!(heap.touch("it", HOUR).unwrap(), Some(long));
    assert!(heap.touch("it", 4 * HOUR).unwrap() > Some(long));
    assert!(heap.expire("it", HOUR).unwrap() < Some(long));
    assert_balanced(&heap);
    clock.advance(HOUR / 2);
    heap.touch("it", HOUR).unwrap();
    clock.advance(HOUR / 2);
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
    assert_eq!(heap.expire("it", Expiry::Never).unwrap(), None);
    clock.advance(HOUR);
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
    assert_eq!(heap.object(&id).unwrap().expires_at, None);

    let held = heap.allocate("held").unwrap();
    heap.expire(&held, HOUR).unwrap();
    heap.touch(&held, 2 * HOUR).unwrap();
    let object = heap.object(&held).unwrap();
    assert!(object.held_until.is_some() && object.held_until == object.expires_at);
    let kinds = [EventKind::Expire, EventKind::Bind];
    assert_eq!(events(&heap, &kinds).len(), 1, "a lease makes no events");
    assert_balanced(&heap);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap().id;
    let why = |error: Error| match error {
        Error::Expiry(why) => why,
        other => panic!("{other}"),
    };
    let past = Expiry::At(Timestamp::from_micros(5));
    assert!(matches!(
        why(heap.expire("it", past).unwrap_err()),
        ExpiryError::Passed { .. }
    ));
    let refused = heap.store("new", Hold::Anonymous.expires_at(Timestamp::from_micros(5)));
    assert!(matches!(why(refused.unwrap_err()), ExpiryError::Passed { .. }));
    assert!(matches!(
        why(heap.touch("it", Duration::ZERO).unwrap_err()),
        ExpiryError::AtOnce
    ));
    let far = Duration::from_secs(u64::MAX);
    assert!(matches!(
        why(heap.expire("it", far).unwrap_err()),
        ExpiryError::TooLate { .. }
    ));
    let far = Expiry::At(Timestamp::from_micros(i64::MAX));
    assert!(matches!(
        why(heap.expire("it", far).unwrap_err()),
        ExpiryError::TooLate { .. }
    ));
    let anonymous = Held::Anonymous(&id);
    assert!(matches!(
        why(heap.expire(anonymous, HOUR).unwrap_err()),
        ExpiryError::NotHeld { .. }
    ));
    assert!(matches!(heap.expire("other", HOUR), Err(Error::UnknownName { .. })));
    clock.advance(HOUR);
    assert!(
        matches!(heap.touch("it", HOUR), Err(Error::UnknownName { .. })),
        "it is gone"
    );
    assert!(matches!(heap.bind("again", &id), Err(Error::NotStored { .. })));
    assert!(matches!(heap.free(&id), Err(Error::NotStored { .. })));
    assert_balanced(&heap);
}

#[test]
fn setting_a_name_sets_its_expiry_and_storing_again_never_shortens_the_hold() {
    let clock = Clock::take();
    let heap = Heap::new();
    let expires = |id| heap.object(id).unwrap().expires_at;
    let id = heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap().id;
    heap.set("it", "it").unwrap();
    assert_eq!(expires(&id), None, "as SET without EX");
    heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap();
    assert!(expires(&id).is_some());
    heap.bind("it", &id).unwrap();
    assert_eq!(expires(&id), None);

    let held = heap.store("held", Hold::Anonymous.expires_in(3 * HOUR)).unwrap().id;
    let before = expires(&held);
    heap.store("held", Hold::Anonymous.expires_in(HOUR)).unwrap();
    assert_eq!(expires(&held), before);
    heap.allocate("held").unwrap();
    assert_eq!(expires(&held), None);
    assert_balanced(&heap);

    let other = heap.store("other", Hold::Anonymous.expires_in(HOUR)).unwrap().id;
    heap.bind("name", &other).unwrap();
    clock.advance(2 * HOUR);
    heap.store("other", Hold::Anonymous.expires_in(HOUR)).unwrap();
    let object = heap.object(&other).unwrap();
    assert!(object.held && object.held_until.is_some() && object.expires_at.is_none());
    assert_eq!(events(&heap, &[EventKind::Expire]).len(), 1);
    assert_balanced(&heap);
}

#[test]
fn a_hold_that_is_over_keeps_nothing_when_the_others_go() {
    let clock = Clock::take();
    let heap = Heap::new();
    let one = heap.store("one", Hold::Anonymous.expires_in(HOUR)).unwrap().id;
    heap.bind("one", &one).unwrap();
    let two = heap.allocate("two").unwrap();
    heap.store("two", Hold::Name("two").expires_in(HOUR)).unwrap();
    heap.store("two", Hold::Name("2").expires_in(MINUTE)).unwrap();
    clock.advance(HOUR);
    assert_eq!(heap.unbind("one").unwrap().unwrap().id, one);
    assert_eq!(heap.release(&two).unwrap().unwrap().id, two);
    assert_eq!(rows(&heap), 0);
    assert_balanced(&heap);

    let kept = heap.store("kept", Hold::Anonymous.expires_in(HOUR)).unwrap().id;
    heap.bind("name", &kept).unwrap();
    clock.advance(HOUR);
    assert!(heap.release(&kept).unwrap().is_none());
    assert!(heap.contains(&kept).unwrap());
    let freed = heap.store("three", Hold::Name("name")).unwrap().freed.unwrap();
    assert_eq!(freed.id, kept);
    assert_balanced(&heap);
}

#[test]
fn a_batch_has_one_time() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("it").expires_in(HOUR)).unwrap().id;
    heap.batch(|batch| {
        clock.advance(HOUR);
        assert_eq!(batch.resolve("it")?, Some(id));
        assert_eq!(batch.get_by_name::<String>("it")?.as_deref(), Some("it"));
        batch.touch("it", 2 * HOUR)?;
        let other = batch.store("other", Hold::Name("other").expires_in(3 * HOUR))?.id;
        batch.expire("other", Expiry::Never)?;
        assert_eq!(batch.object(&other)?.expires_at, None);
        Ok(())
    })
    .unwrap();
    assert_eq!(heap.resolve("it").unwrap(), Some(id));
    clock.advance(HOUR);
    assert_eq!(heap.batch(|batch| batch.resolve("it")).unwrap(), None);
    assert!(!heap.batch(|batch| batch.contains(&id)).unwrap());
    assert_balanced(&heap);
}

#[test]
fn a_new_name_can_be_taken_once_it_has_expired() {
    let clock = Clock::take();
    let heap = Heap::new();
    heap.store("mine", Hold::NewName("lock").expires_in(HOUR)).unwrap();
    let taken = heap.store("yours", Hold::NewName("lock").expires_in(HOUR));
    assert!(matches!(taken, Err(Error::NameTaken { .. })));
    clock.advance(HOUR);
    let id = heap.store("yours", Hold::NewName("lock").expires_in(HOUR)).unwrap().id;
    assert_eq!(heap.resolve("lock").unwrap(), Some(id));
    let told = events(&heap, &[EventKind::Expire, EventKind::Bind, EventKind::Free]);
    let kinds: Vec<_> = told.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Bind, EventKind::Expire, EventKind::Free, EventKind::Bind]
    );
    assert_balanced(&heap);
}
