//! `quotas`: what owners may have, and what they have.

use diesel::prelude::*;

use super::schema::quotas;
use super::text::{Shown, text_enum};

/// What an owner may have at most. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = quotas)]
#[non_exhaustive]
pub struct QuotaLimits {
    /// Bytes, beyond which everything is refused.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub hard_bytes: Option<u64>,
    /// Bytes, beyond which there is a warning.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub soft_bytes: Option<u64>,
    /// Objects, beyond which everything is refused.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub hard_objects: Option<u64>,
    /// Objects, beyond which there is a warning.
    #[diesel(deserialize_as = super::amount::AmountIfAny)]
    pub soft_objects: Option<u64>,
}

impl QuotaLimits {
    /// No limits: what an owner has is only counted.
    pub const fn none() -> Self {
        Self {
            hard_bytes: None,
            soft_bytes: None,
            hard_objects: None,
            soft_objects: None,
        }
    }

    /// At most this many bytes.
    #[must_use]
    pub const fn hard_bytes(self, bytes: u64) -> Self {
        Self {
            hard_bytes: Some(bytes),
            ..self
        }
    }

    /// A warning beyond this many bytes.
    #[must_use]
    pub const fn soft_bytes(self, bytes: u64) -> Self {
        Self {
            soft_bytes: Some(bytes),
            ..self
        }
    }

    /// At most this many objects.
    #[must_use]
    pub const fn hard_objects(self, objects: u64) -> Self {
        Self {
            hard_objects: Some(objects),
            ..self
        }
    }

    /// A warning beyond this many objects.
    #[must_use]
    pub const fn soft_objects(self, objects: u64) -> Self {
        Self {
            soft_objects: Some(objects),
            ..self
        }
    }
}

/// The limits of an owner, and what it has. See [`MemManager::set_quota`](crate::MemManager::set_quota).
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = quotas)]
#[non_exhaustive]
pub struct Quota {
    /// The key of the tag.
    #[diesel(deserialize_as = Shown)]
    pub key: String,
    /// Its value: the owner.
    #[diesel(deserialize_as = Shown)]
    pub value: String,
    /// What it may have.
    #[diesel(embed)]
    #[serde(flatten)]
    pub limits: QuotaLimits,
    /// Bytes of the objects that have a hold with the tag, each counted once. What has expired counts until
    /// it is given back.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub used_bytes: u64,
    /// Number of these objects.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub used_objects: u64,
}

text_enum! {
    /// How much of its quota an owner has.
    QuotaState {
        /// Nothing is exceeded.
        Within = "within",
        /// More than a soft limit.
        OverSoft = "over soft",
        /// All of a hard limit, or more if it was lowered since.
        Full = "full",
    }
}

text_enum! {
    /// What a limit of a quota counts.
    QuotaLimit {
        /// Bytes.
        Bytes = "bytes",
        /// Objects.
        Objects = "objects",
    }
}

/// Which owner would have more of what than its quota allows; see
/// [`Error::QuotaExceeded`](crate::Error::QuotaExceeded).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct OverQuota {
    /// The key of the tag.
    pub key: String,
    /// Its value: the owner.
    pub value: String,
    /// What there is too much of.
    pub limit: QuotaLimit,
    /// How much of it the owner has.
    pub used: u64,
    /// How much more it would have.
    pub needed: u64,
    /// How much it may have.
    pub hard: u64,
}

impl Quota {
    /// How much of it is used.
    pub fn state(&self) -> QuotaState {
        let QuotaLimits {
            hard_bytes,
            soft_bytes,
            hard_objects,
            soft_objects,
        } = self.limits;
        let full = |used, hard: Option<u64>| hard.is_some_and(|hard| used >= hard);
        let over = |used, soft: Option<u64>| soft.is_some_and(|soft| used > soft);
        if full(self.used_bytes, hard_bytes) || full(self.used_objects, hard_objects) {
            QuotaState::Full
        } else if over(self.used_bytes, soft_bytes) || over(self.used_objects, soft_objects) {
            QuotaState::OverSoft
        } else {
            QuotaState::Within
        }
    }

    /// The limit that does not allow this much more, if there is one. An owner that has more than a limit allows,
    /// because that was lowered, may still lose some.
    pub(crate) fn refusal(&self, bytes: i64, objects: i64) -> Option<OverQuota> {
        let exceeds = |limit, used: u64, more: i64, hard: Option<u64>| {
            let (needed, hard) = (u64::try_from(more).ok()?, hard?);
            let is_over = needed > 0 && needed > hard.saturating_sub(used);
            is_over.then(|| OverQuota {
                key: self.key.clone(),
                value: self.value.clone(),
                limit,
                used,
                needed,
                hard,
            })
        };
        exceeds(QuotaLimit::Bytes, self.used_bytes, bytes, self.limits.hard_bytes).or_else(|| {
            exceeds(
                QuotaLimit::Objects,
                self.used_objects,
                objects,
                self.limits.hard_objects,
            )
        })
    }

    /// Adds what was gained and lost.
    pub(crate) fn add(&mut self, bytes: i64, objects: i64) {
        self.used_bytes = self.used_bytes.saturating_add_signed(bytes);
        self.used_objects = self.used_objects.saturating_add_signed(objects);
    }
}

/// An owner: a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub key: String,
    pub value: String,
}

impl Owner {
    pub fn of(key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(used: u64, limits: QuotaLimits) -> Quota {
        Quota {
            key: "owner".into(),
            value: "ann".into(),
            limits,
            used_bytes: used,
            used_objects: 2,
        }
    }

    #[test]
    fn only_growth_beyond_a_hard_limit_is_refused() {
        let bytes = QuotaLimits::none().hard_bytes(10).soft_bytes(1);
        let refusal = |used, limits, bytes, objects| {
            let over = quota(used, limits).refusal(bytes, objects)?;
            Some((over.limit, [over.used, over.needed, over.hard]))
        };
        assert_eq!(refusal(8, bytes, 2, 1), None);
        assert_eq!(refusal(8, bytes, 3, 1), Some((QuotaLimit::Bytes, [8, 3, 10])));
        // The limit was lowered.
        assert_eq!(refusal(12, bytes, 1, 0), Some((QuotaLimit::Bytes, [12, 1, 10])));
        assert_eq!(refusal(12, bytes, 0, 1), None, "an empty object");
        assert_eq!(refusal(12, bytes, -1, 0), None);
        let objects = bytes.hard_objects(2);
        assert_eq!(refusal(8, objects, 2, 1), Some((QuotaLimit::Objects, [2, 1, 2])));
        assert_eq!(refusal(8, objects, 2, 0), None);
        assert_eq!(refusal(8, QuotaLimits::none(), i64::MAX, 1), None);
    }

    #[test]
    fn a_quota_is_full_at_its_hard_limit_and_over_beyond_its_soft_one() {
        let limits = QuotaLimits::none().hard_bytes(10).soft_bytes(5);
        let states = [5, 6, 9, 10, 11].map(|used| quota(used, limits).state());
        let [within, over, full] = [QuotaState::Within, QuotaState::OverSoft, QuotaState::Full];
        assert_eq!(states, [within, over, over, full, full]);
        assert_eq!(quota(9, QuotaLimits::none().hard_objects(2)).state(), full);
        assert_eq!(quota(9, QuotaLimits::none().soft_objects(1)).state(), over);
        assert_eq!(quota(9, QuotaLimits::none()).state(), within);
    }
}
