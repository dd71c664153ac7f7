//! Which objects go: just as many of the first ones as are needed.

use std::time::Duration;

use heapledger::{Hold, Policy};

use super::{cache, fill, planned, stored};
use crate::Clock;
use crate::common::{Heap, KIB, MIB, assert_balanced, content, quick};

#[test]
fn the_oldest_go_first_and_no_more_than_must() {
    let heap = cache(Policy::Oldest);
    let ids = fill(&heap, &[10_000, 20_000, 30_000, 5_000]);
    // 536 bytes are free: the first alone is not enough.
    assert_eq!(planned(&heap, 10_537), ids[..2]);
    assert_eq!(planned(&heap, 10_536), ids[..1]);
    assert_eq!(planned(&heap, 536), []);
    heap.allocate_bytes(&content(9, 536)).unwrap();
    assert_eq!(stored(&heap, &ids), [true; 4]);
    heap.allocate_bytes(&content(10, 10_001)).unwrap();
    assert_eq!(stored(&heap, &ids), [false, false, true, true]);
    assert_balanced(&heap);
}

#[test]
fn the_largest_go_first_and_of_several_the_oldest() {
    let heap = cache(Policy::Largest);
    let ids = fill(&heap, &[300, 20_000, 5_000, 20_000, 100, 300, 19_000]);
    assert_eq!(planned(&heap, 20_000), [ids[1]]);
    assert_eq!(planned(&heap, 40_000), [ids[1], ids[3]]);
    // Those of less than 4 KiB come last.
    let all = [1, 3, 6, 2, 0, 5, 4].map(|index| ids[index]);
    assert_eq!(planned(&heap, 64 * KIB), all);
    heap.allocate_bytes(&content(9, 40_000)).unwrap();
    assert_eq!(stored(&heap, &ids), [true, false, true, false, true, true, true]);
    assert_balanced(&heap);
}

#[test]
fn what_was_used_counts_while_a_unit_that_writes_it_waits() {
    let heap = cache(Policy::Lru);
    let ids = fill(&heap, &[30_000, 30_000]);
    heap.get_bytes(&ids[0]).unwrap();
    let sql = heap.sql();
    sql.keep_writers_out();
    std::thread::scope(|threads| {
        let writing = threads.spawn(|| heap.allocate_bytes(b"a unit that writes it"));
        for _ in 0..50 {
            assert_eq!(planned(&heap, 30_000), [ids[1]]);
            std::thread::sleep(Duration::from_millis(2));
        }
        sql.execute("ROLLBACK");
        writing.join().unwrap().unwrap();
    });
    heap.allocate_bytes(&content(9, 30_000)).unwrap();
    assert_eq!(stored(&heap, &ids), [true, false]);
}

#[test]
fn a_large_object_goes_in_the_same_transaction_and_for_one() {
    let heap = Heap::made(quick().max_mem(80 * MIB).evict(Policy::Oldest));
    let size = 70 * MIB;
    for seed in 0..3 {
        let id = heap.store_bytes(&content(seed, size), Hold::Name("large")).unwrap().id;
        assert_eq!(heap.get_bytes(&id).unwrap(), content(seed, size));
    }
    // In a stream its size is not known before, and in a file it is.
    let id = heap.allocate_from(content(3, size).as_slice()).unwrap();
    assert_eq!(heap.stats().unwrap().objects, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, content(4, size)).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    heap.store_file(&mut file, Hold::Anonymous).unwrap();
    assert!(!heap.contains(&id).unwrap());
    assert_eq!(heap.stats().unwrap().objects, 1);
    assert_balanced(&heap);
}

/// How long what is stored of a slow source lasts: so short that the clock, which other tests share, hardly moves.
const LEASE: Duration = Duration::from_secs(1);

/// A source lets the clock pass the lease of what is stored of it before each read.
struct Slow(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        heapledger::advance_clock(LEASE * 2);
        self.0.read(buffer)
    }
}

#[test]
fn a_slow_stream_makes_room_without_ending_itself() {
    let _clock = Clock::take();
    let heap = Heap::made(quick().max_mem(30 * MIB).evict(Policy::Oldest).lease(LEASE));
    let large = heap.allocate_bytes(&content(1, 20 * MIB)).unwrap();
    let bytes = content(2, 25 * MIB);
    let id = heap.allocate_from(Slow(std::io::Cursor::new(bytes.clone()))).unwrap();
    assert!(!heap.contains(&large).unwrap());
    assert_eq!(heap.get_bytes(&id).unwrap(), bytes);
    assert_balanced(&heap);
}

#[test]
fn a_file_is_stored_in_place_of_others_if_more_is_free_than_used() {
    let heap = Heap::made(quick().max_mem(MIB).evict(Policy::Oldest));
    fill(&heap, &[300 * KIB]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, content(4, 900 * KIB)).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    heap.store_file(&mut file, Hold::Name("file")).unwrap();
    assert_eq!(heap.stats().unwrap().objects, 1);
    let mut file = std::fs::File::open(&path).unwrap();
    heap.batch(|batch| batch.store_file(&mut file, Hold::Name("again")))
        .unwrap();
    assert_eq!(heap.stats().unwrap().objects, 1);
}

#[test]
fn a_reservation_evicts_and_what_it_promises_is_safe() {
    let _clock = Clock::take();
    let heap = cache(Policy::Oldest);
    let ids = fill(&heap, &[30_000, 30_000]);
    heap.reserve(20_000).key("report").make().unwrap();
    assert_eq!(stored(&heap, &ids), [false, true]);
    let refused = heap.allocate_bytes(&content(9, 50_000)).unwrap_err();
    assert!(matches!(refused, heapledger::Error::OutOfMemory { .. }));
    assert_eq!(stored(&heap, &ids), [false, true], "nothing goes for what is refused");
    heap.allocate_bytes(&content(9, 45_000)).unwrap();
    assert_eq!(stored(&heap, &ids), [false, false]);
    assert_balanced(&heap);
}

#[test]
fn known_content_evicts_nothing() {
    let heap = cache(Policy::Oldest);
    let ids = fill(&heap, &[30_000, 30_000]);
    assert!(
        heap.store_bytes(&content(1, 30_000), Hold::Name("again"))
            .unwrap()
            .dedup
    );
    assert_eq!(stored(&heap, &ids), [true, true]);
    // Not even if it would be the first to go.
    assert!(heap.store_bytes(&content(0, 30_000), Hold::Anonymous).unwrap().dedup);
    assert_eq!(stored(&heap, &ids), [true, true]);
    assert_eq!(heap.memram().unwrap().evictions, 0);
}

#[test]
fn an_object_of_many_takes_their_room() {
    let heap = Heap::made(quick().max_mem(100 * KIB).evict(Policy::Oldest));
    heap.batch(|batch| {
        for seed in 0..10_000 {
            batch.store_bytes(&content(seed, 10), Hold::Anonymous)?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(planned(&heap, 90 * KIB).len(), 8_976);
    heap.allocate_bytes(&content(1, 90 * KIB)).unwrap();
    assert_eq!(heap.stats().unwrap().objects, 10_000 - 8_976 + 1);
    assert_balanced(&heap);
}
