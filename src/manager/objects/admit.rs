//! Whether the quotas of owners allow what they would gain.

use std::collections::BTreeMap;

use super::sweep;
use crate::books::change::Change;
use crate::books::refusals::Refusal;
use crate::error::{Error, Result};
use crate::manager::HoldWith;
use crate::models::{Owner, StoredObject, signed};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// The content that a hold with tags is taken on.
#[derive(Debug, Clone, Copy)]
pub(in crate::manager) struct Gain<'a> {
    /// The object, if it is stored already.
    pub object: Option<&'a StoredObject>,
    /// Its id, if it is known.
    pub object_id: Option<ObjectId>,
    /// Bytes of its content.
    pub size: u64,
}

impl<'a> From<&'a StoredObject> for Gain<'a> {
    fn from(object: &'a StoredObject) -> Self {
        Self {
            object: Some(object),
            object_id: Some(object.object_id),
            size: object.size,
        }
    }
}

/// Refuses a hold that would let an owner have more than its quota allows, even after everything of the owner's
/// that has expired was given back. If a name moves from another object, that object counts as left. Nothing is
/// evicted for it: eviction makes room in the space, and would take the bytes of others.
///
/// Without quotas it is O(1), without a statement; otherwise O(log n + holds of the object) for each tag, and for
/// a refusal O(holds of the owner).
pub(in crate::manager) fn admit(tx: &mut WriteTx<'_>, gain: Gain<'_>, hold: &HoldWith<'_>) -> Result<()> {
    admit_tags(tx, gain, hold.name(), &hold.tags)
}

/// The same for tags that a name, or the anonymous hold, gets.
pub(in crate::manager) fn admit_tags(
    tx: &mut WriteTx<'_>,
    gain: Gain<'_>,
    name: Option<&str>,
    tags: &[(&str, &str)],
) -> Result<()> {
    if tags.is_empty() || !tx.has_quotas()? {
        return Ok(());
    }
    // Of two values for a key, the last one counts.
    let tags: BTreeMap<&str, &str> = tags.iter().copied().collect();
    for (key, value) in tags {
        let owner = Owner::of(key, value);
        while let Some(error) = exceeded(tx, gain, name, &owner)? {
            if !sweep::owned(tx, &owner)? {
                let refusal = Refusal::of(&error, gain.object_id);
                refusal.map_or(Ok(()), |refusal| tx.apply(Change::Refused(refusal)))?;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// The error if an owner would have too much.
fn exceeded(tx: &mut WriteTx<'_>, gain: Gain<'_>, name: Option<&str>, owner: &Owner) -> Result<Option<Error>> {
    if tx.quota(owner)?.is_none() {
        return Ok(None);
    }
    // This gives back what the name was bound to, if that has expired, so what the owner has is read afterwards.
    let (bytes, objects) = growth(tx, gain, name, owner)?;
    let refusal = tx.quota(owner)?.and_then(|quota| quota.refusal(bytes, objects));
    Ok(refusal.map(Error::QuotaExceeded))
}

/// Bytes and objects that an owner gains.
fn growth(tx: &mut WriteTx<'_>, gain: Gain<'_>, name: Option<&str>, owner: &Owner) -> Result<(i64, i64)> {
    let gained = (signed(gain.size), 1);
    if let Some(object) = gain.object {
        let payment = tx.payment(object.id, None, owner)?;
        if payment.by_it || payment.by_others {
            let is_gained = pays_no_longer(tx, object, owner, gained)?;
            return Ok(if is_gained { gained } else { (0, 0) });
        }
    }
    let Some(name) = name else { return Ok(gained) };
    let Some(left) = sweep::resolve(tx, name)?.map(|bound| bound.object.id) else {
        return Ok(gained);
    };
    let payment = tx.payment(left, Some(name), owner)?;
    if payment.by_it && !payment.by_others {
        return Ok((gained.0.saturating_sub(payment.size), 0));
    }
    Ok(gained)
}

/// Whether an owner without room for an object pays for it only through holds that have expired. Once these are
/// given back, the object is a gain.
fn pays_no_longer(
    tx: &mut WriteTx<'_>,
    object: &StoredObject,
    owner: &Owner,
    (bytes, objects): (i64, i64),
) -> Result<bool> {
    let is_full = tx
        .quota(owner)?
        .is_some_and(|quota| quota.refusal(bytes, objects).is_some());
    if !is_full || !tx.trusts_clock()? {
        return Ok(false);
    }
    let holds = tx.read_rows(|tx| queries::quotas::holds(tx, object.id, owner))?;
    Ok(holds.iter().all(|(_, is_over)| *is_over))
}
