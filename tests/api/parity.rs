//! The original Python design, replayed: its operations on the classic geometry put
//! every byte into the same block and leave the same rows and sums, step by step.

use std::collections::HashMap;

use crate::common::{Heap, Sql, number};
use heapledger::{Geometry, MemManager, ObjectId};
use serde::Deserialize;

const RECORDED: &str = include_str!("../data/original-seed7.json");
const GIB: u64 = 1 << 30;

#[derive(Deserialize)]
struct Recording {
    seed: u64,
    ops: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(flatten)]
    op: Op,
    state: State,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Op {
    Allocate {
        key: u64,
        size: usize,
        sha256: String,
        placement: Vec<(i64, u64)>,
    },
    Free {
        key: u64,
    },
    Gc,
}

/// Rows and sum of `mem` per table; for blocks also the rows that are free.
#[derive(Deserialize, PartialEq, Debug)]
struct State {
    arenas: (i64, i64),
    pools: (i64, i64),
    blocks: (i64, i64, i64),
    ledger: (i64, i64),
    memram_mem: i64,
}

#[test]
fn the_classic_geometry_places_every_byte_where_the_original_did() {
    let Recording { seed, ops } = serde_json::from_str(RECORDED).unwrap();
    let heap = Heap::of(16 * GIB, Geometry::classic());
    let sql = heap.sql();
    let mut ids = HashMap::new();
    for (number, Step { op, state }) in ops.into_iter().enumerate() {
        match op {
            Op::Allocate {
                key,
                size,
                sha256,
                placement,
            } => {
                let id = heap.allocate_bytes(&recipe(seed, key, size)).unwrap();
                assert_eq!(id.to_hex(), sha256, "content of step {number}");
                assert_eq!(placement_of(&heap, &sql, &id), placement, "placement of step {number}");
                ids.insert(key, id);
            }
            Op::Free { key } => {
                heap.free(&ids.remove(&key).unwrap()).unwrap();
            }
            Op::Gc => {
                heap.collect_garbage().unwrap();
            }
        }
        assert_eq!(state_of(&sql), state, "state after step {number}");
    }
    crate::common::assert_balanced(&heap);
}

/// The content for `key`, computed as in the recording.
fn recipe(seed: u64, key: u64, size: usize) -> Vec<u8> {
    let start = format!("{seed}-{key}-");
    let text = if size >= start.len() {
        start + &"x".repeat(size)
    } else {
        key.to_string() + &"abcdefghijklmnopqrstuvwxyz".repeat(40)
    };
    text.as_bytes()[..size].to_vec()
}

/// For each piece: how many blocks have a lower id than its own, and its bytes.
fn placement_of(memory: &MemManager, sql: &Sql, id: &ObjectId) -> Vec<(i64, u64)> {
    let rank = |block: i64| number(sql, &format!("SELECT count(*) FROM blocks WHERE id < {block}"));
    let entries = memory.ledger(id).unwrap();
    entries
        .iter()
        .map(|entry| (rank(entry.block_id.0), entry.allocated_mem))
        .collect()
}

fn state_of(sql: &Sql) -> State {
    let pair = |table: &str, column: &str| {
        (
            number(sql, &format!("SELECT count(*) FROM {table}")),
            number(sql, &format!("SELECT coalesce(sum({column}), 0) FROM {table}")),
        )
    };
    let (blocks, in_blocks) = pair("blocks", "mem");
    State {
        arenas: pair("arenas", "mem"),
        pools: pair("pools", "mem"),
        blocks: (
            blocks,
            in_blocks,
            number(sql, "SELECT count(*) FROM blocks WHERE is_free"),
        ),
        ledger: pair("ledger", "allocated_mem"),
        memram_mem: number(sql, "SELECT mem FROM memram"),
    }
}
