//! Which object goes next when room is needed. Pure: no connection, no SQL, no clock.
//!
//! A [`Policy`] decides over a [`Shelf`], which has the objects that may go. [`Lists`] is one in
//! memory, for the replay of a trace. The trait asks only for what rows can answer, so that a space
//! can be one as well; a test runs each policy over plain rows.
//!
//! # What a shelf knows
//!
//! An object is in a queue, at a position, with some marks: three small numbers. A position is a
//! number that only grows within the space, so the front of a queue is its lowest one, an index on
//! (queue, position) has all queues, and whatever is put at the end gets the next number.
//!
//! | policy | queue | position | marks | of the space |
//! | --- | --- | --- | --- | --- |
//! | `lru` | one | of the last use | – | the last position |
//! | `sieve` | one | of the insertion; the key of the object will do | 0 or 1: used since the hand passed | the hand: a position, or none |
//! | `s3-fifo` | [`Queue::Trial`] or [`Queue::Main`] | of the insertion into it | 0 to 3: uses since then | the last position; bytes of both queues; what left the trial lately |
//! | `largest` | – | the key of the object | – | an index on the size |
//! | `oldest` | one | the key of the object | – | – |
//!
//! What left the trial lately ([`Remembered`]) is needed only when an object is stored. Its ids and
//! sizes are those of the last evictions from there, up to nine tenths of the capacity.
//!
//! # What may not go
//!
//! Objects that are pinned, too young, or being stored are not on the shelf. Each policy passes
//! over them as if they were not there.
//!
//! # Sources
//!
//! - SIEVE: Zhang, Yang, Yue, Vigfusson, Rashmi, *SIEVE is Simpler than LRU*, NSDI 2024.
//! - S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, *FIFO Queues are All You Need for Cache Eviction*,
//!   SOSP 2023. As in libCacheSim by its authors, queues are measured in bytes.
//! - The best possible: Belady, *A study of replacement algorithms for a virtual-storage computer*,
//!   IBM Systems Journal 5(2), 1966.

pub(crate) mod best;
pub(crate) mod lists;
pub(crate) mod policy;
pub(crate) mod remembered;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod shelf;
pub(crate) mod simulation;
pub(crate) mod trace;
mod workers;

#[cfg(test)]
mod tests;

#[cfg(doc)]
use self::{
    lists::Lists,
    policy::Policy,
    remembered::Remembered,
    shelf::{Queue, Shelf},
};
