//! How long names and the anonymous hold of an object last.

use std::time::Duration;

use super::expiry::{Expiry, Held};
use super::free;
use super::sweep::{resolve, without_ended_hold};
use crate::books::change::Change;
use crate::books::rows::Binding;
use crate::error::{Error, ExpiryError, Result};
use crate::manager::MemManager;
use crate::models::{Ends, Lifetime, StoredObject, StoredObjectId, Term, Timestamp};
use crate::store::WriteTx;
use crate::store::queries::names::Bound;

impl MemManager {
    /// Sets when a name or the anonymous hold of an object ends: sooner or later than before, or with
    /// [`Expiry::Never`] not at all. Returns the time. [`Hold::expires_in`](crate::Hold::expires_in) sets
    /// it from the beginning. Makes no event. O(log n).
    ///
    /// # Errors
    /// [`ExpiryError`] for a time that is not in the future or is too late, or an object without that hold;
    /// [`Error::UnknownName`], [`Error::NotStored`]; what [any write](MemManager#errors) fails with.
    pub fn expire<'h>(&self, held: impl Into<Held<'h>>, expiry: impl Into<Expiry>) -> Result<Option<Timestamp>> {
        let (held, expiry) = (held.into(), expiry.into());
        self.write(|tx| expire(tx, self.space(), held, expiry))
    }

    /// Lets a name or the anonymous hold of an object last for at least this long from now on, and returns
    /// when it ends. Unlike [`Self::expire`], this never shortens a hold, so that several callers can use
    /// the same one; a hold that never ends stays so. O(log n).
    ///
    /// # Errors
    /// Like [`Self::expire`].
    pub fn touch<'h>(&self, held: impl Into<Held<'h>>, time: Duration) -> Result<Option<Timestamp>> {
        let held = held.into();
        self.write(|tx| touch(tx, self.space(), held, time))
    }
}

pub(in crate::manager) fn expire(
    tx: &mut WriteTx<'_>,
    space: &str,
    held: Held<'_>,
    expiry: Expiry,
) -> Result<Option<Timestamp>> {
    let term = expiry.term(tx.at())?;
    let found = Found::of(tx, space, held)?;
    found.set(tx, term)?;
    Ok(term.ends)
}

pub(in crate::manager) fn touch(
    tx: &mut WriteTx<'_>,
    space: &str,
    held: Held<'_>,
    time: Duration,
) -> Result<Option<Timestamp>> {
    let ends = Expiry::In(time).ends(tx.at())?;
    let found = Found::of(tx, space, held)?;
    let before = found.term();
    if Ends(before.ends) >= Ends(ends) {
        return Ok(before.ends);
    }
    found.set(tx, Term { ends, ..before })?;
    Ok(ends)
}

/// A hold that has not ended.
pub(super) enum Found<'a> {
    Name(&'a str, Bound),
    Anonymous(StoredObject),
}

impl<'a> Found<'a> {
    pub(super) fn of(tx: &mut WriteTx<'_>, space: &str, held: Held<'a>) -> Result<Self> {
        match held {
            Held::Name(name) => {
                let bound = resolve(tx, name)?.ok_or_else(|| Error::unknown_name(name, space))?;
                Ok(Self::Name(name, bound))
            }
            Held::Anonymous(id) => {
                let object = free::find(tx, space, id)?;
                let object = without_ended_hold(tx, object)?;
                if !object.held {
                    return Err(ExpiryError::NotHeld { id: *id }.into());
                }
                Ok(Self::Anonymous(object))
            }
        }
    }

    /// Its object, and its name if it is one.
    pub(super) fn key(&self) -> (StoredObjectId, Option<&'a str>) {
        match self {
            Self::Name(name, bound) => (bound.object.id, Some(name)),
            Self::Anonymous(object) => (object.id, None),
        }
    }

    pub(super) fn object(&self) -> &StoredObject {
        match self {
            Self::Name(_, bound) => &bound.object,
            Self::Anonymous(object) => object,
        }
    }

    pub(super) fn term(&self) -> Term {
        match self {
            Self::Name(_, bound) => bound.term(),
            Self::Anonymous(object) => object.term(),
        }
    }

    pub(super) fn set(&self, tx: &mut WriteTx<'_>, term: Term) -> Result<()> {
        if self.term() == term {
            return Ok(());
        }
        match self {
            Self::Name(name, bound) => last_until(tx, name, bound, term),
            Self::Anonymous(object) => {
                let names = tx.last_end(object.id, None)?;
                let held = Lifetime {
                    held_until: term.ends,
                    held_refresh: term.refresh,
                    ..object.lifetime()
                };
                tx.apply(Change::Held {
                    object: object.id,
                    lifetime: held.with_names(names),
                })
            }
        }
    }
}

/// Lets a bound name end at another time.
pub(in crate::manager) fn last_until(tx: &mut WriteTx<'_>, name: &str, bound: &Bound, term: Term) -> Result<()> {
    let object = &bound.object;
    let names = tx.last_end(object.id, Some(name))?.max(Some(Ends(term.ends)));
    let binding = Binding {
        object: object.id,
        at: bound.bound_at,
        expires_at: term.ends,
        refresh: term.refresh,
    };
    tx.apply(Change::NameLasts {
        name,
        binding,
        lifetime: changed(object, object.lifetime().with_names(names)),
    })
}

/// What holds an object afterwards, if that is something else.
pub(in crate::manager) fn changed(object: &StoredObject, after: Lifetime) -> Option<Lifetime> {
    (object.lifetime() != after).then_some(after)
}

/// Gives an object the anonymous hold. If it has one already, that ends at the later of the two times.
pub(in crate::manager) fn hold(tx: &mut WriteTx<'_>, object: &StoredObject, term: Term) -> Result<()> {
    let object = without_ended_hold(tx, object.clone())?;
    match changed(&object, object.lifetime().with_hold(term)) {
        Some(lifetime) => tx.apply(Change::Held {
            object: object.id,
            lifetime,
        }),
        None => Ok(()),
    }
}
