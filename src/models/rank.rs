//! `recency`: where an object is in the order of eviction.

use super::{StoredObjectId, text_enum};
use crate::value::ObjectId;

text_enum! {
    /// A queue of a policy that goes by use.
    RankQueue {
        /// Of S3-FIFO: objects that have to show that they are used.
        Trial = "trial",
        /// Of every policy.
        Main = "main",
        /// Of S3-FIFO: what left the trial lately, and is no longer stored.
        Gone = "gone",
    }
}

/// A row without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank {
    pub queue: RankQueue,
    /// The place in the queue: the lowest one is its front.
    pub position: i64,
    /// How often the object was used, as far as the policy counts.
    pub marks: u8,
    /// Bytes of the object.
    pub size: i64,
    /// Its id, if it is gone.
    pub gone: Option<ObjectId>,
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub object: StoredObjectId,
    pub rank: Rank,
}

impl Rank {
    /// A place at the front or the end of a queue.
    pub fn at(queue: RankQueue, position: i64, size: i64) -> Self {
        let (marks, gone) = (0, None);
        Self {
            queue,
            position,
            marks,
            size,
            gone,
        }
    }
}
