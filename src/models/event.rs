//! `events`: the history.

use diesel::prelude::*;

use super::{MemRamId, ReservationId, ShownIfAny, Timestamp, striped_id, text_enum};
use crate::models::schema::every_event;
use crate::value::ObjectId;

striped_id! {
    /// Key of an event. The keys give the order of events and are never reused.
    EventId
}

text_enum! {
    /// What an event records.
    EventKind {
        /// The history began with the current balance.
        Opening = "opening",
        /// An object was stored.
        Allocate = "allocate",
        /// An allocation found its content already stored.
        DedupHit = "dedup_hit",
        /// A name was bound.
        Bind = "bind",
        /// A name was unbound.
        Unbind = "unbind",
        /// The anonymous hold of an object was dropped.
        Release = "release",
        /// An object was removed.
        Free = "free",
        /// An allocation was refused for want of room.
        Refusal = "refusal",
        /// Arenas, pools or blocks were carved ahead of need.
        Carve = "carve",
        /// Empty arenas, pools or blocks were removed.
        Gc = "gc",
        /// Pieces of an object went to another block.
        Move = "move",
        /// A slice of a written plan was carried out.
        Apply = "apply",
        /// The capacity of the space changed.
        Resize = "resize",
        /// A part of a large object was stored, before the object is complete.
        Upload = "upload",
        /// Pieces that are not part of an object were removed.
        Reclaim = "reclaim",
        /// Bytes were reserved.
        Reserve = "reserve",
        /// Content was stored for which bytes were reserved.
        Post = "post",
        /// A reservation was given up.
        Void = "void",
        /// A reservation ended because its time was over.
        Lapse = "lapse",
        /// The space got another name.
        Rename = "rename",
        /// A name or the anonymous hold of an object ended because its time was over.
        Expire = "expire",
        /// An object was chosen to make room for another one. The event `free` follows.
        Evict = "evict",
        /// The heap was repaired, or damaged pieces of one object were rewritten.
        Repair = "repair",
    }
}

/// One event. The account columns are the bytes it moved into each account or, if negative, out of
/// it; they add up to `capacity`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = every_event)]
#[non_exhaustive]
pub struct Event {
    /// Key.
    pub id: EventId,
    /// The space.
    pub memram_id: MemRamId,
    /// When it happened. The clock may go backwards, but the keys do not.
    pub at: Timestamp,
    /// What it records.
    pub kind: EventKind,
    /// Who did it, if given.
    #[diesel(deserialize_as = ShownIfAny)]
    pub actor: Option<String>,
    /// Why, if given.
    #[diesel(deserialize_as = ShownIfAny)]
    pub reason: Option<String>,
    /// The object.
    #[serde(rename = "object_id")]
    pub object: Option<ObjectId>,
    /// The name that was bound or unbound or has expired, the key of the reservation, the digest of the plan, or
    /// the name that the space had.
    #[diesel(deserialize_as = ShownIfAny)]
    pub name: Option<String>,
    /// Bytes stored, freed, moved, needed, carved, collected or expired.
    pub bytes: i64,
    /// Bytes of content in the space after it.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub mem: u64,
    /// Bytes into payload.
    pub payload: i64,
    /// Bytes into room in blocks.
    pub room_in_blocks: i64,
    /// Bytes into uncarved in pools.
    pub uncarved_in_pools: i64,
    /// Bytes into uncarved in arenas.
    pub uncarved_in_arenas: i64,
    /// Bytes into unreserved.
    pub unreserved: i64,
    /// Change of the capacity.
    pub capacity: i64,
    /// The reservation that it belongs to.
    pub reservation_id: Option<ReservationId>,
    /// How often it happened; more than once only for a refusal.
    #[diesel(deserialize_as = super::amount::Amount)]
    pub count: u64,
    /// When it happened last, if more than once.
    pub last_at: Option<Timestamp>,
    /// The blocks and levels that it changed, as JSON.
    #[diesel(deserialize_as = ShownIfAny)]
    pub changes: Option<String>,
}
