//! Plans of allocations.

use std::collections::HashMap;

use serde::Serialize;

use super::disk::{Bound, disk_use};
use super::plan_quotas::Owners;
use super::simulate::{Carved, Simulation};
use crate::error::{Error, Result};
use crate::geometry::Geometry;
#[cfg(doc)]
use crate::manager::DiskUse;
use crate::manager::objects::read::Scope;
use crate::manager::objects::tags;
use crate::manager::{Hold, HoldWith, MemManager, names, unsigned};
use crate::models::{MemRam, MemRamId, OverQuota, Quota, Timestamp};
use crate::store::{ReadTx, queries};
use crate::value::{Encoded, Kind, ObjectId};

/// What an allocation would do. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// Bytes of content.
    pub size: u64,
    /// The block size of its class. If no such block is available, its pieces go to other classes.
    pub block_size: u64,
    /// Ledger entries that it would take or, for a duplicate, has.
    pub pieces: u64,
    /// Existing blocks that would get bytes of it.
    pub blocks_reused: u64,
    /// Blocks that would be carved.
    pub new_blocks: u64,
    /// Pools that would be carved.
    pub new_pools: u64,
    /// Arenas that would be carved.
    pub new_arenas: u64,
    /// Whether the content is already stored or planned, so that nothing would be written.
    pub dedup: bool,
    /// Bytes saved because of that.
    pub dedup_saved: u64,
    /// Free bytes before the allocation that are promised to nobody.
    pub available: u64,
    /// Bytes that are promised to reservations.
    pub promised: u64,
    /// Bytes of what has expired or lapsed that are given back for it first. Where it goes then depends on
    /// them, so its pieces and blocks are 0.
    pub due: u64,
    /// Missing bytes; 0 if it fits. An object that does not fit is not stored at all.
    pub shortfall: u64,
    /// Bytes of content that still fit below the ceiling of the file before it: an estimate, see
    /// [`DiskUse::fits_estimated`]. `None` without a ceiling.
    pub file_fits_estimated: Option<u64>,
    /// Bytes that are too many for the ceiling by this estimate; 0 if it fits.
    pub file_shortfall_estimated: u64,
    /// Which bound is nearer.
    pub first_bound: Bound,
    /// The quota that refuses it; quotas are checked before room is looked for. See [`Planner::hold`].
    pub over_quota: Option<OverQuota>,
}

impl Plan {
    /// Whether it would fit if nothing were promised to reservations.
    pub fn fits_but_for_promises(&self) -> bool {
        (1..=self.promised).contains(&self.shortfall)
    }

    /// Whether the allocation would succeed; for the ceiling of the file, by estimate.
    pub fn fits(&self) -> bool {
        self.shortfall == 0 && self.file_shortfall_estimated == 0 && self.over_quota.is_none()
    }
}

impl MemManager {
    /// What allocating a new object of `size` bytes would do. Nothing is written and no writer
    /// waits: the placement rules run on a snapshot of the room. O(r · log n) with r reused blocks;
    /// new blocks, pools and arenas are calculated, whatever the size.
    ///
    /// The allocation does exactly this, unless somebody writes in between, except that what the file
    /// needs is an estimate. In a space that [evicts](crate::Options::evict) a shortfall need not be a refusal:
    /// [`Self::plan_eviction`] tells.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::options().max_mem(1024 * 1024).open(folder.path().join("heap.db"))?;
    /// let plan = memory.plan_allocation(300_000)?;
    /// assert_eq!((plan.block_size, plan.pieces, plan.new_arenas), (262_144, 2, 2));
    /// assert_eq!(memory.plan_allocation(2_000_000)?.shortfall, 2_000_000 - 1024 * 1024);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] if the totals and the rows contradict each other;
    /// what [any call](MemManager#errors) fails with. Too little room is not an error
    /// here but a `shortfall`.
    pub fn plan_allocation(&self, size: u64) -> Result<Plan> {
        self.plan_batch(|planner| planner.allocate_size(size))
    }

    /// The same for a later time: what expires or lapses until then counts as free. Whatever else happens
    /// in the meantime is not known. O(log n + what expires).
    ///
    /// # Errors
    /// Like [`Self::plan_allocation`].
    pub fn plan_allocation_at(&self, size: u64, at: Timestamp) -> Result<Plan> {
        self.plan_batch(|planner| {
            planner.due = due_at(&mut planner.tx, planner.scope.space, at)?;
            planner.allocate_size(size)
        })
    }

    /// Plans a sequence of allocations, each after the previous ones, so that duplicates among them
    /// are recognised. All of it sees one commit.
    ///
    /// # Errors
    /// What `work` returns; what [any call](MemManager#errors) fails with.
    pub fn plan_batch<R>(&self, work: impl FnOnce(&mut Planner<'_>) -> Result<R>) -> Result<R> {
        let scope = self.scope();
        let files = self.inner.location.on_disk();
        self.inner.readers.snapshot_once(|tx| {
            let memram = queries::spaces::get(tx, scope.space)?;
            let fits = disk_use(tx, files)?.fits_estimated;
            let now = tx.now();
            let due = due_at(tx, scope.space, now)?;
            let mut planner = Planner::new(tx, memram, scope, self.geometry(), fits);
            planner.due = due;
            work(&mut planner)
        })
    }
}

/// Bytes of what has expired or lapsed at a time.
pub(super) fn due_at(tx: &mut ReadTx<'_>, space: MemRamId, at: Timestamp) -> Result<u64> {
    let (lapsed, waiting, expired) = queries::diagnosis::leftovers(tx, space, at, at)?.due();
    Ok(lapsed.bytes.saturating_add(waiting.bytes).saturating_add(expired.bytes))
}

/// Plans a sequence of allocations; see [`MemManager::plan_batch`]. It remembers only the ids of
/// planned objects.
pub struct Planner<'p> {
    tx: ReadTx<'p>,
    memram: MemRam,
    scope: Scope<'p>,
    geometry: &'p Geometry,
    simulation: Simulation,
    available: u64,
    /// Bytes that can be given back, because what has them has expired or lapsed.
    due: u64,
    /// Bytes that fit below the ceiling of the file, by estimate.
    fits_in_file: Option<u64>,
    /// Bytes that did not fit. Until there is room for them, no later object would be stored either.
    unmet: u64,
    planned: HashMap<ObjectId, Kind>,
    owners: Owners,
}

impl<'p> Planner<'p> {
    pub(in crate::manager) fn new(
        tx: &'p mut ReadTx<'_>,
        memram: MemRam,
        scope: Scope<'p>,
        geometry: &'p Geometry,
        fits_in_file: Option<u64>,
    ) -> Self {
        Self {
            tx: tx.reborrow(),
            scope,
            geometry,
            simulation: Simulation::new(geometry, &memram),
            available: memram.available(),
            due: 0,
            owners: Owners::new(scope.space, memram.quotas > 0),
            memram,
            fits_in_file,
            unmet: 0,
            planned: HashMap::new(),
        }
    }

    /// The space before any planned allocation.
    pub fn memram(&self) -> &MemRam {
        &self.memram
    }

    /// Refuses a hold that [`MemManager::store`] would refuse. Names are not planned: each check is
    /// against the stored names only.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NameIsId`], [`Error::NulInName`]; [`Error::NameTaken`] for
    /// [`Hold::NewName`]; what [any call](MemManager#errors) fails with.
    pub fn check_hold<'h>(&mut self, hold: impl Into<HoldWith<'h>>) -> Result<()> {
        let HoldWith { hold, expiry, tags } = hold.into();
        expiry.ends(self.tx.now())?;
        tags::validate(&tags)?;
        let (Hold::Name(name) | Hold::NewName(name)) = hold else {
            return Ok(());
        };
        names::validate(name)?;
        let bound = queries::names::resolve(&mut self.tx, self.scope.space, name)?;
        match (hold, bound) {
            (Hold::NewName(_), Some(bound)) => {
                let space = self.scope.name.to_owned();
                Err(names::taken(name, bound.known_id()?, space))
            }
            _ => Ok(()),
        }
    }

    /// The hold that the following allocations take, so that the [quotas](MemManager::set_quota) of its tags
    /// count: an allocation that they refuse has [`Plan::over_quota`], and changes nothing for those that follow.
    /// Allocations before the first call are planned without tags.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{Hold, QuotaLimits};
    ///
    /// memory.set_quota("owner", "ann", QuotaLimits::none().hard_bytes(10))?;
    /// memory.plan_batch(|planner| {
    ///     planner.hold(Hold::Anonymous.tag("owner", "ann"))?;
    ///     assert!(planner.allocate_bytes(b"first")?.fits());
    ///     let over = planner.allocate_bytes(b"another")?.over_quota.unwrap();
    ///     assert_eq!((over.used, over.needed, over.hard), (5, 7, 10));
    ///     assert_eq!(planner.quotas()?[0].used_bytes, 5);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// Like [`Self::check_hold`].
    pub fn hold<'h>(&mut self, hold: impl Into<HoldWith<'h>>) -> Result<()> {
        let hold = hold.into();
        self.check_hold(hold.clone())?;
        self.owners.hold(&hold);
        Ok(())
    }

    /// The quotas of the tags of the current [hold](Self::hold), with what their owners would have.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn quotas(&mut self) -> Result<Vec<Quota>> {
        self.owners.quotas(&mut self.tx)
    }

    /// Plans [`MemManager::allocate`].
    ///
    /// # Errors
    /// Those of [`MemManager::allocate`], except for [`Error::OutOfMemory`], which is a `shortfall`
    /// here.
    pub fn allocate<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Plan> {
        let encoded = Encoded::of(value)?;
        self.content(encoded.object_id(), encoded.kind, encoded.content.len() as u64)
    }

    /// Plans [`MemManager::allocate_bytes`].
    ///
    /// # Errors
    /// [`Error::KindConflict`]; what [any call](MemManager#errors) fails with.
    pub fn allocate_bytes(&mut self, content: &[u8]) -> Result<Plan> {
        self.allocate_hashed(ObjectId::of_bytes(content), content.len() as u64)
    }

    /// Plans [`MemManager::allocate_from`] for content of known id and size, so that it need not be
    /// in memory.
    ///
    /// # Errors
    /// [`Error::KindConflict`]; what [any call](MemManager#errors) fails with.
    pub fn allocate_hashed(&mut self, id: ObjectId, size: u64) -> Result<Plan> {
        self.content(id, Kind::Bytes, size)
    }

    /// Plans a new object of `size` bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the totals and the rows contradict each other;
    /// what [any call](MemManager#errors) fails with.
    pub fn allocate_size(&mut self, size: u64) -> Result<Plan> {
        if let Some(refused) = self.over_quota(None, size)? {
            return Ok(refused);
        }
        self.new_object(None, size)
    }

    /// A plan that a quota refuses.
    fn over_quota(&mut self, id: Option<ObjectId>, size: u64) -> Result<Option<Plan>> {
        let over_quota = self.owners.exceeded(&mut self.tx, id, size)?;
        Ok(over_quota.map(|over_quota| Plan {
            over_quota: Some(over_quota),
            ..self.sized(size)
        }))
    }

    fn new_object(&mut self, id: Option<ObjectId>, size: u64) -> Result<Plan> {
        let plan = self.sized_new(size)?;
        if plan.fits() {
            self.owners.take(&mut self.tx, id, size)?;
        }
        Ok(plan)
    }

    fn sized_new(&mut self, size: u64) -> Result<Plan> {
        let missing = self.unmet.saturating_add(size).saturating_sub(self.available);
        let mut plan = self.sized(size);
        if (1..=self.due).contains(&missing) {
            self.due -= missing;
            self.available = (self.available + missing).saturating_sub(size);
            plan.due = missing;
            return Ok(plan);
        }
        if missing > 0 {
            plan.shortfall = missing - self.due;
            self.unmet = self.unmet.saturating_add(size);
            return Ok(plan);
        }
        if let Some(fits) = &mut self.fits_in_file {
            plan.file_shortfall_estimated = size.saturating_sub(*fits);
            // Nothing is stored after an object that does not fit.
            *fits = fits.saturating_sub(size);
            if plan.file_shortfall_estimated > 0 {
                return Ok(plan);
            }
        }
        let class = self.geometry.class_for(size);
        let carved = self
            .simulation
            .place(&mut self.tx, self.scope.space, self.geometry, class, size)?;
        let Carved {
            pieces,
            blocks,
            pools,
            arenas,
        } = carved;
        self.available -= size;
        plan.pieces = pieces;
        // Every block carved for an object gets bytes of it, and no block gets two pieces of one
        // object.
        plan.blocks_reused = pieces - blocks;
        plan.new_blocks = blocks;
        plan.new_pools = pools;
        plan.new_arenas = arenas;
        Ok(plan)
    }

    fn content(&mut self, id: ObjectId, kind: Kind, size: u64) -> Result<Plan> {
        let stored = queries::objects::find(&mut self.tx, self.scope.space, &id)?;
        let known = match &stored {
            Some(object) => Some(object.kind),
            None => self.planned.get(&id).copied(),
        };
        if let Some(stored) = known.filter(|&stored| stored != kind) {
            let wanted = kind;
            return Err(Error::KindConflict { id, stored, wanted });
        }
        if let Some(refused) = self.over_quota(Some(id), size)? {
            return Ok(refused);
        }
        if known.is_none() {
            self.planned.insert(id, kind);
            return self.new_object(Some(id), size);
        }
        let mut plan = self.sized(size);
        match stored {
            Some(object) => plan.pieces = unsigned(queries::entries::count(&mut self.tx, object.id)?),
            // A duplicate of a planned object that may itself not fit.
            None => plan.shortfall = self.unmet.saturating_sub(self.available),
        }
        if plan.fits() {
            self.owners.take(&mut self.tx, Some(id), size)?;
        }
        plan.dedup = true;
        plan.dedup_saved = size;
        Ok(plan)
    }

    fn sized(&self, size: u64) -> Plan {
        let class = self.geometry.classes().get(self.geometry.class_for(size));
        Plan {
            size,
            block_size: class.map_or(0, |class| class.block_size),
            available: self.available,
            promised: self.memram.promised,
            file_fits_estimated: self.fits_in_file,
            first_bound: Bound::first(self.available, self.fits_in_file),
            ..Plan::default()
        }
    }
}
