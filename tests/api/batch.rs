//! A batch is one transaction: all of it takes effect, or none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{Heap, KIB, assert_balanced, content, dump};
use heapledger::{Batch, Error, EventFilter, Hold, ObjectId, Result};
use proptest::prelude::*;

#[test]
fn everything_in_a_batch_happens() {
    let heap = Heap::new();
    let old = heap.allocate("old").unwrap();
    let (text, bytes) = heap
        .batch(|batch| {
            let text = batch.allocate("new")?;
            let bytes = batch.allocate_bytes(&content(1, 5000))?;
            batch.bind("it", &text)?;
            batch.free(&old)?;
            Ok((text, bytes))
        })
        .unwrap();
    assert_eq!(heap.resolve("it").unwrap(), Some(text));
    assert_eq!(heap.get_bytes(&bytes).unwrap(), content(1, 5000));
    assert!(!heap.contains(&old).unwrap());
    assert_balanced(&heap);
}

/// Uses everything that a batch can do.
fn busy_work(batch: &mut Batch<'_, '_>, old: &ObjectId) -> Result<()> {
    batch.allocate_bytes(&content(7, 40_000))?;
    let named = batch.store("named", Hold::Name("name"))?;
    batch.bind("second", &named.id)?;
    batch.unbind("name")?;
    batch.force_free(old)?;
    batch.allocate(&vec![1, 2, 3])?;
    Ok(())
}

#[test]
fn an_error_in_a_batch_leaves_everything_as_before() {
    let heap = Heap::new();
    let old = heap.store("old", Hold::Name("old")).unwrap().id;
    let before = dump(&heap.sql());
    let result: Result<()> = heap.batch(|batch| {
        busy_work(batch, &old)?;
        batch.free(&ObjectId::of("missing")?)?;
        Ok(())
    });
    assert!(matches!(result, Err(Error::NotStored { .. })));
    assert_eq!(dump(&heap.sql()), before);
    heap.batch(|batch| busy_work(batch, &old)).unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_panic_in_a_batch_leaves_everything_as_before_and_the_heap_usable() {
    let heap = Heap::new();
    let old = heap.store("old", Hold::Name("old")).unwrap().id;
    let before = dump(&heap.sql());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        heap.batch(|batch| -> Result<()> {
            busy_work(batch, &old)?;
            panic!("in the middle of a batch")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(dump(&heap.sql()), before);
    heap.batch(|batch| busy_work(batch, &old)).unwrap();
    assert_eq!(heap.allocate("after").unwrap(), ObjectId::of("after").unwrap());
    assert_balanced(&heap);
}

#[test]
fn a_batch_reads_its_own_writes() {
    let heap = Heap::new();
    let old = heap.allocate("old").unwrap();
    heap.batch(|batch| {
        let id = batch.store(&vec!["a", "b"], Hold::Name("list"))?.id;
        assert_eq!(batch.get::<Vec<String>>(&id)?, ["a", "b"]);
        assert_eq!(batch.resolve("list")?, Some(id));
        let large = batch.allocate_bytes(&content(1, 300_000))?;
        assert_eq!(batch.get_bytes(&large)?, content(1, 300_000));
        batch.free(&large)?;
        assert!(!batch.contains(&large)?);
        assert!(matches!(batch.get_bytes(&large), Err(Error::NotStored { .. })));
        batch.free(&old)?;
        assert!(batch.allocate("old").is_ok_and(|again| again == old));
        assert!(batch.contains(&old)?);
        assert!(batch.store("old", Hold::Anonymous)?.dedup);
        batch.unbind("list")?;
        assert_eq!(batch.resolve("list")?, None);
        assert!(!batch.contains(&id)?);
        Ok(())
    })
    .unwrap();
    assert_balanced(&heap);
}

#[test]
fn a_batch_is_invisible_until_it_commits() {
    let heap = Heap::new();
    let sql = heap.sql();
    let before = dump(&sql);
    heap.batch(|batch| {
        batch.allocate_bytes(&content(1, 300_000))?;
        assert_eq!(dump(&sql), before);
        Ok(())
    })
    .unwrap();
    assert_ne!(dump(&sql), before);
}

#[test]
fn room_freed_in_a_batch_can_be_used_by_the_same_batch() {
    let heap = Heap::classic();
    let whole = heap.memram().unwrap().max_mem;
    let first = heap.allocate_bytes(&content(1, whole)).unwrap();
    heap.batch(|batch| {
        assert!(matches!(
            batch.allocate_bytes(b"x"),
            Err(Error::OutOfMemory {
                needed: 1,
                available: 0,
                ..
            })
        ));
        batch.free(&first)?;
        batch.allocate_bytes(&content(2, whole))
    })
    .unwrap();
    let space = heap.memram().unwrap();
    assert_eq!((space.mem, space.peak_mem), (whole, whole));
    assert_balanced(&heap);
}

#[test]
fn a_batch_may_continue_after_a_refused_call() {
    let heap = Heap::new();
    let named = heap.store("named", Hold::Name("it")).unwrap().id;
    let id = heap
        .batch(|batch| {
            let first = batch.allocate("first")?;
            assert!(matches!(
                batch.allocate_bytes(&content(1, 2048 * KIB)),
                Err(Error::OutOfMemory { .. })
            ));
            assert!(matches!(batch.free(&named), Err(Error::Named { .. })));
            assert!(matches!(batch.unbind("nobody"), Err(Error::UnknownName { .. })));
            assert!(matches!(batch.bind("", &first), Err(Error::BadName { .. })));
            assert!(matches!(
                batch.store("second", Hold::Name("")),
                Err(Error::BadName { .. })
            ));
            assert!(matches!(batch.allocate(&f64::NAN), Err(Error::NotStorable { .. })));
            Ok(first)
        })
        .unwrap();
    assert!(heap.contains(&id).unwrap());
    assert!(!heap.contains(&ObjectId::of("second").unwrap()).unwrap());
    assert_balanced(&heap);
}

#[derive(Debug)]
enum Own {
    Refused,
    Heap(Error),
}

impl From<Error> for Own {
    fn from(error: Error) -> Self {
        Self::Heap(error)
    }
}

#[test]
fn the_closure_may_fail_with_its_own_error_type() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    let refused = heap.try_batch(|batch| {
        batch.allocate("lost")?;
        Err::<(), _>(Own::Refused)
    });
    assert!(matches!(refused, Err(Own::Refused)), "{refused:?}");
    assert_eq!(dump(&heap.sql()), before);

    let failed = heap.try_batch(|batch| Ok::<_, Own>(batch.unbind("nobody")?));
    assert!(
        matches!(failed, Err(Own::Heap(Error::UnknownName { .. }))),
        "{failed:?}"
    );
    let id = heap.try_batch(|batch| Ok::<_, Own>(batch.allocate("kept")?)).unwrap();
    let read: Result<String, Own> = heap.try_read(|snapshot| Ok(snapshot.get(&id)?));
    assert_eq!(read.unwrap(), "kept");
    let read = heap.try_read(|_| Err::<(), _>(Own::Refused));
    assert!(matches!(read, Err(Own::Refused)), "{read:?}");
    assert_balanced(&heap);
}

#[test]
fn a_refusal_is_recorded_whichever_error_the_closure_returns() {
    let heap = Heap::new();
    let large = content(1, 2048 * KIB);
    let failed = heap.try_batch(|batch| {
        batch.allocate_bytes(&large).map_err(|_| Own::Refused)?;
        Ok(())
    });
    assert!(matches!(failed, Err(Own::Refused)), "{failed:?}");
    let last = heap.newest_events(&EventFilter::default(), 1).unwrap().remove(0);
    assert_eq!((last.kind.as_str(), last.bytes), ("refusal", 2048 * KIB as i64));
    let id = ObjectId::of_bytes(&large);
    assert_eq!(last.object, Some(id));
}

#[test]
fn an_empty_batch_changes_nothing() {
    let heap = Heap::new();
    let before = dump(&heap.sql());
    assert_eq!(heap.batch(|_| Ok(5)).unwrap(), 5);
    assert_eq!(dump(&heap.sql()), before);
}

#[derive(Debug)]
enum Step {
    Put(Vec<u8>),
    Free(ObjectId),
}

/// Puts contents of these sizes; where there is a pick, also frees a stored one.
fn plan(sizes: Vec<(u64, Option<prop::sample::Index>)>) -> Vec<Step> {
    let mut stored = Vec::new();
    let mut steps = Vec::new();
    for ((size, pick), seed) in sizes.into_iter().zip(0..) {
        let bytes = content(seed, size);
        stored.push(ObjectId::of_bytes(&bytes));
        steps.push(Step::Put(bytes));
        if let Some(pick) = pick {
            steps.push(Step::Free(stored.swap_remove(pick.index(stored.len()))));
        }
    }
    steps
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    #[test]
    fn a_batch_gives_the_same_layout_as_single_calls(
        plan in prop::collection::vec((8u64..9000, any::<Option<prop::sample::Index>>()), 1..24).prop_map(plan),
    ) {
        let (single, batched) = (Heap::new(), Heap::new());
        for step in &plan {
            match step {
                Step::Put(bytes) => drop(single.allocate_bytes(bytes).unwrap()),
                Step::Free(id) => drop(single.free(id).unwrap()),
            }
        }
        batched.batch(|batch| {
            for step in &plan {
                match step {
                    Step::Put(bytes) => drop(batch.allocate_bytes(bytes)?),
                    Step::Free(id) => drop(batch.free(id)?),
                }
            }
            Ok(())
        }).unwrap();
        let layout = |heap: &Heap| crate::common::texts(
            &heap.sql(),
            "SELECT o.object_id || ' ' || l.seq || ' in ' || l.block_id || ': ' || l.allocated_mem
             FROM ledger l JOIN stored_objects o ON o.id = l.stored_object_id ORDER BY 1",
        );
        prop_assert_eq!(layout(&single), layout(&batched));
        assert_balanced(&batched);
    }
}
