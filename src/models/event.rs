//! `events`: what came and went.

use diesel::prelude::*;

use super::{MemRamId, ShownIfAny, Timestamp, striped_id, text_enum};
use crate::models::schema::events;
use crate::value::ObjectId;

striped_id! {
    /// Key of an event; the numbers are the order, and never repeat.
    EventId
}

text_enum! {
    /// What an event tells of.
    EventKind {
        /// The books were opened with the balance that the rows gave.
        Opening = "opening",
        /// An object was stored.
        Allocate = "allocate",
        /// An allocation found its content stored already.
        DedupHit = "dedup_hit",
        /// A name was bound.
        Bind = "bind",
        /// A name was unbound.
        Unbind = "unbind",
        /// The anonymous hold of an object was let go.
        Release = "release",
        /// An object was removed.
        Free = "free",
        /// An allocation was refused for want of room.
        Refusal = "refusal",
        /// Arenas, pools or blocks were carved ahead of need.
        Carve = "carve",
        /// Empty arenas, pools or blocks were removed.
        Gc = "gc",
        /// The capacity of the space changed.
        Resize = "resize",
        /// The heap was repaired, or damaged pieces of one object were written again.
        Repair = "repair",
    }
}

/// One event. The account columns say how many bytes it moved into (or, negative, out
/// of) each account; they add up to `capacity`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = events)]
#[non_exhaustive]
pub struct Event {
    /// Key.
    pub id: EventId,
    /// The space.
    pub memram_id: MemRamId,
    /// When it happened; a clock may go backwards, the keys do not.
    pub at: Timestamp,
    /// What it tells of.
    pub kind: EventKind,
    /// Who did it, if they said so.
    #[diesel(deserialize_as = ShownIfAny)]
    pub actor: Option<String>,
    /// Why, if they said so.
    #[diesel(deserialize_as = ShownIfAny)]
    pub reason: Option<String>,
    /// The object.
    #[serde(rename = "object_id")]
    pub object: Option<ObjectId>,
    /// The name that was bound or unbound.
    #[diesel(deserialize_as = ShownIfAny)]
    pub name: Option<String>,
    /// Bytes that the event is about: stored, freed, needed, carved or collected.
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
    /// The blocks and levels that it touched, as JSON.
    #[diesel(deserialize_as = ShownIfAny)]
    pub changes: Option<String>,
}
