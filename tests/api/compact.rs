//! Compaction empties arenas that are nearly empty, and changes nothing else that anybody can see.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Heap, KIB, MIB, assert_balanced, cases, content, files_only, number, quick};
use heapledger::{
    CompactOptions, Error, EventFilter, EventKind, Geometry, Hold, Layout, MemManager, Moment, ObjectId, SizeClass,
    Work,
};
use proptest::prelude::*;

/// What anybody can see of the objects: content, names, hold, key and size.
type Seen = BTreeMap<ObjectId, (Vec<u8>, Vec<String>, bool, i64)>;

fn seen(memory: &MemManager) -> Seen {
    let objects = memory.objects().map(Result::unwrap);
    objects
        .map(|object| {
            let content = memory.get_bytes(&object.id).unwrap();
            (object.id, (content, object.names, object.held, object.key.0))
        })
        .collect()
}

fn last_event(memory: &MemManager) -> Moment {
    Moment::Event(memory.newest_events(&EventFilter::default(), 1).unwrap()[0].id)
}

fn layout_now(memory: &MemManager) -> Layout {
    memory.layout_at(last_event(memory)).unwrap()
}

/// Stores an object of each size, and frees those whose number is not in `kept`.
fn sparse(memory: &MemManager, sizes: &[u64], kept: impl Fn(usize) -> bool) -> Vec<ObjectId> {
    let ids: Vec<_> = sizes
        .iter()
        .zip(1..)
        .map(|(&size, seed)| memory.allocate_bytes(&content(seed, size)).unwrap())
        .collect();
    let (stay, go): (Vec<_>, Vec<_>) = ids.into_iter().enumerate().partition(|(number, _)| kept(*number));
    for (_, id) in go {
        memory.free(&id).unwrap();
    }
    stay.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn nearly_empty_arenas_are_emptied_and_given_back() {
    let heap = Heap::new();
    sparse(&heap, &[32 * KIB; 32], |number| number % 8 == 0);
    let before = seen(&heap);
    let compacted = heap.compact(CompactOptions::default()).unwrap();
    let totals = compacted.totals;
    assert_eq!((totals.arenas, totals.bytes), (3, 768 * KIB));
    assert_eq!((totals.moves, totals.moved_bytes), (3, 96 * KIB));
    assert_eq!(compacted.stale, 0);
    assert_eq!(seen(&heap), before);
    assert_balanced(&heap);
    // There is nothing left to do.
    let again = heap.compact(CompactOptions::default()).unwrap();
    assert_eq!((again.totals.moves, again.totals.arenas), (0, 0));
}

#[test]
fn an_arena_of_which_a_quarter_is_used_stays_unless_it_is_asked_for() {
    let heap = Heap::new();
    sparse(&heap, &[32 * KIB; 32], |number| number % 4 == 0);
    assert_eq!(heap.compact(CompactOptions::default()).unwrap().totals.moves, 0);
    let totals = heap.compact(CompactOptions::default().under(50)).unwrap().totals;
    assert_eq!((totals.arenas, totals.moved_bytes), (3, 192 * KIB));
    assert_balanced(&heap);
}

#[test]
fn no_more_is_moved_than_is_asked_for() {
    let heap = Heap::new();
    sparse(&heap, &[32 * KIB; 32], |number| number % 8 == 0);
    let totals = heap.compact(CompactOptions::default().most(70 * KIB)).unwrap().totals;
    assert_eq!((totals.arenas, totals.moved_bytes), (2, 64 * KIB));
    assert_balanced(&heap);
}

#[test]
fn room_that_is_not_carved_is_used() {
    let heap = Heap::new();
    // Pools of 32 KiB with blocks of 4 KiB, eight to an arena: after the collection each has one block.
    sparse(&heap, &[512; 1600], |number| number % 64 == 0);
    heap.collect_garbage().unwrap();
    let before = seen(&heap);
    let totals = heap.compact(CompactOptions::default()).unwrap().totals;
    assert!(totals.arenas >= 2, "{totals:?}");
    assert_eq!(heap.arenas().unwrap().len(), 1);
    assert_eq!(seen(&heap), before);
    assert_balanced(&heap);
}

/// An object of two pieces in a space where one block has room for all of it.
fn in_two_pieces(heap: &Heap) -> ObjectId {
    // It leaves 112 bytes of its block.
    let filler = heap.allocate_bytes(&content(2, 400)).unwrap();
    let id = heap.allocate_bytes(&content(1, 200)).unwrap();
    assert_eq!(heap.ledger(&id).unwrap().len(), 2);
    heap.free(&filler).unwrap();
    id
}

#[test]
fn the_pieces_of_an_object_become_one() {
    let heap = Heap::classic();
    let id = in_two_pieces(&heap);
    let pieces = heap.ledger(&id).unwrap().len() as u64;
    let totals = heap.compact(CompactOptions::default().join(true)).unwrap().totals;
    assert!(totals.joined >= 1, "{totals:?}");
    let ledger = heap.ledger(&id).unwrap();
    assert_eq!((ledger.len(), ledger[0].seq, ledger[0].allocated_mem), (1, 0, 200));
    assert!(ledger[0].is_last && pieces > 1);
    assert_eq!(heap.get_bytes(&id).unwrap(), content(1, 200));
    // The ids of the pieces that are gone are not used again.
    let next = heap.allocate_bytes(&content(9, 10)).unwrap();
    assert!(heap.object(&next).unwrap().id.0 >= heap.object(&id).unwrap().id.0 + pieces as i64);
    assert_balanced(&heap);
}

#[test]
fn a_reader_in_the_middle_of_an_object_goes_on_when_its_pieces_become_one() {
    let heap = Heap::classic();
    let id = in_two_pieces(&heap);
    let mut reader = heap.reader(&id).unwrap();
    let mut read = vec![0; 30];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(
        heap.compact(CompactOptions::default().join(true))
            .unwrap()
            .totals
            .joined,
        1
    );
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, content(1, 200));
}

#[test]
fn each_move_is_an_event_with_the_blocks_that_it_leaves_and_fills() {
    let heap = Heap::new();
    let kept = sparse(&heap, &[32 * KIB; 16], |number| number % 8 == 0);
    let before = last_event(&heap);
    heap.because("tidy").compact(CompactOptions::default()).unwrap();
    let mut filter = EventFilter::default();
    filter.kinds = vec![EventKind::Move];
    let events: Vec<_> = heap.events(filter).map(Result::unwrap).collect();
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (event.bytes, event.payload, event.room_in_blocks),
        (32 * KIB as i64, 0, 0)
    );
    assert_eq!(event.reason.as_deref(), Some("tidy"));
    assert!(kept.contains(&event.object.unwrap()));
    let sql = heap.sql();
    let moved = "FROM event_blocks WHERE kind = 'move'";
    assert_eq!(number(&sql, &format!("SELECT count(*) {moved}")), 2);
    assert_eq!(number(&sql, &format!("SELECT sum(bytes) {moved}")), 0);
    assert_eq!(number(&sql, &format!("SELECT max(bytes) {moved}")), 32 * KIB as i64);
    let diff = heap.diff(before, last_event(&heap)).unwrap();
    let moved: Vec<_> = diff
        .moved
        .iter()
        .map(|object| (object.object_id, object.size))
        .collect();
    assert_eq!(moved, [(event.object.unwrap(), 32 * KIB)]);
    assert_eq!((diff.added.len(), diff.freed.len()), (0, 0));
}

/// Content during which something else happens.
struct Meanwhile<'a> {
    left: u64,
    happens: Option<Box<dyn FnOnce() + 'a>>,
}

impl Read for Meanwhile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left < 12 * MIB
            && let Some(happens) = self.happens.take()
        {
            happens();
        }
        let count = self.left.min(buffer.len() as u64) as usize;
        buffer[..count].fill(7);
        self.left -= count as u64;
        Ok(count)
    }
}

#[test]
fn pieces_of_an_upload_stay_where_they_are() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    sparse(&heap, &[32 * KIB; 32], |number| number % 8 == 0);
    let compacting = || {
        heap.compact(CompactOptions::default().under(100)).unwrap();
    };
    let source = Meanwhile {
        left: 20 * MIB + 100,
        happens: Some(Box::new(compacting)),
    };
    let id = heap.allocate_from(source).unwrap();
    assert_eq!(heap.object(&id).unwrap().size, 20 * MIB + 100);
    assert!(heap.get_bytes(&id).unwrap().iter().all(|&byte| byte == 7));
    assert_balanced(&heap);
}

#[test]
fn others_write_while_a_heap_is_compacted() {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    sparse(&heap, &[4 * KIB; 1500], |number| number % 8 == 0);
    let before = seen(&heap);
    let stored = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let other = heap.open_again();
            let store = |seed: u64| {
                let id = other.allocate_bytes(&content(9000 + seed, 3000)).unwrap();
                if seed.is_multiple_of(3) {
                    other.free(&id).unwrap();
                }
                id
            };
            (0..60).map(store).collect::<Vec<_>>()
        });
        heap.compact(CompactOptions::default()).unwrap();
        writer.join().unwrap()
    });
    for (id, object) in before {
        assert_eq!(heap.get_bytes(&id).unwrap(), object.0);
    }
    for (id, seed) in stored.iter().zip(0u64..).filter(|(_, seed)| seed % 3 != 0) {
        assert_eq!(heap.get_bytes(id).unwrap(), content(9000 + seed, 3000));
    }
    assert_balanced(&heap);
}

#[test]
fn readers_see_the_same_content_while_pieces_become_one() {
    let heap = Heap::of(8 * MIB, Geometry::classic());
    // Fillers between the objects cut these in two.
    let ids: Vec<_> = (0..400u64)
        .map(|seed| heap.allocate_bytes(&content(seed, 300 + seed % 150)).unwrap())
        .collect();
    let (kept, gone): (Vec<_>, Vec<_>) = (0..).zip(&ids).partition(|(seed, _)| seed % 3 == 0);
    gone.iter().for_each(|(_, id)| drop(heap.free(id).unwrap()));
    let is_done = AtomicBool::new(false);
    let joined = std::thread::scope(|scope| {
        for offset in 0..2 {
            let (kept, heap, is_done) = (&kept, &heap, &is_done);
            scope.spawn(move || {
                let other = heap.open_again();
                while !is_done.load(Ordering::Relaxed) {
                    for (seed, id) in kept.iter().skip(offset).step_by(2) {
                        let mut read = Vec::new();
                        let mut reader = other.reader(id).unwrap();
                        let mut part = [0; 64];
                        loop {
                            let count = reader.read(&mut part).unwrap();
                            read.extend_from_slice(&part[..count]);
                            if count == 0 {
                                break;
                            }
                        }
                        assert_eq!(read, content(*seed, 300 + seed % 150));
                    }
                }
            });
        }
        let compacted = heap.compact(CompactOptions::default().under(100).join(true));
        is_done.store(true, Ordering::Relaxed);
        compacted.unwrap().totals.joined
    });
    assert!(joined > 20, "{joined}");
    assert_balanced(&heap);
}

#[test]
fn a_heap_below_a_low_ceiling_is_compacted() {
    files_only!(Ceiling);
    let heap = Heap::made(quick().max_mem(16 * MIB).max_file(6 * MIB));
    let mut ids = Vec::new();
    for seed in 0.. {
        match heap.allocate_bytes(&content(seed, 700)) {
            Ok(id) => ids.push(id),
            Err(Error::FileFull { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let (kept, gone): (Vec<_>, Vec<_>) = ids.iter().enumerate().partition(|(number, _)| number % 8 == 0);
    gone.iter().for_each(|(_, id)| drop(heap.free(id).unwrap()));
    heap.collect_garbage().unwrap();
    let arenas = heap.memram().unwrap().arenas;
    let compacted = heap.compact(CompactOptions::default().under(50)).unwrap();
    assert!(compacted.totals.arenas > arenas / 2, "{compacted:?} of {arenas}");
    for (number, id) in kept {
        assert_eq!(heap.get_bytes(id).unwrap(), content(number as u64, 700));
    }
    assert_balanced(&heap);
}

#[test]
fn spaces_of_one_heap_are_compacted_separately() {
    let heap = Heap::new();
    let other = quick().space("other").max_mem(MIB).open(heap.address()).unwrap();
    sparse(&heap, &[32 * KIB; 16], |number| number % 8 == 0);
    sparse(&other, &[32 * KIB; 16], |number| number % 8 == 0);
    let untouched = seen(&heap);
    let digest = heap.layout_digest().unwrap();
    assert_eq!(other.compact(CompactOptions::default()).unwrap().totals.arenas, 1);
    assert_eq!((seen(&heap), heap.layout_digest().unwrap()), (untouched, digest));
    assert_balanced(&other);
}

#[derive(Debug, Clone)]
enum Op {
    Allocate(u64),
    Named(u8, u64),
    Free(u8),
    Collect,
    Compact(u8, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![1u64..300, 1u64..5000, 1u64..60_000];
    prop_oneof![
        8 => size.clone().prop_map(Op::Allocate),
        2 => (0u8..6, size).prop_map(|(name, size)| Op::Named(name, size)),
        8 => any::<u8>().prop_map(Op::Free),
        1 => Just(Op::Collect),
        2 => (10u8..=100, any::<bool>()).prop_map(|(under, join)| Op::Compact(under, join)),
    ]
}

fn geometries() -> impl Strategy<Value = Geometry> {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    let odd = Geometry::new(16 * KIB, 3, vec![class(64, 256), class(1024, 4096), class(8192, 16384)]).unwrap();
    prop_oneof![
        Just(Geometry::standard()),
        Just(Geometry::classic().with_arena_size(16 * KIB).unwrap()),
        Just(odd)
    ]
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn compaction_does_what_was_planned_and_only_moves(
        geometry in geometries(),
        ops in prop::collection::vec(op(), 10..60),
    ) {
        let heap = Heap::of(700_000, geometry);
        let mut past = vec![(last_event(&heap), layout_now(&heap))];
        for (op, seed) in ops.iter().zip(1u64..) {
            match op {
                Op::Allocate(size) => drop(heap.allocate_bytes(&content(seed, *size))),
                Op::Named(name, size) => {
                    drop(heap.store_bytes(&content(seed, *size), Hold::Name(&format!("name {name}"))));
                }
                Op::Free(pick) => {
                    let ids: Vec<_> = heap.objects().map(|object| object.unwrap().id).collect();
                    for id in ids.iter().filter(|id| id.as_bytes()[0] % 3 == pick % 3) {
                        heap.force_free(id).unwrap();
                    }
                }
                Op::Collect => drop(heap.collect_garbage().unwrap()),
                Op::Compact(under, join) => compact(&heap, *under, *join)?,
            }
            past.push((last_event(&heap), layout_now(&heap)));
        }
        compact(&heap, 60, true)?;
        assert_balanced(&heap);
        for (moment, layout) in past {
            prop_assert_eq!(heap.layout_at(moment).unwrap(), layout);
        }
    }
}

fn compact(heap: &Heap, under: u8, join: bool) -> Result<(), TestCaseError> {
    let before = seen(heap);
    let balance = |memory: &MemManager| memory.trial_balance().unwrap()[0].bytes;
    let payload = balance(heap);
    let options = CompactOptions::default().under(under).join(join);
    let plan = heap.plan_work(&Work::Compact(options)).unwrap();
    let totals = heap.compact(options).unwrap().totals;
    let figures = |totals: &heapledger::WorkTotals| {
        let mut totals = *totals;
        // Receipts take a little room in the file.
        (totals.file_bytes, totals.file_size) = (0, 0);
        totals
    };
    prop_assert_eq!(figures(&totals), figures(&plan.totals));
    prop_assert_eq!(seen(heap), before);
    prop_assert_eq!(balance(heap), payload);
    prop_assert!(totals.moved_bytes * 100 <= totals.bytes * u64::from(under) || join || totals.arenas == 0);
    Ok(())
}
