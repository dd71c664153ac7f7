//! Units of work gather rows and write them late, and several units share a transaction. The
//! result must be as if each had run alone and in full, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::{Heap, KIB, MIB, assert_balanced, content, number, texts};
use heapledger::{Batch, Error, Geometry, History, Hold, MemManager, ObjectId, Result};
use proptest::prelude::*;

/// From nothing to several blocks of the largest class, with sizes around the limits that
/// decide how a piece is written.
const SIZES: [u64; 10] = [0, 9, 100, 700, 4095, 4096, 4097, 30_000, 70_000, 300 * KIB];

/// One of few contents, so that the same ones are stored and freed repeatedly.
fn bytes(which: usize) -> Vec<u8> {
    content(which as u64, SIZES[which])
}

fn id(which: usize) -> ObjectId {
    ObjectId::of_bytes(&bytes(which))
}

fn name(which: u8) -> String {
    format!("name {which}")
}

#[derive(Debug, Clone)]
enum Op {
    Put(usize),
    PutAs(u8, usize),
    Free(usize),
    ForceFree(usize),
    Bind(u8, usize),
    Unbind(u8),
    /// Forces gathered rows to be written first.
    Get(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (which, name) = (0..SIZES.len(), 0u8..3);
    prop_oneof![
        6 => which.clone().prop_map(Op::Put),
        4 => (name.clone(), which.clone()).prop_map(|(name, which)| Op::PutAs(name, which)),
        4 => which.clone().prop_map(Op::Free),
        2 => which.clone().prop_map(Op::ForceFree),
        2 => (name.clone(), which.clone()).prop_map(|(name, which)| Op::Bind(name, which)),
        2 => name.prop_map(Op::Unbind),
        1 => which.prop_map(Op::Get),
    ]
}

/// The outcome of a call, or the reason of its refusal. Any other error fails the test.
fn told<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Ok(done) => format!("{done:?}"),
        Err(
            refused @ (Error::NotStored { .. }
            | Error::OutOfMemory { .. }
            | Error::Named { .. }
            | Error::UnknownName { .. }),
        ) => refused.to_string(),
        Err(other) => panic!("{other}"),
    }
}

fn alone(memory: &MemManager, op: &Op) -> String {
    match op {
        Op::Put(which) => told(memory.store_bytes(&bytes(*which), Hold::Anonymous)),
        Op::PutAs(name_, which) => told(memory.store_bytes(&bytes(*which), Hold::Name(&name(*name_)))),
        Op::Free(which) => told(memory.free(&id(*which))),
        Op::ForceFree(which) => told(memory.force_free(&id(*which))),
        Op::Bind(name_, which) => told(memory.bind(&name(*name_), &id(*which))),
        Op::Unbind(name_) => told(memory.unbind(&name(*name_))),
        Op::Get(which) => told(memory.get_bytes(&id(*which)).map(|found| found == bytes(*which))),
    }
}

fn in_batch(batch: &mut Batch<'_, '_>, op: &Op) -> String {
    match op {
        Op::Put(which) => told(batch.store_bytes(&bytes(*which), Hold::Anonymous)),
        Op::PutAs(name_, which) => told(batch.store_bytes(&bytes(*which), Hold::Name(&name(*name_)))),
        Op::Free(which) => told(batch.free(&id(*which))),
        Op::ForceFree(which) => told(batch.force_free(&id(*which))),
        Op::Bind(name_, which) => told(batch.bind(&name(*name_), &id(*which))),
        Op::Unbind(name_) => told(batch.unbind(&name(*name_))),
        Op::Get(which) => told(batch.get_bytes(&id(*which)).map(|found| found == bytes(*which))),
    }
}

/// What must be the same for every way of writing: rows, counters and history, by key.
fn rows(memory: &MemManager) -> Vec<String> {
    let sql = crate::common::sql(memory.path());
    let mut rows = Vec::new();
    for query in [
        "SELECT 'space ' || max_mem || ' ' || mem || ' ' || reserved || ' ' || arenas || ' ' || peak_mem || ' ' || allocations
           || ' ' || frees || ' ' || dedup_hits || ' ' || dedup_saved FROM memram",
        "SELECT 'object ' || id || ' ' || object_id || ' ' || kind || ' ' || size || ' ' || held FROM stored_objects ORDER BY id",
        "SELECT 'entry ' || id || ' of ' || stored_object_id || ' in ' || block_id || ': ' || allocated_mem || ' from ' || start
           FROM ledger ORDER BY id",
        "SELECT 'block ' || id || ' ' || pool_id || ' ' || max_mem || ' ' || mem FROM blocks ORDER BY id",
        "SELECT 'name ' || name || ' of ' || stored_object_id FROM names ORDER BY name",
        // Only in a batch does a refusal record the object.
        "SELECT 'event ' || id || ' ' || kind || ' ' || CASE kind WHEN 'refusal' THEN '' ELSE hex(coalesce(object, x'')) END
           || ' ' || coalesce(name, '') || ' ' || bytes || ' ' || mem || ' ' || coalesce(changes, '')
           || ' ' || payload || ' ' || room_in_blocks || ' ' || uncarved_in_pools || ' ' || uncarved_in_arenas || ' ' || unreserved
         FROM every_event ORDER BY id",
    ] {
        rows.extend(texts(&sql, query));
    }
    rows
}

/// Checks every object's content against its id, read through the heap and through a batch.
fn assert_readable(memory: &MemManager) {
    for which in 0..SIZES.len() {
        let stored = memory.contains(&id(which)).unwrap();
        match memory.get_bytes(&id(which)) {
            Ok(found) => assert!(stored && found == bytes(which), "content {which}"),
            Err(error) => assert!(!stored && matches!(error, Error::NotStored { .. }), "{error}"),
        }
    }
}

/// Checks that all free bytes can be allocated, so the writer's cached room is right.
fn assert_room(memory: &MemManager) {
    let space = memory.memram().unwrap();
    let all = content(4711, space.max_mem - space.mem);
    let id = memory.allocate_bytes(&all).unwrap();
    assert_eq!(memory.get_bytes(&id).unwrap(), all);
    assert_balanced(memory);
    memory.free(&id).unwrap();
}

/// The operations of one batch, whether it commits, and whether the heap is reopened after it.
type Plan = Vec<(Vec<Op>, bool, bool)>;

fn plan() -> impl Strategy<Value = Plan> {
    let batch = prop::collection::vec(op(), 1..14);
    prop::collection::vec((batch, prop::bool::weighted(0.7), prop::bool::weighted(0.2)), 1..8)
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    #[test]
    fn batches_match_single_calls_and_do_nothing_if_they_fail(plan in plan()) {
        let single = Heap::of(MIB, Geometry::standard());
        let batched = Heap::of(MIB, Geometry::standard());
        let mut memory = batched.clone();
        for (ops, kept, reopen) in &plan {
            let before = rows(&memory);
            let result = memory.batch(|batch| {
                let found: Vec<_> = ops.iter().map(|op| in_batch(batch, op)).collect();
                if *kept { Ok(found) } else { Err(Error::BadName { length: 0 }) }
            });
            match result {
                Ok(found) => {
                    let expected: Vec<_> = ops.iter().map(|op| alone(&single, op)).collect();
                    prop_assert_eq!(found, expected);
                }
                Err(_) => prop_assert_eq!(rows(&memory), before),
            }
            if *reopen {
                memory = batched.open_again();
            }
        }
        prop_assert_eq!(rows(&memory), rows(&single));
        assert_readable(&memory);
        assert_balanced(&memory);
        assert_room(&memory);
    }
}

type Unit<'a, T> = Box<dyn FnOnce(&MemManager) -> T + Send + 'a>;

/// Runs the units on several threads while another unit holds the turn, so that they all
/// share its transaction, in any order.
fn together<T: Send>(heap: &Heap, units: Vec<Unit<'_, T>>) -> Vec<T> {
    let ready = Barrier::new(units.len() + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = units
            .into_iter()
            .map(|unit| {
                let (memory, ready) = (heap.deref().clone(), &ready);
                scope.spawn(move || {
                    ready.wait();
                    unit(&memory)
                })
            })
            .collect();
        heap.batch(|_| {
            ready.wait();
            thread::sleep(Duration::from_millis(3));
            Ok(())
        })
        .unwrap();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// How a unit of work ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Kept,
    Error,
    Panic,
}

/// What one thread knows to be stored.
#[derive(Debug, Default, Clone)]
struct Own {
    names: BTreeMap<String, usize>,
    held: BTreeSet<Vec<u8>>,
}

/// One unit of a thread. It changes its own names, which lead to contents that all threads
/// share, and its own contents. Small contents are gathered; large ones and names are
/// written immediately.
fn unit(memory: &MemManager, thread: u64, random: &mut fastrand::Rng, own: &Own) -> Own {
    let end = [End::Kept, End::Kept, End::Kept, End::Error, End::Panic][random.usize(..5)];
    let writes = random.bool();
    let steps = random.usize(1..6);
    let mut then = own.clone();
    let work = |batch: &mut Batch<'_, '_>| {
        for _ in 0..steps {
            match random.u8(..10) {
                0..3 if writes => {
                    let (name, which) = (format!("{thread} {}", random.u8(..3)), random.usize(..SIZES.len()));
                    batch.store_bytes(&bytes(which), Hold::Name(&name))?;
                    then.names.insert(name, which);
                }
                3..5 if writes => {
                    if let Some(name) = random.choice(then.names.keys().cloned().collect::<Vec<_>>()) {
                        batch.unbind(&name)?;
                        then.names.remove(&name);
                    }
                }
                5..7 => {
                    if let Some(mine) = random.choice(then.held.iter().cloned().collect::<Vec<_>>()) {
                        batch.free(&ObjectId::of_bytes(&mine))?;
                        then.held.remove(&mine);
                        if random.bool() {
                            batch.allocate_bytes(&mine)?;
                            then.held.insert(mine);
                        }
                    }
                }
                _ => {
                    let size = if writes { 20_000 } else { 2_000 };
                    let mine = content(1000 * (thread + 1) + random.u64(..20), 8 + random.u64(..size));
                    batch.allocate_bytes(&mine)?;
                    then.held.insert(mine);
                }
            }
        }
        match end {
            End::Kept => Ok(()),
            End::Error => Err(Error::BadName { length: 0 }),
            End::Panic => panic!("the unit gives up"),
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| memory.batch(work)));
    match (end, result) {
        (End::Kept, Ok(Ok(()))) => then,
        (End::Error, Ok(Err(Error::BadName { .. }))) | (End::Panic, Err(_)) => own.clone(),
        (end, result) => panic!("{end:?}: {result:?}"),
    }
}

/// Other writes, between the units or in a transaction with them.
fn upkeep(memory: &MemManager, round: u64) {
    match round % 8 {
        0 => drop(memory.collect_garbage().unwrap()),
        1 => drop(memory.resize((8 + round % 5) * MIB).unwrap()),
        2 => drop(memory.add_arena().unwrap()),
        3 => drop(memory.plan_free(&[]).unwrap()),
        4 => memory.set_history(History::Off).unwrap(),
        5 => memory.set_history(History::On).unwrap(),
        6 => assert!(memory.resize(1).is_err()),
        _ => assert_eq!(memory.repair().unwrap().corrections, []),
    }
}

/// Checks that exactly what the threads know to be stored is stored.
fn assert_there(memory: &MemManager, owns: &[Own]) {
    let mut objects = BTreeMap::new();
    let mut names = BTreeMap::new();
    for own in owns {
        for content in &own.held {
            objects.insert(ObjectId::of_bytes(content), content.clone());
        }
        for (name, which) in &own.names {
            objects.insert(id(*which), bytes(*which));
            names.insert(name.clone(), id(*which));
        }
    }
    let space = memory.memram().unwrap();
    let mem: usize = objects.values().map(Vec::len).sum();
    assert_eq!(
        (space.mem as usize, (space.allocations - space.frees) as usize),
        (mem, objects.len())
    );
    let found: BTreeSet<ObjectId> = memory.objects().map(|object| object.unwrap().id).collect();
    assert_eq!(found, objects.keys().copied().collect());
    for (id, content) in &objects {
        assert_eq!(&memory.get_bytes(id).unwrap(), content);
    }
    for (name, id) in &names {
        assert_eq!(memory.resolve(name).unwrap(), Some(*id));
    }
    assert_eq!(
        number(&crate::common::sql(memory.path()), "SELECT count(*) FROM names") as usize,
        names.len()
    );
}

#[test]
fn failed_units_leave_nothing_in_a_shared_transaction() {
    const THREADS: u64 = 6;
    let heap = Heap::of(8 * MIB, Geometry::standard());
    let mut owns = vec![Own::default(); THREADS as usize];
    for round in 0..40 {
        let of_thread = |thread: u64| -> Unit<'_, Option<Own>> {
            let mut random = fastrand::Rng::with_seed(round * THREADS + thread);
            let own = &owns[thread as usize];
            Box::new(move |memory| Some(unit(memory, thread, &mut random, own)))
        };
        let mut units: Vec<_> = (0..THREADS).map(of_thread).collect();
        units.push(Box::new(move |memory| {
            upkeep(memory, round);
            None
        }));
        owns = together(&heap, units).into_iter().flatten().collect();
        if round % 8 == 7 {
            assert_balanced(&heap);
        }
    }
    assert_there(&heap, &owns);
    assert_balanced(&heap);
    assert_room(&heap);
    // The same without forcing them into one transaction.
    let ended = thread::scope(|scope| {
        let threads: Vec<_> = owns
            .into_iter()
            .zip(0..)
            .map(|(mut own, thread)| {
                let memory = heap.deref().clone();
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..30 {
                        own = unit(&memory, thread, &mut random, &own);
                    }
                    own
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_there(&heap, &ended);
    assert_balanced(&heap);
    assert_there(&heap.open_again(), &ended);
    assert_room(&heap);
}

/// Runs the units one after the other in one transaction: each lets the next one queue up
/// before it ends.
fn in_turn<T: Send>(heap: &Heap, units: Vec<impl FnOnce(&mut Batch<'_, '_>) -> Result<T> + Send>) -> Vec<Result<T>> {
    thread::scope(|scope| {
        let (first, mut come) = channel();
        let mut threads = Vec::new();
        for unit in units {
            let (go, next) = channel();
            let (memory, come) = (heap.deref().clone(), std::mem::replace(&mut come, next));
            threads.push(scope.spawn(move || {
                come.recv().unwrap();
                memory.batch(|batch| {
                    // The last unit has no successor.
                    if go.send(()).is_ok() {
                        thread::sleep(Duration::from_millis(1));
                    }
                    unit(batch)
                })
            }));
        }
        drop(come);
        first.send(()).unwrap();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The rows without their keys, because a failed unit may have used some up.
fn rows_without_keys(memory: &MemManager) -> Vec<String> {
    let sql = crate::common::sql(memory.path());
    let mut rows = Vec::new();
    for query in [
        "SELECT 'space ' || max_mem || ' ' || mem || ' ' || reserved || ' ' || arenas || ' ' || peak_mem || ' ' || allocations
           || ' ' || frees || ' ' || dedup_hits || ' ' || dedup_saved FROM memram",
        "SELECT 'object ' || object_id || ' ' || kind || ' ' || size || ' ' || held FROM stored_objects ORDER BY id",
        "SELECT 'entry ' || seq || ' of ' || object_id || ': ' || allocated_mem || ' from ' || start
           FROM ledger l JOIN stored_objects o ON o.id = l.stored_object_id ORDER BY l.id",
        "SELECT 'block ' || block_size || ' ' || max_mem || ' ' || mem FROM blocks ORDER BY id",
        "SELECT 'name ' || name || ' of ' || object_id FROM names n JOIN stored_objects o ON o.id = n.stored_object_id ORDER BY name",
        "SELECT 'event ' || kind || ' ' || hex(coalesce(object, x'')) || ' ' || coalesce(name, '') || ' ' || bytes || ' ' || mem
           FROM every_event WHERE kind <> 'refusal' ORDER BY id",
    ] {
        rows.extend(texts(&sql, query));
    }
    rows
}

/// Only small objects, so that nothing is written before the commit unless necessary.
fn small_op() -> impl Strategy<Value = Op> {
    let which = 0..5usize;
    prop_oneof![
        6 => which.clone().prop_map(Op::Put),
        5 => which.prop_map(Op::Free),
    ]
}

/// Blocks, and a space, that a few small objects fill.
fn space() -> impl Strategy<Value = (u64, Geometry)> {
    prop_oneof![
        Just((MIB, Geometry::standard())),
        Just((5_000, Geometry::classic())),
        Just((MIB, Geometry::classic())),
    ]
}

fn shared_plan() -> impl Strategy<Value = Vec<(Vec<Op>, bool)>> {
    let ops = prop_oneof![
        2 => prop::collection::vec(small_op(), 1..5),
        1 => prop::collection::vec(op(), 1..5),
    ];
    prop::collection::vec((ops, prop::bool::weighted(0.75)), 2..10)
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    #[test]
    fn units_of_one_transaction_match_single_calls(
        (max_mem, geometry) in space(),
        plans in prop::collection::vec(shared_plan(), 1..4),
    ) {
        let single = Heap::of(max_mem, geometry.clone());
        let shared = Heap::of(max_mem, geometry);
        for plan in &plans {
            let units = plan
                .iter()
                .map(|(ops, kept)| {
                    move |batch: &mut Batch<'_, '_>| {
                        let found: Vec<_> = ops.iter().map(|op| in_batch(batch, op)).collect();
                        if *kept { Ok(found) } else { Err(Error::BadName { length: 0 }) }
                    }
                })
                .collect();
            for ((ops, kept), found) in plan.iter().zip(in_turn(&shared, units)) {
                prop_assert_eq!(found.is_ok(), *kept);
                if let Ok(found) = found {
                    let expected: Vec<_> = ops.iter().map(|op| alone(&single, op)).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert_eq!(rows_without_keys(&shared), rows_without_keys(&single));
        }
        assert_readable(&shared);
        assert_balanced(&shared);
        assert_room(&shared);
    }
}

#[test]
fn one_batch_stores_and_frees_more_than_is_gathered() {
    // First more objects than the writer gathers, then more bytes.
    for (objects, size) in [(4500, 9), (700, 3_000)] {
        let heap = Heap::of(8 * MIB, Geometry::standard());
        let all = || (0..objects).map(|seed| content(seed, size));
        heap.batch(|batch| {
            for bytes in all() {
                batch.allocate_bytes(&bytes)?;
            }
            for bytes in all() {
                batch.free(&ObjectId::of_bytes(&bytes))?;
            }
            for bytes in all() {
                assert!(!batch.store_bytes(&bytes, Hold::Anonymous)?.dedup);
            }
            Ok(())
        })
        .unwrap();
        let space = heap.memram().unwrap();
        assert_eq!((space.mem, space.peak_mem), ((objects * size), (objects * size)));
        assert_eq!(heap.objects().count() as u64, objects);
        assert_balanced(&heap);
        let gone: Result<()> = heap.batch(|batch| {
            for bytes in all() {
                batch.free(&ObjectId::of_bytes(&bytes))?;
            }
            Err(Error::BadName { length: 0 })
        });
        assert!(gone.is_err());
        for bytes in all().step_by(97) {
            assert_eq!(heap.get_bytes(&ObjectId::of_bytes(&bytes)).unwrap(), bytes);
        }
        heap.batch(|batch| all().try_for_each(|bytes| batch.free(&ObjectId::of_bytes(&bytes)).map(drop)))
            .unwrap();
        assert_balanced(&heap);
        assert_room(&heap);
    }
}

/// Runs `statements`, past every constraint.
fn damage(heap: &Heap, statements: &str) {
    let sql = heap.sql();
    for statement in statements.split(';') {
        sql.damage(statement);
    }
}

/// An object in four pieces, between two others.
fn in_pieces() -> (Heap, ObjectId) {
    let heap = Heap::classic();
    heap.allocate_bytes(&content(1, 100)).unwrap();
    let id = heap.allocate_bytes(&content(2, 1_900)).unwrap();
    heap.allocate_bytes(&content(3, 1_000)).unwrap();
    let pieces = format!(
        "SELECT count(*) FROM ledger l JOIN stored_objects o ON o.id = stored_object_id WHERE object_id = '{id}'"
    );
    assert_eq!(number(&heap.sql(), &pieces), 4);
    (heap, id)
}

#[test]
fn an_object_with_a_missing_piece_is_never_returned_as_complete() {
    for seq in 0..4 {
        let (heap, id) = in_pieces();
        damage(
            &heap,
            &format!("DELETE FROM ledger WHERE seq = {seq} AND stored_object_id = 2"),
        );
        for memory in [heap.deref().clone(), heap.open_again()] {
            let found = memory.get_bytes(&id);
            assert!(
                matches!(found, Err(Error::Damaged { .. })),
                "without piece {seq}: {:?} bytes",
                found.map(|bytes| bytes.len())
            );
            let found = memory.batch(|batch| batch.get_bytes(&id));
            assert!(matches!(found, Err(Error::Damaged { .. })));
        }
    }
}

#[test]
fn false_numbers_of_pieces_never_return_foreign_bytes() {
    for lie in [
        "UPDATE ledger SET start = -1 WHERE seq = 0 AND stored_object_id = 2",
        "UPDATE ledger SET start = start + 1 WHERE stored_object_id = 2",
        "UPDATE ledger SET start = 9223372036854775807 WHERE stored_object_id = 2",
        "UPDATE ledger SET start = -9223372036854775808 WHERE stored_object_id = 2 AND seq > 0",
        "UPDATE ledger SET id = id + 9000 WHERE stored_object_id = 2",
        "UPDATE ledger SET id = id + 9223372036854775800 WHERE stored_object_id = 2",
        "UPDATE ledger SET stored_object_id = 1 WHERE stored_object_id = 2 AND seq = 3",
        "UPDATE ledger SET data = x'00' WHERE stored_object_id = 2 AND seq = 1",
        "UPDATE ledger SET data = zeroblob(5000), start = -5 WHERE stored_object_id = 2 AND seq = 3",
        "UPDATE stored_objects SET id = 3000 WHERE id = 2",
        "UPDATE stored_objects SET id = 9223372036854775807 WHERE id = 2",
    ] {
        let (heap, id) = in_pieces();
        damage(&heap, lie);
        let found = heap.get_bytes(&id);
        assert!(matches!(found, Err(Error::Damaged { .. })), "{lie}: {found:?}");
        // Other objects are not affected.
        for (seed, size) in [(1, 100), (3, 1_000)] {
            let bytes = content(seed, size);
            assert_eq!(heap.get_bytes(&ObjectId::of_bytes(&bytes)).unwrap(), bytes, "{lie}");
        }
    }
}

/// The keys of the entries do not follow the object's, so removing the object would leave
/// them behind.
#[test]
fn an_object_whose_pieces_have_wrong_keys_is_not_freed_and_the_rest_of_the_commit_succeeds() {
    let (heap, id) = in_pieces();
    damage(&heap, "UPDATE ledger SET id = id + 9000 WHERE stored_object_id = 2");
    let before = rows(&heap);
    let error = heap.free(&id).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(rows(&heap), before);
    let ends = in_turn(
        &heap,
        (0..4)
            .map(|thread| {
                move |batch: &mut Batch<'_, '_>| {
                    batch.allocate_bytes(&content(100 + thread, 700))?;
                    if thread == 2 { batch.free(&id).map(drop) } else { Ok(()) }
                }
            })
            .collect(),
    );
    for (end, thread) in ends.into_iter().zip(100..) {
        let stored = heap.contains(&ObjectId::of_bytes(&content(thread, 700))).unwrap();
        assert_eq!((end.is_ok(), stored), (thread != 102, thread != 102));
    }
    assert!(heap.contains(&id).unwrap());
    let after = heap.allocate_bytes(&content(9, 5_000)).unwrap();
    assert_eq!(heap.get_bytes(&after).unwrap(), content(9, 5_000));
    let repaired = heap.repair().unwrap();
    assert!(repaired.left.is_empty(), "{:?}", repaired.left);
    assert_eq!(heap.get_bytes(&id).unwrap(), content(2, 1_900));
    heap.free(&id).unwrap();
    assert_balanced(&heap);
    assert_room(&heap);
}

/// Objects and entries with arbitrary keys.
#[test]
fn repair_finds_unused_keys() {
    for statements in [
        // One object lost a piece in its middle, and pieces of another name an object with the
        // next free key.
        "DELETE FROM ledger WHERE stored_object_id = 2 AND seq = 1; \
         UPDATE ledger SET stored_object_id = (SELECT max(id) + 1 FROM ledger) WHERE stored_object_id = 6",
        "DELETE FROM ledger WHERE stored_object_id = 2 AND seq = 1; \
         UPDATE ledger SET stored_object_id = (SELECT max(id) + 2 FROM ledger) WHERE stored_object_id = 6",
        "UPDATE ledger SET id = -id, stored_object_id = 10 WHERE stored_object_id = 6; \
         UPDATE ledger SET id = -id, stored_object_id = 11 WHERE stored_object_id = 2",
        "UPDATE ledger SET stored_object_id = 9223372036854775807 WHERE stored_object_id = 2",
        "UPDATE ledger SET stored_object_id = -9223372036854775807 WHERE stored_object_id = 2",
        "UPDATE ledger SET stored_object_id = id",
        "UPDATE ledger SET id = id + 1000000000000000 WHERE stored_object_id = 2",
        "DELETE FROM blocks; DELETE FROM stored_objects WHERE id = 2",
        "UPDATE sequences SET last_id = 5",
        "UPDATE sequences SET last_id = 1 << 60",
    ] {
        let (heap, _) = in_pieces();
        let mem = heap.memram().unwrap().mem;
        damage(&heap, statements);
        let kept = number(&heap.sql(), "SELECT sum(length(data)) FROM ledger") as u64;
        let repaired = heap.repair().unwrap_or_else(|error| panic!("{statements}: {error}"));
        assert!(repaired.left.is_empty(), "{statements}: {:#?}", repaired.left);
        assert_balanced(&heap);
        assert!(mem >= kept && heap.memram().unwrap().mem == kept, "{statements}");
        for object in heap.objects() {
            let id = object.unwrap().id;
            assert_eq!(ObjectId::of_bytes(&heap.get_bytes(&id).unwrap()), id, "{statements}");
        }
        let again = heap.repair().unwrap();
        assert!(
            again.corrections.is_empty() && again.left.is_empty(),
            "{statements}: {again:#?}"
        );
        // The following keys are free.
        let all: Vec<_> = (0..8).map(|seed| content(50 + seed, 1_500)).collect();
        heap.batch(|batch| all.iter().try_for_each(|bytes| batch.allocate_bytes(bytes).map(drop)))
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
        for bytes in &all {
            assert_eq!(&heap.get_bytes(&ObjectId::of_bytes(bytes)).unwrap(), bytes);
        }
        assert_balanced(&heap);
    }
}

#[test]
fn the_last_keys_are_assigned_and_none_after_them() {
    let heap = Heap::classic();
    heap.sql()
        .execute("UPDATE sequences SET last_id = (1 << 40) - 3 WHERE name = 'stored_objects'");
    let memory = heap.open_again();
    let no_keys = |found: Result<ObjectId>| {
        let of_objects = matches!(
            &found,
            Err(Error::NoIdsLeft {
                table: "stored_objects",
                ..
            })
        );
        assert!(of_objects, "{found:?}");
    };
    // Four pieces would need two more keys than are left.
    no_keys(memory.allocate_bytes(&content(1, 2_000)));
    let first = memory.allocate_bytes(&content(2, 100)).unwrap();
    let second = memory.allocate_bytes(&content(3, 100)).unwrap();
    no_keys(memory.allocate_bytes(&content(4, 100)));
    for (seed, id) in [(2, first), (3, second)] {
        assert_eq!(memory.get_bytes(&id).unwrap(), content(seed, 100));
    }
    assert_balanced(&memory);
    memory.free(&second).unwrap();
    no_keys(memory.batch(|batch| batch.allocate_bytes(&content(3, 100))));
    memory.free(&first).unwrap();
    assert_eq!(memory.memram().unwrap().mem, 0);
    assert_balanced(&memory);
}

#[test]
fn a_false_size_does_not_overflow_sums() {
    let heap = Heap::new();
    let numbers: Vec<u32> = (0..12).collect();
    for number in &numbers {
        heap.allocate(number).unwrap();
    }
    damage(&heap, "UPDATE stored_objects SET size = 9223372036854775807");
    let again = |batch: &mut Batch<'_, '_>| numbers.iter().try_for_each(|number| batch.allocate(number).map(drop));
    let free = |batch: &mut Batch<'_, '_>| {
        let ids = numbers.iter().map(|number| ObjectId::of(number).unwrap());
        ids.into_iter().try_for_each(|id| batch.free(&id).map(drop))
    };
    let _ = heap.batch(again);
    let _ = in_turn(&heap, numbers.iter().map(|_| again).collect());
    let _ = heap.batch(free);
    let _ = in_turn(&heap, numbers.iter().map(|_| free).collect());
    assert!(heap.repair().unwrap().left.is_empty());
    assert_balanced(&heap);
    heap.allocate("and on").unwrap();
}

/// The second unit frees the highest key before the first has looked up a key.
#[test]
fn a_key_freed_by_a_later_unit_of_the_transaction_is_not_reused() {
    let heap = Heap::of(8 * MIB, Geometry::standard());
    let stays = content(1, 300);
    heap.allocate_bytes(&stays).unwrap();
    let goes = heap.allocate_bytes(&content(2, 300)).unwrap();
    let key = |memory: &MemManager, id: &ObjectId| memory.object(id).unwrap().id;
    let highest = key(&heap, &goes);
    type One = Box<dyn FnOnce(&mut Batch<'_, '_>) -> Result<()> + Send>;
    let units: Vec<One> = vec![
        Box::new(move |batch| batch.allocate_bytes(&stays).map(drop)),
        Box::new(move |batch| batch.free(&goes).map(drop)),
    ];
    for result in in_turn(&heap, units) {
        result.unwrap();
    }
    let heap = heap.open_again();
    let new = heap.allocate_bytes(&content(3, 300)).unwrap();
    assert!(key(&heap, &new) > highest);
}

#[test]
fn a_failed_forced_free_leaves_the_names() {
    let (heap, id) = in_pieces();
    heap.bind("n", &id).unwrap();
    damage(&heap, "DELETE FROM ledger WHERE seq = 2");
    let done = heap.batch(|batch| {
        assert!(batch.force_free(&id).is_err());
        Ok(())
    });
    assert_eq!(number(&heap.sql(), "SELECT count(*) FROM names"), 1, "{done:?}");
}
