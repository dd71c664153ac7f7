//! What a space evicts.

use std::time::Duration;

use serde::Serialize;

use crate::books::change::Change;
use crate::books::evicting::EvictionSetting;
use crate::books::rows::SpaceChange;
use crate::error::Result;
use crate::manager::MemManager;
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
}
