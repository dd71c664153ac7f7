//! Guards against this failure: the power fails, everything that the operating system had not
//! yet written to the disk is lost, and then an operation acknowledged with `Durability::Full`
//! is missing, or the file is damaged with either durability.
//!
//! `device.rs` models a disk that retains only synced writes. The heap is on a file system in
//! an image file; unsynced writes are in the cache above the image, and a copy of the image is
//! what a power loss leaves. This proves that the crate requests its syncs, including that of
//! the directory. It needs root and loop devices.
//!
//! `disk.rs` models the same below SQLite, without special privileges. It sees every write and
//! sync; the power also fails at each sync, and unsynced writes may have arrived in part. It
//! does not see what the crate does without SQLite, such as syncing a directory.
//!
//! `log.rs` works on copies of the two files: a write-ahead log whose unsynced part was cut off
//! at any byte, or is followed by a hole, garbage or remains of older writes; and a checkpoint
//! of which only some sectors reached the file.
//!
//! Not modelled: a disk that reports a sync that did not happen, or that loses or tears data
//! synced earlier. Only a copy elsewhere helps against those.

mod device;
mod disk;
mod log;

use std::collections::BTreeMap;

use crate::common::content;
use heapledger::{Hold, MemManager, ObjectId};

/// The state after some operations: what each name is bound to.
type State = BTreeMap<String, ObjectId>;

/// Operation `number`: binds a name, and occasionally unbinds one or collects.
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

/// The states after no operation, after one, and so on.
fn states() -> impl Iterator<Item = State> {
    let next = |(number, state): &(u64, State)| {
        let mut state = state.clone();
        state.insert(number.to_string(), ObjectId::of_bytes(&bytes(*number)));
        if let Some(name) = removed(*number) {
            state.remove(&name.to_string());
        }
        Some((number + 1, state))
    };
    std::iter::successors(Some((0, State::new())), next).map(|(_, state)| state)
}

/// The state after the first `operations`.
fn expected(operations: u64) -> State {
    states().nth(operations as usize).unwrap()
}

/// The actual state. Checks that every content is intact and that nothing else is stored.
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

/// The number of operations, at most `most`, that lead to this state.
fn operations_in(state: &State, most: u64) -> u64 {
    let found = (0..=most).zip(states()).find(|(_, expected)| expected == state);
    let (operations, _) = found.unwrap_or_else(|| panic!("a state that never was: {:?}", state.keys()));
    operations
}
