//! `Reservation`, the handle.

use std::ops::Deref;
use std::time::Duration;

use crate::books::change::Change;
use crate::error::{Error, ReservationError, Result};
use crate::manager::MemManager;
use crate::manager::objects::reserved;
use crate::models::{ReservationInfo, ReservationRow, ReservationState, Timestamp};
use crate::store::{WriteTx, queries};

/// Bytes that are promised to content to come; see [`MemManager::reserve`].
///
/// Its fields, those of [`ReservationInfo`], tell its state when it was made or looked up;
/// [`MemManager::reservation`] looks it up again. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Reservation {
    pub(super) memory: MemManager,
    info: ReservationInfo,
}

impl Deref for Reservation {
    type Target = ReservationInfo;

    fn deref(&self) -> &ReservationInfo {
        &self.info
    }
}

impl Reservation {
    pub(super) fn new(memory: &MemManager, info: ReservationInfo) -> Self {
        Self {
            memory: memory.clone(),
            info,
        }
    }

    /// Gives it up: its bytes are available again. A large object that is being stored can be voided as
    /// well; what is stored of it is given back, and the call that stores it fails with
    /// [`UploadLapsed`](crate::ReservationError::UploadLapsed). O(log n), and O(bytes) for what is stored.
    ///
    /// # Errors
    /// [`ReservationError::Posted`], [`ReservationError::Voided`], [`ReservationError::Lapsed`] if it is
    /// resolved, [`ReservationError::Unknown`] if it is forgotten; what [any write](MemManager#errors) fails
    /// with.
    pub fn void(&self) -> Result<()> {
        self.memory.write(|tx| {
            let row = self.current(tx)?;
            if row.written > 0 {
                tx.leave_pieces();
            }
            reserved::resolve(tx, &row, ReservationState::Voided).map(drop)
        })
    }

    /// Lets it last for this long from now, and returns when it ends. O(log n).
    ///
    /// # Errors
    /// Like [`Self::void`].
    pub fn renew(&self, time: Duration) -> Result<Timestamp> {
        self.memory.write(|tx| {
            let row = self.current(tx)?;
            let expires_at = tx.at() + time;
            let after = ReservationRow {
                expires_at,
                ..row.clone()
            };
            tx.apply(Change::ReservationSet {
                before: Some(&row),
                after,
            })?;
            Ok(expires_at)
        })
    }

    /// Its row, if it can still be resolved.
    pub(super) fn current(&self, tx: &mut WriteTx<'_>) -> Result<ReservationRow> {
        let (space, now) = (tx.space(), tx.at());
        let row = tx.read_rows(|tx| queries::reservations::get(tx, space, self.id))?;
        self.usable(row, now)
    }

    pub(super) fn usable(&self, row: Option<ReservationRow>, now: Timestamp) -> Result<ReservationRow> {
        match row {
            // An upload can be used until others end it, even if its lease is over.
            Some(row) if row.state == ReservationState::Open && (row.key.is_none() || row.expires_at > now) => Ok(row),
            Some(row) if row.key.is_some() => Err(reserved::resolved(row).into()),
            _ => Err(self.unknown()),
        }
    }

    pub(super) fn unknown(&self) -> Error {
        let unknown = ReservationError::Unknown {
            key: self.key.clone().unwrap_or_else(|| self.id.n().to_string()),
            space: self.memory.space().to_owned(),
        };
        unknown.into()
    }
}
