//! Usage of a space, now and over time.

use crate::common::{Heap, KIB, content};
use heapledger::{EventFilter, MemManager, UsagePoint};

fn busy(memory: &MemManager) {
    for seed in 0..30 {
        let id = memory.allocate_bytes(&content(seed, 1000 * (seed % 7))).unwrap();
        if seed % 3 == 0 {
            memory.force_free(&id).unwrap();
        }
    }
    memory.collect_garbage().unwrap();
}

fn balance(point: &UsagePoint) -> [u64; 5] {
    [
        point.mem,
        point.room_in_blocks,
        point.uncarved_in_pools,
        point.uncarved_in_arenas,
        point.unreserved,
    ]
}

#[test]
fn every_point_balances_and_the_last_one_is_current() {
    let heap = Heap::new();
    busy(&heap);
    let points = heap.usage_over_time(usize::MAX).unwrap();
    let events: Vec<_> = heap.events(EventFilter::default()).map(Result::unwrap).collect();
    assert_eq!(points.len(), events.len());
    for (point, event) in points.iter().zip(&events) {
        assert_eq!(
            (point.event_id, point.at, point.mem, point.peak_mem),
            (event.id, event.at, event.mem, event.mem)
        );
        assert_eq!(balance(point).iter().sum::<u64>(), point.capacity);
    }
    let now: Vec<_> = heap
        .trial_balance()
        .unwrap()
        .iter()
        .map(|bucket| bucket.bytes)
        .collect();
    assert_eq!(balance(points.last().unwrap()).as_slice(), now);
}

#[test]
fn fewer_points_are_evenly_spaced_and_lose_no_peak() {
    let heap = Heap::new();
    busy(&heap);
    let all = heap.usage_over_time(usize::MAX).unwrap();
    for wanted in [1, 2, 3, 7, 10, all.len() - 1, all.len(), all.len() + 1] {
        let points = heap.usage_over_time(wanted).unwrap();
        assert_eq!(points.len(), wanted.min(all.len()));
        assert_eq!(points.last().unwrap().event_id, all.last().unwrap().event_id);
        let mut rest = all.as_slice();
        for point in &points {
            let at = rest.iter().position(|other| other.event_id == point.event_id).unwrap();
            let (group, others) = rest.split_at(at + 1);
            assert!((all.len() / wanted..=all.len() / wanted + 1).contains(&group.len()) || wanted > all.len());
            assert_eq!(balance(point), balance(group.last().unwrap()));
            assert_eq!(point.peak_mem, group.iter().map(|other| other.mem).max().unwrap());
            rest = others;
        }
    }
    assert!(heap.usage_over_time(0).unwrap().is_empty());
}

#[test]
fn the_levels_are_those_of_the_statistics() {
    let heap = Heap::new();
    heap.allocate_bytes(&content(1, 100 * KIB)).unwrap();
    heap.allocate_bytes(&content(2, 100)).unwrap();
    let (usage, stats) = (heap.usage().unwrap(), heap.stats().unwrap());
    assert_eq!((usage[0].level.as_str(), usage[0].max_mem), ("space", stats.max_mem));
    assert_eq!((usage[1].level.as_str(), usage[1].rows), ("arenas", stats.arenas));
    for class in &stats.classes {
        let of = |level: &str| {
            let mut rows = usage.iter().filter(|row| row.level.as_str() == level);
            rows.find(|row| row.block_size == Some(class.totals.block_size))
                .unwrap()
        };
        assert_eq!(
            (of("pools").rows, of("pools").max_mem),
            (class.totals.pools, class.totals.pooled)
        );
        assert_eq!(
            (of("blocks").rows, of("blocks").mem),
            (class.totals.blocks, class.totals.mem)
        );
    }
}
