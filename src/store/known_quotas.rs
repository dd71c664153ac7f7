//! The quotas that the writer has read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::books::batch::Batch;
use crate::models::{Owner, Quota};

/// Quotas by owner, as they are written; `None` for an owner without a quota.
///
/// A lazy transaction keeps a copy of all that is known, so this is cheap to copy.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownQuotas(Arc<BTreeMap<Owner, Option<Quota>>>);

/// At this many, all are forgotten, because each transaction would copy them.
const MOST: usize = 64;

impl KnownQuotas {
    /// The quota of an owner, if it is known whether it has one.
    pub fn get(&self, owner: &Owner) -> Option<&Option<Quota>> {
        self.0.get(owner)
    }

    /// Remembers what was read.
    pub fn learn(&mut self, owner: Owner, quota: Option<Quota>) {
        if self.0.len() >= MOST {
            self.0 = Arc::default();
        }
        Arc::make_mut(&mut self.0).insert(owner, quota);
    }

    /// Applies a batch that was written.
    pub fn follow(&mut self, batch: &Batch<'_>) {
        let (set, used) = (&batch.rows().quotas, &batch.effects().quotas);
        if set.is_empty() && used.is_empty() {
            return;
        }
        let known = Arc::make_mut(&mut self.0);
        for (owner, by) in used {
            if let Some(Some(quota)) = known.get_mut(owner) {
                quota.add(by.mem, by.objects);
            }
        }
        for (owner, quota) in set {
            known.insert(owner.clone(), quota.clone());
        }
    }
}
