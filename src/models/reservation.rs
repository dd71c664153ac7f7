//! `reservations`: promises of bytes.

use diesel::prelude::*;

use super::{
    ArenaId, BlockId, MemRamId, PoolId, ShownIfAny, StoredObjectId, Timestamp, signed, striped_id, text_enum, unsigned,
};
use crate::models::schema::reservations;
use crate::value::ObjectId;

striped_id! {
    /// Key of a reservation.
    ReservationId
}

text_enum! {
    /// What became of a reservation.
    ReservationState {
        /// Its bytes are promised.
        Open = "open",
        /// Its content was stored.
        Posted = "posted",
        /// It was given up.
        Voided = "voided",
        /// Its time was over.
        Lapsed = "lapsed",
        /// It is what is left of a large object that was freed.
        Freed = "freed",
    }
}

/// A reservation: bytes that are promised to content to come. A large object that is being stored is
/// one too, without a key: an upload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ReservationInfo {
    /// Key of its row.
    pub id: ReservationId,
    /// Its key; an upload has none.
    pub key: Option<String>,
    /// What became of it.
    pub state: ReservationState,
    /// Bytes reserved.
    pub bytes: u64,
    /// Bytes that are in blocks: of content that is being posted or was not posted to its end. They are
    /// given back unless the post succeeds.
    pub written: u64,
    /// Bytes that are promised to it and are in no block yet: `bytes − written` until its end is recorded, and
    /// then 0.
    pub promised: u64,
    /// The object that was posted.
    pub object_id: Option<ObjectId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lapses, unless it is renewed.
    pub expires_at: Timestamp,
    /// When it was posted or voided, or others noticed that its time was over.
    pub resolved_at: Option<Timestamp>,
}

impl From<ReservationRow> for ReservationInfo {
    fn from(row: ReservationRow) -> Self {
        Self {
            promised: unsigned(row.promised()),
            id: row.id,
            key: row.key,
            state: row.state,
            bytes: unsigned(row.bytes),
            written: unsigned(row.written),
            object_id: row.object_id,
            created_at: row.created_at,
            expires_at: row.expires_at,
            resolved_at: row.resolved_at,
        }
    }
}

impl ReservationInfo {
    /// A reservation as it is at this time: it has lapsed when its time is over, even before anybody has
    /// recorded that. An upload ends when others end it.
    pub(crate) fn at(row: ReservationRow, now: Timestamp) -> Self {
        let is_over = row.state == ReservationState::Open && row.key.is_some() && row.expires_at <= now;
        let mut info = Self::from(row);
        if is_over {
            info.state = ReservationState::Lapsed;
        }
        info
    }
}

/// A share of the promised bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Promise {
    /// The reservation.
    pub id: ReservationId,
    /// Its key; an upload has none.
    pub key: Option<String>,
    /// Bytes promised to it, with those that are stored already.
    pub bytes: u64,
    /// When it ends, unless it is resolved before. An upload renews this with each part, until its process ends.
    pub expires_at: Timestamp,
}

/// `reservation "k"` or, for a large object that is being stored, `upload 17`.
impl std::fmt::Display for Promise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "reservation {key:?}"),
            None => write!(f, "upload {}", self.id.n()),
        }
    }
}

impl From<ReservationRow> for Promise {
    fn from(row: ReservationRow) -> Self {
        Self {
            bytes: unsigned(row.bytes),
            id: row.id,
            key: row.key,
            expires_at: row.expires_at,
        }
    }
}

/// A promise of bytes, as a row. A large object that is being stored is one, without a key.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = reservations)]
pub(crate) struct ReservationRow {
    pub id: ReservationId,
    pub memram_id: MemRamId,
    /// Chosen by the caller.
    #[diesel(deserialize_as = ShownIfAny)]
    pub key: Option<String>,
    pub state: ReservationState,
    /// Bytes reserved.
    #[diesel(deserialize_as = super::amount::Capacity)]
    pub bytes: i64,
    /// Those of them that are in blocks.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub written: i64,
    /// The object that was posted.
    pub object_id: Option<ObjectId>,
    /// The key that its pieces have, if there are any.
    pub stored_object_id: Option<StoredObjectId>,
    /// How many ids are set aside for its pieces.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub entry_ids: i64,
    /// Rows carved since its pieces began have this id or a higher one.
    pub first_arena_id: ArenaId,
    pub first_pool_id: PoolId,
    pub first_block_id: BlockId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

impl ReservationRow {
    /// A new one without pieces.
    pub fn begun(
        id: ReservationId,
        memram_id: MemRamId,
        key: Option<String>,
        bytes: u64,
        [created_at, expires_at]: [Timestamp; 2],
    ) -> Self {
        Self {
            id,
            memram_id,
            key,
            state: ReservationState::Open,
            bytes: signed(bytes),
            written: 0,
            object_id: None,
            stored_object_id: None,
            entry_ids: 0,
            first_arena_id: ArenaId(0),
            first_pool_id: PoolId(0),
            first_block_id: BlockId(0),
            created_at,
            expires_at,
            resolved_at: None,
        }
    }

    /// Bytes that count against the capacity but are in no block yet.
    pub fn promised(&self) -> i64 {
        if self.state == ReservationState::Open {
            (self.bytes - self.written).max(0)
        } else {
            0
        }
    }
}
