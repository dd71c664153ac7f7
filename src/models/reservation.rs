//! `reservations`: promises of bytes.

use diesel::prelude::*;

use super::{ArenaId, BlockId, MemRamId, PoolId, ShownIfAny, StoredObjectId, Timestamp, striped_id, text_enum};
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
    #[diesel(deserialize_as = super::amount::Amount)]
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
    /// Bytes that count against the capacity but are in no block yet.
    pub fn promised(&self) -> i64 {
        if self.state == ReservationState::Open {
            self.bytes - self.written
        } else {
            0
        }
    }
}
