//! The values of rows, in the order in which both engines name the columns.
//!
//! Where the id of the space is not the key, it comes first. On a server it is left out, because
//! the statement knows it.

use super::statement::Value;
use crate::books::event_rows::EventRow;
use crate::books::refusals::RepeatedRefusal;
use crate::books::rows::{Binding, NewSpace};
use crate::models::{
    Arena, Block, DroppedSpace, Lifetime, MemRamId, NewEntry, Owner, Policy, Pool, Quota, Rank, ReservationRow,
    Sequence, StoredObject, StoredObjectId, Stripe, TagKey, Timestamp, signed,
};
use crate::value::{Kind, ObjectId};

pub(super) fn space(space: &NewSpace) -> [Value<'_>; 11] {
    [
        space.id.0.into(),
        space.name.as_str().into(),
        space.max_mem.into(),
        (space.geometry.arena_size() as i64).into(),
        (space.geometry.per_block() as i64).into(),
        space.created_at.as_micros().into(),
        space.history.mode.as_str().into(),
        space.history.keep.into(),
        space.history.max_bytes.into(),
        space.eviction.policy.map(Policy::as_str).into(),
        space.eviction.min_age.into(),
    ]
}

pub(super) fn classes(space: &NewSpace) -> impl Iterator<Item = [Value<'static>; 3]> {
    let id = space.id.0;
    let classes = space.geometry.classes().iter();
    classes.map(move |class| [id, class.block_size as i64, class.pool_size as i64].map(Value::from))
}

pub(super) fn kinds(space: MemRamId) -> impl Iterator<Item = [Value<'static>; 2]> {
    let kinds = Kind::ALL.into_iter().filter(|&kind| kind != Kind::Bytes);
    kinds.map(move |kind| [space.0.into(), kind.as_str().into()])
}

pub(super) fn sequences(space: MemRamId) -> impl Iterator<Item = [Value<'static>; 3]> {
    let before = Stripe::of(space).before();
    let sequences = Sequence::ALL.into_iter();
    sequences.map(move |sequence| [space.0.into(), sequence.name().into(), before.into()])
}

pub(super) fn dropped(row: &DroppedSpace) -> [Value<'_>; 12] {
    [
        row.id.0.into(),
        row.name.as_str().into(),
        signed(row.max_mem).into(),
        signed(row.mem).into(),
        signed(row.objects).into(),
        signed(row.names).into(),
        signed(row.reservations).into(),
        signed(row.history_bytes).into(),
        row.created_at.as_micros().into(),
        row.dropped_at.as_micros().into(),
        row.actor.as_deref().into(),
        row.reason.as_deref().into(),
    ]
}

pub(super) fn arena(arena: &Arena) -> [Value<'static>; 5] {
    let [max_mem, mem, reserved] = [arena.max_mem, arena.mem, arena.reserved].map(signed);
    [arena.memram_id.0, arena.id.0, max_mem, mem, reserved].map(Value::from)
}

pub(super) fn pool(pool: &Pool) -> [Value<'static>; 7] {
    let (id, space, arena) = (pool.id.0, pool.memram_id.0, pool.arena_id.0);
    let sizes = [pool.block_size, pool.max_mem, pool.mem, pool.reserved].map(signed);
    let [block_size, max_mem, mem, reserved] = sizes;
    [space, id, arena, block_size, max_mem, mem, reserved].map(Value::from)
}

pub(super) fn block(block: &Block) -> [Value<'static>; 8] {
    [
        block.memram_id.0.into(),
        block.id.0.into(),
        block.arena_id.0.into(),
        block.pool_id.0.into(),
        signed(block.block_size).into(),
        signed(block.max_mem).into(),
        signed(block.mem).into(),
        block.is_free.into(),
    ]
}

/// The first value is the key, which follows from the others.
pub(super) fn entry<'a>(entry: &'a NewEntry<'_>) -> [Value<'a>; 10] {
    [
        entry.id().0.into(),
        entry.stored_object_id.0.into(),
        entry.seq.into(),
        entry.arena_id.0.into(),
        entry.pool_id.0.into(),
        entry.block_id.0.into(),
        entry.allocated_mem.into(),
        entry.start.into(),
        entry.is_last.into(),
        (&*entry.data).into(),
    ]
}

/// The last column, `endless`, is only in a file.
pub(super) fn object(object: &StoredObject) -> [Value<'_>; 13] {
    [
        object.memram_id.0.into(),
        object.id.0.into(),
        (&object.object_id).into(),
        object.kind.as_str().into(),
        object.type_name.as_deref().into(),
        signed(object.size).into(),
        object.held.into(),
        object.created_at.as_micros().into(),
        micros(object.held_until),
        micros(object.expires_at),
        object.pinned.into(),
        object.held_refresh.map(signed).into(),
        endless(object.expires_at, object.held_refresh),
    ]
}

/// The last column, `endless`, is only in a file.
pub(super) fn holds(object: StoredObjectId, lifetime: &Lifetime) -> [Value<'static>; 7] {
    [
        object.0.into(),
        lifetime.held.into(),
        micros(lifetime.held_until),
        micros(lifetime.expires_at),
        lifetime.pinned.into(),
        lifetime.held_refresh.map(signed).into(),
        endless(lifetime.expires_at, lifetime.held_refresh),
    ]
}

/// See `stored_objects_by_object_id` in the schema.
fn endless(expires_at: Option<Timestamp>, held_refresh: Option<u64>) -> Value<'static> {
    if expires_at.is_none() && held_refresh.is_none() {
        Value::Int(Some(1))
    } else {
        Value::Real(1.0)
    }
}

pub(super) fn name(space: MemRamId, name: &str, now: Binding) -> [Value<'_>; 6] {
    [
        space.0.into(),
        name.into(),
        now.object.0.into(),
        now.at.as_micros().into(),
        micros(now.expires_at),
        now.refresh.map(signed).into(),
    ]
}

pub(super) fn tag<'a>(space: MemRamId, key: &'a TagKey, value: &'a str) -> [Value<'a>; 5] {
    let [object, name, key] = tag_key(key);
    [space.0.into(), object, name, key, value.into()]
}

pub(super) fn tag_key(TagKey { object, name, key }: &TagKey) -> [Value<'_>; 3] {
    [object.0.into(), name.as_str().into(), key.as_str().into()]
}

pub(super) fn quota(space: MemRamId, quota: &Quota) -> [Value<'_>; 9] {
    let limits = quota.limits;
    let limit = |limit: Option<u64>| limit.map(signed).into();
    [
        space.0.into(),
        quota.key.as_str().into(),
        quota.value.as_str().into(),
        limit(limits.hard_bytes),
        limit(limits.soft_bytes),
        limit(limits.hard_objects),
        limit(limits.soft_objects),
        signed(quota.used_bytes).into(),
        signed(quota.used_objects).into(),
    ]
}

pub(super) fn owner(owner: &Owner) -> [Value<'_>; 2] {
    [owner.key.as_str().into(), owner.value.as_str().into()]
}

pub(super) fn rank(space: MemRamId, object: StoredObjectId, rank: &Rank) -> [Value<'_>; 7] {
    [
        space.0.into(),
        object.0.into(),
        rank.queue.as_str().into(),
        rank.position.into(),
        i64::from(rank.marks).into(),
        rank.size.into(),
        rank.gone.as_ref().into(),
    ]
}

pub(super) fn reservation(row: &ReservationRow) -> [Value<'_>; 15] {
    [
        row.memram_id.0.into(),
        row.id.0.into(),
        row.key.as_deref().into(),
        row.state.as_str().into(),
        row.bytes.into(),
        row.written.into(),
        row.object_id.as_ref().into(),
        row.stored_object_id.map(|id| id.0).into(),
        row.entry_ids.into(),
        row.first_arena_id.0.into(),
        row.first_pool_id.0.into(),
        row.first_block_id.0.into(),
        row.created_at.as_micros().into(),
        row.expires_at.as_micros().into(),
        micros(row.resolved_at),
    ]
}

/// An event, unless it is an opening, whose figures are computed from the rows.
pub(super) fn event(space: MemRamId, event: &EventRow) -> [Value<'_>; 20] {
    let draft = &event.draft;
    let (signature, accounts) = (&draft.signature, &draft.accounts);
    let objects = match event.objects.as_slice() {
        [] => draft.object.as_ref().map(bytes),
        several => Some(several),
    };
    [
        space.0.into(),
        event.id.0.into(),
        signature.at.as_micros().into(),
        draft.kind.as_str().into(),
        signature.actor.as_deref().into(),
        signature.reason.as_deref().into(),
        objects.into(),
        draft.name.as_deref().into(),
        draft.bytes.into(),
        draft.mem.into(),
        accounts.payload.into(),
        accounts.room_in_blocks.into(),
        accounts.uncarved_in_pools.into(),
        accounts.uncarved_in_arenas.into(),
        accounts.unreserved.into(),
        accounts.capacity.into(),
        draft.reservation.map(|id| id.0).into(),
        (1 + draft.repeated.map_or(0, |repeated| repeated.times)).into(),
        micros(draft.repeated.map(|repeated| repeated.last)),
        event.changes.as_deref().into(),
    ]
}

/// A refusal that happened again: its event, and what changes in it.
pub(super) fn repeated(refusal: &RepeatedRefusal) -> [Value<'_>; 6] {
    let last = &refusal.last;
    [
        refusal.id.0.into(),
        refusal.times.into(),
        last.last_at().as_micros().into(),
        last.object.as_ref().map(bytes).into(),
        last.bytes.into(),
        refusal.changes.as_deref().into(),
    ]
}

fn bytes(id: &ObjectId) -> &[u8] {
    id.as_bytes()
}

fn micros(time: Option<Timestamp>) -> Value<'static> {
    time.map(Timestamp::as_micros).into()
}
