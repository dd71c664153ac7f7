//! What can go wrong with reservations.

use std::fmt;

use super::figures::{bytes, grouped};
use crate::identity::ObjectId;
use crate::models::{ReservationId, Timestamp};

/// Why a [reservation](crate::MemManager::reserve) cannot be made, found or resolved. Nothing has changed.
/// If there is no room for one, the error is [`Error::OutOfMemory`](crate::Error::OutOfMemory) instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReservationError {
    /// No bytes were asked for.
    #[error("a reservation of 0 bytes: it has at least 1")]
    Nothing,
    /// The key of a reservation must be 1 to 255 bytes of text without U+0000.
    #[error(fmt = bad_key)]
    BadKey {
        /// The key given.
        key: String,
    },
    /// The key belongs to a reservation of another size.
    #[error(
        "the key {key:?} belongs to a reservation of {}, not of {}; nothing was changed",
        bytes(*.reserved),
        grouped(*.wanted)
    )]
    KeyReused {
        /// The key.
        key: String,
        /// Bytes of that reservation.
        reserved: u64,
        /// Bytes asked for.
        wanted: u64,
    },
    /// There is no reservation with this key. Those that were resolved long ago are forgotten.
    #[error("no reservation {key:?} in space {space}")]
    Unknown {
        /// The key, or the number of an upload.
        key: String,
        /// The space that was searched.
        space: String,
    },
    /// The reservation was posted before.
    #[error("reservation {key:?} was posted before, as object {id}; nothing was changed")]
    Posted {
        /// Its key.
        key: String,
        /// The object that was posted.
        id: ObjectId,
    },
    /// The reservation was voided before.
    #[error("reservation {key:?} was voided before; nothing was changed")]
    Voided {
        /// Its key.
        key: String,
    },
    /// The time of the reservation is over.
    #[error("reservation {key:?} lapsed: its time was over at {expired:.0}; nothing was changed")]
    Lapsed {
        /// Its key.
        key: String,
        /// Since when.
        expired: Timestamp,
    },
    /// The content has more bytes than are reserved for it. The reservation stays open.
    #[error(
        "the content has {}, and reservation {key:?} has {}; nothing is stored, and the reservation stays open",
        bytes(*.needed),
        grouped(*.reserved)
    )]
    TooLarge {
        /// The key of the reservation.
        key: String,
        /// Bytes of the content; of a stream, which is not read to its end, one more than reserved.
        needed: u64,
        /// Bytes reserved.
        reserved: u64,
    },
    /// Somebody else began to post the same reservation while this call posted it.
    #[error("reservation {key:?} is posted by somebody else who began later; nothing is stored by this call")]
    Superseded {
        /// The key of the reservation.
        key: String,
    },
    /// Others gave the bytes of a large object back while it was being stored, because it was
    /// voided or nothing was added to it for too long.
    #[error(
        "upload {} was ended by others, because nothing was added to it for longer than its lease or it was voided; \
         nothing is stored",
        .id.n()
    )]
    UploadLapsed {
        /// The upload.
        id: ReservationId,
    },
    /// A large object needs more pieces than ids were set aside for.
    #[error(
        "the object needs more than {} pieces, but {} were expected: others freed many small objects while it was stored",
        grouped(*.pieces - 1),
        grouped(*.ids)
    )]
    TooManyPieces {
        /// Pieces that it needs at least.
        pieces: u64,
        /// Ids that were set aside.
        ids: u64,
    },
}

impl ReservationError {
    /// What to do about it in terms of library calls.
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::KeyReused { .. } => "use another key for another reservation",
            Self::Unknown { .. } => "MemManager::reservations lists those that are remembered",
            Self::Lapsed { .. } => {
                "make it again (Reserve::again), with more time (Reserve::expires_in, Reservation::renew)"
            }
            Self::UploadLapsed { .. } => "store it again, or allow more time with Options::lease",
            Self::TooManyPieces { .. } => "store it again",
            Self::Voided { .. } => "make it again (Reserve::again), or another one with another key",
            _ => return None,
        })
    }
}

fn bad_key(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if key.contains('\0') {
        return write!(
            f,
            "the key {key:?} cannot be used: it contains U+0000, where most tools end a text"
        );
    }
    write!(
        f,
        "a key of {} cannot be used: a key has 1 to 255 bytes",
        bytes(key.len() as u64)
    )
}
