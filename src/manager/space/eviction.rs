//! What a space evicts.

use std::time::Duration;

use serde::Serialize;

use crate::books::change::Change;
use crate::books::evicting::EvictionSetting;
use crate::books::rows::SpaceChange;
#[cfg(doc)]
use crate::error::Error;
use crate::error::{Result, SpaceError};
use crate::manager::MemManager;
use crate::manager::objects::evict::Making;
use crate::manager::objects::room::make_room;
use crate::models::{MemRam, Policy};

/// What a space evicts if there is no room for a new object; see [`Options::evict`](crate::Options::evict).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Eviction {
    /// What goes first.
    pub policy: Policy,
    /// Younger objects stay.
    pub min_age: Duration,
}

impl Eviction {
    /// By a policy; objects of any age may go.
    pub const fn by(policy: Policy) -> Self {
        Self {
            policy,
            min_age: Duration::ZERO,
        }
    }

    /// Objects stay for at least this long after they were stored.
    #[must_use = "it is a setting to pass to a call"]
    pub const fn min_age(self, min_age: Duration) -> Self {
        Self { min_age, ..self }
    }

    /// The setting of a space.
    pub(in crate::manager) fn of(space: &MemRam) -> Option<Self> {
        let min_age = Duration::from_micros(space.evict_min_age);
        Some(Self::by(space.evict?).min_age(min_age))
    }

    pub(in crate::manager) fn setting(eviction: Option<Self>) -> EvictionSetting {
        let Some(Self { policy, min_age }) = eviction else {
            return EvictionSetting::default();
        };
        EvictionSetting {
            policy: Some(policy),
            min_age: i64::try_from(min_age.as_micros()).unwrap_or(i64::MAX),
            is_same_policy: false,
        }
    }
}

/// How much room [`MemManager::evict`] makes, and by which policy. A plain number means bytes, by the policy of
/// the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictOptions {
    /// Bytes that are to be free: as many objects go as for a new one of this size.
    pub room: u64,
    /// What goes first; `None` for what the space evicts.
    pub policy: Option<Policy>,
}

impl EvictOptions {
    /// Room for this many bytes, by the policy of the space.
    pub const fn room(bytes: u64) -> Self {
        Self {
            room: bytes,
            policy: None,
        }
    }

    /// Sets what goes first, also in a space that evicts nothing by itself. A policy that goes by use must be that of
    /// the space.
    #[must_use]
    pub const fn policy(self, policy: Policy) -> Self {
        Self {
            policy: Some(policy),
            ..self
        }
    }

    /// The policy in a space.
    pub(in crate::manager) fn policy_in(&self, space: &MemRam) -> Result<Policy> {
        let name = || space.name.clone();
        match self.policy.or(space.evict) {
            None => Err(SpaceError::EvictsNothing { space: name() }.into()),
            Some(policy) if policy.is_by_use() && space.evict != Some(policy) => {
                Err(SpaceError::UseUnknown { space: name(), policy }.into())
            }
            Some(policy) => Ok(policy),
        }
    }
}

impl From<u64> for EvictOptions {
    fn from(bytes: u64) -> Self {
        Self::room(bytes)
    }
}

/// What [`MemManager::evict`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Evicted {
    /// What has chosen the objects.
    pub policy: Policy,
    /// Objects that went.
    pub objects: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Free bytes afterwards that are promised to nobody.
    pub available: u64,
}

/// A transaction evicts until there is this much more room.
pub(super) const STEP: u64 = 16 << 20;

impl From<Policy> for Eviction {
    fn from(policy: Policy) -> Self {
        Self::by(policy)
    }
}

impl MemManager {
    /// What the space evicts if there is no room; `None` if it refuses instead. O(1).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn eviction(&self) -> Result<Option<Eviction>> {
        Ok(Eviction::of(&self.memram()?))
    }

    /// Sets what the space evicts from now on, or that it evicts nothing; see
    /// [`Options::evict`](crate::Options::evict). Makes no event, and evicts nothing by itself. O(1), or
    /// O(objects) between a policy that goes by use and any other. Objects then count as used when they were stored.
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with.
    pub fn set_eviction(&self, eviction: Option<Eviction>) -> Result<()> {
        let setting = Eviction::setting(eviction);
        self.write_apart(|tx| {
            let is_same_policy = tx.memram()?.evict == setting.policy;
            let setting = EvictionSetting {
                is_same_policy,
                ..setting
            };
            tx.apply(Change::SpaceChanged(SpaceChange::Evicts(setting)))
        })?;
        self.inner.uses.want(setting.policy.is_some_and(Policy::is_by_use));
        Ok(())
    }

    /// Evicts objects until there is room for this many bytes: exactly those that [`Self::plan_eviction`] names and
    /// that an allocation of this size would evict, unless somebody writes in between. What is due is given back first.
    /// Each transaction makes up to 16 MiB of room, so that others can write in between; each object that goes is an
    /// event `evict`. O(log n) for each of them. [`Work::Evict`](crate::Work::Evict) plans it instead.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use heapledger::{EvictOptions, MemManager, Policy};
    ///
    /// let memory = MemManager::options().max_mem(20).open(folder.path().join("heap.db"))?;
    /// let first = memory.allocate_bytes(b"the first")?;
    /// memory.allocate_bytes(b"the second")?;
    /// let evicted = memory.evict(EvictOptions::room(5).policy(Policy::Oldest))?;
    /// assert_eq!((evicted.objects, evicted.available), (1, 10));
    /// assert!(!memory.contains(&first)?);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if what may go is not enough: then nothing goes, unless
    /// others take the room meanwhile. [`SpaceError::EvictsNothing`], [`SpaceError::UseUnknown`]; what
    /// [any write](MemManager#errors) fails with.
    pub fn evict(&self, options: impl Into<EvictOptions>) -> Result<Evicted> {
        let options = options.into();
        self.group()?;
        let plan = self.plan_eviction(options)?;
        if !plan.fits() {
            return self.refuse_unread(options.room);
        }
        let mut evicted = Evicted {
            policy: plan.policy,
            objects: 0,
            bytes: 0,
            available: plan.available,
        };
        let mut step = STEP;
        loop {
            let (before, after) = self.write_step(&mut step, |tx, step| {
                let before = tx.memram()?;
                let room = options.room.min(before.available().saturating_add(step));
                make_room(tx, &mut Making::by(plan.policy, options.room), None, room)?;
                Ok((before, tx.memram()?))
            })?;
            evicted.objects += after.evictions - before.evictions;
            evicted.bytes += after.evicted_mem - before.evicted_mem;
            evicted.available = after.available();
            if evicted.available >= options.room {
                return Ok(evicted);
            }
        }
    }
}
