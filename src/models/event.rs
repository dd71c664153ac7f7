//! `events`: what came and went.

use diesel::prelude::*;

use super::{MemRamId, Shown, ShownIfAny, id};
use crate::models::schema::events;

id! {
    /// Key of an event; the numbers are the order, and never repeat.
    EventId
}

/// One event. The account columns say how many bytes it moved into (or, negative, out
/// of) each account; they add up to `capacity`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = events)]
pub struct Event {
    /// Key.
    pub id: EventId,
    /// The space.
    pub memram_id: MemRamId,
    /// When it happened; a clock may go backwards, the keys do not.
    pub at: i64,
    /// `opening`, `allocate`, `dedup_hit`, `bind`, `unbind`, `release`, `free`, `refusal`, `carve`,
    /// `gc`, `resize` or `repair`.
    #[diesel(deserialize_as = Shown)]
    pub kind: String,
    /// Who did it, if they said so.
    #[diesel(deserialize_as = ShownIfAny)]
    pub actor: Option<String>,
    /// Why, if they said so.
    #[diesel(deserialize_as = ShownIfAny)]
    pub reason: Option<String>,
    /// The object's id as 32 bytes.
    #[serde(rename = "object_id", serialize_with = "as_hex")]
    pub object: Option<Vec<u8>>,
    /// The name that was bound or unbound.
    #[diesel(deserialize_as = ShownIfAny)]
    pub name: Option<String>,
    /// Bytes that the event is about: stored, freed, needed, carved or collected.
    pub bytes: i64,
    /// Bytes of content in the space after it.
    pub mem: i64,
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

#[derive(Debug, Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub(crate) struct NewEvent<'a> {
    pub id: EventId,
    pub memram_id: MemRamId,
    pub at: i64,
    pub kind: &'static str,
    pub actor: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub object: Option<&'a [u8]>,
    pub name: Option<&'a str>,
    pub bytes: i64,
    pub mem: i64,
    pub payload: i64,
    pub room_in_blocks: i64,
    pub uncarved_in_pools: i64,
    pub uncarved_in_arenas: i64,
    pub unreserved: i64,
    pub capacity: i64,
    pub changes: Option<String>,
}

fn as_hex<S: serde::Serializer>(object: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match object {
        Some(object) => serializer.serialize_str(&const_hex::encode(object)),
        None => serializer.serialize_none(),
    }
}
