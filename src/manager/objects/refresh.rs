//! Holds that last longer with each read.
//!
//! A read is only noted, with the uses of objects. When the note is written, it counts from the time of the read:
//! a hold that has ended by then, but had not when it was read, lasts on, unless a commit has recorded that it
//! expired.

use super::expire::Found;
use super::expiry::Held;
use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Term, Timestamp};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// A hold that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::manager) enum ReadHold {
    Name(String),
    Anonymous(ObjectId),
}

/// A read of a hold that it refreshes.
#[derive(Debug, Clone, Copy)]
pub(in crate::manager) struct HoldRead {
    pub at: Timestamp,
    /// When the hold would end otherwise.
    pub ends: Timestamp,
}

impl MemManager {
    /// Whether each read lets a name, or the anonymous hold of an object, last longer; see
    /// [`HoldWith::refresh_on_get`](crate::HoldWith::refresh_on_get). O(log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. What is not there is not an error.
    pub fn is_refreshed_on_get<'h>(&self, held: impl Into<Held<'h>>) -> Result<bool> {
        let term = self.term_now(held.into())?;
        Ok(term.is_some_and(|(term, _)| term.refresh.is_some()))
    }

    /// Notes that a name, or the anonymous hold of an object, was read, as a get by the name or the id does: if it
    /// asks for that, it lasts [as long again](crate::HoldWith::refresh_on_get). This is for a program that keeps
    /// copies of what it has read, or that resolves a name and then reads by the id. O(log n); the next commit
    /// writes the note, or a thread within about a second.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. What is not there is not an error.
    pub fn note_get<'h>(&self, held: impl Into<Held<'h>>) -> Result<()> {
        let held = held.into();
        if let Some((term, at)) = self.term_now(held)? {
            let hold = || match held {
                Held::Name(name) => ReadHold::Name(name.to_owned()),
                Held::Anonymous(id) => ReadHold::Anonymous(*id),
            };
            self.inner.uses.note_read(hold, term, at);
        }
        Ok(())
    }

    /// How long a hold lasts, and the time of the read.
    fn term_now(&self, held: Held<'_>) -> Result<Option<(Term, Timestamp)>> {
        self.settle_reads();
        let space = self.inner.space;
        self.inner.readers.single(|tx| {
            let term = match held {
                Held::Name(name) => queries::names::resolve_with_term(tx, space, name)?.map(|(_, term)| term),
                Held::Anonymous(id) => queries::objects::find(tx, space, id)?.map(|object| object.term()),
            };
            Ok(term.map(|term| (term, tx.now())))
        })
    }
}

/// Lets the holds that were read last longer, unless they are gone, or had ended when they were read.
/// O(log n) for each.
pub(in crate::manager) fn refresh(tx: &mut WriteTx<'_>, reads: &[(ReadHold, HoldRead)]) -> Result<()> {
    for (hold, read) in reads {
        // A hold that has ended by now, but was never recorded as expired, may have been read in time.
        let found = match hold {
            ReadHold::Name(name) => tx.bound(name)?.map(|bound| Found::Name(name, bound)),
            ReadHold::Anonymous(id) => tx.find(id)?.filter(|object| object.held).map(Found::Anonymous),
        };
        if let Some(found) = found
            && let Some(term) = found.term().refreshed(read.at)
        {
            found.set(tx, term)?;
        }
    }
    Ok(())
}
