//! What owners may have.

use serde::Serialize;

use crate::books::change::Change;
use crate::error::Result;
use crate::manager::MemManager;
use crate::manager::objects::tags;
use crate::models::{Owner, Quota, QuotaLimits, QuotaState, unsigned};
use crate::store::queries;

/// A quota, and how much of what is used others have, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaUsage {
    /// The quota, and what is used of it.
    #[serde(flatten)]
    pub quota: Quota,
    /// How much of it is used.
    pub state: QuotaState,
    /// Bytes of these that other owners with the same key pay for, too.
    pub shared_bytes: u64,
    /// Number of these objects.
    pub shared_objects: u64,
    /// Bytes that are used only by what has expired. They are given back before anything is refused.
    pub expired_bytes: u64,
    /// Number of these objects.
    pub expired_objects: u64,
}

impl MemManager {
    /// Limits what an owner, which is the value of a [tag](crate::Hold::tag), may have. Any limits that it had
    /// before are replaced.
    ///
    /// **Each holder pays in full**: an owner pays the size of each object that has its tag on a name or on the
    /// anonymous hold, once, however many of them have it. Two owners of one object each pay all of it; so what one
    /// has does not depend on others, and nobody exceeds a quota because somebody else let go of an object. The sum
    /// over all owners may be more than the space has; [`Self::usage_by`] tells whose its bytes are, each once.
    ///
    /// A call that would give an owner more than a hard limit fails with
    /// [`QuotaExceeded`](crate::Error::QuotaExceeded) and changes nothing: this applies to storing and binding with the
    /// tag, [`Self::tag`], imports and copies into the space. In a [batch](Self::batch) each call is measured by what
    /// the batch itself has done so far. A name that leaves an object in the same call counts as left. Beyond a soft
    /// limit nothing is refused; [`Quota::state`] and [`Self::doctor`] report it.
    ///
    /// A hold that has expired counts until it is given back, as its bytes do in the space: the owner's own are
    /// given back before anything is refused for its quota. [Eviction](crate::Options::evict) makes room in the
    /// space only: nothing is evicted for a quota.
    ///
    /// A hard limit may be less than what the owner has. Nothing is dropped then, but the owner cannot gain
    /// anything. Makes no event. O(holds of the owner). While a space has no quotas, they cost nothing; otherwise a
    /// tag that a hold gets or loses costs O(log n + holds of the object).
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::{Error, Hold, QuotaLimits};
    ///
    /// memory.set_quota("owner", "ann", QuotaLimits::none().hard_bytes(1000).soft_bytes(800))?;
    /// memory.store_bytes(&[1; 600], Hold::Name("a").tag("owner", "ann"))?;
    /// let refused = memory.store_bytes(&[2; 600], Hold::Name("b").tag("owner", "ann"));
    /// assert!(matches!(refused, Err(Error::QuotaExceeded(over)) if over.used == 600 && over.hard == 1000));
    /// assert_eq!(memory.quota("owner", "ann")?.unwrap().used_bytes, 600);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`BadTag`](crate::Error::BadTag) for a tag that no hold could have; what [any write](MemManager#errors) fails
    /// with.
    pub fn set_quota(&self, key: &str, value: &str, limits: QuotaLimits) -> Result<()> {
        tags::validate(&[(key, value)])?;
        let owner = Owner::of(key, value);
        self.write_apart(|tx| {
            let is_new = tx.quota(&owner)?.is_none();
            let space = tx.space();
            let [objects, bytes] = tx.read(|tx| queries::quotas::used(tx, space, &owner))?;
            let quota = Quota {
                key: owner.key.clone(),
                value: owner.value.clone(),
                limits,
                used_bytes: unsigned(bytes),
                used_objects: unsigned(objects),
            };
            tx.apply(Change::QuotaSet { quota, is_new })
        })
    }

    /// Adds quotas of owners that have none.
    pub(in crate::manager) fn add_quotas(&self, quotas: Vec<Quota>) -> Result<()> {
        for Quota { key, value, limits, .. } in quotas {
            if self.quota(&key, &value)?.is_none() {
                self.set_quota(&key, &value, limits)?;
            }
        }
        Ok(())
    }

    /// Removes the quota of an owner. Returns whether it had one. Makes no event. O(log n).
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with.
    pub fn remove_quota(&self, key: &str, value: &str) -> Result<bool> {
        let owner = Owner::of(key, value);
        self.write_apart(|tx| {
            let had = tx.quota(&owner)?.is_some();
            if had {
                tx.apply(Change::QuotaRemoved(owner))?;
            }
            Ok(had)
        })
    }

    /// The quota of an owner, if it has one, and what is used of it. O(log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn quota(&self, key: &str, value: &str) -> Result<Option<Quota>> {
        let (space, owner) = (self.inner.space, Owner::of(key, value));
        self.inner
            .readers
            .single(|tx| queries::quotas::of_owner(tx, space, &owner))
    }

    /// All quotas in the order of their owners, and how much of what is used others have, too. O(tags of their keys).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn quotas(&self) -> Result<Vec<QuotaUsage>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let quotas = queries::quotas::all(tx, space)?;
            if quotas.is_empty() {
                return Ok(Vec::new());
            }
            let living = queries::quotas::living(tx, space)?;
            let usage = quotas.into_iter().map(|quota| {
                let found = living.get(&Owner::of(&quota.key, &quota.value)).copied();
                QuotaUsage::of(quota, found.unwrap_or_default())
            });
            Ok(usage.collect())
        })
    }
}

impl QuotaUsage {
    /// From the objects that have not expired and their bytes, and those of them that others have, too.
    fn of(quota: Quota, [objects, bytes, shared_objects, shared_bytes]: [u64; 4]) -> Self {
        Self {
            state: quota.state(),
            shared_bytes,
            shared_objects,
            expired_bytes: quota.used_bytes.saturating_sub(bytes),
            expired_objects: quota.used_objects.saturating_sub(objects),
            quota,
        }
    }
}
