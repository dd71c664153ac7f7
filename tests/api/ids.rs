//! Each space numbers its rows separately: `(memram_id - 1) << 40 | n`. An id contains its space,
//! and is never reused.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{Heap, KIB, MIB, Sql, assert_balanced, cases, content, number, quick, sql, texts};
use heapledger::{
    ArenaId, Block, BlockId, Error, EventFilter, Geometry, Hold, MemManager, MemRamId, Moment, ObjectId, PoolId, Result,
};

const TABLES: [&str; 6] = ["arenas", "pools", "blocks", "stored_objects", "ledger", "events"];

/// The bits of an id that contain the number.
const MOST: i64 = (1 << 40) - 1;

fn space(path: &Path, name: &str) -> MemManager {
    let options = quick().space(name).max_mem(MIB).geometry(Geometry::classic());
    options.open(path).unwrap()
}

/// The file, and its spaces `main`, `second` and `third`.
fn heap() -> (Heap, [MemManager; 3]) {
    let heap = Heap::classic();
    let path = heap.address().to_owned();
    let spaces = [heap.open_again(), space(&path, "second"), space(&path, "third")];
    (heap, spaces)
}

fn ids(sql: &Sql, table: &str) -> Vec<i64> {
    let ids = texts(sql, &format!("SELECT id FROM {table} ORDER BY id"));
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// Breaks rules behind the library's back, past constraints.
fn damage(path: &Path, statement: &str) {
    sql(path).damage(statement);
}

fn use_it(memory: &MemManager) {
    memory.store_bytes(&content(1, 1_500), Hold::Name("it")).unwrap();
    memory.allocate("text").unwrap();
    memory.unbind("it").unwrap();
    memory.collect_garbage().unwrap();
    memory.allocate_bytes(&content(2, 5_000)).unwrap();
}

#[test]
fn spaces_number_in_parallel_and_the_first_has_plain_numbers() {
    let (heap, spaces) = heap();
    for memory in &spaces {
        use_it(memory);
    }
    let sql = heap.sql();
    for table in TABLES {
        let mut of_space = BTreeMap::<i64, Vec<i64>>::new();
        for id in ids(&sql, table) {
            of_space.entry((id >> 40) + 1).or_default().push(id & MOST);
        }
        assert_eq!(of_space.keys().collect::<Vec<_>>(), [&1, &2, &3], "{table}");
        assert_eq!(of_space[&1], of_space[&2], "{table}");
        assert_eq!(of_space[&1], of_space[&3], "{table}");
    }
    assert_balanced(&spaces[0]);
}

#[test]
fn every_id_of_the_library_contains_its_space_and_its_number() {
    let (_heap, spaces) = heap();
    for (memory, key) in spaces.iter().zip(1..) {
        use_it(memory);
        let space = MemRamId(key);
        assert_eq!((memory.space_id(), memory.memram().unwrap().id), (space, space));
        let arena = memory.add_arena().unwrap().id;
        assert_eq!((arena.space(), arena.n()), (space, 2));
        let pool = memory.add_pool(arena, 512).unwrap().id;
        let block = memory.add_block(pool).unwrap().id;
        assert_eq!((pool.space(), block.space()), (space, space));
        assert_eq!(ArenaId::within(space, 2), arena);
        assert_eq!(PoolId::within(space, pool.n()), pool);
        assert_eq!(memory.block(BlockId::within(space, block.n())).unwrap().id, block);
        for entry in memory.entries() {
            let entry = entry.unwrap();
            let said = [
                entry.id.space(),
                entry.stored_object_id.space(),
                entry.arena_id.space(),
                entry.pool_id.space(),
                entry.block_id.space(),
            ];
            assert_eq!(said, [space; 5]);
        }
        let events: Vec<_> = memory.events(EventFilter::default()).map(Result::unwrap).collect();
        let numbers: Vec<_> = events.iter().map(|event| event.id.n()).collect();
        assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_of_another_space_is_unknown_and_reported_with_its_whole_id() {
    let (_heap, [first, second, _]) = heap();
    use_it(&first);
    use_it(&second);
    let theirs = second.entries().next().unwrap().unwrap().block_id;
    let Err(Error::UnknownRow { id, .. }) = first.block(theirs) else {
        panic!("the first space has a block of the second")
    };
    assert_eq!(id, theirs.0);
    let missing = BlockId::within(second.space_id(), 999);
    let refused = second.block(missing).unwrap_err().to_string();
    assert!(refused.starts_with("no block 999 in space second"), "{refused}");
}

#[test]
fn a_space_lists_only_its_own_objects_entries_and_events() {
    let (_heap, spaces) = heap();
    for (memory, seed) in spaces.iter().zip([10, 20, 30]) {
        for piece in 0..3 {
            memory.allocate_bytes(&content(seed + piece, 700)).unwrap();
        }
    }
    for (memory, seed) in spaces.iter().zip([10, 20, 30]) {
        let wanted: Vec<_> = (0..3)
            .map(|piece| ObjectId::of_bytes(&content(seed + piece, 700)))
            .collect();
        let objects: Vec<_> = memory.objects().map(|object| object.unwrap().id).collect();
        assert_eq!(objects, wanted);
        let pieces: usize = objects.iter().map(|id| memory.ledger(id).unwrap().len()).sum();
        assert_eq!(memory.entries().count(), pieces);
        assert_eq!(memory.events(EventFilter::default()).count(), 4);
        let newest = memory.newest_events(&EventFilter::default(), 2).unwrap();
        assert_eq!(newest.iter().map(|event| event.mem).collect::<Vec<_>>(), [1_400, 2_100]);
    }
}

#[test]
fn the_history_of_each_space_follows_its_own_numbers() {
    let (_heap, [first, second, _]) = heap();
    let ids: Vec<_> = (0..4)
        .flat_map(|seed| {
            [&first, &second].map(|memory| memory.allocate_bytes(&content(seed, 600 + 10 * seed)).unwrap())
        })
        .collect();
    second.free(&ids[1]).unwrap();
    for memory in [&first, &second] {
        let events: Vec<_> = memory.events(EventFilter::default()).map(Result::unwrap).collect();
        for event in &events {
            let layout = memory.layout_at(Moment::Event(event.id)).unwrap();
            assert_eq!((layout.event_id, layout.mem), (event.id, event.mem));
            let after = EventFilter::default().after(event.id);
            let later = memory.events(after).count() as i64;
            assert_eq!(later, events.len() as i64 - event.id.n());
        }
    }
    let [opening, last] = [1, 6].map(|n| Moment::Event(heapledger::EventId::within(second.space_id(), n)));
    let diff = second.diff(opening, last).unwrap();
    assert_eq!((diff.added.len(), diff.freed.len()), (3, 0));
    let Err(Error::OutsideHistory { moment, .. }) =
        second.layout_at(Moment::Event(heapledger::EventId::within(second.space_id(), 7)))
    else {
        panic!("there is an event 7")
    };
    assert_eq!(moment, "event 7");
}

/// The highest ids that the tables of each space ever had.
#[derive(Default)]
struct Seen {
    highest: BTreeMap<(&'static str, i64), i64>,
    there: BTreeMap<&'static str, Vec<i64>>,
}

impl Seen {
    /// Checks that new ids are higher than all earlier ones of their space.
    fn look(&mut self, sql: &Sql, what: &str) {
        for table in TABLES {
            let now = ids(sql, table);
            let before = self.there.insert(table, now.clone()).unwrap_or_default();
            for &id in now.iter().filter(|id| !before.contains(id)) {
                // An object and its entries are numbered together.
                let highest = self.highest.get(&(table, id >> 40)).copied().unwrap_or_default();
                assert!(id > highest, "{what}: {id} of {table} comes back, after {highest}");
            }
            for id in now {
                let highest = self.highest.entry((table, id >> 40)).or_default();
                *highest = id.max(*highest);
            }
        }
    }
}

#[test]
fn no_id_of_any_space_is_reused() {
    for seed in 0..cases(6).cases.into() {
        let mut random = fastrand::Rng::with_seed(seed);
        let (heap, mut spaces) = heap();
        let mut seen = Seen::default();
        let sql = heap.sql();
        for step in 0..60 {
            let at = random.usize(..spaces.len());
            let memory = &spaces[at];
            match random.u32(..10) {
                0..5 => drop(
                    memory
                        .allocate_bytes(&content(random.u64(..9), random.u64(1..4_000)))
                        .unwrap(),
                ),
                5..7 => {
                    let last = memory.objects().last().map(Result::unwrap);
                    if let Some(object) = last {
                        memory.free(&object.id).unwrap();
                    }
                }
                7 => drop(memory.collect_garbage().unwrap()),
                8 => drop(memory.add_arena()),
                _ => spaces[at] = quick().space(memory.space()).open(heap.address()).unwrap(),
            }
            seen.look(&sql, &format!("seed {seed}, step {step}"));
        }
        assert_balanced(&spaces[0]);
    }
}

/// The same operations give the same numbers, whatever the other spaces do in the meantime.
#[test]
fn the_numbers_of_a_space_do_not_depend_on_the_others() {
    let layout = |memory: &MemManager| -> Vec<(i64, i64, i64, u64)> {
        let arenas = memory.arenas().unwrap();
        let pools = arenas.iter().flat_map(|arena| memory.pools(arena.id).unwrap());
        let blocks: Vec<Block> = pools.flat_map(|pool| memory.blocks(pool.id).unwrap()).collect();
        let numbers = |block: &Block| (block.arena_id.n(), block.pool_id.n(), block.id.n(), block.mem);
        blocks.iter().map(numbers).collect()
    };
    let (_alone, [alone, ..]) = heap();
    let (_heap, [first, second, third]) = heap();
    let mut random = fastrand::Rng::with_seed(7);
    for step in 0..40 {
        let bytes = content(step, random.u64(1..9_000));
        let id = ObjectId::of_bytes(&bytes);
        for memory in [&alone, &second] {
            memory.allocate_bytes(&bytes).unwrap();
            if step % 3 == 0 {
                memory.free(&id).unwrap();
            }
        }
        first.allocate_bytes(&content(1_000 + step, 100)).unwrap();
        third.allocate_bytes(&content(2_000 + step, 9_000)).unwrap();
        if step % 10 == 9 {
            alone.collect_garbage().unwrap();
            second.collect_garbage().unwrap();
        }
        assert_eq!(layout(&alone), layout(&second), "step {step}");
    }
    assert_balanced(&second);
}

/// Two writers of different spaces, each with a cache of numbers.
#[test]
fn writers_of_two_spaces_do_not_take_each_others_numbers() {
    let (heap, [first, second, _]) = heap();
    std::thread::scope(|scope| {
        for (memory, seed) in [(&first, 0), (&second, 100)] {
            scope.spawn(move || {
                for step in 0..20 {
                    let id = memory.allocate_bytes(&content(seed + step, 900)).unwrap();
                    if step % 4 == 3 {
                        memory.free(&id).unwrap();
                    }
                }
            });
        }
    });
    let sql = heap.sql();
    let unstriped = "SELECT count(*) FROM stored_objects WHERE id >> 40 <> memram_id - 1";
    assert_eq!(number(&sql, unstriped), 0);
    for (memory, key) in [(&first, 1), (&second, 2)] {
        let objects: Vec<_> = memory.objects().map(Result::unwrap).collect();
        assert_eq!(objects.len(), 15);
        assert!(objects.iter().all(|object| object.key.space() == MemRamId(key)));
    }
    assert_balanced(&first);
}

#[test]
fn a_space_without_ids_refuses_and_the_next_one_still_works() {
    for table in ["arenas", "pools", "blocks", "stored_objects", "events"] {
        for (key, name) in [(1_i64, "main"), (2, "second")] {
            let (heap, _) = heap();
            let left = if table == "events" { 1 } else { 0 };
            let near = format!(
                "UPDATE sequences SET last_id = {} WHERE memram_id = {key} AND name = '{table}'",
                ((key - 1) << 40 | MOST) - left
            );
            heap.sql().execute(&near);
            let memory = space(heap.address(), name);
            if table == "events" {
                memory.allocate_bytes(&content(1, 2)).unwrap();
            }
            let refused = memory.allocate_bytes(&content(1, 700)).unwrap_err();
            let Error::NoIdsLeft {
                space: said,
                table: of,
                needed,
                left,
            } = &refused
            else {
                panic!("{table} {key}: {refused:?}")
            };
            assert_eq!((said.as_str(), *of, *left), (name, table, 0));
            assert!(*needed > 0, "{refused}");
            assert!(refused.to_string().contains("0 of 1,099,511,627,775 left"), "{refused}");
            assert_balanced(&memory);
            // The ids of the next space are not affected.
            let next = space(heap.address(), "third");
            next.allocate_bytes(&content(2, 700)).unwrap();
            assert!(next.objects().all(|object| object.unwrap().key.n() == 1));
            assert_balanced(&next);
        }
    }
}

#[test]
fn the_last_id_of_a_space_is_its_highest_and_not_that_of_the_file() {
    let (heap, [first, second, third]) = heap();
    let memories = [&first, &second, &third];
    for memory in memories {
        let keep = memory.allocate_bytes(&content(1, 600)).unwrap();
        let gone = memory.allocate_bytes(&content(2, 600)).unwrap();
        memory.free(&gone).unwrap();
        assert!(memory.contains(&keep).unwrap());
    }
    let sql = heap.sql();
    assert_eq!(
        texts(
            &sql,
            "SELECT ((last_id >> 40) + 1) || ': ' || (last_id & ((1 << 40) - 1)) FROM sequences
             WHERE name = 'stored_objects' ORDER BY memram_id"
        ),
        ["1: 4", "2: 4", "3: 4"]
    );
    for memory in memories {
        let new = memory.allocate_bytes(&content(3, 600)).unwrap();
        assert_eq!(memory.object(&new).unwrap().id.n(), 5);
    }
}

#[test]
fn a_row_with_an_id_of_another_space_is_found_and_gets_a_new_one() {
    let far = (9_i64 << 40) + 77;
    let moved = |table: &str, children: &[&str]| {
        let mut statements = vec![format!(
            "UPDATE {table} SET id = {far} WHERE id = (SELECT max(id) FROM {table} WHERE memram_id = 2)"
        )];
        statements.extend(children.iter().map(|child| {
            let (child, column) = child.split_once('.').unwrap();
            format!("UPDATE {child} SET {column} = {far} WHERE {column} NOT IN (SELECT id FROM {table})")
        }));
        statements
    };
    let entries_too = format!("UPDATE ledger SET id = {far} + seq WHERE stored_object_id = {far}");
    for (rule, statements) in [
        (
            "arena_number",
            moved("arenas", &["pools.arena_id", "blocks.arena_id", "ledger.arena_id"]),
        ),
        ("pool_number", moved("pools", &["blocks.pool_id", "ledger.pool_id"])),
        ("block_number", moved("blocks", &["ledger.block_id"])),
        (
            "object_number",
            [moved("stored_objects", &["ledger.stored_object_id"]), vec![entries_too]].concat(),
        ),
        ("event_number", moved("events", &[])),
    ] {
        let (heap, [first, second, _]) = heap();
        for memory in [&first, &second] {
            memory.allocate_bytes(&content(1, 1_500)).unwrap();
            memory.allocate_bytes(&content(2, 1_500)).unwrap();
        }
        for statement in &statements {
            damage(heap.address(), statement);
        }
        let found = "SELECT DISTINCT invariant || ' ' || rule FROM violations";
        assert_eq!(texts(&heap.sql(), found), [format!("I7 {rule}")]);
        let repaired = first.repair().unwrap();
        assert!(repaired.left.is_empty(), "{rule}: {repaired:#?}");
        assert!(!repaired.corrections.is_empty(), "{rule}");
        for memory in [&first, &second] {
            assert_balanced(memory);
            for seed in [1, 2] {
                let bytes = content(seed, 1_500);
                assert_eq!(memory.get_bytes(&ObjectId::of_bytes(&bytes)).unwrap(), bytes, "{rule}");
            }
            memory.allocate_bytes(&content(3, 9_000)).unwrap();
        }
        assert!(first.repair().unwrap().corrections.is_empty(), "{rule}");
        assert_balanced(&second);
    }
}

/// A repair works in the opened space, but ids of others must not be reused either.
#[test]
fn ids_that_a_repair_removes_from_another_space_are_not_reused() {
    let (heap, [first, second, _]) = heap();
    second.allocate_bytes(&content(1, 20 * KIB)).unwrap();
    let sql = heap.sql();
    let mut seen = Seen::default();
    seen.look(&sql, "before");
    damage(heap.address(), "DELETE FROM pools WHERE memram_id = 2");
    let repaired = first.repair().unwrap();
    assert!(repaired.left.is_empty(), "{repaired:#?}");
    seen.look(&sql, "repaired");
    let second = second.open_in_another();
    second.allocate_bytes(&content(2, 20 * KIB)).unwrap();
    seen.look(&sql, "and after");
    assert_balanced(&second);
}

trait Again {
    fn open_in_another(&self) -> MemManager;
}

impl Again for MemManager {
    /// Another manager, with an empty cache.
    fn open_in_another(&self) -> MemManager {
        quick().space(self.space()).open(self.path()).unwrap()
    }
}

#[test]
fn lost_sequences_are_restored_for_each_space() {
    for statement in [
        "DELETE FROM sequences",
        "UPDATE sequences SET last_id = 3 WHERE memram_id = 2",
        "UPDATE sequences SET last_id = -1",
        "DELETE FROM sequences WHERE memram_id = 2 AND name = 'blocks'",
        "INSERT INTO sequences VALUES (77, 'blocks', 5)",
    ] {
        let (heap, [first, second, _]) = heap();
        use_it(&first);
        use_it(&second);
        let before: Vec<_> = TABLES.map(|table| ids(&heap.sql(), table).last().copied()).into();
        damage(heap.address(), statement);
        let repaired = first.repair().unwrap();
        assert!(repaired.left.is_empty(), "{statement}: {repaired:#?}");
        assert!(!repaired.corrections.is_empty(), "{statement}");
        assert!(first.repair().unwrap().corrections.is_empty(), "{statement}");
        let second = second.open_in_another();
        second.allocate_bytes(&content(7, 9_000)).unwrap();
        let sql = heap.sql();
        for (table, before) in TABLES.into_iter().zip(before) {
            assert!(ids(&sql, table).last().copied() >= before, "{statement}: {table}");
        }
        assert_eq!(number(&sql, "SELECT count(*) FROM sequences"), 18, "{statement}");
        assert_balanced(&second);
    }
}

#[test]
fn the_number_of_spaces_in_a_file_is_limited() {
    let heap = Heap::classic();
    damage(
        heap.address(),
        "INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at, history)
         SELECT 8388608, 'last', max_mem, arena_size, per_block, created_at, 'off' FROM memram",
    );
    let refused = quick().space("one more").max_mem(MIB).open(heap.address()).unwrap_err();
    assert!(matches!(refused, Error::TooManySpaces), "{refused:?}");
}
