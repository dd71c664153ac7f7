//! What a space evicts can be changed.

use heapledger::{Eviction, Policy};

use super::{cache, fill, planned, stored};
use crate::common::{Heap, KIB, assert_balanced, content, quick};
use crate::{Clock, HOUR};

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
fn a_policy_by_use_begins_with_what_is_there_in_its_order() {
    let _clock = Clock::take();
    for policy in [Policy::Lru, Policy::Sieve, Policy::S3Fifo] {
        let heap = Heap::made(quick().max_mem(64 * KIB));
        let ids = fill(&heap, &[10_000, 20_000, 30_000, 0]);
        heap.set_eviction(Some(policy.into())).unwrap();
        heap.get_bytes(&ids[0]).unwrap();
        let gone = |ids: &[_]| ids.to_vec();
        assert_eq!(planned(&heap, 20_000), gone(&ids[1..2]), "{policy}");
        // The same policy with another age keeps what is known, and so does another one that goes by use.
        heap.set_eviction(Some(Eviction::by(policy).min_age(HOUR))).unwrap();
        assert_eq!(planned(&heap, 20_000), []);
        heap.set_eviction(Some(policy.into())).unwrap();
        assert_eq!(planned(&heap, 20_000), gone(&ids[1..2]), "{policy}");
        heap.set_eviction(Some(Policy::Oldest.into())).unwrap();
        assert_eq!(planned(&heap, 10_000), gone(&ids[..1]));
        heap.set_eviction(Some(policy.into())).unwrap();
        assert_eq!(planned(&heap, 10_000), gone(&ids[..1]), "{policy}");
        heap.allocate_bytes(&content(9, 35_000)).unwrap();
        assert_eq!(stored(&heap, &ids), [false, false, true, true]);
        assert_balanced(&heap);
    }
}
