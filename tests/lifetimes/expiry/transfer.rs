//! Exports and copies take expiry along, and leave out what has expired.

use heapledger::{CopyOptions, Hold, Phase};

use crate::common::{Heap, Place, assert_balanced, quick};
use crate::{Clock, HOUR, MINUTE};

fn filled(clock: &Clock) -> Heap {
    let heap = Heap::new();
    heap.store("gone", Hold::Name("gone").expires_in(MINUTE)).unwrap();
    heap.store("held", Hold::Anonymous.expires_in(HOUR)).unwrap();
    heap.store("named", Hold::Name("named").expires_in(HOUR)).unwrap();
    heap.store("named", Hold::Name("named for a minute").expires_in(MINUTE))
        .unwrap();
    heap.allocate("kept").unwrap();
    clock.advance(MINUTE);
    heap
}

fn assert_same(clock: &Clock, heap: &Heap, other: &heapledger::MemManager) {
    assert_eq!(other.objects().count(), 3);
    assert_eq!(other.resolve("gone").unwrap(), None);
    for object in heap.objects().map(Result::unwrap) {
        let copy = other.object(&object.id).unwrap();
        let original = heap.object(&object.id).unwrap();
        assert_eq!(
            (copy.held_until, copy.expires_at),
            (original.held_until, original.expires_at)
        );
        let names = |memory: &heapledger::MemManager| {
            let names = memory.names(&object.id).unwrap().into_iter();
            names.map(|name| (name.name, name.expires_at)).collect::<Vec<_>>()
        };
        assert_eq!(names(other), names(heap));
    }
    assert_balanced(other);
    clock.advance(HOUR);
    assert_eq!(other.objects().count(), 1);
    other.collect_garbage().unwrap();
    assert_balanced(other);
}

#[test]
fn what_expires_during_a_copy_is_in_neither() {
    let clock = Clock::take();
    let heap = filled(&clock);
    let place = Place::emptied();
    let mut is_first = true;
    let mut late = |phase: Phase, _: u64, _: u64| {
        if phase == Phase::Copying && std::mem::take(&mut is_first) {
            clock.advance(HOUR);
        }
    };
    let options = CopyOptions::default().target(quick());
    heap.copy_to_with(place.address(), &options, &mut late).unwrap();
    assert!(!is_first);
    let copy = quick().open(place.address()).unwrap();
    assert_eq!(copy.objects().count(), 1);
    assert_balanced(&copy);
}

#[test]
fn an_export_keeps_when_everything_expires() {
    let clock = Clock::take();
    let heap = filled(&clock);
    let folder = tempfile::tempdir().unwrap();
    let exported = heap.export(folder.path().join("export")).unwrap();
    assert_eq!((exported.objects, exported.names), (3, 1));
    let other = Heap::new();
    other.import(folder.path().join("export")).unwrap();
    other.import(folder.path().join("export")).unwrap();
    assert_same(&clock, &heap, &other);
    let late = Heap::new();
    let imported = late.import(folder.path().join("export")).unwrap();
    assert_eq!((imported.objects, imported.left_out), (1, 2));
    assert_balanced(&late);
}

#[test]
fn a_copy_keeps_when_everything_expires() {
    let clock = Clock::take();
    let heap = filled(&clock);
    let place = Place::emptied();
    let options = CopyOptions::default().target(quick());
    for _ in 0..2 {
        heap.copy_to_with(place.address(), &options, &mut |_, _, _| {}).unwrap();
    }
    place.has_opened();
    let copy = quick().open(place.address()).unwrap();
    assert_same(&clock, &heap, &copy);
}
