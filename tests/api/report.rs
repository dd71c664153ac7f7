//! The report of a space as a whole agrees with everything else that tells about it.

use heapledger::{
    Batch, Error, EventFilter, EventId, EventKind, History, Hold, MapFrame, MemManager, Moment, Report, ReportOptions,
    UsagePoint,
};

use crate::common::{Heap, KIB, MIB, content, quick};

fn report(memory: &MemManager) -> Report {
    memory.report(ReportOptions::default()).unwrap()
}

/// Stores, frees and collects, so that levels come and go.
fn busy(memory: &MemManager) {
    for seed in 0..60 {
        let id = memory.allocate_bytes(&content(seed, 700 * (seed % 9) + 1)).unwrap();
        if seed % 3 == 0 {
            memory.force_free(&id).unwrap();
        }
        if seed % 20 == 19 {
            memory.collect_garbage().unwrap();
        }
    }
    memory.allocate_bytes(&content(100, 300_000)).unwrap();
}

fn buckets(point: &UsagePoint) -> [u64; 5] {
    [
        point.mem,
        point.room_in_blocks,
        point.uncarved_in_pools,
        point.uncarved_in_arenas,
        point.unreserved,
    ]
}

/// Checks that the cells of a frame add up to its buckets, and these to the capacity.
fn assert_adds_up(frame: &MapFrame) {
    let mut sums = [0; 4];
    for cell in &frame.cells {
        let parts = [
            cell.mem,
            cell.room_in_blocks,
            cell.uncarved_in_pools,
            cell.uncarved_in_arenas,
        ];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
        assert_eq!(cell.blocks > 0, cell.block.is_some());
    }
    let [payload, room, pools, arenas, unreserved] = buckets(&frame.usage);
    assert_eq!(sums, [payload, room, pools, arenas]);
    assert_eq!(sums.iter().sum::<u64>() + unreserved, frame.usage.capacity);
}

#[test]
fn its_figures_are_those_of_the_statistics() {
    let heap = Heap::new();
    busy(&heap);
    let (report, stats) = (report(&heap), heap.stats().unwrap());
    let now = report.now.as_ref().unwrap();
    assert_eq!(now.stats, stats);
    let last = report.usage.last().unwrap();
    assert_eq!(report.map.frames.last().unwrap().usage, *last);
    let in_stats: Vec<_> = stats.buckets.iter().map(|bucket| bucket.bytes).collect();
    assert_eq!(buckets(last).as_slice(), in_stats);
    assert_eq!(
        (last.capacity, report.map.frames.last().unwrap().arenas),
        (stats.max_mem, stats.arenas)
    );
    let codes = |findings: &[heapledger::Finding]| findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
    assert_eq!(codes(&now.findings), codes(&heap.doctor().unwrap()));
    assert_eq!(report.classes.len(), stats.classes.len());
    for (class, of_stats) in report.classes.iter().zip(&stats.classes) {
        let totals = &of_stats.totals;
        assert_eq!(
            [
                class.block_size,
                class.pools,
                class.blocks,
                class.full_blocks,
                class.empty_blocks
            ],
            [
                totals.block_size,
                totals.pools,
                totals.blocks,
                totals.full_blocks,
                totals.empty_blocks
            ]
        );
        assert_eq!(
            [class.mem, class.reserved, class.pooled],
            [totals.mem, totals.reserved, totals.pooled]
        );
    }
    let largest: Vec<_> = now.largest.iter().take(5).map(|object| object.id).collect();
    let in_stats: Vec<_> = stats.largest.iter().map(|object| object.object_id).collect();
    assert_eq!(largest, in_stats);
    assert!(now.largest.iter().all(|object| object.value.is_none()));
}

#[test]
fn every_frame_is_the_layout_of_its_event() {
    let heap = Heap::new();
    busy(&heap);
    let report = report(&heap);
    let events = heap.events(EventFilter::default()).count();
    assert_eq!((report.usage.len(), report.map.frames.len()), (events, events));
    for frame in &report.map.frames {
        assert_adds_up(frame);
        let layout = heap.layout_at(Moment::Event(frame.usage.event_id)).unwrap();
        assert_eq!((frame.usage.at, frame.usage.mem), (layout.at, layout.mem));
        let counts = [layout.arenas.len(), layout.pools.len(), layout.blocks.len()].map(|count| count as u64);
        assert_eq!([frame.arenas, frame.pools, frame.blocks], counts);
        // The smallest block has 512 bytes, and no cell has more.
        for cell in &frame.cells {
            let block = layout.blocks.iter().find(|block| Some(block.id) == cell.block);
            assert_eq!(block.map(|block| block.block_size), cell.block_size);
            assert_eq!(
                block.map(|block| block.pool_id),
                cell.pool.filter(|_| cell.block.is_some())
            );
        }
    }
    let over_time = heap.usage_over_time(usize::MAX).unwrap();
    assert_eq!(report.usage, over_time);
}

#[test]
fn since_a_time_before_the_history_it_begins_with_the_oldest_event() {
    let heap = Heap::new();
    busy(&heap);
    let before = heap.memram().unwrap().created_at;
    heap.set_history(History::Off).unwrap();
    heap.set_history(History::On).unwrap();
    heap.allocate_bytes(&content(7, 700)).unwrap();
    let since = |since: Option<Moment>| heap.report(ReportOptions::default().since(since));
    let (early, whole) = (since(Some(Moment::Time(before))).unwrap(), since(None).unwrap());
    assert_eq!(early.usage, whole.usage);
    assert!(matches!(
        since(Some(Moment::Event(EventId(2)))),
        Err(Error::OutsideHistory { .. })
    ));
}

#[test]
fn it_can_show_the_past_and_begin_later() {
    let heap = Heap::new();
    busy(&heap);
    let (from, to) = (EventId(20), EventId(50));
    let options = ReportOptions::default()
        .since(Moment::Event(from))
        .at(Moment::Event(to));
    let report = heap.report(options).unwrap();
    assert!(report.now.is_none());
    let ends = [report.usage.first().unwrap(), report.usage.last().unwrap()];
    assert_eq!(ends.map(|end| end.event_id), [from, to]);
    for end in ends {
        assert_eq!(end.mem, heap.layout_at(Moment::Event(end.event_id)).unwrap().mem);
    }
    let in_span: Vec<_> = heap
        .events(EventFilter::default().after(from))
        .map(Result::unwrap)
        .take_while(|event| event.id <= to)
        .collect();
    let of_kind = |kind| in_span.iter().filter(move |event| event.kind == kind);
    for flow in &report.flows.kinds {
        assert_eq!(flow.events, of_kind(flow.kind).count() as u64, "{}", flow.kind);
    }
    let came: u64 = of_kind(EventKind::Allocate).map(|event| event.payload as u64).sum();
    let went: u64 = of_kind(EventKind::Free).map(|event| event.payload.unsigned_abs()).sum();
    let steps = report
        .flows
        .steps
        .iter()
        .fold((0, 0), |sum, step| (sum.0 + step.0, sum.1 + step.1));
    assert_eq!((steps, report.flows.steps[0]), ((came, went), (0, 0)));
    let largest = of_kind(EventKind::Free).map(|event| event.bytes).max().unwrap();
    assert_eq!(report.flows.went[0].size as i64, largest);

    let backwards = ReportOptions::default()
        .since(Moment::Event(to))
        .at(Moment::Event(from));
    assert!(matches!(heap.report(backwards), Err(Error::OutsideHistory { .. })));
    let nothing = ReportOptions::default().since(Moment::Event(to)).at(Moment::Event(to));
    let report = heap.report(nothing).unwrap();
    assert_eq!(
        (report.usage.len(), report.map.frames.len(), report.flows.kinds.len()),
        (1, 1, 0)
    );
}

#[test]
fn an_empty_space_and_one_without_a_history_have_one_too() {
    let heap = Heap::new();
    let empty = report(&heap);
    assert!(empty.map.frames.iter().all(|frame| frame.cells.is_empty()));
    assert_eq!(empty.usage.last().unwrap().unreserved, MIB);

    busy(&heap);
    heap.set_history(History::Off).unwrap();
    let without = report(&heap);
    assert_eq!((without.usage.len(), without.map.frames.len()), (1, 1));
    assert_adds_up(&without.map.frames[0]);
    assert_eq!(without.usage[0].mem, heap.memram().unwrap().mem);
    let at = ReportOptions::default().at(Moment::Event(EventId(3)));
    assert!(matches!(heap.report(at), Err(Error::HistoryOff { .. })));
}

#[test]
fn its_size_is_bounded() {
    let heap = Heap::made(quick().max_mem(16 * MIB));
    let store = |batch: &mut Batch<'_, '_>| {
        (0..3000)
            .map(|seed| batch.allocate_bytes(&content(seed, 4000)))
            .collect()
    };
    let ids: Vec<_> = heap.batch(store).unwrap();
    for id in ids.iter().step_by(7) {
        heap.force_free(id).unwrap();
    }
    for (cells, frames) in [(4096, 200), (256, 20), (64, 7), (3, 2), (1, 1), (0, 0)] {
        let report = heap
            .report(ReportOptions::default().cells(cells).frames(frames))
            .unwrap();
        assert!(report.usage.len() <= 402);
        assert!(report.map.frames.len() <= frames.max(2), "{frames}");
        for frame in &report.map.frames {
            assert_adds_up(frame);
            assert!(frame.cells.len() <= cells.max(1), "{} for {cells}", frame.cells.len());
        }
        let last = report.map.frames.last().unwrap();
        assert_eq!(last.usage.mem, heap.memram().unwrap().mem);
        assert_eq!(report.map.arenas_per_cell > 1, last.arenas > cells.max(1) as u64);
    }
}

#[test]
fn holders_and_movers_have_their_names() {
    let heap = Heap::new();
    let store = |owner: &str, name: &str, size: u64| {
        let held = Hold::Name(name).tag("owner", owner);
        heap.store_bytes(&content(size, size), held).unwrap();
    };
    store("ann", "large", 50_000);
    store("bob", "small", 5_000);
    heap.unbind("large").unwrap();
    for n in 0..20 {
        store(&format!("owner {n:02}"), &format!("name {n}"), 1000 + n);
    }
    let report = report(&heap);
    let gone = &report.flows.went[0];
    assert_eq!((gone.size, gone.name.as_deref()), (50_000, Some("large")));
    let came = report
        .flows
        .came
        .iter()
        .map(|mover| (mover.size, mover.name.as_deref()));
    let wanted = [
        (50_000, Some("large")),
        (5_000, Some("small")),
        (1_019, Some("name 19")),
    ];
    assert_eq!(came.take(3).collect::<Vec<_>>(), wanted);
    let holders = &report.now.as_ref().unwrap().holders;
    assert_eq!((holders.len(), holders[0].key.as_str()), (1, "owner"));
    assert_eq!(holders[0].largest[0].value.as_deref(), Some("bob"));
    let all: u64 = holders[0].largest.iter().map(|usage| usage.bytes).sum();
    assert_eq!(all + holders[0].others.bytes, heap.memram().unwrap().mem);
    assert_eq!((holders[0].largest.len(), holders[0].others.values), (12, 9));
}

#[test]
fn several_arenas_in_a_cell_add_up_too() {
    let heap = Heap::classic();
    heap.allocate_bytes(&content(1, 900 * KIB)).unwrap();
    let report = heap.report(ReportOptions::default().cells(2)).unwrap();
    assert_eq!(report.map.arenas_per_cell, 2);
    report.map.frames.iter().for_each(assert_adds_up);
}
