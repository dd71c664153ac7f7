//! The policies: pure decisions over a shelf.

use super::shelf::{Answer, Queue, Shelf};
pub(crate) use crate::models::Policy;

/// The most marks that S3-FIFO gives: two bits.
const MOST_MARKS: u8 = 3;

/// S3-FIFO moves objects with at least this many marks from the trial to the main queue.
const PASSED: u8 = 2;

impl Policy {
    /// The queue that a new object joins, without marks.
    pub(crate) fn queue_of_new(self, is_remembered: bool) -> Queue {
        match self {
            Self::S3Fifo if !is_remembered => Queue::Trial,
            _ => Queue::Main,
        }
    }

    /// An object was used.
    pub(crate) fn touch<S: Shelf>(self, shelf: &mut S, object: S::Object) -> Answer<(), S> {
        match self {
            Self::Lru => shelf.append(object, Queue::Main),
            Self::Sieve => shelf.set_marks(object, 1),
            Self::S3Fifo => {
                let marks = shelf.marks(object)?;
                shelf.set_marks(object, (marks + 1).min(MOST_MARKS))
            }
            Self::Largest | Self::Oldest => Ok(()),
        }
    }

    /// The object that has to go next, for the caller to take off the shelf. `None` if it is empty.
    /// `capacity` is that of the space, in bytes.
    pub(crate) fn victim<S: Shelf>(self, shelf: &mut S, capacity: u64) -> Answer<Option<S::Object>, S> {
        match self {
            Self::Lru | Self::Oldest => shelf.first(Queue::Main),
            Self::Largest => shelf.largest(),
            Self::Sieve => sieve(shelf),
            Self::S3Fifo => s3_fifo(shelf, capacity),
        }
    }
}

/// The hand moves from the oldest object to the newest and takes marks away, until it finds an
/// object without any.
fn sieve<S: Shelf>(shelf: &mut S) -> Answer<Option<S::Object>, S> {
    let at = match shelf.hand()? {
        Some(object) => Some(object),
        None => shelf.first(Queue::Main)?,
    };
    let Some(mut at) = at else { return Ok(None) };
    while shelf.marks(at)? > 0 {
        shelf.set_marks(at, 0)?;
        at = match shelf.after(at)? {
            Some(next) => next,
            // It begins again, and ends at the latest where it took the first mark away.
            None => shelf.first(Queue::Main)?.unwrap_or(at),
        };
    }
    shelf.set_hand(at)?;
    Ok(Some(at))
}

fn s3_fifo<S: Shelf>(shelf: &mut S, capacity: u64) -> Answer<Option<S::Object>, S> {
    if shelf.bytes(Queue::Main)? <= main_share(capacity)
        && let Some(object) = failed_trial(shelf)?
    {
        return Ok(Some(object));
    }
    match unused_in_main(shelf)? {
        Some(object) => Ok(Some(object)),
        // The main queue may be full of what is not on the shelf.
        None => failed_trial(shelf),
    }
}

/// How many bytes the main queue of S3-FIFO may have before it is the one to shrink, and how many
/// bytes of objects S3-FIFO remembers.
pub(crate) fn main_share(capacity: u64) -> u64 {
    capacity - capacity / 10
}

/// Moves what was used from the trial to the main queue, until there is an object that was not.
fn failed_trial<S: Shelf>(shelf: &mut S) -> Answer<Option<S::Object>, S> {
    while let Some(object) = shelf.first(Queue::Trial)? {
        if shelf.marks(object)? < PASSED {
            return Ok(Some(object));
        }
        shelf.append(object, Queue::Main)?;
    }
    Ok(None)
}

/// Takes a mark from each object and puts it at the end, until there is one without marks.
fn unused_in_main<S: Shelf>(shelf: &mut S) -> Answer<Option<S::Object>, S> {
    while let Some(object) = shelf.first(Queue::Main)? {
        let marks = shelf.marks(object)?;
        if marks == 0 {
            return Ok(Some(object));
        }
        shelf.append(object, Queue::Main)?;
        shelf.set_marks(object, marks - 1)?;
    }
    Ok(None)
}
