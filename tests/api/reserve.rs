//! Reservations: bytes are promised first, and their content is stored later, or never.

use std::io::{self, Cursor, Read, Seek, Write};
use std::sync::mpsc;
use std::time::Duration;

use heapledger::{
    Error, EventFilter, EventKind, Geometry, Hold, MemManager, ObjectId, Reservation, ReservationError,
    ReservationState, Timestamp,
};
use proptest::prelude::*;

use crate::common::{Heap, MIB, assert_balanced, cases, content, dump, files_only, number, quick, server, texts};

/// More than two parts.
const LARGE: u64 = 19 * MIB + 12_345;

fn space() -> Heap {
    Heap::of(64 * MIB, Geometry::standard())
}

/// `mem`, `promised` and what is available.
fn figures(memory: &MemManager) -> [u64; 3] {
    let space = memory.memram().unwrap();
    [space.mem, space.promised, space.available()]
}

fn expire(heap: &Heap) {
    let sql = "UPDATE reservations SET expires_at = 1 WHERE state = 'open'";
    heap.sql().execute(sql);
}

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// Does something after each read, and fails at the end if wanted.
struct Source<F: FnMut(u64)> {
    bytes: Cursor<Vec<u8>>,
    between: F,
    fails: bool,
}

impl<F: FnMut(u64)> Read for Source<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.between)(self.bytes.position());
        match self.bytes.read(buffer)? {
            0 if self.fails && !buffer.is_empty() => Err(io::Error::other("the line was cut")),
            read => Ok(read),
        }
    }
}

fn cut(bytes: Vec<u8>) -> Source<impl FnMut(u64)> {
    Source {
        bytes: Cursor::new(bytes),
        between: |_| {},
        fails: true,
    }
}

/// Two objects, a reservation in every state, and one that is half posted. A file has a ceiling, so
/// that parts are small.
pub fn every_state() -> Heap {
    let (options, times) = match server() {
        None => (quick().max_file(32 * MIB), 1),
        Some(_) => (quick(), 8),
    };
    let heap = Heap::made(options.max_mem(4 * MIB * times));
    heap.store_bytes(&content(1, 10_000), Hold::Name("it")).unwrap();
    heap.store("text", Hold::Name("text")).unwrap();
    heap.reserve(1000).key("open").expires_in(Duration::MAX).make().unwrap();
    let posted = heap.reserve(1000).key("posted").make().unwrap();
    posted.post_bytes(&content(2, 900), Hold::Name("posted")).unwrap();
    heap.reserve(1000).key("voided").make().unwrap().void().unwrap();
    heap.reserve(1000)
        .key("lapsed")
        .expires_in(Duration::ZERO)
        .make()
        .unwrap();
    heap.allocate("later").unwrap();
    heap.reserve(2_900_000 * times)
        .key("k")
        .expires_in(Duration::MAX)
        .make()
        .unwrap();
    begin_to_post(heap.open_again(), content(3, 2_900_000 * times), 2_200_000 * times);
    assert!(heap.reservation("k").unwrap().written > 1_000_000 * times);
    heap
}

#[test]
fn reserved_bytes_are_promised_at_once_and_the_rest_returns() {
    let heap = Heap::new();
    let reservation = heap.reserve(700_000).key("k").make().unwrap();
    assert_eq!(figures(&heap), [0, 700_000, MIB - 700_000]);
    let stats = heap.stats().unwrap();
    assert_eq!((stats.promised, stats.available), (700_000, MIB - 700_000));
    let claims: Vec<_> = stats.claims.iter().map(|claim| claim.bytes).collect();
    assert_eq!(claims, [0, 0, 0, 700_000, MIB - 700_000]);
    assert_eq!(stats.claims, heap.claims().unwrap());
    assert_eq!(heap.plan_allocation(1).unwrap().available, MIB - 700_000);
    assert_eq!(heap.usage().unwrap()[0].promised, Some(700_000));
    assert_balanced(&heap);

    let posted = reservation.post_bytes(&content(1, 600_000), Hold::Name("it")).unwrap();
    assert_eq!(heap.get_bytes(&posted.id).unwrap(), content(1, 600_000));
    assert_eq!(figures(&heap), [600_000, 0, MIB - 600_000]);
    let known = heap.reservation("k").unwrap();
    assert_eq!(
        (known.state, known.object_id, known.bytes, known.promised),
        (ReservationState::Posted, Some(posted.id), 700_000, 0)
    );
    assert_eq!(heap.resolve("it").unwrap(), Some(posted.id));
    assert_balanced(&heap);
}

#[test]
fn every_way_to_post_stores_the_same() {
    type Post = fn(&Reservation, &[u8]) -> heapledger::Result<heapledger::Allocation>;
    let ways: [(&str, Post); 3] = [
        ("bytes", |it, bytes| it.post_bytes(bytes, Hold::Anonymous)),
        ("a stream", |it, bytes| it.post_from(bytes, Hold::Anonymous)),
        ("a file", |it, bytes| it.post_file(&mut file(bytes), Hold::Anonymous)),
    ];
    for size in [0, 1, 100_000, LARGE] {
        for (way, post) in ways {
            let heap = space();
            let reservation = heap.reserve(size + 7).make().unwrap();
            let bytes = content(1, size);
            let posted = post(&reservation, &bytes).unwrap_or_else(|error| panic!("{way} of {size}: {error}"));
            assert_eq!(
                (posted.id, posted.size, posted.dedup),
                (ObjectId::of_bytes(&bytes), size, false)
            );
            assert_eq!(heap.get_bytes(&posted.id).unwrap(), bytes, "{way} of {size}");
            assert_eq!(figures(&heap), [size, 0, 64 * MIB - size], "{way} of {size}");
            assert!(heap.check().unwrap().is_empty());
        }
    }
    let heap = space();
    let value = vec![("a", 1), ("b", 2)];
    let posted = heap.reserve(100).make().unwrap().post(&value, Hold::Name("v")).unwrap();
    assert_eq!(heap.get::<Vec<(String, i32)>>(&posted.id).unwrap()[1].1, 2);
    let long = "x".repeat(LARGE as usize);
    let posted = heap
        .reserve(LARGE)
        .make()
        .unwrap()
        .post(&long, Hold::Anonymous)
        .unwrap();
    assert_eq!(heap.get::<String>(&posted.id).unwrap(), long);
    assert_balanced(&heap);
}

#[test]
fn a_post_finds_its_room_in_a_full_space() {
    for size in [100_000, LARGE] {
        let heap = Heap::of(size + 1000, Geometry::standard());
        let reservation = heap.reserve(size).key("k").make().unwrap();
        heap.allocate_bytes(&content(1, 1000)).unwrap();
        assert_eq!(figures(&heap), [1000, size, 0]);
        assert!(heap.allocate_bytes(b"x").is_err());
        reservation.post_from(&*content(2, size), Hold::Anonymous).unwrap();
        assert_eq!(figures(&heap), [size + 1000, 0, 0]);
        assert_balanced(&heap);
    }
}

#[test]
fn a_refusal_names_the_reservations_without_which_it_would_fit() {
    let heap = Heap::of(2000, Geometry::classic());
    heap.reserve(300).key("small").make().unwrap();
    heap.reserve(1234).key("k").make().unwrap();
    let bytes = content(1, 900);
    let ways: [&dyn Fn() -> Error; 5] = [
        &|| heap.allocate_bytes(&bytes).unwrap_err(),
        &|| heap.store_from(&*bytes, Hold::Anonymous).unwrap_err(),
        &|| heap.store_file(&mut file(&bytes), Hold::Anonymous).unwrap_err(),
        &|| heap.batch(|batch| batch.allocate_bytes(&bytes)).unwrap_err(),
        &|| heap.reserve(900).make().unwrap_err(),
    ];
    for refuse in ways {
        let error = refuse();
        let Error::OutOfMemory {
            needed,
            available,
            promised,
            promised_to,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*needed, *available, *promised), (900, 466, 1534));
        let named: Vec<_> = promised_to
            .iter()
            .map(|promise| (promise.key.as_deref(), promise.bytes))
            .collect();
        assert_eq!(named, [(Some("k"), 1234), (Some("small"), 300)]);
        assert!(
            error.what().ends_with(
                "900 bytes needed, 466 of 2,000 free, and 1,534 are promised to reservation \"k\" and \
                 reservation \"small\", without which it would fit"
            ),
            "{error}"
        );
    }
    let plan = heap.plan_allocation(900).unwrap();
    assert!(plan.fits_but_for_promises() && !plan.fits());
    // Of what would not fit anyway, nobody is to blame.
    let error = heap.allocate_bytes(&content(1, 2001)).unwrap_err();
    assert!(error.what().ends_with("466 of 2,000 free"), "{error}");
    for key in ["a", "b"] {
        heap.reserve(200).key(key).make().unwrap();
    }
    let error = heap.allocate_bytes(&bytes).unwrap_err();
    assert!(
        error.what().contains("\"small\", reservation \"a\" and others"),
        "{error}"
    );
}

#[test]
fn the_same_key_is_the_same_reservation_whatever_became_of_it() {
    let heap = Heap::new();
    let first = heap.reserve(1000).key("k").make().unwrap();
    let other = heap.open_again();
    let again = other.reserve(1000).key("k").expires_in(Duration::MAX).make().unwrap();
    assert_eq!((again.id, again.expires_at), (first.id, first.expires_at));
    assert_eq!(figures(&heap)[1], 1000);
    let posted = first.post_bytes(b"content", Hold::Anonymous).unwrap();
    let again = other.reserve(1000).key("k").make().unwrap();
    assert_eq!(
        (again.id, again.state, again.object_id),
        (first.id, ReservationState::Posted, Some(posted.id))
    );
    heap.reserve(5).key("v").make().unwrap().void().unwrap();
    assert_eq!(heap.reserve(5).key("v").make().unwrap().state, ReservationState::Voided);
    heap.reserve(5).key("l").make().unwrap();
    expire(&heap);
    // Nobody has written since.
    assert_eq!(heap.reserve(5).key("l").make().unwrap().state, ReservationState::Lapsed);
    assert_eq!(figures(&heap), [7, 0, MIB - 7]);
    // The key of one space means nothing in another.
    let second = quick().space("other").max_mem(100).open(heap.address()).unwrap();
    assert!(matches!(
        second.reservation("k"),
        Err(Error::Reservation(ReservationError::Unknown { .. }))
    ));
    second.reserve(99).key("k").make().unwrap();
    assert_balanced(&heap);
}

#[test]
fn what_a_lapsed_reservation_left_is_given_back_in_steps_when_it_is_made_again() {
    files_only!(Ceiling);
    let options = quick().max_mem(8 * MIB).geometry(Geometry::classic());
    let heap = Heap::made(options.max_file(12_000_000));
    let bytes = 6_000_000;
    heap.reserve(bytes).key("k").make().unwrap();
    begin_to_post(heap.open_again(), content(5, bytes), 5_500_000);
    expire(&heap);
    let again = heap.reserve(bytes).key("k").again().make().unwrap();
    assert_eq!((again.written, figures(&heap)[..2].to_vec()), (0, vec![0, bytes]));
    assert_balanced(&heap);
}

#[test]
fn a_key_whose_reservation_came_to_nothing_can_be_used_again() {
    let heap = Heap::new();
    let voided = heap.reserve(5).key("voided").make().unwrap();
    voided.void().unwrap();
    heap.reserve(5).key("lapsed").make().unwrap();
    expire(&heap);
    for (key, bytes) in [("voided", 6), ("lapsed", 5), ("new", 8)] {
        let again = heap.reserve(bytes).key(key).again().make().unwrap();
        assert_eq!((again.state, again.promised), (ReservationState::Open, bytes), "{key}");
        assert_eq!(heap.reservation(key).unwrap().id, again.id);
        // As long as it is open, and once it is posted, it is the same.
        assert_eq!(heap.reserve(bytes).key(key).again().make().unwrap().id, again.id);
    }
    assert_eq!(figures(&heap)[1], 19);
    let posted = heap
        .reservation("voided")
        .unwrap()
        .post_bytes(b"it", Hold::Anonymous)
        .unwrap();
    let again = heap.reserve(6).key("voided").again().make().unwrap();
    assert_eq!(
        (again.state, again.object_id),
        (ReservationState::Posted, Some(posted.id))
    );
    assert!(matches!(
        voided.post_bytes(b"late", Hold::Anonymous),
        Err(Error::Reservation(ReservationError::Unknown { .. }))
    ));
    assert!(matches!(
        heap.reserve(4).key("lapsed").again().make(),
        Err(Error::Reservation(ReservationError::KeyReused { .. }))
    ));
    assert_balanced(&heap);

    let heap = abandoned();
    expire(&heap);
    let again = heap.reserve(1000).key("k").again().make().unwrap();
    assert_eq!((again.written, figures(&heap)), (0, [0, 1000, LARGE]));
    assert_balanced(&heap);
}

#[test]
fn it_has_lapsed_when_its_time_is_over_even_if_nobody_has_written() {
    let heap = Heap::new();
    let late = heap.reserve(5).key("k").make().unwrap();
    expire(&heap);
    let refused = late.post_bytes(b"it", Hold::Anonymous).unwrap_err();
    assert!(matches!(refused, Error::Reservation(ReservationError::Lapsed { .. })));
    let known = heap.reservation("k").unwrap();
    assert_eq!((known.state, known.promised), (ReservationState::Lapsed, 5));
    assert_eq!(heap.reservations().unwrap(), [(*known).clone()]);
    heap.allocate_bytes(b"a write").unwrap();
    assert_eq!(heap.reservation("k").unwrap().promised, 0);
    assert_balanced(&heap);
}

#[test]
fn without_a_key_one_is_made_up() {
    let heap = Heap::new();
    heap.reserve(1).key("reservation-2").make().unwrap();
    let one = heap.reserve(2).make().unwrap();
    let two = heap.reserve(2).make().unwrap();
    assert_ne!(one.id, two.id);
    assert_eq!(one.key.as_deref(), Some("reservation-3"));
    assert_eq!(heap.reservation("reservation-3").unwrap().id, one.id);
    assert_eq!(heap.reservation_by_id(two.id).unwrap().key, two.key);
    let keys: Vec<_> = heap
        .reservations()
        .unwrap()
        .into_iter()
        .map(|it| it.key.unwrap())
        .collect();
    assert_eq!(keys, ["reservation-2", "reservation-3", "reservation-4"]);
}

/// Every mistake is an error of its own, and changes nothing but that a refusal is recorded.
#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let heap = Heap::new();
    heap.reserve(10)
        .key("posted")
        .make()
        .unwrap()
        .post_bytes(b"it", Hold::Name("it"))
        .unwrap();
    heap.reserve(10).key("voided").make().unwrap().void().unwrap();
    heap.reserve(10).key("lapsed").make().unwrap();
    expire(&heap);
    heap.allocate_bytes(b"a write").unwrap();
    let late = heap.reserve(10).key("late").make().unwrap();
    expire(&heap);
    let open = heap.reserve(10).key("open").make().unwrap();
    // The write above has ended it.
    assert_eq!(heap.reservation("late").unwrap().state, ReservationState::Lapsed);
    let before = dump(&heap.sql());
    let by_key = |key: &str| heap.reservation(key).unwrap();
    let hold = Hold::Anonymous;
    let errors: [(&str, Error); 18] = [
        ("0 bytes", heap.reserve(0).make().unwrap_err()),
        ("out of memory", heap.reserve(MIB + 1).make().unwrap_err()),
        ("out of memory", heap.reserve(u64::MAX).make().unwrap_err()),
        ("out of memory", heap.reserve(MIB - 10).make().unwrap_err()),
        ("a key of 0 bytes", heap.reserve(1).key("").make().unwrap_err()),
        (
            "a key of 256 bytes",
            heap.reserve(1).key("k".repeat(256)).make().unwrap_err(),
        ),
        ("U+0000", heap.reserve(1).key("a\0b").make().unwrap_err()),
        (
            "reservation of 10 bytes, not of 11",
            heap.reserve(11).key("open").make().unwrap_err(),
        ),
        ("no reservation \"none\"", heap.reservation("none").unwrap_err()),
        (
            "was posted before, as object",
            by_key("posted").post_bytes(b"more", hold).unwrap_err(),
        ),
        ("was posted before, as object", by_key("posted").void().unwrap_err()),
        (
            "was voided before",
            by_key("voided").post_from(&b"x"[..], hold).unwrap_err(),
        ),
        ("was voided before", by_key("voided").void().unwrap_err()),
        (
            "lapsed: its time was over at 1970-01-01T00:00:00Z",
            by_key("lapsed").post_bytes(b"x", hold).unwrap_err(),
        ),
        (
            "lapsed: its time was over at 1970",
            late.renew(Duration::MAX).unwrap_err(),
        ),
        (
            "the content has 11 bytes, and reservation \"open\" has 10",
            open.post_bytes(&[0; 11], hold).unwrap_err(),
        ),
        (
            "the content has 11 bytes, and reservation \"open\" has 10",
            open.post_from(io::repeat(1), hold).unwrap_err(),
        ),
        (
            "name \"it\" is taken",
            open.post_bytes(b"x", Hold::NewName("it")).unwrap_err(),
        ),
    ];
    for (text, error) in errors {
        assert!(error.what().contains(text), "{text}: {error}");
    }
    let error = open.post_file(&mut file(&content(1, LARGE)), hold).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Reservation(ReservationError::TooLarge {
                needed: LARGE,
                reserved: 10,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(dump(&heap.sql()), before);
    open.post_bytes(&[0; 10], hold).unwrap();
    assert_balanced(&heap);
}

#[test]
fn one_that_is_over_is_refused_even_before_anybody_has_noticed() {
    let heap = Heap::new();
    let reservation = heap.reserve(10).key("k").make().unwrap();
    expire(&heap);
    let before = dump(&heap.sql());
    for error in [
        reservation.post_bytes(b"x", Hold::Anonymous).unwrap_err(),
        reservation.void().unwrap_err(),
        reservation.renew(Duration::MAX).unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::Reservation(ReservationError::Lapsed { .. })),
            "{error}"
        );
    }
    assert_eq!(dump(&heap.sql()), before);
    // An allocation that needs its bytes gets them.
    heap.allocate_bytes(&content(1, MIB)).unwrap();
    assert_eq!(heap.reservation("k").unwrap().state, ReservationState::Lapsed);
}

/// Whoever needs the bytes of reservations whose time is over gets them, before others have noticed.
#[test]
fn every_way_to_store_has_the_bytes_of_what_is_over() {
    let bytes = content(1, LARGE);
    let elsewhere = space();
    elsewhere.allocate_bytes(&bytes).unwrap();
    let exported = tempfile::tempdir().unwrap();
    elsewhere.export(exported.path().join("files")).unwrap();
    type Way<'a> = (&'a str, &'a dyn Fn(&MemManager) -> heapledger::Result<()>);
    let ways: [Way<'_>; 8] = [
        ("bytes", &|heap| heap.allocate_bytes(&bytes).map(drop)),
        ("a stream", &|heap| heap.store_from(&*bytes, Hold::Anonymous).map(drop)),
        ("a file", &|heap| {
            heap.store_file(&mut file(&bytes), Hold::Anonymous).map(drop)
        }),
        ("a batch", &|heap| {
            heap.batch(|batch| batch.allocate_bytes(&bytes)).map(drop)
        }),
        ("a file in a batch", &|heap| {
            heap.batch(|batch| batch.store_file(&mut file(&bytes), Hold::Anonymous))
                .map(drop)
        }),
        ("an import", &|heap| {
            heap.import(exported.path().join("files")).map(drop)
        }),
        ("another reservation", &|heap| heap.reserve(LARGE).make().map(drop)),
        ("a smaller space", &|heap| heap.resize(2 * MIB).map(drop)),
    ];
    for (way, store) in ways {
        let heap = Heap::of(LARGE + MIB, Geometry::standard());
        heap.reserve(LARGE).key("k").make().unwrap();
        expire(&heap);
        store(&heap).unwrap_or_else(|error| panic!("{way}: {error}"));
        assert_eq!(heap.reservation("k").unwrap().state, ReservationState::Lapsed, "{way}");
        assert_balanced(&heap);
        if way == "a smaller space" {
            // It may remember more than it has now.
            assert_eq!(heap.repair().unwrap().corrections, []);
        }
    }
}

#[test]
fn a_renewed_one_lasts_longer() {
    let heap = Heap::new();
    let reservation = heap
        .reserve(10)
        .key("k")
        .expires_in(Duration::from_secs(1))
        .make()
        .unwrap();
    let until = reservation.renew(Duration::from_secs(3600)).unwrap();
    assert!(until > Timestamp::now() + Duration::from_secs(3000));
    assert_eq!(heap.reservation("k").unwrap().expires_at, until);
    let forever = heap
        .reserve(10)
        .key("forever")
        .expires_in(Duration::MAX)
        .make()
        .unwrap();
    heap.allocate_bytes(b"a write").unwrap();
    assert_eq!(forever.expires_at, Timestamp::from_micros(i64::MAX));
    assert_eq!(figures(&heap)[1], 20);
    assert_eq!(
        texts(&heap.sql(), "SELECT expires FROM promises WHERE key = 'forever'"),
        [i64::MAX.to_string()]
    );
}

#[test]
fn a_post_that_fails_gives_everything_back_and_leaves_it_open() {
    let heap = Heap::of(LARGE + 1000, Geometry::standard());
    heap.allocate_bytes(&content(9, 900)).unwrap();
    let reservation = heap.reserve(LARGE).key("k").make().unwrap();
    let rows = |heap: &Heap| crate::common::row_counts(&heap.sql());
    let before = (figures(&heap), rows(&heap));
    let errors = [
        reservation
            .post_from(cut(content(1, LARGE)), Hold::Anonymous)
            .unwrap_err(),
        reservation
            .post_from(cut(content(1, 1000)), Hold::Anonymous)
            .unwrap_err(),
        reservation
            .post_from(&*content(1, LARGE + 1), Hold::Anonymous)
            .unwrap_err(),
        reservation.post_from(io::repeat(7), Hold::Anonymous).unwrap_err(),
        reservation
            .post_bytes(&content(1, LARGE + 1), Hold::Anonymous)
            .unwrap_err(),
    ];
    let texts = [
        "the line was cut",
        "the line was cut",
        "19,935,290",
        "19,935,290",
        "19,935,290",
    ];
    assert_eq!(LARGE + 1, 19_935_290);
    for (error, text) in errors.iter().zip(texts) {
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!((figures(&heap), rows(&heap)), before, "{error}");
    }
    assert_eq!(heap.reservation("k").unwrap().state, ReservationState::Open);
    assert_balanced(&heap);
    reservation.post_from(&*content(2, LARGE), Hold::Anonymous).unwrap();
    assert_balanced(&heap);
}

#[test]
fn content_that_is_stored_is_a_dedup_hit_and_returns_the_bytes() {
    for size in [1000, LARGE] {
        let heap = Heap::of(2 * LARGE, Geometry::standard());
        let bytes = content(1, size);
        let id = heap.store_bytes(&bytes, Hold::Anonymous).unwrap().id;
        for (number, way) in ["bytes", "stream", "file"].into_iter().enumerate() {
            let reservation = heap.reserve(size).key(way).make().unwrap();
            let hold = Hold::Name(way);
            let posted = match number {
                0 => reservation.post_bytes(&bytes, hold),
                1 => reservation.post_from(&*bytes, hold),
                _ => reservation.post_file(&mut file(&bytes), hold),
            };
            let posted = posted.unwrap();
            assert!(posted.dedup);
            assert_eq!((posted.id, heap.resolve(way).unwrap()), (id, Some(id)));
            assert_eq!(heap.reservation(way).unwrap().object_id, Some(id));
            assert_eq!(figures(&heap), [size, 0, 2 * LARGE - size], "{way} of {size}");
            assert_balanced(&heap);
        }
    }
}

/// Stores some parts and then nothing, as a process does that dies. Its source gives no more than `end`
/// bytes.
fn begin_to_post(memory: MemManager, bytes: Vec<u8>, end: u64) {
    let (reached, silent) = mpsc::channel();
    std::thread::spawn(move || {
        let source = Source {
            bytes: Cursor::new(bytes),
            between: |at| {
                if at >= end {
                    reached.send(()).unwrap();
                    loop {
                        std::thread::park();
                    }
                }
            },
            fails: false,
        };
        memory.reservation("k").unwrap().post_from(source, Hold::Anonymous)
    });
    silent.recv().unwrap();
}

/// Leaves a post behind, as a process does that dies.
fn abandoned() -> Heap {
    let heap = Heap::of(LARGE + 1000, Geometry::standard());
    heap.reserve(LARGE).key("k").make().unwrap();
    begin_to_post(heap.open_again(), content(5, LARGE), 18 * MIB);
    let [mem, promised, _] = figures(&heap);
    assert!(mem > 8 * MIB && mem + promised == LARGE);
    assert_balanced(&heap);
    heap
}

#[test]
fn a_caller_that_died_while_it_posted_can_post_again() {
    for size in [1000, LARGE] {
        let heap = abandoned();
        let again = heap.reserve(LARGE).key("k").make().unwrap();
        assert_eq!(again.state, ReservationState::Open);
        assert!(again.written > 8 * MIB);
        let bytes = content(6, size);
        let posted = again.post_from(&*bytes, Hold::Anonymous).unwrap();
        assert_eq!(heap.get_bytes(&posted.id).unwrap(), bytes);
        assert_eq!(figures(&heap), [size, 0, LARGE + 1000 - size]);
        assert_balanced(&heap);
    }
}

#[test]
fn what_a_caller_left_that_died_is_given_back_when_it_is_voided_or_lapses() {
    let heap = abandoned();
    heap.reservation("k").unwrap().void().unwrap();
    assert_eq!(figures(&heap), [0, 0, LARGE + 1000]);
    let voided = heap.reservation("k").unwrap();
    assert_eq!((voided.state, voided.written), (ReservationState::Voided, 0));
    assert_balanced(&heap);

    let heap = abandoned();
    expire(&heap);
    let mut writes = 0;
    while figures(&heap)[0] > 100 {
        heap.allocate(&writes).unwrap();
        writes += 1;
        assert_balanced(&heap);
    }
    assert!((1..5).contains(&writes), "{writes}");
    assert_eq!(heap.reservation("k").unwrap().state, ReservationState::Lapsed);
}

#[test]
fn of_two_that_post_the_same_the_one_that_began_last_wins() {
    for second_size in [1000, LARGE] {
        let heap = space();
        let first = heap.reserve(LARGE).key("k").make().unwrap();
        let other = heap.open_again();
        let bytes = content(2, second_size);
        let mut posted = None;
        let source = Source {
            bytes: Cursor::new(content(1, LARGE)),
            between: |at| {
                if at > 9 * MIB && posted.is_none() {
                    let second = other.reservation("k").unwrap();
                    posted = Some(second.post_from(&*bytes, Hold::Anonymous).unwrap().id);
                }
            },
            fails: false,
        };
        let error = first.post_from(source, Hold::Anonymous).unwrap_err();
        assert!(
            matches!(error, Error::Reservation(ReservationError::Posted { .. })),
            "{error}"
        );
        assert_eq!(heap.reservation("k").unwrap().object_id, posted);
        assert_eq!(figures(&heap), [second_size, 0, 64 * MIB - second_size]);
        assert_balanced(&heap);
    }
}

#[test]
fn a_post_that_another_takes_over_fails_and_leaves_the_pieces_of_the_other() {
    let heap = space();
    let first = heap.reserve(2 * LARGE).key("k").make().unwrap();
    let other = heap.open_again();
    let mut taken_over = false;
    let source = Source {
        bytes: Cursor::new(content(1, 2 * LARGE)),
        between: |at| {
            if at > 9 * MIB && !taken_over {
                taken_over = true;
                begin_to_post(other.clone(), content(2, LARGE), 18 * MIB);
            }
        },
        fails: false,
    };
    let error = first.post_from(source, Hold::Anonymous).unwrap_err();
    assert!(
        matches!(error, Error::Reservation(ReservationError::Superseded { .. })),
        "{error}"
    );
    let left = heap.reservation("k").unwrap();
    assert!(left.written > 8 * MIB);
    assert_balanced(&heap);
    left.post_bytes(b"third", Hold::Anonymous).unwrap();
    assert_eq!(figures(&heap), [5, 0, 64 * MIB - 5]);
    assert_balanced(&heap);
}

#[test]
fn an_upload_is_listed_and_can_be_voided() {
    let heap = space();
    let other = heap.open_again();
    let mut voided = false;
    let source = Source {
        bytes: Cursor::new(content(1, LARGE)),
        between: |at| {
            if at > 10 * MIB && !voided {
                voided = true;
                let upload = other.reservations().unwrap().remove(0);
                assert_eq!((upload.key, upload.state), (None, ReservationState::Open));
                let upload = other.reservation_by_id(upload.id).unwrap();
                let error = upload.post_bytes(b"x", Hold::Anonymous).unwrap_err();
                assert!(
                    matches!(error, Error::Reservation(ReservationError::Unknown { .. })),
                    "{error}"
                );
                upload.void().unwrap();
                assert_eq!(figures(&other), [0, 0, 64 * MIB]);
            }
        },
        fails: false,
    };
    let error = heap.store_from(source, Hold::Anonymous).unwrap_err();
    assert!(
        matches!(error, Error::Reservation(ReservationError::UploadLapsed { .. })),
        "{error}"
    );
    assert_eq!(heap.reservations().unwrap(), []);
    assert_balanced(&heap);
}

#[test]
fn the_newest_resolved_ones_are_remembered() {
    let heap = space();
    for number in 0..1100 {
        let reservation = heap.reserve(10).key(format!("{number}")).make().unwrap();
        if number % 2 == 0 {
            reservation.void().unwrap();
        } else {
            reservation.post(&number, Hold::Anonymous).unwrap();
        }
    }
    let open = heap.reserve(10).key("open").make().unwrap();
    assert_eq!(heap.reservations().unwrap().len(), 1025);
    assert!(matches!(
        heap.reservation("75"),
        Err(Error::Reservation(ReservationError::Unknown { .. }))
    ));
    assert_eq!(heap.reservation("76").unwrap().state, ReservationState::Voided);
    // A forgotten key is as good as new, and its id is not used again.
    let again = heap.reserve(10).key("0").make().unwrap();
    assert!(again.id > open.id);
    again.void().unwrap();
    assert_eq!(heap.reservations().unwrap().len(), 1025);
    assert_balanced(&heap);
}

#[test]
fn the_history_tells_what_became_of_each() {
    let heap = Heap::new();
    heap.reserve(10)
        .key("a")
        .make()
        .unwrap()
        .post_bytes(b"it", Hold::Anonymous)
        .unwrap();
    heap.reserve(20).key("b").make().unwrap().void().unwrap();
    heap.reserve(30).key("c").make().unwrap();
    expire(&heap);
    heap.allocate_bytes(b"more").unwrap();
    let kinds = [EventKind::Reserve, EventKind::Post, EventKind::Void, EventKind::Lapse];
    let events = heap.events(EventFilter::default().kinds(kinds)).map(Result::unwrap);
    let told: Vec<_> = events
        .map(|event| format!("{} {} {}", event.kind, event.name.unwrap(), event.bytes))
        .collect();
    assert_eq!(
        told,
        [
            "reserve a 10",
            "post a 10",
            "reserve b 20",
            "void b 20",
            "reserve c 30",
            "lapse c 30"
        ]
    );
    let posted = texts(&heap.sql(), "SELECT object_id FROM log WHERE kind = 'post'");
    assert_eq!(posted, [ObjectId::of_bytes(b"it").to_hex()]);
    let sql = "SELECT key || ' ' || state || ' ' || promised FROM promises ORDER BY id";
    assert_eq!(texts(&heap.sql(), sql), ["a posted 0", "b voided 0", "c lapsed 0"]);
}

#[test]
fn a_space_cannot_shrink_below_what_it_has_promised() {
    let heap = Heap::of(10_000, Geometry::classic());
    heap.reserve(8000).key("k").make().unwrap();
    let error = heap.resize(7999).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it stores 0, and 8,000 are promised to reservations; void"),
        "{error}"
    );
    heap.resize(8000).unwrap();
    heap.reservation("k")
        .unwrap()
        .post_bytes(&content(1, 8000), Hold::Anonymous)
        .unwrap();
    assert_balanced(&heap);
}

#[test]
fn the_whole_of_the_largest_space_can_be_promised() {
    let heap = Heap::of(i64::MAX as u64, Geometry::standard());
    let reservation = heap.reserve(i64::MAX as u64).key("k").make().unwrap();
    assert_eq!(heap.memram().unwrap().available(), 0);
    assert!(heap.allocate_bytes(b"x").is_err());
    assert_balanced(&heap);
    reservation.post_bytes(b"x", Hold::Anonymous).unwrap();
    assert_eq!(heap.memram().unwrap().available(), i64::MAX as u64 - 1);
    assert_balanced(&heap);
}

#[test]
fn a_collection_ends_what_is_over() {
    let heap = Heap::new();
    for key in ["a", "b", "c"] {
        heap.reserve(100).key(key).make().unwrap();
    }
    expire(&heap);
    heap.collect_garbage().unwrap();
    assert_eq!(figures(&heap), [0, 0, MIB]);
    assert_eq!(
        number(&heap.sql(), "SELECT count(*) FROM reservations WHERE state = 'lapsed'"),
        3
    );
}

#[test]
fn a_reader_sees_reservations_and_makes_none() {
    let heap = Heap::new();
    heap.reserve(10).key("k").make().unwrap();
    let reader = quick().read_only(true).open(heap.address()).unwrap();
    let seen = reader.reservation("k").unwrap();
    assert_eq!(seen.bytes, 10);
    for error in [
        reader.reserve(1).make().unwrap_err(),
        seen.post_bytes(b"x", Hold::Anonymous).unwrap_err(),
        seen.void().unwrap_err(),
    ] {
        assert!(matches!(error, Error::ReadOnly), "{error}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Store(u64),
    Free,
    Reserve(u8, u64),
    Post(u8, u64),
    Void(u8),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (8u64..20_000).prop_map(Step::Store),
        1 => Just(Step::Free),
        3 => (0u8..6, 1u64..20_000).prop_map(|(key, bytes)| Step::Reserve(key, bytes)),
        3 => (0u8..6, 8u64..20_000).prop_map(|(key, bytes)| Step::Post(key, bytes)),
        1 => (0u8..6).prop_map(Step::Void),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    #![proptest_config(cases(24))]

    /// Whatever happens, `mem + promised <= max_mem`, the claims add up, and no post is refused for want
    /// of room.
    #[test]
    fn no_more_is_promised_than_there_is(max_mem in 1u64..60_000, steps in prop::collection::vec(step(), 1..40)) {
        let heap = Heap::of(max_mem, Geometry::standard());
        for (step, seed) in steps.into_iter().zip(1..) {
            let done = match step {
                Step::Store(size) => heap.allocate_bytes(&content(seed, size)).map(drop),
                Step::Free => match heap.objects().next() {
                    Some(object) => heap.force_free(&object.unwrap().id).map(drop),
                    None => Ok(()),
                },
                Step::Reserve(key, bytes) => heap.reserve(bytes).key(format!("{key}")).make().map(drop),
                Step::Post(key, bytes) => match heap.reservation(&format!("{key}")) {
                    Ok(it) => {
                        let posted = it.post_bytes(&content(seed, bytes), Hold::Anonymous);
                        let refused = matches!(posted, Err(Error::OutOfMemory { .. }));
                        prop_assert!(!refused);
                        posted.map(drop)
                    }
                    Err(error) => Err(error),
                },
                Step::Void(key) => heap.reservation(&format!("{key}")).and_then(|it| it.void()),
                Step::Expire => { expire(&heap); Ok(()) }
            };
            if let Err(error) = done {
                let expected = matches!(
                    error,
                    Error::OutOfMemory { .. }
                        | Error::Reservation(ReservationError::KeyReused { .. })
                        | Error::Reservation(ReservationError::Unknown { .. })
                        | Error::Reservation(ReservationError::Posted { .. })
                        | Error::Reservation(ReservationError::Voided { .. })
                        | Error::Reservation(ReservationError::Lapsed { .. })
                        | Error::Reservation(ReservationError::TooLarge { .. })
                );
                prop_assert!(expected, "{error}");
            }
            let space = heap.memram().unwrap();
            prop_assert!(space.mem + space.promised <= space.max_mem);
            assert_balanced(&heap);
        }
    }
}
