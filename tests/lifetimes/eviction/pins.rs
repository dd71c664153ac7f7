//! Pins.

use heapledger::{CopyOptions, Error, Hold, Policy};

use super::{cache, fill};
use crate::common::{Heap, Place, assert_balanced, content, quick};
use crate::{Clock, HOUR};

#[test]
fn a_pin_is_set_and_taken_away() {
    let heap = Heap::new();
    let ids = fill(&heap, &[100, 200, 300]);
    assert!(heap.pins().unwrap().is_empty());
    assert!(heap.pin(&ids[2]).unwrap());
    assert!(heap.pin(&ids[0]).unwrap());
    assert!(!heap.pin(&ids[0]).unwrap(), "it was pinned already");
    let pins: Vec<_> = heap.pins().unwrap().into_iter().map(|object| object.id).collect();
    assert_eq!(pins, [ids[0], ids[2]]);
    assert!(heap.object(&ids[0]).unwrap().pinned);
    assert!(heap.unpin(&ids[0]).unwrap());
    assert!(!heap.unpin(&ids[1]).unwrap());
    assert_eq!(heap.pins().unwrap().len(), 1);
    let unknown = fill(&Heap::new(), &[400])[0];
    assert!(matches!(heap.pin(&unknown), Err(Error::NotStored { .. })));
    assert_balanced(&heap);
}

#[test]
fn a_pin_holds_nothing_and_ends_with_its_object() {
    let clock = Clock::take();
    let heap = Heap::new();
    let id = fill(&heap, &[100])[0];
    heap.pin(&id).unwrap();
    heap.free(&id).unwrap();
    fill(&heap, &[100]);
    assert!(heap.pins().unwrap().is_empty());
    let id = heap.store("gone", Hold::Name("gone").expires_in(HOUR)).unwrap().id;
    heap.pin(&id).unwrap();
    clock.advance(HOUR);
    assert!(heap.pins().unwrap().is_empty());
    assert!(matches!(heap.pin(&id), Err(Error::NotStored { .. })));
}

#[test]
fn a_pin_stays_when_holds_change_and_after_reopening() {
    let _clock = Clock::take();
    let heap = cache(Policy::Oldest);
    let id = heap
        .batch(|batch| {
            let id = batch.store_bytes(&content(1, 30_000), Hold::Name("a"))?.id;
            batch.pin(&id)?;
            batch.bind("b", &id)?;
            Ok(id)
        })
        .unwrap();
    heap.allocate_bytes(&content(1, 30_000)).unwrap();
    heap.unbind("a").unwrap();
    heap.expire("b", HOUR).unwrap();
    heap.release(&id).unwrap();
    let again = heap.open_again();
    for seed in 2..6 {
        again.allocate_bytes(&content(seed, 30_000)).unwrap();
    }
    assert_eq!(heap.pins().unwrap()[0].id, id);
    assert_balanced(&heap);
}

#[test]
fn a_copy_has_the_pins_and_the_setting() {
    let heap = cache(Policy::Largest);
    let ids = fill(&heap, &[100, 20_000]);
    heap.pin(&ids[1]).unwrap();
    let place = Place::emptied();
    let options = CopyOptions::default().target(quick());
    heap.copy_to_with(place.address(), &options, &mut |_, _, _| {}).unwrap();
    let copy = quick().open(place.address()).unwrap();
    assert_eq!(copy.pins().unwrap().len(), 1);
    assert_eq!(copy.eviction().unwrap(), heap.eviction().unwrap());
    assert_balanced(&copy);
}
