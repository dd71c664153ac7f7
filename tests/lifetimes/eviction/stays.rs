//! What stays: pinned objects, young ones, those of the same transaction, and everything if that is not enough.

use heapledger::{Error, EventFilter, EventKind, Eviction, Hold, MemManager, Policy};

use super::{cache, fill, planned, stored};
use crate::common::{Heap, KIB, assert_balanced, content, quick};
use crate::{Clock, HOUR};

fn is_refused<R>(result: Result<R, Error>) -> bool {
    matches!(result, Err(Error::OutOfMemory { .. }))
}

#[test]
fn nothing_is_evicted_unless_asked_for() {
    let heap = Heap::made(quick().max_mem(64 * KIB));
    let ids = fill(&heap, &[30_000, 30_000]);
    assert!(is_refused(heap.allocate_bytes(&content(9, 10_000))));
    assert_eq!(stored(&heap, &ids), [true, true]);
    assert!(matches!(heap.plan_eviction(10_000), Err(Error::Space(_))));
}

#[test]
fn nothing_goes_if_what_may_go_is_not_enough() {
    for policy in [Policy::Oldest, Policy::Largest] {
        let heap = cache(policy);
        let ids = fill(&heap, &[10_000, 30_000, 20_000]);
        heap.pin(&ids[1]).unwrap();
        assert!(is_refused(heap.allocate_bytes(&content(9, 35_537))));
        assert!(is_refused(heap.allocate_bytes(&content(9, 100_000))));
        assert_eq!(heap.plan_eviction(35_537).unwrap().shortfall, 1);
        assert_eq!(stored(&heap, &ids), [true; 3]);
        let refusals = heap.events(EventFilter::default().kinds([EventKind::Refusal]));
        // Refusals in a row are one event with a count.
        let times: u64 = refusals.map(|refusal| refusal.unwrap().count).sum();
        assert_eq!(times, 2);
        heap.allocate_bytes(&content(9, 35_536)).unwrap();
        assert_eq!(stored(&heap, &ids), [false, true, false]);
        assert_balanced(&heap);
    }
}

#[test]
fn young_objects_stay() {
    let clock = Clock::take();
    let heap = cache(Eviction::by(Policy::Oldest).min_age(HOUR));
    let old = fill(&heap, &[30_000]);
    clock.advance(HOUR);
    let young = heap.allocate_bytes(&content(7, 30_000)).unwrap();
    assert!(is_refused(heap.allocate_bytes(&content(9, 36_000))));
    assert_eq!(planned(&heap, 35_000), old);
    heap.allocate_bytes(&content(9, 35_000)).unwrap();
    assert!(heap.contains(&young).unwrap());
    let refused = heap.allocate_bytes(&content(10, 1_000)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { spared: true, .. }));
    assert!(
        refused
            .to_string()
            .contains("lower the age with MemManager::set_eviction"),
        "{refused}"
    );
    let refused = heap.allocate_bytes(&content(10, 70_000)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { spared: false, .. }));
}

#[test]
fn what_a_batch_stores_stays_until_it_is_done() {
    let heap = cache(Policy::Oldest);
    let ids = fill(&heap, &[30_000, 30_000]);
    let mut own = Vec::new();
    heap.batch(|batch| {
        own.push(batch.allocate_bytes(&content(8, 30_000))?);
        own.push(batch.allocate_bytes(&content(9, 30_000))?);
        assert!(is_refused(batch.allocate_bytes(&content(10, 30_000))));
        Ok(())
    })
    .unwrap();
    assert_eq!(stored(&heap, &ids), [false, false]);
    assert_eq!(stored(&heap, &own), [true, true]);
    assert_balanced(&heap);
    let failed = heap.batch(|batch| {
        batch.allocate_bytes(&content(11, 60_000))?;
        Err::<(), _>(Error::BatchFailed)
    });
    assert!(failed.is_err());
    assert_eq!(stored(&heap, &own), [true, true], "it was undone with the batch");
}

#[test]
fn a_name_that_moves_finds_its_object_gone() {
    let heap = cache(Policy::Oldest);
    for seed in 0..4 {
        heap.store_bytes(&content(seed, 40_000), Hold::Name("page")).unwrap();
        assert_eq!(heap.get_bytes_by_name("page").unwrap().unwrap(), content(seed, 40_000));
    }
    assert_eq!(heap.stats().unwrap().objects, 1);
    assert_balanced(&heap);
}

#[test]
fn what_has_expired_goes_before_anything_is_evicted() {
    let clock = Clock::take();
    let heap = cache(Policy::Oldest);
    let kept = fill(&heap, &[20_000]);
    heap.store_bytes(&content(5, 40_000), Hold::Name("gone").expires_in(HOUR))
        .unwrap();
    clock.advance(HOUR);
    let plan = heap.plan_eviction(30_000).unwrap();
    assert_eq!((plan.due, plan.victims.len()), (40_000, 0));
    heap.allocate_bytes(&content(9, 30_000)).unwrap();
    assert_eq!(stored(&heap, &kept), [true]);
    assert_balanced(&heap);
}

#[test]
fn several_writers_never_lose_what_they_have_pinned() {
    let heap = cache(Policy::Oldest);
    let pinned: Vec<_> = std::thread::scope(|scope| {
        let heap: &MemManager = &heap;
        let threads = (0..4_u64).map(|thread| {
            scope.spawn(move || {
                let kept = heap.allocate_bytes(&content(1_000 + thread, 1_000)).unwrap();
                // Another one may have evicted it before.
                let is_kept = heap.pin(&kept).is_ok();
                for seed in 0..40 {
                    heap.allocate_bytes(&content(thread * 100 + seed, 5_000)).unwrap();
                }
                is_kept.then_some(kept)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(!pinned.is_empty());
    assert!(stored(&heap, &pinned).into_iter().all(|is_stored| is_stored));
    assert_balanced(&heap);
}

#[test]
fn a_plan_by_s3_fifo_knows_that_what_has_expired_leaves_the_main_queue() {
    let clock = Clock::take();
    let heap = cache(Policy::S3Fifo);
    // Without the last one, which is on trial, they are in the main queue, and it is more than its share.
    heap.set_eviction(None).unwrap();
    heap.store_bytes(&content(1, 20_000), Hold::Anonymous.expires_in(HOUR))
        .unwrap();
    fill(&heap, &[20_000, 19_500]);
    heap.set_eviction(Some(Policy::S3Fifo.into())).unwrap();
    let on_trial = heap.allocate_bytes(&content(5, 5_000)).unwrap();
    assert!(heap.memram().unwrap().evict_main > 64 * KIB / 10 * 9);
    clock.advance(HOUR);
    assert_eq!(planned(&heap, 22_000), [on_trial]);
    heap.allocate_bytes(&content(6, 22_000)).unwrap();
    assert!(!heap.contains(&on_trial).unwrap());
}
