//! The operations of the writers. Operation `n` of writer `w` is the same in every process, so
//! the parent knows what the killed child was doing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use heapledger::{CompactOptions, Error, Hold, MemManager, ObjectId, PlanError, Result, Work};

use crate::common::content;
use crate::harness::Random;

/// Names of each writer.
const SLOTS: u64 = 6;
/// Contents that each writer holds without a name.
const HELD: u64 = 4;
/// Contents that all writers share, so that they race for the same objects.
const SHARED: u64 = 12;

#[derive(Debug, Clone)]
pub enum Op {
    /// Bind a name to new content, which frees the old one.
    Put {
        slot: u64,
        content: u64,
    },
    /// The same from a stream.
    Stream {
        slot: u64,
        content: u64,
    },
    /// The same in two phases: reserve, then post.
    Post {
        slot: u64,
        content: u64,
        number: u64,
    },
    /// Several names in one transaction.
    Batch(Vec<(u64, u64)>),
    Unbind {
        slot: u64,
    },
    /// Allocate without a name, or free such an object.
    Hold {
        held: u64,
    },
    Free {
        held: u64,
    },
    Collect,
    Compact,
    /// Plan a compaction and apply the plan.
    Plan,
}

pub fn op(writer: u64, number: u64) -> Op {
    let mut random = Random((writer << 40) ^ number);
    let slot = random.below(SLOTS);
    let content = match random.below(4) {
        0 => random.below(SHARED),
        _ => SHARED + (writer << 40) + (number << 2),
    };
    let held = random.below(HELD);
    match random.below(20) {
        0..4 => Op::Put { slot, content },
        4..6 => Op::Post { slot, content, number },
        6..7 => Op::Stream { slot, content },
        7..12 => Op::Batch((0..3).map(|i| ((slot + i) % SLOTS, content + i)).collect()),
        12..15 => Op::Unbind { slot },
        15..17 => Op::Hold { held },
        17..19 => Op::Free { held },
        _ => match random.below(3) {
            0 => Op::Compact,
            1 => Op::Plan,
            _ => Op::Collect,
        },
    }
}

pub fn bytes(content: u64) -> Vec<u8> {
    let size = [9, 40, 511, 700, 2_000, 3_000, 9_000, 300_000][Random(content).below(8) as usize];
    self::content(content, size)
}

fn held_content(writer: u64, held: u64) -> u64 {
    u64::MAX - writer * HELD - held
}

fn name(writer: u64, slot: u64) -> String {
    format!("{writer}/{slot}")
}

/// The key of the reservation that an operation makes.
pub fn key(writer: u64, number: u64) -> String {
    format!("{writer}/{number}")
}

/// Runs an operation. Removing something that does not exist is fine.
pub fn run(memory: &MemManager, writer: u64, op: &Op) -> Result<()> {
    let done = match op {
        Op::Put { slot, content } => memory
            .store_bytes(&bytes(*content), Hold::Name(&name(writer, *slot)))
            .map(drop),
        Op::Stream { slot, content } => memory
            .store_from(Cursor::new(bytes(*content)), Hold::Name(&name(writer, *slot)))
            .map(drop),
        Op::Post { slot, content, number } => {
            let bytes = bytes(*content);
            let reserve = memory.reserve(bytes.len() as u64 + 1).key(key(writer, *number)).make();
            reserve
                .and_then(|it| it.post_bytes(&bytes, Hold::Name(&name(writer, *slot))))
                .map(drop)
        }
        Op::Batch(puts) => memory.batch(|batch| {
            for (slot, content) in puts {
                let half_done = format!("{writer}/half done");
                let stored = batch.store_bytes(&bytes(*content), Hold::Name(&half_done))?;
                batch.bind(&name(writer, *slot), &stored.id)?;
                batch.unbind(&half_done)?;
            }
            Ok(())
        }),
        Op::Unbind { slot } => memory.unbind(&name(writer, *slot)).map(drop),
        Op::Hold { held } => memory.allocate_bytes(&bytes(held_content(writer, *held))).map(drop),
        Op::Free { held } => memory
            .free(&ObjectId::of_bytes(&bytes(held_content(writer, *held))))
            .map(drop),
        Op::Collect => memory.collect_garbage().map(drop),
        Op::Compact => memory.compact(all().join(true)).map(drop),
        Op::Plan => memory
            .plan_work(&Work::Compact(all()))
            .and_then(|plan| memory.apply(&plan))
            .map(drop),
    };
    match done {
        // Others may be faster.
        Err(Error::Plan(PlanError::Stale { .. })) => Ok(()),
        Err(Error::UnknownName { .. } | Error::NotStored { .. }) => Ok(()),
        done => done,
    }
}

/// Any arena that can be emptied.
fn all() -> CompactOptions {
    CompactOptions::default().under(100)
}

/// A writer's part of the heap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub names: BTreeMap<String, ObjectId>,
    pub held: BTreeSet<ObjectId>,
}

/// The expected state.
#[derive(Debug, Clone, Default)]
pub struct Model {
    names: BTreeMap<u64, u64>,
    held: BTreeSet<u64>,
}

impl Model {
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Put { slot, content } | Op::Stream { slot, content } | Op::Post { slot, content, .. } => {
                self.names.insert(*slot, *content);
            }
            Op::Batch(puts) => self.names.extend(puts.iter().copied()),
            Op::Unbind { slot } => drop(self.names.remove(slot)),
            Op::Hold { held } => drop(self.held.insert(*held)),
            Op::Free { held } => drop(self.held.remove(held)),
            Op::Collect | Op::Compact | Op::Plan => {}
        }
    }

    pub fn state(&self, writer: u64) -> State {
        let id = |content| ObjectId::of_bytes(&bytes(content));
        State {
            names: self
                .names
                .iter()
                .map(|(&slot, &content)| (name(writer, slot), id(content)))
                .collect(),
            held: self.held.iter().map(|&held| id(held_content(writer, held))).collect(),
        }
    }
}

/// The actual state.
pub fn found(memory: &MemManager, writer: u64) -> State {
    let names = (0..SLOTS).map(|slot| name(writer, slot));
    let names = names.filter_map(|name| Some((name.clone(), memory.resolve(&name).unwrap()?)));
    let held = (0..HELD).map(|held| ObjectId::of_bytes(&bytes(held_content(writer, held))));
    State {
        names: names.collect(),
        held: held.filter(|id| memory.contains(id).unwrap()).collect(),
    }
}
