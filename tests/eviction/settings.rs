//! What a space evicts can be changed.

use heapledger::{Error, Eviction, Policy};

use crate::common::{Heap, KIB, assert_balanced, content, quick};
use crate::{HOUR, cache, fill, stored};

#[test]
fn it_is_a_setting_of_the_space() {
    let eviction = Eviction::by(Policy::Largest).min_age(HOUR);
    let heap = cache(eviction);
    assert_eq!(heap.eviction().unwrap(), Some(eviction));
    let memram = heap.memram().unwrap();
    assert_eq!(
        (memram.evict, memram.evict_min_age),
        (Some(Policy::Largest), 3_600_000_000)
    );
    let other = quick().space("other").open(heap.address()).unwrap();
    assert_eq!(other.eviction().unwrap(), None);
}

#[test]
fn a_change_counts_at_once_for_everybody_who_has_it_open() {
    let heap = Heap::made(quick().max_mem(64 * KIB));
    let again = heap.open_again();
    let ids = fill(&heap, &[10_000, 40_000]);
    assert!(again.allocate_bytes(&content(9, 30_000)).is_err());
    heap.set_eviction(Some(Policy::Largest.into())).unwrap();
    again.allocate_bytes(&content(9, 30_000)).unwrap();
    assert_eq!(stored(&heap, &ids), [true, false]);
    again.set_eviction(None).unwrap();
    assert!(heap.allocate_bytes(&content(10, 60_000)).is_err());
    assert_eq!(heap.eviction().unwrap(), None);
    assert_balanced(&heap);
}

#[test]
fn policies_that_go_by_reads_are_refused() {
    let heap = Heap::new();
    for policy in [Policy::Lru, Policy::Sieve, Policy::S3Fifo] {
        let refused = heap.set_eviction(Some(policy.into())).unwrap_err();
        assert!(matches!(refused, Error::Space(_)), "{refused}");
        assert!(matches!(
            quick().space("new").evict(policy).open(heap.address()),
            Err(Error::Space(_))
        ));
    }
    assert_eq!(heap.spaces().unwrap().len(), 1);
}
