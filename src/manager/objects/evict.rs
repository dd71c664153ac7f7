//! Makes room by removing other objects, in a space that does so.
//!
//! It comes last, after everything that is due was given back, and only if what may go is enough: otherwise the
//! allocation is refused, and everything stays.

use std::collections::BTreeSet;

use super::by_use::ByUse;
use super::eviction_order::{Chosen, Order};
use super::{free, room};
use crate::books::change::Change;
use crate::books::evicting::Cause;
use crate::error::Result;
use crate::models::{MemRam, Policy, StoredObject, StoredObjectId, signed};
use crate::store::{ReadTx, View, WriteTx};
use crate::value::ObjectId;

/// Makes room for one allocation, or because somebody asks for it.
#[derive(Debug, Default)]
pub(in crate::manager) struct Making {
    /// What chooses the objects; `None` for the policy of the space.
    policy: Option<Policy>,
    /// Bytes that are asked for, if that is more than what is needed now.
    asked: Option<u64>,
    /// Damaged objects, which cannot be removed.
    passed: BTreeSet<StoredObjectId>,
    /// Whether it was seen that there is enough.
    is_enough: bool,
}

impl Making {
    /// Makes `asked` bytes of room, a part at a time, by another policy than that of the space.
    pub fn by(policy: Policy, asked: u64) -> Self {
        Self {
            policy: Some(policy),
            asked: Some(asked),
            ..Self::default()
        }
    }

    /// Removes what makes room for `bytes`, or some of it, or trusts a suspected clock, so that more is due. Returns
    /// false, and changes nothing, if the space evicts nothing or what may go is not enough. O(log n) for each object
    /// that goes, and for each that would but for its pin or its age.
    pub fn some(&mut self, tx: &mut WriteTx<'_>, object_id: Option<ObjectId>, bytes: u64) -> Result<bool> {
        let memram = tx.memram()?;
        let attainable = memram.max_mem.saturating_sub(memram.promised);
        let policy = self.policy.or(memram.evict).filter(|_| bytes <= attainable);
        let Some(order) = policy.map(|policy| Order::by(policy, &memram, tx.at())) else {
            return Ok(false);
        };
        let missing = bytes.saturating_sub(memram.available());
        let (chooser, chosen) = self.choose(tx, order, &memram, missing)?;
        // If something has to go, what has expired goes first, even if the clock is suspected.
        if tx.has_due()? && !tx.trusts_clock()? {
            let expired = tx.read_rows(|tx| room::expired_bytes(tx, memram.id))?;
            if chosen.are_enough || missing <= expired {
                tx.trust_clock();
                return Ok(true);
            }
        }
        self.is_enough = chosen.are_enough;
        if !chosen.are_enough || chosen.objects.is_empty() {
            return Ok(false);
        }
        if let Chooser::ByUse(by_use) = &chooser {
            // Only now, because an object that is refused must stay remembered.
            object_id.map_or(Ok(()), |id| tx.recall_ahead(&id))?;
            by_use.write(tx)?;
        }
        let cause = Cause {
            policy: order.policy(),
            object_id,
            needed: signed(self.asked.unwrap_or(bytes)),
            available: signed(memram.available()),
        };
        for object in &chosen.objects {
            if !evict(tx, object, cause)? {
                self.passed.insert(object.id);
                // Its bytes were counted.
                self.is_enough = false;
                break;
            }
            if chooser.remembers(object) {
                tx.remember(object.id, object.known_id()?, signed(object.size))?;
            }
        }
        Ok(true)
    }

    /// The objects that go, and what chose them.
    fn choose(&self, tx: &mut WriteTx<'_>, order: Order, memram: &MemRam, missing: u64) -> Result<(Chooser, Chosen)> {
        let (is_enough, passed) = (self.is_enough, &self.passed);
        let last_position = if order.policy().is_by_use() {
            tx.last_position()?
        } else {
            0
        };
        let chooser = || match order.policy().is_by_use() {
            true => Chooser::ByUse(Box::new(ByUse::new(order, memram, last_position))),
            false => Chooser::Stored(order),
        };
        if order.policy() != Policy::Largest
            && let Some(chosen) = tx.ahead(|view| {
                let mut chooser = chooser();
                let chosen = chooser.choose_ahead(view, missing, passed)?;
                Ok((chooser, chosen))
            })?
        {
            return Ok(chosen);
        }
        let mut chooser = chooser();
        let chosen = tx.read_rows(|tx| chooser.choose(tx, missing, passed, is_enough))?;
        Ok((chooser, chosen))
    }
}

/// Evicts an object. Returns false, and changes nothing, if it is damaged and so cannot be removed.
pub(in crate::manager) fn evict(tx: &mut WriteTx<'_>, object: &StoredObject, cause: Cause) -> Result<bool> {
    let Some((placed, names)) = free::removable(tx, object)? else {
        return Ok(false);
    };
    let object_id = object.known_id()?;
    tx.whole(|tx| {
        for kept in &names {
            tx.apply(Change::NameUnbound {
                name: &kept.name,
                object: object.id,
                object_id,
                lifetime: None,
            })?;
        }
        tx.apply(Change::Evicted {
            object_id,
            size: placed.size,
            cause,
        })?;
        free::remove(tx, &placed, object_id, Vec::new()).map(drop)
    })?;
    Ok(true)
}

/// What chooses the objects that go.
pub(in crate::manager) enum Chooser {
    /// By how they were stored.
    Stored(Order),
    /// By how they are used.
    ByUse(Box<ByUse>),
}

impl Chooser {
    /// The next objects to go, of at least `bytes` together; see [`Order::choose`].
    pub fn choose(
        &mut self,
        tx: &mut ReadTx<'_>,
        bytes: u64,
        passed: &BTreeSet<StoredObjectId>,
        is_enough: bool,
    ) -> Result<Chosen> {
        match self {
            Self::Stored(order) => order.choose(tx, bytes, passed, is_enough),
            Self::ByUse(by_use) => by_use.choose(tx, bytes, passed, is_enough),
        }
    }

    /// The same among what is known of the objects that go next.
    fn choose_ahead(&mut self, view: &mut View<'_>, bytes: u64, passed: &BTreeSet<StoredObjectId>) -> Result<Chosen> {
        match self {
            Self::Stored(order) => Ok(order.choose_ahead(view, bytes, passed)),
            Self::ByUse(by_use) => by_use.choose(view, bytes, passed, false),
        }
    }

    /// Whether the policy remembers an object that goes.
    fn remembers(&self, object: &StoredObject) -> bool {
        match self {
            Self::ByUse(by_use) => by_use.failed_trial(object.id),
            Self::Stored(_) => false,
        }
    }
}
