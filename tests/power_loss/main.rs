//! The failure guarded against: the power goes, and what the operating system had not
//! yet written to the disk is lost; afterwards an operation that was acknowledged with
//! `Durability::Full` is missing, or the file is damaged with either durability.
//!
//! Modelled, in `device.rs`: a disk of which only what was synced is left. The heap is
//! on a file system of its own in an image file; what the program wrote and did not
//! sync is in the cache above the image, and a copy of the image is what a power loss
//! leaves. This proves that the crate asks for its syncs at all, for the directory too.
//! It needs root and loop devices.
//!
//! Modelled, in `disk.rs`, for everybody: the same below SQLite, from which on each write
//! and sync is seen; the power goes at each sync too, and what was not synced may have
//! arrived in part. What the crate does past SQLite, such as syncing a directory, it misses.
//!
//! Modelled, in `log.rs`, with copies of the two files: a write-ahead log of which the
//! part behind the last sync arrived cut off at any byte, with a hole, with garbage or
//! with remains of older writes behind it; a checkpoint that reached the file for some
//! sectors and not for others.
//!
//! Not modelled: a disk that says it has synced and has not, or that loses or tears
//! what had been synced before; nothing but a copy elsewhere helps against those.

#![cfg(test)]

#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "../common/mod.rs"]
mod common;
mod device;
mod disk;
#[allow(dead_code, unused_imports, reason = "this program uses a part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod log;

use std::collections::BTreeMap;

use common::content;
use heapledger::{Hold, MemManager, ObjectId};

/// The heap after so many operations: what each name is bound to.
type State = BTreeMap<String, ObjectId>;

/// Operation `number`: one more name, and from time to time one less, or a collection.
fn operate(memory: &MemManager, number: u64) {
    memory
        .batch(|batch| {
            batch.store_bytes(&bytes(number), Hold::Name(&number.to_string()))?;
            match removed(number) {
                Some(name) => batch.unbind(&name.to_string()).map(drop),
                None => Ok(()),
            }
        })
        .unwrap();
    if number % 8 == 7 {
        memory.collect_garbage().unwrap();
    }
}

fn removed(number: u64) -> Option<u64> {
    (number % 3 == 2).then(|| number - 1)
}

fn bytes(number: u64) -> Vec<u8> {
    content(number, [30, 600, 5_000, 300_000][number as usize % 4])
}

/// What the heap holds after the first `operations`.
fn expected(operations: u64) -> State {
    let mut state = State::new();
    for number in 0..operations {
        state.insert(number.to_string(), ObjectId::of_bytes(&bytes(number)));
        if let Some(name) = removed(number) {
            state.remove(&name.to_string());
        }
    }
    state
}

/// What it holds; every content is as it was stored, and nothing else is there.
fn found(memory: &MemManager) -> State {
    let mut state = State::new();
    for object in memory.objects() {
        let object = object.unwrap();
        let [name] = object.names.try_into().unwrap();
        let id = object.id;
        assert_eq!(memory.get_bytes(&id).unwrap(), bytes(name.parse().unwrap()));
        state.insert(name, id);
    }
    state
}

/// After how many operations the heap is in the state found; at most `most`.
fn operations_in(state: &State, most: u64) -> u64 {
    let found = (0..=most).find(|&operations| expected(operations) == *state);
    found.unwrap_or_else(|| panic!("a state that never was: {:?}", state.keys()))
}
