//! What has expired: a unit of work that meets it gives it back first, and so does one that needs its bytes.
//!
//! A hold that has ended counts for nothing, but its rows and the bytes of its object stay until a
//! write gives them back: each write gives back some, an allocation that would be refused as many as it
//! needs, and a collection all of them. That is recorded, and cannot be undone.

use std::ops::AddAssign;

use serde::Serialize;

use super::free;
use crate::books::change::Change;
use crate::error::Result;
use crate::manager::{MemManager, unsigned};
use crate::models::{Ends, Lifetime, Owner, StoredObject, is_over, signed};
use crate::store::queries::names::{Bound, KeptName};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// Objects and names that a write gives back besides its own work, and the bytes after which it stops.
const FEW: i64 = 16;
/// On a server, where each takes some round trips.
const FEW_ON_SERVER: i64 = 4;
const FEW_BYTES: u64 = 1 << 20;
/// The same in each transaction of a collection.
const MANY: i64 = 500;
const MANY_BYTES: u64 = 16 << 20;

/// What had expired and was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Expired {
    /// Objects removed.
    pub objects: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Names removed, theirs and others.
    pub names: u64,
}

impl AddAssign for Expired {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.names += other.names;
    }
}

impl Expired {
    fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl MemManager {
    /// Gives back everything that has expired, even if the clock is more than a day ahead of the last write.
    /// Without this call, it would then stay for an hour of writes, because a single command with a wrong clock
    /// must not empty a heap. It does not stay if this process has itself counted the days since the last
    /// write, or if something else would be evicted. This cannot be undone. O(expired · log n), in small
    /// transactions.
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Earlier steps stay done.
    pub fn collect_expired(&self) -> Result<Expired> {
        self.collect_due(true)
    }

    /// Gives back everything that has expired, if the clock can be right or is trusted.
    pub(in crate::manager) fn collect_due(&self, trusts_clock: bool) -> Result<Expired> {
        let (mut all, mut most) = (Expired::default(), unsigned(MANY));
        loop {
            let some = self.write_step(&mut most, |tx, most| {
                if trusts_clock {
                    tx.trust_clock();
                }
                let some = match tx.has_due()? {
                    true => some(tx, signed(most), MANY_BYTES)?,
                    false => Expired::default(),
                };
                // So that the end of the unit gives back nothing that is not counted.
                tx.leave_expired();
                Ok(some)
            })?;
            if some.is_nothing() {
                return Ok(all);
            }
            all += some;
        }
    }
}

/// The object with this id. If it has expired, it is given back, and there is none. O(log n).
pub(in crate::manager) fn find(tx: &mut WriteTx<'_>, id: &ObjectId) -> Result<Option<StoredObject>> {
    let found = tx.find(id)?;
    living(tx, found)
}

/// The object, unless it has expired: then it is given back.
pub(in crate::manager) fn living(tx: &mut WriteTx<'_>, found: Option<StoredObject>) -> Result<Option<StoredObject>> {
    match found {
        Some(object) if is_over(object.expires_at, tx.at()) && remove(tx, &object)?.is_some() => Ok(None),
        found => Ok(found),
    }
}

/// What a name is bound to. If it has expired, it is given back, and is bound to nothing. O(log n).
pub(in crate::manager) fn resolve(tx: &mut WriteTx<'_>, name: &str) -> Result<Option<Bound>> {
    match tx.bound(name)? {
        Some(bound) if is_over(bound.expires_at, tx.at()) => {
            end_name(tx, name, &bound.object)?;
            Ok(None)
        }
        bound => Ok(bound),
    }
}

/// The object, without an anonymous hold that has ended.
pub(in crate::manager) fn without_ended_hold(tx: &mut WriteTx<'_>, mut object: StoredObject) -> Result<StoredObject> {
    if is_over(object.held_until, tx.at()) {
        let lifetime = Lifetime {
            held: false,
            held_until: None,
            held_refresh: None,
            ..object.lifetime()
        };
        tx.apply(ended(None, &object, lifetime, 0)?)?;
        object.set_lifetime(lifetime);
    }
    Ok(object)
}

/// Removes the expired names of an object, if all its names but `except` have expired: `last` is when the
/// last of these ends. Returns the same for the names that are left.
pub(in crate::manager) fn without_ended_names(
    tx: &mut WriteTx<'_>,
    object: &StoredObject,
    except: Option<&str>,
    last: Option<Ends>,
) -> Result<Option<Ends>> {
    let at = tx.at();
    if !last.is_some_and(|last| is_over(last.0, at)) {
        return Ok(last);
    }
    for KeptName { name, expires_at, .. } in tx.names_of(object.id)? {
        if is_over(expires_at, at) && except != Some(&name) {
            tx.apply(ended(Some(&name), object, object.lifetime(), 0)?)?;
        }
    }
    Ok(None)
}

/// Ends a name that has expired, and removes its object if that has, too.
fn end_name(tx: &mut WriteTx<'_>, name: &str, object: &StoredObject) -> Result<Expired> {
    if is_over(object.expires_at, tx.at())
        && let Some(removed) = remove(tx, object)?
    {
        return Ok(removed);
    }
    tx.apply(ended(Some(name), object, object.lifetime(), 0)?)?;
    Ok(Expired {
        names: 1,
        ..Expired::default()
    })
}

fn ended<'c>(name: Option<&'c str>, object: &StoredObject, lifetime: Lifetime, frees: i64) -> Result<Change<'c>> {
    Ok(Change::Expired {
        name,
        object: object.id,
        object_id: object.known_id()?,
        lifetime,
        frees,
    })
}

/// Ends all holds of an object, which have expired, and removes it. Returns `None`, and changes nothing, if
/// it is damaged and so cannot be removed.
fn remove(tx: &mut WriteTx<'_>, object: &StoredObject) -> Result<Option<Expired>> {
    let at = tx.at();
    let found = free::removable(tx, object)?;
    let Some((placed, names)) = found.filter(|(_, names)| names.iter().all(|name| name.is_over(at))) else {
        return Ok(None);
    };
    let object_id = object.known_id()?;
    let names: Vec<_> = names.into_iter().map(|kept| kept.name).collect();
    let removed = Expired {
        objects: 1,
        bytes: unsigned(placed.size),
        names: names.len() as u64,
    };
    tx.whole(|tx| {
        let anonymous = object.held.then_some(None);
        let mut holds = names.iter().map(|name| Some(name.as_str())).chain(anonymous).peekable();
        while let Some(name) = holds.next() {
            let frees = if holds.peek().is_none() { placed.size } else { 0 };
            tx.apply(ended(name, object, Lifetime::default(), frees)?)?;
        }
        free::remove(tx, &placed, object_id, Vec::new())
    })?;
    Ok(Some(removed))
}

/// Gives back some of what has expired, if the clock can be right. Returns whether there was anything, so that
/// there may be more. O(log n + step).
pub(in crate::manager) fn step(tx: &mut WriteTx<'_>) -> Result<bool> {
    let few = if tx.looks_up_together() { FEW_ON_SERVER } else { FEW };
    Ok(!some(tx, few, FEW_BYTES)?.is_nothing())
}

/// Gives back some of what an owner has that has expired, if the clock can be right. Returns whether there
/// was anything, so that there may be more. O(holds of the owner).
pub(in crate::manager) fn owned(tx: &mut WriteTx<'_>, owner: &Owner) -> Result<bool> {
    if !tx.trusts_clock()? {
        return Ok(false);
    }
    let (space, at) = (tx.space(), tx.at());
    let mut done = false;
    for (name, object_id) in tx.read_rows(|tx| queries::quotas::over(tx, space, owner, MANY))? {
        done |= match name {
            Some(name) => {
                let bound = tx.bound(&name)?;
                let over = bound.filter(|bound| is_over(bound.expires_at, at));
                over.map(|bound| end_name(tx, &name, &bound.object))
                    .transpose()?
                    .is_some()
            }
            None => end_hold(tx, &object_id)?,
        };
    }
    Ok(done)
}

/// Ends the anonymous hold of an object if it has expired, and removes the object if that has, too.
fn end_hold(tx: &mut WriteTx<'_>, object_id: &ObjectId) -> Result<bool> {
    let at = tx.at();
    match tx.find(object_id)? {
        Some(object) if is_over(object.expires_at, at) => Ok(remove(tx, &object)?.is_some()),
        Some(object) if is_over(object.held_until, at) => without_ended_hold(tx, object).map(|_| true),
        _ => Ok(false),
    }
}

fn some(tx: &mut WriteTx<'_>, most: i64, most_bytes: u64) -> Result<Expired> {
    let mut done = Expired::default();
    if !tx.trusts_clock()? {
        return Ok(done);
    }
    let (space, at) = (tx.space(), tx.at());
    let objects = tx.read_rows(|tx| queries::objects::over(tx, space, at, most))?;
    for object in &objects {
        if done.bytes >= most_bytes {
            return Ok(done);
        }
        done += remove(tx, object)?.unwrap_or_default();
    }
    if (objects.len() as i64) < most {
        let names = tx.read_rows(|tx| queries::names::over(tx, space, at, most))?;
        for (name, object) in &names {
            // A damaged object stays, with its names.
            if !is_over(object.expires_at, at) {
                done += end_name(tx, name, object)?;
            }
        }
        if (names.len() as i64) < most {
            tx.forget_due()?;
        }
    }
    Ok(done)
}
