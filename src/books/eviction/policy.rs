//! The policies: pure decisions over a shelf.

use std::fmt;
use std::str::FromStr;

use super::shelf::{Answer, Queue, Shelf};

/// Which object goes first when room is needed.
///
/// A decision takes O(1), and with `Largest` O(log n). SIEVE and S3-FIFO may pass objects that were
/// used, but each pass is paid for by a use.
///
/// ```
/// use heapledger::Policy;
///
/// assert_eq!("s3-fifo".parse(), Ok(Policy::S3Fifo));
/// assert_eq!(Policy::S3Fifo.to_string(), "s3-fifo");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// The least recently used one.
    Lru,
    /// SIEVE (NSDI 2024): the oldest one that was not used since the hand last passed it.
    Sieve,
    /// S3-FIFO (SOSP 2023): new objects are on trial in a tenth of the space, and the ones that are
    /// used twice move to the rest.
    S3Fifo,
    /// The largest one, and of several the oldest.
    Largest,
    /// The one that was stored first.
    Oldest,
}

/// A text that is not the name of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPolicy {
    /// The text.
    pub name: String,
}

/// The most marks that S3-FIFO gives: two bits.
const MOST_MARKS: u8 = 3;

/// S3-FIFO moves objects with as many marks from the trial to the main queue.
const PASSED: u8 = 2;

impl Policy {
    /// All policies.
    pub const ALL: [Self; 5] = [Self::Lru, Self::Sieve, Self::S3Fifo, Self::Largest, Self::Oldest];

    /// Its name, as [`Self::from_str`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Sieve => "sieve",
            Self::S3Fifo => "s3-fifo",
            Self::Largest => "largest",
            Self::Oldest => "oldest",
        }
    }

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

/// The bytes that the main queue of S3-FIFO may have before it is the one to shrink, and of what it
/// remembers.
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

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let known = Self::ALL.into_iter().find(|policy| policy.as_str() == name);
        known.ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Policy::ALL.map(Policy::as_str).join(", ");
        write!(f, "no policy is called {:?}; there are {known}", self.name)
    }
}

impl std::error::Error for UnknownPolicy {}
