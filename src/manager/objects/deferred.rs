//! Allocations of a batch that wait to be looked up together.

use std::borrow::Cow;

use super::allocate;
use crate::error::Result;
use crate::manager::{Hold, unsigned};
use crate::store::WriteTx;
use crate::value::{Encoded, ObjectId};

/// The unit of work of a batch. On a server, where each statement is a round trip, anonymous
/// allocations wait until there are many, or until something must see them, so that one statement
/// tells which of them are stored already. Then they happen one by one, in order.
///
/// Only what certainly fits waits, so that nothing is refused later than at its own call.
pub(super) struct Deferred<'b, 'w> {
    tx: &'b mut WriteTx<'w>,
    waiting: Vec<(ObjectId, Encoded<'static>)>,
    /// Bytes of content that wait.
    bytes: u64,
}

/// At most this many objects and bytes wait.
const MOST_OBJECTS: usize = 1024;
const MOST_BYTES: u64 = 4 << 20;

impl<'b, 'w> Deferred<'b, 'w> {
    pub fn new(tx: &'b mut WriteTx<'w>) -> Self {
        Self {
            tx,
            waiting: Vec::new(),
            bytes: 0,
        }
    }

    /// The unit of work, once every waiting allocation has happened.
    ///
    /// # Errors
    /// Those of an allocation that waited; the unit can then only be rolled back.
    pub fn now(&mut self) -> Result<&mut WriteTx<'w>> {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.bytes = 0;
            let ids: Vec<_> = waiting.iter().map(|(id, _)| *id).collect();
            self.tx.whole(|tx| {
                tx.look_up(&ids)?;
                for (id, encoded) in &waiting {
                    allocate::store_as(tx, encoded, *id, &Hold::Anonymous.into())?;
                }
                Ok(())
            })?;
        }
        Ok(self.tx)
    }

    /// The unit of work, for work that does not depend on the waiting allocations.
    pub fn unit(&mut self) -> &mut WriteTx<'w> {
        self.tx
    }

    /// Allocates content with the anonymous hold, now or later.
    pub fn allocate(&mut self, encoded: Encoded<'_>) -> Result<ObjectId> {
        let id = encoded.object_id();
        let size = encoded.content.len() as u64;
        let waits = self.tx.looks_up_together() && size < MOST_BYTES;
        if !waits || self.bytes + size > unsigned(self.tx.capacity()?.1) {
            allocate::store_as(self.now()?, &encoded, id, &Hold::Anonymous.into())?;
            return Ok(id);
        }
        self.bytes += size;
        self.waiting.push((id, encoded.into_owned()));
        if self.waiting.len() >= MOST_OBJECTS || self.bytes >= MOST_BYTES {
            self.now()?;
        }
        Ok(id)
    }
}

impl Encoded<'_> {
    fn into_owned(self) -> Encoded<'static> {
        Encoded {
            kind: self.kind,
            type_name: self.type_name.map(|name| Cow::Owned(name.into_owned())),
            content: Cow::Owned(self.content.into_owned()),
        }
    }
}
