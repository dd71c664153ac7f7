//! Heaps on Citus. `HEAPLEDGER_TEST_CITUS_URL` is the address of a coordinator with at least two workers, as a role
//! that may move schemas. `HEAPLEDGER_TEST_CITUS_RESTART` is a command that restarts the node whose port is its last
//! argument.

#![allow(clippy::disallowed_methods, reason = "tests look at what the server does")]
// Test helpers may panic too; clippy.toml exempts only functions marked #[test].
#![allow(clippy::unwrap_used)]

mod cluster;
mod room;
mod transfer;
mod work;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use heapledger::{Durability, Error, Hold, MemManager, ServerError};

use crate::common::{MIB, assert_balanced, content, quick, skip};
use cluster::{Cluster, lines};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    text: String,
}

/// Ends the writers when it is dropped, even by a panic, which would wait for them otherwise.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_a_heap_can_do_it_can_do_on_citus() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();

    let id = memory.allocate_bytes(b"anonymous").unwrap();
    assert_eq!(memory.get_bytes(&id).unwrap(), b"anonymous");
    assert_eq!(memory.allocate_bytes(b"anonymous").unwrap(), id);
    memory.set("answer", &42).unwrap();
    memory.set("answer", &43).unwrap();
    assert_eq!(memory.get_by_name::<i64>("answer").unwrap(), Some(43));
    memory
        .batch(|batch| {
            for number in 0..200 {
                batch.set(&format!("number {number}"), &number)?;
            }
            batch.free(&id)?;
            Ok(())
        })
        .unwrap();
    assert!(!memory.contains(&id).unwrap());
    let undone = memory.batch(|batch| {
        batch.allocate_bytes(b"not kept")?;
        Err::<(), _>(Error::BatchFailed)
    });
    undone.unwrap_err();

    // In parts, each a transaction.
    let large = content(1, 9 * MIB);
    let id = memory.allocate_from(large.as_slice()).unwrap();
    assert_eq!(memory.get_bytes(&id).unwrap(), large);
    memory.free(&id).unwrap();

    let promise = memory.reserve(MIB).key("work").make().unwrap();
    promise.post_bytes(&content(2, 1000), Hold::Name("done")).unwrap();
    let refused = memory.allocate_bytes(&content(3, 17 * MIB)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
    memory.unbind("done").unwrap();
    memory.collect_garbage().unwrap();

    let before = memory.snapshot().unwrap();
    memory.set("answer", &44).unwrap();
    assert_eq!(before.get_by_name::<i64>("answer").unwrap(), Some(43));
    assert_balanced(&memory);
    assert_balanced(&cluster.open());
    let notes = memory.check_notes().unwrap();
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn every_view_is_on_one_shard() {
    let Some(cluster) = Cluster::new() else { return };
    cluster.open().set("name", "value").unwrap();
    assert_one_shard(&cluster);
}

/// Checks each view at the coordinator.
fn assert_one_shard(cluster: &Cluster) {
    let views = lines(
        &mut cluster.coordinator(),
        "viewname FROM pg_views WHERE schemaname = current_schema()",
    );
    assert!(views.len() >= 18, "{views:?}");
    for view in views {
        assert_eq!(explained(cluster, &format!("SELECT * FROM {view}")), ["1"], "{view}");
    }
}

/// The numbers of tasks in the plan of a query at the coordinator: one if all of it is on one shard.
fn explained(cluster: &Cluster, query: &str) -> Vec<String> {
    let plan = sql_query(format!("EXPLAIN {query}"));
    let plan = plan.load::<Step>(&mut cluster.coordinator()).unwrap();
    plan.iter()
        .filter_map(|step| step.text.split_once("Task Count: "))
        .map(|(_, count)| count.to_owned())
        .collect()
}

#[test]
fn connections_lead_to_the_node_and_follow_the_heap() {
    let Some(cluster) = Cluster::new() else { return };
    drop(cluster.open());
    for _ in 0..2 {
        let memory = cluster.open();
        memory.set("name", "value").unwrap();
        memory.stats().unwrap();
        assert_eq!(cluster.visited(), [cluster.node()]);
        drop(memory);
        cluster.move_away();
    }
}

#[test]
fn a_heap_is_moved_while_it_is_written() {
    let Some(cluster) = Cluster::new() else { return };
    let (first, second) = (cluster.open(), cluster.open());
    let is_over = AtomicBool::new(false);
    let write = |memory: &MemManager, seed: u64| {
        let mut stored = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let bytes = content(seed * 1_000_000 + stored.len() as u64, 200);
            stored.push(memory.allocate_bytes(&bytes).unwrap());
        }
        stored
    };
    let stored = thread::scope(|scope| {
        let writers = [(&first, 1), (&second, 2)].map(|(memory, seed)| scope.spawn(move || write(memory, seed)));
        let over = Over(&is_over);
        for _ in 0..4 {
            cluster.move_away();
        }
        drop(over);
        writers.map(|writer| writer.join().unwrap())
    });
    let now = cluster.open();
    for id in stored.iter().flatten() {
        assert!(now.contains(id).unwrap());
    }
    let count: usize = stored.iter().map(Vec::len).sum();
    assert_eq!(now.stats().unwrap().objects, count as u64);
    assert_balanced(&now);
}

#[test]
fn a_read_during_a_move_sees_one_state_or_fails() {
    let Some(cluster) = Cluster::new() else { return };
    let memory = cluster.open();
    memory.set("name", "before").unwrap();
    let snapshot = memory.snapshot().unwrap();
    let read = memory.read(|read| {
        let before = read.get_by_name::<String>("name")?;
        cluster.move_away();
        memory.set("name", "after")?;
        Ok((before, read.get_by_name::<String>("name")?))
    });
    let moved = |error: &Error| matches!(error, Error::Server(ServerError::Moved { .. }));
    assert!(read.as_ref().is_err_and(moved), "{read:?}");
    let read = snapshot.get_by_name::<String>("name");
    assert!(read.as_ref().is_err_and(moved), "{read:?}");
    assert_eq!(memory.get_by_name::<String>("name").unwrap().unwrap(), "after");
}

#[test]
fn nothing_acknowledged_is_lost_when_a_worker_restarts() {
    let Some(cluster) = Cluster::new() else { return };
    let Ok(restart) = std::env::var("HEAPLEDGER_TEST_CITUS_RESTART") else {
        skip::by_design("a node to restart", "HEAPLEDGER_TEST_CITUS_RESTART is not set");
        return;
    };
    let options = quick()
        .durability(Durability::Full)
        .busy_timeout(Duration::from_secs(60));
    let memory = options.max_mem(16 * MIB).create(true).open(cluster.address()).unwrap();
    let is_over = AtomicBool::new(false);
    let stored = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut stored = Vec::new();
            for seed in 0.. {
                match memory.allocate_bytes(&content(seed, 200)) {
                    Ok(id) => stored.push(id),
                    Err(Error::Server(ServerError::Lost { .. })) => {}
                    Err(error) => panic!("{error}"),
                }
                if is_over.load(Ordering::Relaxed) {
                    return stored;
                }
            }
            stored
        });
        let over = Over(&is_over);
        let port = cluster.node().rsplit_once(':').unwrap().1.to_owned();
        for _ in 0..2 {
            let done = Command::new("sh").args(["-c", &format!("{restart} {port}")]).status();
            assert!(done.unwrap().success());
            memory_is_back(cluster.address());
        }
        drop(over);
        writer.join().unwrap()
    });
    for id in &stored {
        assert!(memory.contains(id).unwrap());
    }
    assert_eq!(memory.stats().unwrap().objects, stored.len() as u64);
    assert_balanced(&memory);
}

/// Opens the heap again, which waits for the node.
fn memory_is_back(address: &Path) {
    let options = quick().busy_timeout(Duration::from_secs(60));
    while let Err(error) = options.clone().open(address) {
        assert!(matches!(error, Error::Server(_)), "{error}");
    }
}
