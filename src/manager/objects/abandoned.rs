//! Uploads that could not be given up, because the heap was busy, or the log held.
//!
//! Others would wait for the end of their lease. This process is alive, so it tries again after each of its writes.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::manager::MemManager;
use crate::models::{ReservationId, StoredObjectId};

#[derive(Default)]
pub(in crate::manager) struct Abandoned {
    uploads: Mutex<Vec<(ReservationId, Option<StoredObjectId>)>>,
    /// Whether there are any, so that a write need not lock.
    has_some: AtomicBool,
}

impl MemManager {
    /// Gives the pieces of an upload back, now or after a later write.
    pub(in crate::manager) fn abandon(&self, id: ReservationId, object: Option<StoredObjectId>) {
        if self.give_up(id, object).is_err() {
            let abandoned = &self.inner.abandoned;
            let mut uploads = abandoned.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            uploads.push((id, object));
            abandoned.has_some.store(true, Ordering::Relaxed);
        }
    }

    /// Tries again what has failed before.
    pub(in crate::manager) fn give_up_abandoned(&self) {
        let abandoned = &self.inner.abandoned;
        if !abandoned.has_some.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut uploads = abandoned.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let again = mem::take(&mut *uploads);
        drop(uploads);
        for (id, object) in again {
            self.abandon(id, object);
        }
    }
}
