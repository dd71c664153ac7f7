//! A copy from heap to heap has everything that is stored, in the same order, and nothing else; it
//! continues where it stopped, and touches nothing that does not come from its original.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::common::{Heap, KIB, MIB, Place, assert_balanced, content, disguise, dump, number, quick};
use heapledger::{
    CopiedSpace, CopyOptions, Error, Geometry, History, Hold, Kind, MemManager, ObjectId, ObjectInfo, OnConflict,
    Phase, TransferError,
};

fn options() -> CopyOptions {
    CopyOptions::default().target(quick())
}

/// Copies all spaces, of which there is one.
fn copy(memory: &MemManager, to: &Place) -> Result<CopiedSpace, Error> {
    copy_with(memory, to.address(), &options())
}

fn copy_with(memory: &MemManager, to: &Path, options: &CopyOptions) -> Result<CopiedSpace, Error> {
    let copied = memory.copy_to_with(to, options, &mut |_, _, _| {})?;
    assert_eq!(copied.spaces.len(), 1);
    Ok(copied.spaces.into_iter().next().unwrap())
}

fn open(place: &Place) -> MemManager {
    quick().open(place.address()).unwrap()
}

/// Every kind, several names, an anonymous hold next to a name, an empty object, and many small ones.
fn heap() -> Heap {
    let heap = Heap::of(64 * MIB, Geometry::standard());
    let big = heap
        .store_bytes(&content(1, 300 * KIB), Hold::Name("photos/one.jpg"))
        .unwrap()
        .id;
    heap.bind("second \"name\"\n", &big).unwrap();
    heap.allocate_bytes(b"").unwrap();
    heap.allocate("text").unwrap();
    heap.store("text", Hold::Name("greeting")).unwrap();
    heap.store(&vec![1, 2, 3], Hold::Name("list")).unwrap();
    heap.allocate(&-7).unwrap();
    heap.allocate(&2.5).unwrap();
    heap.allocate(&true).unwrap();
    heap.allocate(&()).unwrap();
    // Stored in parts.
    let large = heap.store_bytes(&content(2, 20 * MIB), Hold::Name("film")).unwrap().id;
    heap.bind("the film", &large).unwrap();
    heap.allocate_bytes(&content(2, 20 * MIB)).unwrap();
    many(&heap, 10..2400);
    heap
}

fn many(memory: &MemManager, seeds: std::ops::Range<u64>) {
    let stored = memory.batch(|batch| {
        for seed in seeds {
            batch.store_bytes(&content(seed, 8 + seed % 200), Hold::Anonymous)?;
        }
        Ok(())
    });
    stored.unwrap();
}

/// Everything about the objects, in the order of allocation.
#[allow(clippy::type_complexity, reason = "only compared")]
fn described(memory: &MemManager) -> Vec<(ObjectId, String, Option<String>, Vec<String>, bool, ObjectId)> {
    let describe = |object: ObjectInfo| {
        let names = memory.names(&object.id).unwrap();
        let names = names.into_iter().map(|name| name.name).collect();
        let content = ObjectId::of_bytes(&memory.get_bytes(&object.id).unwrap());
        (
            object.id,
            object.kind.to_string(),
            object.type_name,
            names,
            object.held,
            content,
        )
    };
    memory.objects().map(|object| describe(object.unwrap())).collect()
}

#[test]
fn a_copy_has_all_objects_in_the_same_order() {
    let (heap, to) = (heap(), Place::new());
    let before = dump(&heap.sql());
    let copied = copy(&heap, &to).unwrap();
    let copy = open(&to);
    let stats = heap.stats().unwrap();
    assert_eq!((copied.objects, copied.bytes), (stats.objects, stats.mem));
    assert_eq!((copied.names, copied.already, copied.left_out), (6, 0, 0));
    assert_eq!(described(&copy), described(&heap));
    assert_eq!(dump(&heap.sql()), before, "the original has not changed");
    assert_balanced(&copy);
    // Again, nothing is left to do.
    let before = dump(&to.sql());
    let again = self::copy(&heap, &to).unwrap();
    assert_eq!((again.objects, again.already, again.bytes), (0, stats.objects, 0));
    assert_eq!(dump(&to.sql()), before);
}

#[test]
fn all_spaces_are_copied_with_their_settings() {
    let (heap, to) = (Heap::new(), Place::new());
    heap.set("one", "in main").unwrap();
    let settings = quick().space("other").max_mem(3 * MIB).geometry(Geometry::classic());
    let history = History::Keep {
        age: Some(Duration::from_secs(90)),
        bytes: Some(5000),
    };
    let other = settings.history(history).open(heap.address()).unwrap();
    other.set("two", "in other").unwrap();
    let off = quick().space("off").history(History::Off).open(heap.address()).unwrap();
    // From a manager of any of them.
    let copied = off.copy_to_with(to.address(), &options(), &mut |_, _, _| {}).unwrap();
    let names: Vec<_> = copied.spaces.iter().map(|space| &*space.space).collect();
    assert_eq!(names, ["main", "other", "off"]);
    for space in [&*heap, &other, &off] {
        let copy = quick().space(space.space()).open(to.address()).unwrap();
        assert_eq!(described(&copy), described(space));
        assert_eq!(copy.geometry(), space.geometry());
        let (one, two) = (copy.memram().unwrap(), space.memram().unwrap());
        assert_eq!((one.max_mem, one.history), (two.max_mem, two.history));
        assert_eq!(
            (one.history_keep, one.history_max_bytes),
            (two.history_keep, two.history_max_bytes)
        );
    }
    assert_balanced(&open(&to));
}

#[test]
fn one_space_can_be_copied_alone_and_into_a_heap_that_has_others() {
    let (heap, other) = (Heap::new(), Heap::new());
    let cache = quick().space("cache").max_mem(2 * MIB).open(heap.address()).unwrap();
    cache.set("two", "in the cache").unwrap();
    heap.set("one", "in main").unwrap();
    other.set("mine", "stays").unwrap();
    let copied = copy_with(&cache, other.address(), &options().this_space_only(true)).unwrap();
    assert_eq!((&*copied.space, copied.objects), ("cache", 1));
    let copy = quick().space("cache").open(other.address()).unwrap();
    assert_eq!(described(&copy), described(&cache));
    assert_eq!(other.get_by_name::<String>("mine").unwrap().as_deref(), Some("stays"));
    assert_eq!(other.stats().unwrap().objects, 1);
}

#[test]
fn an_empty_heap_can_be_copied_and_an_empty_space_keeps_its_settings() {
    let (heap, to) = (Heap::new(), Place::new());
    assert_eq!(copy(&heap, &to).unwrap().objects, 0);
    assert_eq!(open(&to).memram().unwrap().max_mem, MIB);
    let larger = Heap::of(5 * MIB, Geometry::classic());
    heap.set("one", "1").unwrap();
    copy_with(&heap, larger.address(), &options()).unwrap();
    assert_eq!(larger.memram().unwrap().max_mem, 5 * MIB);
    assert_eq!(described(&larger), described(&heap));
}

#[test]
fn a_copy_is_in_the_history_of_the_target_with_its_reason() {
    let (heap, to) = (Heap::new(), Place::new());
    heap.set("one", "1").unwrap();
    let target = CopyOptions::default().target(quick().actor("mover"));
    copy_with(&heap.because("a larger machine"), to.address(), &target).unwrap();
    let event = open(&to).newest_events(&Default::default(), 1).unwrap().remove(0);
    assert_eq!(event.actor.as_deref(), Some("mover"));
    assert_eq!(event.reason.as_deref(), Some("a larger machine"));
}

/// Copies until `stop` bytes are done, and then panics, as if the program had ended.
fn copy_part(heap: &MemManager, to: &Place, stop: u64) {
    let part = catch_unwind(AssertUnwindSafe(|| {
        heap.copy_to_with(to.address(), &options(), &mut |phase, done, _| {
            assert!(phase != Phase::Copying || done < stop, "enough");
        })
    }));
    assert!(part.is_err(), "it ended before");
}

#[test]
fn an_interrupted_copy_continues() {
    let (heap, to) = (heap(), Place::new());
    // In the middle of the large object, and after some batches of small ones.
    for (stop, least) in [(10 * MIB, 1), (20 * MIB + 400 * KIB, 1000)] {
        copy_part(&heap, &to, stop);
        let there = open(&to).stats().unwrap().objects;
        assert!(there >= least && there < heap.stats().unwrap().objects, "{there}");
        assert_balanced(&open(&to));
    }
    let there = open(&to).stats().unwrap().objects;
    let copied = copy(&heap, &to).unwrap();
    assert_eq!(copied.already, there);
    assert_eq!(copied.already + copied.objects, heap.stats().unwrap().objects);
    let (one, two) = (described(&open(&to)), described(&heap));
    assert_eq!(BTreeMap::from_iter(key(one)), BTreeMap::from_iter(key(two)));
    assert_balanced(&open(&to));
}

fn key<K: Copy + Ord, A, B, C, D, E>(rows: Vec<(K, A, B, C, D, E)>) -> impl Iterator<Item = (K, (A, B, C, D, E))> {
    rows.into_iter().map(|(id, a, b, c, d, e)| (id, (a, b, c, d, e)))
}

/// A name or a hold that is missing is added without reading the content again.
#[test]
fn a_copy_gets_what_the_original_got_since() {
    let (heap, to) = (Heap::new(), Place::new());
    let old = heap.allocate_bytes(&content(1, 3000)).unwrap();
    let named = heap.store_bytes(&content(2, 3000), Hold::Name("two")).unwrap().id;
    copy(&heap, &to).unwrap();
    heap.bind("one", &old).unwrap();
    heap.allocate_bytes(&content(2, 3000)).unwrap();
    heap.bind("another", &named).unwrap();
    let new = heap.set("three", "3").unwrap().id;
    let copied = copy(&heap, &to).unwrap();
    assert_eq!((copied.objects, copied.already), (1, 2));
    let copy = open(&to);
    assert_eq!(described(&copy), described(&heap));
    assert_eq!(copy.resolve("three").unwrap(), Some(new));
    assert_eq!(copy.stats().unwrap().dedup_hits, 0, "contents were not stored again");
}

/// Each of these is something that does not come from the original.
#[test]
fn a_target_with_anything_of_its_own_is_refused() {
    type Own = (fn(&MemManager), &'static str);
    let owns: [Own; 5] = [
        (
            |memory| drop(memory.store("mine", Hold::Anonymous).unwrap()),
            "is only there",
        ),
        (
            |memory| drop(memory.bind("mine", &ObjectId::of_bytes(b"shared")).unwrap()),
            "the name \"mine\" is only there",
        ),
        (
            |memory| drop(memory.store_bytes(b"shared", Hold::Anonymous).unwrap()),
            "has an anonymous hold",
        ),
        (
            |memory| drop(memory.bind("one", &ObjectId::of_bytes(b"other")).unwrap()),
            "the name \"one\" is bound to another object there",
        ),
        (|memory| drop(memory.set("one", "mine").unwrap()), "is only there"),
    ];
    for (own, why) in owns {
        let (heap, to) = (Heap::new(), Place::new());
        heap.store_bytes(b"shared", Hold::Name("one")).unwrap();
        heap.store_bytes(b"other", Hold::Name("two")).unwrap();
        copy(&heap, &to).unwrap();
        own(&open(&to));
        heap.set("three", "3").unwrap();
        let before = dump(&to.sql());
        let error = copy(&heap, &to).unwrap_err();
        assert!(
            matches!(error, Error::Transfer(TransferError::Occupied { .. })),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(dump(&to.sql()), before, "nothing was copied");
    }
}

#[test]
fn no_space_is_copied_if_one_is_occupied() {
    let (heap, other) = (Heap::new(), Heap::new());
    heap.set("one", "in main").unwrap();
    let here = quick().space("two").open(heap.address()).unwrap();
    here.set("one", "in two").unwrap();
    let there = quick().space("two").open(other.address()).unwrap();
    there.set("mine", "in two").unwrap();
    let error = heap.copy_to_with(other.address(), &options(), &mut |_, _, _| {});
    assert!(error.unwrap_err().to_string().contains("space \"two\""));
    assert_eq!(other.stats().unwrap().objects, 0);
}

#[test]
fn a_taken_name_is_skipped_replaced_or_renamed() {
    // The second is stored in parts.
    for size in [100, 9 * MIB] {
        let theirs = content(1, size);
        let id = ObjectId::of_bytes(&theirs);
        let renamed = format!("taken~{}", &id.to_hex()[..12]);
        for (on_conflict, taken, new, left_out) in [
            (OnConflict::Skip, &b"mine"[..], None, 1),
            (OnConflict::Replace, &theirs, None, 0),
            (OnConflict::Rename, b"mine", Some(renamed.as_str()), 0),
        ] {
            let heap = Heap::of(16 * MIB, Geometry::standard());
            heap.store_bytes(&theirs, Hold::Name("taken")).unwrap();
            heap.store_bytes(b"more", Hold::Name("free")).unwrap();
            let other = Heap::of(16 * MIB, Geometry::standard());
            let mine = other.store_bytes(b"mine", Hold::Name("taken")).unwrap().id;
            other.set("stays", "here").unwrap();
            assert!(copy_with(&heap, other.address(), &options()).is_err());
            let options = options().on_conflict(on_conflict);
            let copied = copy_with(&heap, other.address(), &options).unwrap();
            assert_eq!((copied.objects, copied.left_out), (2 - left_out, left_out));
            let conflict = &copied.conflicts[0];
            assert_eq!((conflict.name.as_str(), conflict.action), ("taken", on_conflict));
            assert_eq!(conflict.bound_to, Some(mine));
            assert_eq!(conflict.renamed.as_deref(), new);
            assert_eq!(conflict.freed, on_conflict == OnConflict::Replace);
            assert_eq!(other.get_bytes_by_name("taken").unwrap().unwrap(), taken);
            assert_eq!(other.get_bytes_by_name("free").unwrap().unwrap(), b"more");
            assert_eq!(other.get_by_name::<String>("stays").unwrap().unwrap(), "here");
            // Copying again changes nothing.
            let before = described(&other);
            let again = copy_with(&heap, other.address(), &options).unwrap();
            assert_eq!((again.objects, again.already), (0, 2 - left_out));
            assert_eq!(described(&other), before, "{on_conflict:?}");
            assert_balanced(&other);
        }
    }
}

#[test]
fn an_object_without_holds_is_held_in_the_copy() {
    let (heap, to) = (Heap::new(), Place::new());
    let id = heap.allocate_bytes(b"lost").unwrap();
    heap.sql().change("UPDATE stored_objects SET held = FALSE");
    for objects in [1, 0] {
        assert_eq!(copy(&heap, &to).unwrap().objects, objects);
    }
    assert!(open(&to).object(&id).unwrap().held);
}

#[test]
fn what_is_stored_or_freed_meanwhile_does_not_count() {
    let (heap, to) = (Heap::of(64 * MIB, Geometry::standard()), Place::new());
    heap.store_bytes(&content(2, 20 * MIB), Hold::Name("film")).unwrap();
    many(&heap, 10..1500);
    let before = described(&heap);
    let mut changes = 0;
    let writer = heap.open_again();
    let copied = heap.copy_to_with(to.address(), &options(), &mut |phase, _, _| {
        if phase == Phase::Copying {
            changes += 1;
            writer.set("new", &changes).unwrap();
            writer.unbind("film").ok();
            let first = writer.objects().find(|object| object.as_ref().unwrap().held);
            writer.free(&first.unwrap().unwrap().id).unwrap();
        }
    });
    assert_eq!(copied.unwrap().spaces[0].objects, before.len() as u64);
    assert!(changes > 3);
    assert_eq!(described(&open(&to)), before);
}

#[test]
fn a_copy_that_others_change_meanwhile_is_not_called_equal() {
    type Change = (fn(&MemManager), &'static str);
    let changes: [Change; 3] = [
        (|copy| drop(copy.set("mine", "new").unwrap()), "is only there"),
        (|copy| drop(copy.unbind("one").unwrap()), "is missing"),
        (
            |copy| drop(copy.release(&ObjectId::of_bytes(b"held")).unwrap()),
            "the anonymous hold of object",
        ),
    ];
    for (change, why) in changes {
        let (heap, to) = (Heap::new(), Place::new());
        heap.store_bytes(b"shared", Hold::Name("one")).unwrap();
        let held = heap.store_bytes(b"held", Hold::Name("two")).unwrap().id;
        heap.allocate_bytes(b"held").unwrap();
        assert!(heap.object(&held).unwrap().held);
        let mut is_copied = false;
        let copied = heap.copy_to_with(to.address(), &options(), &mut |phase, _, _| match phase {
            Phase::Comparing if is_copied => change(&open(&to)),
            phase => is_copied = phase == Phase::Copying,
        });
        let error = copied.unwrap_err();
        assert!(
            matches!(error, Error::Transfer(TransferError::CopyDiffers { .. })),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_damaged_content_is_not_copied() {
    for size in [2000, 9 * MIB] {
        let (heap, to) = (Heap::of(16 * MIB, Geometry::standard()), Place::new());
        let good = heap.store_bytes(b"good", Hold::Anonymous).unwrap().id;
        let bad = heap.store_bytes(&content(1, size), Hold::Anonymous).unwrap().id;
        // Its last piece gets other bytes.
        let sql = heap.sql();
        let last = number(&sql, "SELECT max(id) FROM ledger");
        let length = number(&sql, &format!("SELECT allocated_mem FROM ledger WHERE id = {last}"));
        let other = sql.bytes(&vec![0; length as usize]);
        sql.change(&format!("UPDATE ledger SET data = {other} WHERE id = {last}"));
        let error = copy(&heap, &to).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&bad.to_hex()), "{error}");
        let copy = open(&to);
        assert!(!copy.contains(&bad).unwrap());
        // The small one is in the same batch.
        assert_eq!(copy.contains(&good).unwrap(), size > MIB);
        assert_eq!(copy.memram().unwrap().mem, if size > MIB { 4 } else { 0 });
        assert_balanced(&copy);
    }
}

#[test]
fn content_that_is_invalid_for_its_kind_is_not_copied() {
    let (heap, to) = (Heap::new(), Place::new());
    heap.allocate(&7).unwrap();
    disguise(&heap.sql(), 1, Kind::Int, b"x");
    let error = copy(&heap, &to).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

/// Content that does something halfway.
struct Halfway<F> {
    left: u64,
    then: Option<F>,
}

impl<F: FnOnce()> Read for Halfway<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left < 12 * MIB
            && let Some(then) = self.then.take()
        {
            then();
        }
        let count = self.left.min(buffer.len() as u64);
        buffer[..count as usize].fill(7);
        self.left -= count;
        Ok(count as usize)
    }
}

#[test]
fn what_is_being_stored_between_two_objects_is_not_copied() {
    let (heap, to) = (Heap::of(64 * MIB, Geometry::standard()), Place::new());
    heap.allocate_bytes(b"before").unwrap();
    let halfway = Halfway {
        left: 32 * MIB,
        then: Some(|| {
            heap.allocate_bytes(b"after").unwrap();
            assert!(heap.memram().unwrap().mem > 8 * MIB);
            assert_eq!(copy(&heap, &to).unwrap().bytes, 11);
        }),
    };
    heap.allocate_from(halfway).unwrap();
    assert_eq!(open(&to).memram().unwrap().mem, 11);
    assert_eq!(copy(&heap, &to).unwrap().objects, 1);
    assert_eq!(described(&open(&to)).len(), 3);
}

#[test]
fn a_target_that_is_too_small_keeps_what_fits() {
    let (heap, other) = (Heap::of(4 * MIB, Geometry::standard()), Heap::new());
    heap.store_bytes(&content(1, 500 * KIB), Hold::Name("fits")).unwrap();
    heap.store_bytes(&content(2, 900 * KIB), Hold::Name("does not"))
        .unwrap();
    let error = copy_with(&heap, other.address(), &options()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert_balanced(&other);
    other.resize(4 * MIB).unwrap();
    copy_with(&heap, other.address(), &options()).unwrap();
    assert_eq!(described(&other), described(&heap));
}

#[test]
fn a_heap_is_not_copied_into_itself() {
    let heap = Heap::new();
    heap.set("one", "1").unwrap();
    let error = copy_with(&heap, heap.address(), &options()).unwrap_err();
    assert!(error.to_string().contains("the target is this heap itself"), "{error}");
}

#[test]
fn what_only_reads_is_not_copied_into_another_space_of_itself() {
    let heap = Heap::new();
    heap.set("one", "1").unwrap();
    let reader = quick().read_only(true).open(heap.address()).unwrap();
    for memory in [&reader, &heap.snapshot().unwrap()] {
        let refused = memory.copy_to_space("other");
        assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
        let refused = memory.copy_to_with(heap.address(), &options().to_space("other"), &mut |_, _, _| {});
        assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    }
    assert_eq!(heap.spaces().unwrap().len(), 1);
}

#[test]
fn a_snapshot_is_copied_as_it_is() {
    let (heap, to) = (Heap::new(), Place::new());
    heap.set("one", "1").unwrap();
    let (then, before) = (heap.snapshot().unwrap(), described(&heap));
    heap.set("two", "2").unwrap();
    copy(&then, &to).unwrap();
    assert_eq!(described(&open(&to)), before);
}

#[test]
fn the_progress_is_that_of_the_bytes() {
    let (heap, to) = (heap(), Place::new());
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.clear();
        let copied = heap.copy_to_with(to.address(), &options(), &mut |phase, done, total| {
            if phase == Phase::Copying {
                seen.push((done, total));
            }
        });
        copied.unwrap();
        let mem = heap.memram().unwrap().mem;
        let expected = |&(done, total): &(u64, u64)| done <= mem && total == mem;
        assert!(seen.is_sorted() && seen.iter().all(expected), "{mem}: {seen:?}");
        assert_eq!(seen.last(), Some(&(mem, mem)));
    }
}
