//! Plans of evictions.

use std::collections::BTreeSet;

use serde::Serialize;

use super::plan::due_at;
use crate::error::Result;
use crate::manager::MemManager;
use crate::manager::objects::by_use::ByUse;
use crate::manager::objects::evict::Chooser;
use crate::manager::objects::eviction_order::Order;
use crate::manager::space::eviction::EvictOptions;
use crate::models::{MemRam, Policy, StoredObject, Timestamp};
use crate::store::{ReadTx, queries};
use crate::value::ObjectId;

/// What would be evicted for an allocation. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EvictionPlan {
    /// Bytes of the new content.
    pub size: u64,
    /// What chooses the victims.
    pub policy: Policy,
    /// Free bytes before the allocation that are promised to nobody.
    pub available: u64,
    /// Bytes that are given back first, if they are needed: of what has expired, and of reservations whose time
    /// is over.
    pub due: u64,
    /// The objects that would go, in this order.
    pub victims: Vec<Victim>,
    /// Their bytes.
    pub evicted: u64,
    /// Missing bytes even if all that may go went, in which case nothing is evicted; 0 if it fits.
    pub shortfall: u64,
}

/// An object that would be evicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Victim {
    /// Its id.
    #[serde(rename = "object_id")]
    pub id: ObjectId,
    /// Bytes of content.
    pub size: u64,
    /// Its names, which would go with it.
    pub names: Vec<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl MemManager {
    /// Which objects would be [evicted](crate::Options::evict) for a new object of this size. They are exactly
    /// those that its allocation or [`Self::evict`] evicts, unless somebody writes in between, or objects reach
    /// the minimum age. O(log n) for each of them, and for each that would go but for its pin or its age.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use heapledger::{MemManager, Policy};
    ///
    /// let cache = MemManager::options().max_mem(20).evict(Policy::Oldest).open(folder.path().join("heap.db"))?;
    /// let first = cache.allocate_bytes(b"the first")?;
    /// cache.allocate_bytes(b"the second")?;
    /// let plan = cache.plan_eviction(5)?;
    /// assert_eq!(plan.victims.iter().map(|victim| victim.id).collect::<Vec<_>>(), [first]);
    /// cache.allocate_bytes(b"third")?;
    /// assert!(!cache.contains(&first)?);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`SpaceError::EvictsNothing`](crate::SpaceError::EvictsNothing) if the space evicts nothing and the options
    /// name no policy; [`SpaceError::UseUnknown`](crate::SpaceError::UseUnknown); what [any call](MemManager#errors)
    /// fails with. Too little room is not an error here but a `shortfall`.
    pub fn plan_eviction(&self, options: impl Into<EvictOptions>) -> Result<EvictionPlan> {
        let (options, inner) = (options.into(), &self.inner);
        let mut attempts = 0..ATTEMPTS;
        loop {
            // Before the snapshot, or what is written in between would be in neither.
            let unwritten = inner.uses.unwritten();
            let plan = inner.readers.snapshot(|tx| {
                let now = tx.now();
                let due = due_at(tx, inner.space, now)?;
                if inner.uses.is_outdated(&unwritten) && attempts.next().is_some() {
                    return Ok(None);
                }
                self.planned_eviction(tx, &options, due, &unwritten.uses).map(Some)
            })?;
            if let Some(plan) = plan {
                return Ok(plan);
            }
        }
    }

    /// What would be evicted after `due` bytes were given back and these `uses` were noted.
    pub(in crate::manager) fn planned_eviction(
        &self,
        tx: &mut ReadTx<'_>,
        options: &EvictOptions,
        due: u64,
        uses: &[(ObjectId, u8)],
    ) -> Result<EvictionPlan> {
        let memram = queries::spaces::get(tx, self.inner.space)?;
        let order = Order::by(options.policy_in(&memram)?, &memram, tx.now());
        let mut plan = EvictionPlan {
            size: options.room,
            policy: order.policy(),
            available: memram.available(),
            due,
            victims: Vec::new(),
            evicted: 0,
            shortfall: 0,
        };
        let missing = plan.size.saturating_sub(plan.available.saturating_add(due));
        if missing > 0 {
            let mut chooser = chooser(tx, order, &memram, uses)?;
            plan.choose(tx, &mut chooser, missing)?;
        }
        Ok(plan)
    }
}

/// How often a plan begins again because uses were written at that moment; after that it goes on anyway.
const ATTEMPTS: u32 = 5;

/// What chooses the objects, after these uses.
fn chooser(tx: &mut ReadTx<'_>, order: Order, memram: &MemRam, uses: &[(ObjectId, u8)]) -> Result<Chooser> {
    if !order.policy().is_by_use() {
        return Ok(Chooser::Stored(order));
    }
    let last_position = queries::recency::last_position(tx, memram.id)?;
    // What has expired is given back before anything goes.
    let expired = queries::recency::expired_in_main(tx, memram.id)?;
    let memram = MemRam {
        evict_main: memram.evict_main.saturating_sub(expired),
        ..memram.clone()
    };
    let mut by_use = ByUse::new(order, &memram, last_position);
    by_use.note_uses(tx, uses)?;
    Ok(Chooser::ByUse(Box::new(by_use)))
}

impl EvictionPlan {
    /// Whether the object would be stored.
    pub fn fits(&self) -> bool {
        self.shortfall == 0
    }

    fn choose(&mut self, tx: &mut ReadTx<'_>, chooser: &mut Chooser, missing: u64) -> Result<()> {
        let mut passed = BTreeSet::new();
        let mut is_enough = false;
        while self.evicted < missing {
            let chosen = chooser.choose(tx, missing - self.evicted, &passed, is_enough)?;
            if !chosen.are_enough || chosen.objects.is_empty() {
                self.shortfall = missing.saturating_sub(chosen.bytes);
                return Ok(());
            }
            is_enough = true;
            for object in chosen.objects {
                passed.insert(object.id);
                self.evicted += object.size;
                self.victims.push(victim(tx, &object)?);
            }
        }
        Ok(())
    }
}

fn victim(tx: &mut ReadTx<'_>, object: &StoredObject) -> Result<Victim> {
    let names = queries::names::exact(tx, object.id)?;
    Ok(Victim {
        id: object.known_id()?,
        size: object.size,
        names: names.into_iter().map(|kept| kept.name).collect(),
        created_at: object.created_at,
    })
}
