//! What makes room and what lasts, on Citus: eviction, quotas, plans, and holds that reads refresh.

// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use heapledger::{
    CompactOptions, EventFilter, EventKind, Eviction, Hold, MemManager, ObjectId, Policy, QuotaLimits, Result, Work,
    WorkPlan,
};
use tempfile::tempdir;

use super::cluster::Cluster;
use super::{Over, assert_one_shard, explained};
use crate::common::{KIB, MIB, assert_balanced, content, quick, texts};
use crate::same_answers::assert_same_answers;

const HOUR: Duration = Duration::from_secs(3600);

/// A space that is named after its policy and full soon, of which an owner may have a part.
fn cache(address: &Path, policy: Policy) -> MemManager {
    let options = quick().space(policy.as_str()).max_mem(48 * KIB).evict(policy);
    options.busy_timeout(Duration::from_secs(60)).open(address).unwrap()
}

fn limit(memory: &MemManager) {
    let limits = QuotaLimits::none().hard_bytes(20 * KIB).hard_objects(20);
    memory.set_quota("owner", "ann", limits).unwrap();
}

fn told<T: Debug>(result: Result<T>) -> String {
    result.map_or_else(|refused| refused.to_string(), |value| format!("{value:?}"))
}

/// One operation, the same for each `seed` on the same state. Returns what the caller can see of it.
fn take(memory: &MemManager, seed: u64) -> String {
    let random = &mut Rng::with_seed(seed);
    let number = (random.f64().powi(2) * 60.0) as u64;
    let bytes = content(number, 8 + 389 * number % 5_000);
    let name = format!("name {}", number % 8);
    let hold = match random.bool() {
        true => Hold::Name(&name),
        false => Hold::Anonymous,
    };
    let id = ObjectId::of_bytes(&bytes);
    let store = |hold| told(memory.store_bytes(&bytes, hold).map(|it| (it.id, it.dedup, it.pieces)));
    match random.u32(..20) {
        0..7 => store(hold.into()),
        7..9 => store(hold.tag("owner", "ann")),
        9..16 => told(memory.get_bytes(&id).map(|bytes| bytes.len())),
        16 => told(memory.pin(&id)),
        17 => told(memory.unpin(&id)),
        18 => told(memory.force_free(&id).map(|it| it.size)),
        _ => several(memory, number),
    }
}

/// A batch, of which the later part evicts what was there before.
fn several(memory: &MemManager, number: u64) -> String {
    told(memory.batch(|batch| {
        (0..5)
            .map(|next| {
                Ok(batch
                    .store_bytes(&content(100 + number + next, 2_000), Hold::Anonymous)?
                    .id)
            })
            .collect::<Result<Vec<_>>>()
    }))
}

fn evicted(memory: &MemManager) -> Vec<ObjectId> {
    let events = memory.events(EventFilter::default().kinds([EventKind::Evict]));
    events.map(|event| event.unwrap().object.unwrap()).collect()
}

fn planned(memory: &MemManager, size: u64) -> Result<Vec<ObjectId>> {
    let victims = memory.plan_eviction(size)?.victims.into_iter();
    Ok(victims.map(|victim| victim.id).collect())
}

#[test]
fn each_policy_evicts_the_same_as_in_a_file() {
    let Some(cluster) = Cluster::new() else { return };
    let folder = tempdir().unwrap();
    let addresses = [cluster.address().to_owned(), folder.path().join("heap.db")];
    for policy in Policy::ALL {
        let open = || addresses.each_ref().map(|address| cache(address, policy));
        let mut heaps = open();
        heaps.iter().for_each(limit);
        for seed in 0..150 {
            if seed % 30 == 29 {
                drop(heaps);
                heaps = open();
            }
            let [server, file] = heaps.each_ref().map(|memory| take(memory, seed));
            assert_eq!(server, file, "{policy}: step {seed}");
            let [server, file] = heaps.each_ref().map(|memory| told(planned(memory, 9_000)));
            assert_eq!(server, file, "{policy}: before step {}", seed + 1);
        }
        let [server, file] = heaps.each_ref().map(evicted);
        assert!(server.len() > 20, "{policy}: {}", server.len());
        assert_eq!(server, file, "{policy}");
        assert_same_answers(heaps.each_ref(), 1);
        let [server, file] = heaps.each_ref().map(|memory| told(memory.quotas()));
        assert_eq!(server, file, "{policy}");
        heaps.iter().for_each(assert_balanced);
    }
    assert_one_shard(&cluster);
}

#[test]
fn a_change_of_the_policy_gives_each_object_its_place() {
    let Some(cluster) = Cluster::new() else { return };
    let folder = tempdir().unwrap();
    let addresses = [cluster.address().to_owned(), folder.path().join("heap.db")];
    let heaps = addresses.each_ref().map(|address| cache(address, Policy::Oldest));
    let ways = [
        Some(Policy::Lru.into()),
        Some(Policy::Sieve.into()),
        Some(Policy::S3Fifo.into()),
        Some(Eviction::by(Policy::S3Fifo).min_age(Duration::from_micros(1))),
        Some(Policy::Largest.into()),
        None,
        Some(Policy::S3Fifo.into()),
        Some(Policy::Lru.into()),
    ];
    for (turn, way) in (1..).zip(ways) {
        for memory in &heaps {
            (0..40).for_each(|step| drop(take(memory, 1000 * turn + step)));
            memory.set_eviction(way).unwrap();
            assert_balanced(memory);
        }
        let [server, file] = heaps.each_ref().map(|memory| told(planned(memory, 30_000)));
        assert_eq!(server, file, "after {turn} changes");
        let [server, file] = heaps.each_ref().map(|memory| memory.layout_digest().unwrap());
        assert_eq!(server, file, "after {turn} changes");
    }
}

#[test]
fn exactly_what_was_named_goes_at_once_and_by_a_written_plan() {
    let Some(cluster) = Cluster::new() else { return };
    for policy in Policy::ALL {
        let memory = cache(cluster.address(), policy);
        limit(&memory);
        (0..80).for_each(|seed| drop(take(&memory, seed)));
        let before = evicted(&memory).len();
        let at_once = planned(&memory, 15_000).unwrap();
        let done = memory.evict(15_000).unwrap();
        assert_eq!((done.policy, done.objects), (policy, at_once.len() as u64));
        assert_eq!(evicted(&memory)[before..], at_once, "{policy}");

        let later = planned(&memory, 30_000).unwrap();
        assert!(!later.is_empty());
        let plan = memory.plan_work(&Work::Evict(30_000.into())).unwrap();
        let plan = WorkPlan::from_json(plan.to_json().as_bytes()).unwrap();
        assert_eq!(memory.apply(&plan).unwrap().totals, plan.totals);
        assert_eq!(evicted(&memory)[before + at_once.len()..], later, "{policy}");
        assert_eq!(memory.apply(&plan).unwrap().slices, 0);
        assert_balanced(&memory);
    }
}

#[test]
fn plans_of_several_slices_are_applied() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open_with(quick().max_mem(8 * MIB).evict(Policy::Oldest));
    let stored =
        memory.batch(|batch| (0..800).try_for_each(|seed| batch.allocate_bytes(&content(seed, 10_000)).map(drop)));
    stored.unwrap();
    let plan = memory.plan_work(&Work::Evict((5 * MIB).into())).unwrap();
    assert!(plan.slices.len() > 1);
    let applied = memory.apply(&plan).unwrap();
    assert_eq!(
        (applied.slices, applied.totals),
        (plan.slices.len() as u64, plan.totals)
    );
    let left: Vec<_> = memory.objects().map(|object| object.unwrap().id).collect();
    let free = left.into_iter().step_by(3).collect();
    for work in [
        Work::Free(free),
        Work::Compact(CompactOptions::default().under(90)),
        Work::Gc,
    ] {
        let plan = memory.plan_work(&work).unwrap();
        assert_eq!(memory.apply(&plan).unwrap().totals, plan.totals, "{work:?}");
        assert_balanced(&memory);
    }
}

#[test]
fn a_read_refreshes_holds_wherever_the_heap_is() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();
    let idle = |hold: Hold<'static>| hold.expires_in(HOUR).refresh_on_get();
    memory.store("ann", idle(Hold::Name("session"))).unwrap();
    let id = memory.store("held", idle(Hold::Anonymous)).unwrap().id;
    let ends = || {
        let session = memory.resolve("session").unwrap().unwrap();
        let named = memory.names(&session).unwrap()[0].expires_at;
        [named.unwrap(), memory.object(&id).unwrap().expires_at.unwrap()]
    };
    let mut last = ends();
    for _ in 0..2 {
        // It writes what was read at its end.
        let reader = cluster.open();
        reader.get_by_name::<String>("session").unwrap().unwrap();
        reader.get::<String>(&id).unwrap();
        drop(reader);
        let now = ends();
        assert!(now.iter().zip(&last).all(|(now, last)| now > last), "{now:?}, {last:?}");
        last = now;
        cluster.move_away();
    }
    assert_balanced(&memory);
}

#[test]
fn a_full_cache_is_moved_while_it_is_used() {
    let Some(cluster) = Cluster::new() else { return };
    let open = || cache(cluster.address(), Policy::Lru);
    let (writer, reader) = (open(), open());
    writer
        .store("kept", Hold::Name("used").expires_in(HOUR).refresh_on_get())
        .unwrap();
    let is_over = AtomicBool::new(false);
    let stored = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut stored = 1;
            while !is_over.load(Ordering::Relaxed) {
                writer.allocate_bytes(&content(stored, 1_000)).unwrap();
                writer.get_by_name::<String>("used").unwrap().unwrap();
                stored += 1;
            }
            stored
        });
        let reading = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                reader.get_by_name::<String>("used").unwrap().unwrap();
            }
        });
        let over = Over(&is_over);
        for _ in 0..2 {
            cluster.move_away();
        }
        drop(over);
        reading.join().unwrap();
        writing.join().unwrap()
    });
    let space = writer.memram().unwrap();
    assert_eq!(space.allocations, stored);
    assert_eq!(evicted(&writer).len() as u64, space.evictions);
    assert_eq!(writer.stats().unwrap().objects, stored - space.evictions);
    assert_balanced(&open());
}

#[test]
fn the_useful_queries_are_on_one_shard() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cache(cluster.address(), Policy::S3Fifo);
    limit(&memory);
    (0..80).for_each(|seed| drop(take(&memory, seed)));
    memory.allocate_bytes(&content(1, 49 * KIB)).unwrap_err();
    let page = include_str!("../../../docs/sql.md");
    let queries = page.split("```sql\n-- ").skip(1).filter_map(|block| {
        let (question, rest) = block.split_once('\n')?;
        Some((question.split_once(": ")?.0, rest.split_once("```")?.0))
    });
    let mut named = Vec::new();
    for (name, query) in queries {
        assert_eq!(explained(&cluster, query), ["1"], "{name}");
        let rows = texts(
            &cluster.sql(),
            &format!("SELECT count(*) FROM ({}) q", query.trim_end().trim_end_matches(';')),
        );
        named.push((name, rows));
    }
    for name in ["evicted", "refused", "quotas", "owners"] {
        let (_, rows) = named.iter().find(|(of, _)| *of == name).unwrap();
        assert!(name == "owners" || rows[0] != "0", "{name}");
    }
}
