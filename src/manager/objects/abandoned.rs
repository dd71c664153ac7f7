//! Uploads that could not be given up, because the heap was busy or its log was held.
//!
//! Other processes give their pieces back only when their lease has ended. This process is alive, so it tries again
//! after each of its writes.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::manager::MemManager;
use crate::models::{ReservationId, StoredObjectId};

type Upload = (ReservationId, Option<StoredObjectId>);

#[derive(Default)]
pub(in crate::manager) struct Abandoned(Mutex<Vec<Upload>>);

impl Abandoned {
    fn uploads(&self) -> MutexGuard<'_, Vec<Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemManager {
    /// Gives the pieces of an upload back, now or after a later write.
    pub(in crate::manager) fn abandon(&self, id: ReservationId, object: Option<StoredObjectId>) {
        if self.give_up(id, object).is_err() {
            self.inner.abandoned.uploads().push((id, object));
        }
    }

    /// Tries again to give up what could not be given up before.
    pub(in crate::manager) fn give_up_abandoned(&self) {
        let again = mem::take(&mut *self.inner.abandoned.uploads());
        for (id, object) in again {
            self.abandon(id, object);
        }
    }
}
