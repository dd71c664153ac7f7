//! Making reservations, and finding them again.

use std::time::Duration;

use super::reservation::Reservation;
use crate::books::change::Change;
use crate::clock;
#[cfg(doc)]
use crate::error::Error;
use crate::error::{ReservationError, Result};
use crate::manager::objects::room::need_room;
use crate::manager::objects::{reclaim, reserved};
use crate::manager::{MemManager, unsigned};
use crate::models::{ReservationId, ReservationInfo, ReservationRow, ReservationState};
use crate::store::{WriteTx, queries};

/// How long a reservation lasts by default.
const USUAL: Duration = Duration::from_secs(600);
/// Limit for a key, in bytes.
const MOST_BYTES: usize = 255;

/// A reservation to be made; see [`MemManager::reserve`].
#[derive(Debug, Clone)]
#[must_use = "nothing is reserved before `make`"]
pub struct Reserve<'m> {
    memory: &'m MemManager,
    bytes: u64,
    key: Option<String>,
    time: Duration,
    again: bool,
}

impl MemManager {
    /// Reserves bytes for content to come, in two phases: [`Reserve::make`] takes them from what is
    /// available at once, so that a later [`Reservation::post`] never fails for want of room.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::options().max_mem(1024 * 1024).open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    /// use heapledger::{Hold, ReservationState};
    ///
    /// let reservation = memory.reserve(600_000).key("report 7").expires_in(Duration::from_secs(60)).make()?;
    /// assert!(memory.allocate_bytes(&[1; 600_000]).is_err(), "these bytes are promised");
    ///
    /// // Whoever comes again with the key gets the same reservation, also after a crash.
    /// assert_eq!(memory.reserve(600_000).key("report 7").make()?.id, reservation.id);
    ///
    /// // The content may have fewer bytes; the others are available again.
    /// let posted = reservation.post_bytes(&[2; 500_000], Hold::Name("report"))?;
    /// let known = memory.reservation("report 7")?;
    /// assert_eq!((known.state, known.object_id), (ReservationState::Posted, Some(posted.id)));
    /// assert_eq!(memory.stats()?.available, 1024 * 1024 - 500_000);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// A reservation is resolved once: it is posted, [voided](Reservation::void), or lapses when its time
    /// is over. It is in the file, so it outlives the program. Below a
    /// [ceiling of the file](crate::Options::max_file) it keeps room for these bytes, a sixteenth more for
    /// their rows, and the log of a part. A [batch](Self::batch) can
    /// neither reserve nor post, and an [export](Self::export) has no reservations.
    pub fn reserve(&self, bytes: u64) -> Reserve<'_> {
        Reserve {
            memory: self,
            bytes,
            key: None,
            time: USUAL,
            again: false,
        }
    }

    /// The reservation with this key. Resolved ones are remembered, at least the last 1,024 of the space. One
    /// whose time is over has lapsed, even if nobody has written since, but its bytes stay promised until
    /// somebody does. O(log n).
    ///
    /// # Errors
    /// [`ReservationError::Unknown`]; what [any call](MemManager#errors) fails with.
    pub fn reservation(&self, key: &str) -> Result<Reservation> {
        let space = self.inner.space;
        let row = self
            .inner
            .readers
            .single(|tx| queries::reservations::with_key(tx, space, key))?;
        self.known(row, || key.to_owned())
    }

    /// The reservation with this id, which may be a large object that is being stored; that can only be
    /// voided. O(log n).
    ///
    /// # Errors
    /// Like [`Self::reservation`].
    pub fn reservation_by_id(&self, id: ReservationId) -> Result<Reservation> {
        let space = self.inner.space;
        let row = self
            .inner
            .readers
            .single(|tx| queries::reservations::get(tx, space, id))?;
        self.known(row, || id.n().to_string())
    }

    /// All reservations, open and remembered, in the order in which they were made, and the large objects
    /// that are being stored. O(reservations).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn reservations(&self) -> Result<Vec<ReservationInfo>> {
        let space = self.inner.space;
        self.inner.readers.single(|tx| {
            let rows = queries::reservations::all(tx, space)?.into_iter();
            Ok(rows.map(|row| ReservationInfo::at(row, tx.now())).collect())
        })
    }

    fn known(&self, row: Option<ReservationRow>, key: impl FnOnce() -> String) -> Result<Reservation> {
        match row {
            Some(row) => Ok(Reservation::new(self, ReservationInfo::at(row, clock::now()))),
            None => {
                let (key, space) = (key(), self.space().to_owned());
                Err(ReservationError::Unknown { key, space }.into())
            }
        }
    }
}

impl Reserve<'_> {
    /// How long it lasts; 10 minutes by default. [`Duration::MAX`] means forever.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// A key of 1 to 255 bytes, unique in the space, by which the reservation is found again. By default
    /// it is made from its number: `reservation-17`.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// If the reservation with the key has lapsed or was voided, a new one takes its place, which may have another
    /// size, and the old one is forgotten. Without this, a key can be used only once.
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// Makes the reservation, or returns the one that has the key. That may be resolved, so look at its
    /// [state](ReservationInfo::state): nothing is reserved if it has lapsed or was voided, unless it is made
    /// [again](Self::again). O(log n).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if that many bytes are not available, [`Error::FileFull`] if they do not fit below
    /// the ceiling of the file; [`ReservationError::Nothing`] for 0 bytes;
    /// [`ReservationError::BadKey`]; [`ReservationError::KeyReused`] if the reservation with this key has another
    /// size; what [any write](MemManager#errors) fails with.
    pub fn make(self) -> Result<Reservation> {
        if self.bytes == 0 {
            return Err(ReservationError::Nothing.into());
        }
        if let Some(key) = &self.key {
            validate(key)?;
        }
        if self.again {
            // What an old one has left is given back in steps, so that others write in between.
            self.memory.reclaim_all()?;
        }
        let make = |tx: &mut WriteTx<'_>| match &self.key {
            Some(key) => self.make_once(tx, key),
            None => {
                let (id, key) = new_key(tx)?;
                self.make_new(tx, id, key)
            }
        };
        let row = self.memory.write_content(self.bytes, make)?;
        Ok(Reservation::new(self.memory, row.into()))
    }

    fn make_once(&self, tx: &mut WriteTx<'_>, key: &str) -> Result<ReservationRow> {
        let space = tx.space();
        let Some(row) = tx.read_rows(|tx| queries::reservations::with_key(tx, space, key))? else {
            let id = tx.next_reservation_id()?;
            return self.make_new(tx, id, key.to_owned());
        };
        let row = match row.state {
            ReservationState::Open if row.expires_at <= tx.at() => {
                reserved::resolve(tx, &row, ReservationState::Lapsed)?
            }
            _ => row,
        };
        if self.again && matches!(row.state, ReservationState::Lapsed | ReservationState::Voided) {
            let row = reclaim::without_pieces(tx, row)?;
            tx.apply(Change::ReservationRemoved { reservation: &row })?;
            let id = tx.next_reservation_id()?;
            return self.make_new(tx, id, key.to_owned());
        }
        let reserved = unsigned(row.bytes);
        if reserved != self.bytes {
            return Err(ReservationError::KeyReused {
                key: key.to_owned(),
                reserved,
                wanted: self.bytes,
            }
            .into());
        }
        Ok(row)
    }

    fn make_new(&self, tx: &mut WriteTx<'_>, id: ReservationId, key: String) -> Result<ReservationRow> {
        need_room(tx, None, self.bytes)?;
        let now = tx.at();
        let row = ReservationRow::begun(id, tx.space(), Some(key), self.bytes, [now, now + self.time]);
        tx.apply(Change::ReservationSet {
            before: None,
            after: row.clone(),
        })?;
        Ok(row)
    }
}

fn validate(key: &str) -> Result<()> {
    let is_good = (1..=MOST_BYTES).contains(&key.len()) && !key.contains('\0');
    let key = key.to_owned();
    if is_good {
        Ok(())
    } else {
        Err(ReservationError::BadKey { key }.into())
    }
}

/// A new id and the key that is made from it; ids whose key a caller has already chosen are skipped.
fn new_key(tx: &mut WriteTx<'_>) -> Result<(ReservationId, String)> {
    let space = tx.space();
    loop {
        let id = tx.next_reservation_id()?;
        let key = format!("reservation-{}", id.n());
        let taken = tx.read_rows(|tx| queries::reservations::with_key(tx, space, &key))?;
        if taken.is_none() {
            return Ok((id, key));
        }
    }
}
