//! What owners with a quota have. It is counted where tags change, so that nobody can forget it.

use std::collections::BTreeSet;

use super::WriteTx;
use crate::books::change::Change;
use crate::error::Result;
use crate::models::{Owner, Quota, StoredObjectId, Tag, signed};
use crate::store::queries;

/// Whether an owner pays for an object: whether one hold has its tag, and whether others have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payment {
    /// Bytes of the object.
    pub size: i64,
    /// For that hold.
    pub by_it: bool,
    /// For others.
    pub by_others: bool,
}

impl WriteTx<'_> {
    /// Whether the space has quotas. O(1), without a statement: so a space that has none pays nothing.
    pub fn has_quotas(&mut self) -> Result<bool> {
        self.writer.not_failed()?;
        // A change of their number is written at once.
        Ok(self.writer.known()?.memram.quotas > 0)
    }

    /// The quota of an owner, including what this unit has done. O(log n), and without a statement if it was
    /// read before and nobody else has written since.
    pub fn quota(&mut self, owner: &Owner) -> Result<Option<Quota>> {
        if !self.has_quotas()? {
            return Ok(None);
        }
        let mut quota = match self.writer.known()?.quotas.get(owner) {
            Some(known) => known.clone(),
            None => {
                let space = self.writer.space;
                let found = self.read_written(|tx| queries::quotas::of_owner(tx, space, owner))?;
                self.writer.known()?.quotas.learn(owner.clone(), found.clone());
                found
            }
        };
        if let Some(quota) = &mut quota {
            let gathered = self.writer.gathered();
            for by in gathered.iter().filter_map(|batch| batch.effects().quotas.get(owner)) {
                quota.add(by.mem, by.objects);
            }
        }
        Ok(quota)
    }

    /// Whether an owner pays for an object because of the hold `name`, or the anonymous one, and because of others.
    /// O(log n + holds of the object), and without a statement for an object that this unit stores.
    pub fn payment(&mut self, object: StoredObjectId, name: Option<&str>, owner: &Owner) -> Result<Payment> {
        let gathered = self.writer.gathered();
        let new = gathered.iter().find_map(|batch| batch.new_object(object));
        let (size, mut holds) = match new {
            Some(new) => (signed(new.size), BTreeSet::new()),
            None => self.read_written(|tx| queries::quotas::paying(tx, object, owner))?,
        };
        for batch in self.writer.gathered().into_iter().rev() {
            for (tag, value) in batch.tags_of_object(object).filter(|(tag, _)| tag.key == owner.key) {
                match value == Some(&owner.value) {
                    true => holds.insert(tag.name.clone()),
                    false => holds.remove(&tag.name),
                };
            }
        }
        Ok(Payment {
            size,
            by_it: holds.remove(name.unwrap_or_default()),
            by_others: !holds.is_empty(),
        })
    }

    /// Counts what owners gain or lose by a change, before it is applied.
    pub(super) fn count_paid(&mut self, change: &Change<'_>) -> Result<()> {
        match *change {
            Change::Tagged { tag, before } => {
                if let Some(value) = before {
                    self.pay(Tag { value, ..tag }, -1)?;
                }
                self.pay(tag, 1)
            }
            Change::Untagged(tag) => self.pay(tag, -1),
            _ => Ok(()),
        }
    }

    /// The owner of a tag pays for an object from now on, or no longer, unless it pays because of another hold anyway.
    fn pay(&mut self, tag: Tag<'_>, objects: i64) -> Result<()> {
        if !self.has_quotas()? {
            return Ok(());
        }
        let owner = Owner::of(tag.key, tag.value);
        if self.quota(&owner)?.is_none() {
            return Ok(());
        }
        let payment = self.payment(tag.object, tag.name, &owner)?;
        if payment.by_others {
            return Ok(());
        }
        let bytes = payment.size.saturating_mul(objects);
        self.apply(Change::QuotaUsed { owner, bytes, objects })
    }
}
