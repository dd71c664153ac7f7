//! One read transaction that many calls share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use diesel::connection::SimpleConnection;

use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::read::{Age, ReadTx};

/// A connection whose transaction began with the first read and ends when it is dropped or becomes
/// too old. Every call sees the commit that the first one saw.
pub(in crate::store) struct Frozen {
    place: Mutex<Place>,
    is_back: Condvar,
    age: Age,
    /// What the engine wants to keep until the transaction ends.
    kept: Mutex<Option<Box<dyn Send>>>,
}

/// Where the connection is: here, or in use by a call of a thread.
enum Place {
    Here(Conn),
    InUse(ThreadId),
}

impl Frozen {
    /// A connection on which the transaction has begun and read something: engines choose the commit
    /// at the first read, not at `BEGIN`. `kept` is dropped when it ends.
    pub fn begun(conn: Conn, age: Age, kept: impl Send + 'static) -> Self {
        Self {
            place: Mutex::new(Place::Here(conn)),
            is_back: Condvar::new(),
            age,
            kept: Mutex::new(Some(Box::new(kept))),
        }
    }

    /// Runs `read`. Other threads wait for their turn. A call from inside another one would
    /// wait for itself forever, and is an error.
    pub fn with<R>(&self, read: impl FnOnce(&mut ReadTx<'_>) -> Result<R>) -> Result<R> {
        let mut lent = Lent {
            conn: Some(self.take()?),
            frozen: self,
        };
        // It is always there: it was just taken.
        let conn = lent.conn.as_mut().ok_or(Error::Reentered)?;
        read(&mut ReadTx::aging(conn, self.age))
    }

    /// Ends the transaction if it is too old, unless a call is using it.
    pub fn end_if_too_old(&self) {
        if let Place::Here(conn) = &mut *self.lock() {
            self.end_unless_young(conn);
        }
    }

    fn end_unless_young(&self, conn: &mut Conn) {
        if self.age.is_over()
            && self
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
                .is_some()
        {
            // Fails if the call has ended it itself.
            let _ = conn.batch_execute("ROLLBACK");
        }
    }

    fn take(&self) -> Result<Conn> {
        let mut place = self.lock();
        loop {
            match std::mem::replace(&mut *place, Place::InUse(thread::current().id())) {
                Place::Here(conn) => return Ok(conn),
                Place::InUse(owner) => {
                    *place = Place::InUse(owner);
                    if owner == thread::current().id() {
                        return Err(Error::Reentered);
                    }
                    place = self.is_back.wait(place).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the connection when it is dropped, even after a panic.
struct Lent<'a> {
    conn: Option<Conn>,
    frozen: &'a Frozen,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut conn) = self.conn.take() {
            self.frozen.end_unless_young(&mut conn);
            *self.frozen.lock() = Place::Here(conn);
            self.frozen.is_back.notify_one();
        }
    }
}
