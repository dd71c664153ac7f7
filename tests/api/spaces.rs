//! Spaces that end, and spaces that get another name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{Heap, KIB, MIB, assert_balanced, assert_sql_balanced, cases, content, number, quick, texts};
use heapledger::{Error, EventFilter, EventKind, Geometry, Hold, MemManager, Moment, SpaceError};

/// Another space of the same heap.
fn open(heap: &Heap, name: &str) -> MemManager {
    quick().space(name).max_mem(16 * MIB).open(heap.address()).unwrap()
}

fn is_dropped<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::Space(SpaceError::Dropped { .. }))),
        "{result:?}"
    );
}

/// Everything that a space can have.
fn fill(space: &MemManager) {
    for seed in 0..300 {
        let id = space.allocate_bytes(&content(seed, 200 + seed)).unwrap();
        if seed % 3 == 0 {
            space.bind(&format!("name {seed}"), &id).unwrap();
        }
    }
    space.set("one", &1).unwrap();
    space.set("empty", "").unwrap();
    space.store_bytes(&content(1000, MIB), Hold::Name("large")).unwrap();
    space.store_bytes(b"", Hold::Anonymous).unwrap();
    let expiring = Hold::Name("expiring").expires_in(Duration::from_secs(3600));
    space.store_bytes(b"for an hour", expiring).unwrap();
    space.add_arena().unwrap();
    space.reserve(KIB).key("kept").make().unwrap();
    space
        .reserve(KIB)
        .key("posted")
        .make()
        .unwrap()
        .post_bytes(b"x", Hold::Anonymous)
        .unwrap();
}

#[test]
fn a_dropped_space_leaves_no_row_but_the_one_that_says_so() {
    let heap = Heap::new();
    heap.set("mine", "stays").unwrap();
    let before = rows(&heap);
    let other = open(&heap, "other");
    fill(&other);
    let memram = other.memram().unwrap();
    let planned = heap.plan_drop_space("other").unwrap();
    let dropped = heap.because("no longer used").drop_space("other").unwrap();
    assert_eq!((dropped.id, dropped.name.as_str()), (other.space_id(), "other"));
    assert_eq!((dropped.objects, dropped.mem), (memram.objects(), memram.mem));
    assert_eq!((dropped.names, dropped.reservations), (104, 1));
    assert!(dropped.history_bytes > 0 && dropped.gone_at.is_some());
    assert_eq!(dropped.reason.as_deref(), Some("no longer used"));
    let figures = |it: &heapledger::DroppedSpace| (it.objects, it.mem, it.names, it.reservations, it.history_bytes);
    assert_eq!(figures(&planned), figures(&dropped));

    assert_eq!(heap.dropped_spaces().unwrap(), [dropped]);
    assert_eq!(heap.spaces().unwrap().len(), 1);
    assert_eq!(rows(&heap), before);
    assert_balanced(&heap);
    assert_eq!(heap.get_by_name::<String>("mine").unwrap().as_deref(), Some("stays"));
}

/// Rows of all tables, except the one of dropped spaces.
fn rows(heap: &Heap) -> Vec<(String, i64)> {
    let sql = heap.sql();
    let tables = sql.tables().into_iter().filter(|table| table != "dropped_spaces");
    tables
        .map(|table| {
            let rows = number(&sql, &format!("SELECT count(*) FROM {table}"));
            (table, rows)
        })
        .collect()
}

#[test]
fn a_manager_that_is_open_on_a_dropped_space_says_so() {
    let heap = Heap::new();
    let other = open(&heap, "other");
    let id = other.allocate("hello").unwrap();
    let then = other.snapshot().unwrap();
    heap.drop_space("other").unwrap();
    is_dropped(other.allocate("again"));
    is_dropped(other.get::<String>(&id));
    is_dropped(other.get_bytes(&id));
    is_dropped(other.find("hello"));
    is_dropped(other.memram());
    is_dropped(other.stats());
    is_dropped(other.collect_garbage());
    is_dropped(other.trial_balance());
    is_dropped(other.batch(|batch| batch.allocate("x")));
    is_dropped(other.plan_free(&[]));
    is_dropped(other.layout_digest());
    is_dropped(other.copy_to_space("main"));
    let folder = tempfile::tempdir().unwrap();
    is_dropped(other.export(folder.path().join("export")));
    assert!(!other.contains(&id).unwrap());
    assert_eq!(other.objects().count(), 0);
    // One state stays what it is.
    assert_eq!(then.get::<String>(&id).unwrap(), "hello");
    let error = other.allocate("again").unwrap_err().to_string();
    assert!(error.starts_with("space \"other\" was dropped at "), "{error}");
}

#[test]
fn a_space_can_be_dropped_through_its_own_manager_and_so_can_the_last_one() {
    let heap = Heap::new();
    heap.set("mine", "goes").unwrap();
    let dropped = heap.drop_space("main").unwrap();
    assert_eq!((dropped.names, dropped.objects), (1, 1));
    assert_eq!(heap.spaces().unwrap(), []);
    is_dropped(heap.memram());
    assert!(matches!(heap.drop_space("main"), Err(Error::UnknownSpace { known, .. }) if known.is_empty()));
    assert_sql_balanced(&heap.sql());
}

#[test]
fn neither_the_key_of_a_dropped_space_nor_an_id_in_it_is_used_again() {
    let heap = Heap::new();
    for round in 2..5 {
        let other = open(&heap, "other");
        assert_eq!(other.space_id().0, round);
        let id = other.store_bytes(b"x", Hold::Anonymous).unwrap().id;
        assert_eq!(other.object(&id).unwrap().id.space().0, round);
        heap.drop_space("other").unwrap();
    }
    // Not even if it is the only one that ever was.
    heap.drop_space("main").unwrap();
    assert_eq!(heap.open_again().space_id().0, 5);
    let ids = texts(&heap.sql(), "SELECT CAST(id AS TEXT) FROM dropped_spaces ORDER BY id");
    assert_eq!(ids, ["1", "2", "3", "4"]);
}

#[test]
fn an_unknown_space_cannot_be_dropped_or_renamed() {
    let heap = Heap::new();
    for refused in [
        heap.drop_space("other").map(drop),
        heap.plan_drop_space("other").map(drop),
        heap.rename_space("other", "x").map(drop),
    ] {
        assert!(matches!(refused, Err(Error::UnknownSpace { .. })), "{refused:?}");
    }
    assert_eq!(heap.spaces().unwrap().len(), 1);
    let reader = quick().read_only(true).open(heap.address()).unwrap();
    assert!(matches!(reader.drop_space("main"), Err(Error::ReadOnly)));
    assert!(matches!(reader.rename_space("main", "x"), Err(Error::ReadOnly)));
}

/// A space whose drop was interrupted after its first step.
fn half_dropped(heap: &Heap) -> MemManager {
    let other = open(heap, "other");
    fill(&other);
    let mut steps = 0;
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        heap.drop_space_with("other", &mut |_, _, _| {
            steps += 1;
            assert!(steps < 4, "interrupted");
        })
    }));
    assert!(stopped.is_err());
    other
}

#[test]
fn a_half_dropped_space_balances_is_visible_and_takes_nothing() {
    let heap = Heap::new();
    let other = half_dropped(&heap);
    assert_balanced(&heap);
    assert_sql_balanced(&heap.sql());
    let space = &heap.spaces().unwrap()[1];
    assert!(space.dropped_at.is_some() && space.objects() < 305, "{space:?}");
    let notes: Vec<_> = heap.check_notes().unwrap().iter().map(ToString::to_string).collect();
    assert!(
        notes[0].starts_with("the drop of space \"other\" began at "),
        "{notes:?}"
    );
    let dropped = heap.dropped_spaces().unwrap();
    assert_eq!((dropped[0].gone_at, dropped[0].names), (None, 104));

    let refused = [
        other.allocate("x").map(drop),
        other.get::<String>(&heap.allocate("never there").unwrap()).map(drop),
        quick().space("other").open(heap.address()).map(drop),
        quick()
            .space("other")
            .create_new_space(true)
            .open(heap.address())
            .map(drop),
        heap.rename_space("other", "x").map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, Error::Space(SpaceError::BeingDropped { .. })),
            "{error}"
        );
        assert!(
            error.to_string().ends_with("MemManager::drop_space removes the rest"),
            "{error}"
        );
    }
    // There is nothing to repair.
    assert_eq!(heap.repair().unwrap().corrections.len(), 0);
    // What is left can be read.
    let left = quick().space("other").read_only(true).open(heap.address()).unwrap();
    assert_eq!(left.objects().count() as u64, space.objects());
    // A copy leaves it out.
    let folder = tempfile::tempdir().unwrap();
    let copied = heap.copy_to(folder.path().join("copy.db")).unwrap();
    assert_eq!(copied.spaces.len(), 1);
}

#[test]
fn the_next_call_completes_an_interrupted_drop() {
    let heap = Heap::new();
    half_dropped(&heap);
    let planned = heap.plan_drop_space("other").unwrap();
    assert!(planned.objects < 305, "{planned:?}");
    // It tells what the space had when it was first dropped.
    let dropped = heap.drop_space("other").unwrap();
    assert!(
        dropped.objects > planned.objects && dropped.gone_at.is_some(),
        "{dropped:?}"
    );
    assert_eq!(heap.spaces().unwrap().len(), 1);
    assert_balanced(&heap);
}

#[test]
fn options_complete_the_drop_of_the_only_space() {
    let heap = Heap::new();
    half_dropped(&heap);
    heap.drop_space("main").unwrap();
    let place = heap.close();
    let dropped = quick().space("other").drop_space(place.address()).unwrap();
    assert_eq!(dropped.name, "other");
    let missing = quick().space("other").drop_space(place.folder().join("missing.db"));
    assert!(matches!(missing, Err(Error::NoFile { .. })), "{missing:?}");
    assert!(!place.folder().join("missing.db").exists());
    let unknown = quick().space("other").drop_space(place.address());
    assert!(matches!(unknown, Err(Error::UnknownSpace { known, .. }) if known.is_empty()));
    assert_eq!(number(&place.sql(), "SELECT count(*) FROM memram"), 0);
}

#[test]
fn writers_of_other_spaces_go_on_while_a_space_is_dropped() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let other = open(&heap, "other");
    fill(&other);
    let mut between = 0;
    heap.drop_space_with("other", &mut |_, _, _| {
        // The books balance after each step.
        assert_balanced(&heap);
        heap.allocate(&between).unwrap();
        between += 1;
    })
    .unwrap();
    assert!(between > 3, "{between}");
    assert_eq!(heap.memram().unwrap().objects(), between);
    assert_balanced(&heap);
}

/// Two drops at once, while others use that space and another one.
#[test]
fn whoever_uses_a_space_while_it_is_dropped_learns_only_that() {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let other = open(&heap, "other");
    fill(&other);
    let ended = |error: Error| assert!(matches!(error, Error::Space(_)), "{error}");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for seed in 5000.. {
                match other.allocate_bytes(&content(seed, 300)) {
                    Ok(_) => {}
                    Err(error) => return ended(error),
                }
            }
        });
        threads.spawn(|| {
            let id = other.resolve("one").unwrap().unwrap();
            loop {
                match other.get::<i64>(&id) {
                    Ok(one) => assert_eq!(one, 1),
                    Err(error) => return ended(error),
                }
            }
        });
        threads.spawn(|| (0..100).for_each(|number| assert!(heap.allocate(&number).is_ok())));
        for _ in 0..2 {
            threads.spawn(|| {
                let memory = heap.open_again();
                match memory.drop_space("other") {
                    Ok(dropped) => assert!(dropped.gone_at.is_some()),
                    // It came when all was over.
                    Err(error) => assert!(matches!(error, Error::UnknownSpace { .. }), "{error}"),
                }
            });
        }
    });
    assert_eq!(heap.spaces().unwrap().len(), 1);
    assert_eq!(heap.memram().unwrap().objects(), 100);
    assert_balanced(&heap);
}

#[test]
fn a_space_is_there_or_unknown_whenever_it_is_dropped_while_it_is_opened() {
    let heap = Heap::new();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                match quick().space("other").read_only(true).open(heap.address()) {
                    Ok(_) | Err(Error::UnknownSpace { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for _ in 0..cases(100).cases {
            drop(open(&heap, "other"));
            heap.drop_space("other").unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn large_objects_many_pieces_and_many_names_go_in_steps() {
    let heap = Heap::new();
    let other = quick()
        .space("other")
        .max_mem(128 * MIB)
        .geometry(Geometry::classic())
        .open(heap.address())
        .unwrap();
    // 4,000 pieces, and more names than one step removes.
    let id = other.allocate_bytes(&content(1, 2 * MIB)).unwrap();
    other
        .batch(|batch| (0..2500).try_for_each(|name| batch.bind(&format!("n{name}"), &id).map(drop)))
        .unwrap();
    other.allocate_bytes(&content(2, 3000)).unwrap();
    other.allocate_bytes(&vec![7; 65 << 20]).unwrap();
    let dropped = heap.drop_space("other").unwrap();
    assert_eq!((dropped.objects, dropped.names), (3, 2500));
    assert_balanced(&heap);
    assert_eq!(rows(&heap), rows(&Heap::new()));
}

#[test]
fn what_has_expired_goes_too() {
    let heap = Heap::new();
    let before = rows(&heap);
    let other = open(&heap, "other");
    let soon = Duration::from_millis(1);
    other
        .batch(|batch| {
            (0..50).try_for_each(|seed| {
                let name = format!("n{seed}");
                batch.store_bytes(&content(seed, 300), Hold::Name(&name).expires_in(soon))?;
                batch
                    .store_bytes(&content(100 + seed, 300), Hold::Anonymous.expires_in(soon))
                    .map(drop)
            })
        })
        .unwrap();
    std::thread::sleep(5 * soon);
    heap.drop_space("other").unwrap();
    assert_eq!(rows(&heap), before);
    assert_balanced(&heap);
}

#[test]
fn a_space_can_be_dropped_in_a_full_file() {
    crate::common::files_only!(Ceiling);
    let heap = Heap::made(quick().max_mem(MIB).max_file(4 * MIB));
    let other = quick().space("other").max_mem(64 * MIB).open(heap.address()).unwrap();
    let refused = (0..).find_map(|seed| other.set(&format!("n{seed}"), &content(seed, 3000)).err());
    assert!(matches!(refused, Some(Error::FileFull { .. })), "{refused:?}");
    heap.drop_space("other").unwrap();
    heap.collect_garbage().unwrap();
    heap.allocate_bytes(&content(1, 500 * KIB)).unwrap();
    assert!(heap.disk_use().unwrap().total() <= 4 * MIB);
    assert_balanced(&heap);
}

#[test]
fn a_dropped_space_gives_its_bytes_back_to_the_file() {
    crate::common::files_only!(File);
    let heap = Heap::new();
    let before = heap.disk_use().unwrap().file_size;
    let other = open(&heap, "other");
    other.allocate_bytes(&content(1, 8 * MIB)).unwrap();
    heap.drop_space("other").unwrap();
    heap.collect_garbage().unwrap();
    assert!(heap.disk_use().unwrap().file_size < before + 64 * KIB);
}

#[test]
fn a_renamed_space_keeps_everything_and_its_managers_go_on() {
    let heap = Heap::new();
    let other = open(&heap, "other");
    let id = other.set("greeting", "hello").unwrap();
    let renamed = heap.rename_space("other", "another").unwrap();
    assert_eq!((renamed.id, renamed.name.as_str()), (other.space_id(), "another"));

    assert_eq!(other.space(), "other");
    assert_eq!(other.memram().unwrap().name, "another");
    assert_eq!(
        other.get_by_name::<String>("greeting").unwrap().as_deref(),
        Some("hello")
    );
    assert_eq!(other.trial_balance().unwrap().len(), 5);
    assert_eq!(other.claims().unwrap().len(), 5);
    assert_eq!(other.usage().unwrap().len(), 10);
    assert_eq!(other.objects().next().unwrap().unwrap().space, "another");
    other.set("more", &2).unwrap();
    assert!(matches!(
        quick().space("other").read_only(true).open(heap.address()),
        Err(Error::UnknownSpace { .. })
    ));
    assert!(open(&heap, "another").contains(&id.id).unwrap());

    let event = other.events(EventFilter::default()).map(Result::unwrap);
    let event = event.filter(|event| event.kind == EventKind::Rename).last().unwrap();
    assert_eq!(event.name.as_deref(), Some("other"));
    other.layout_at(Moment::Event(event.id)).unwrap();
    assert_balanced(&other);
}

/// A source that has the space dropped when half of it is read.
struct Dropping<'h> {
    heap: &'h Heap,
    left: u64,
}

impl std::io::Read for Dropping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = buffer.len().min(self.left as usize);
        let before = self.left;
        self.left -= bytes as u64;
        if before > 10 * MIB && self.left <= 10 * MIB {
            self.heap.drop_space("other").map_err(std::io::Error::other)?;
        }
        buffer[..bytes].fill(7);
        Ok(bytes)
    }
}

#[test]
fn a_large_object_on_its_way_into_a_dropped_space_is_refused() {
    let heap = Heap::new();
    let other = open(&heap, "other");
    other.resize(64 * MIB).unwrap();
    let left = 20 * MIB;
    is_dropped(other.allocate_from(Dropping { heap: &heap, left }));
    assert_balanced(&heap);
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM ledger"), 0);
}

#[test]
fn only_one_of_two_spaces_gets_a_name_that_both_want() {
    let heap = Heap::new();
    for round in 0..5 {
        let to = format!("wanted {round}");
        for name in ["a", "b"] {
            open(&heap, &format!("{name}{round}"));
        }
        let renamed = std::thread::scope(|threads| {
            let rename = |name: &str| {
                let (heap, from, to) = (&heap, format!("{name}{round}"), to.clone());
                threads.spawn(move || heap.open_again().rename_space(&from, &to))
            };
            [rename("a"), rename("b")].map(|thread| thread.join().unwrap())
        });
        let refused: Vec<_> = renamed.iter().filter_map(|it| it.as_ref().err()).collect();
        assert!(matches!(refused[..], [Error::SpaceExists { .. }]), "{renamed:?}");
    }
    assert_balanced(&heap);
}

#[test]
fn a_name_of_a_space_must_be_free_and_valid() {
    let heap = Heap::new();
    open(&heap, "other");
    for (to, fits) in [
        (
            "main",
            (|error| matches!(error, Error::SpaceExists { .. })) as fn(&Error) -> bool,
        ),
        ("", |error| matches!(error, Error::BadSpaceName { length: 0 })),
        ("a\0b", |error| matches!(error, Error::NulInName { .. })),
    ] {
        let error = heap.rename_space("other", to).unwrap_err();
        assert!(fits(&error), "{to:?}: {error}");
    }
    let long = "x".repeat(256);
    assert!(matches!(
        heap.rename_space("other", &long),
        Err(Error::BadSpaceName { length: 256 })
    ));
    // The same name is no change.
    assert_eq!(heap.rename_space("other", "other").unwrap().name, "other");
    // That of a dropped space is free.
    heap.drop_space("other").unwrap();
    assert_eq!(heap.rename_space("main", "other").unwrap().name, "other");
}

#[test]
fn other_tools_may_not_write_what_was_dropped() {
    crate::common::files_only!(Guards);
    let heap = Heap::new();
    open(&heap, "other");
    heap.drop_space("other").unwrap();
    let plain = rusqlite::Connection::open(heap.address()).unwrap();
    for statement in [
        "DELETE FROM dropped_spaces",
        "UPDATE dropped_spaces SET id = 9",
        "UPDATE memram SET dropped_at = 1",
    ] {
        let error = plain.execute(statement, []).unwrap_err().to_string();
        assert!(error.contains("only_heapledger_may_write"), "{statement}: {error}");
    }
}

#[test]
fn dropping_inside_a_batch_is_refused() {
    let heap = Heap::new();
    open(&heap, "other");
    let refused = heap.batch(|_| heap.drop_space("other").map(drop));
    assert!(matches!(refused, Err(Error::Reentered)), "{refused:?}");
    assert_eq!(heap.spaces().unwrap().len(), 2);
}
