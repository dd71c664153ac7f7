//! Applies operations to the heap and to its model, and compares the outcomes.

use std::time::Duration;

use heapledger::{
    Allocation, Batch, Error, Expiry, ExpiryError, Freed, Held, Hold, HoldWith, MemManager, ObjectId, ReservationError,
    Result, Timestamp,
};
use proptest::sample::Index;

use crate::common::content;
use crate::model::{self, Model, Outcome, State};
use crate::ops::{Op, Size};

/// The methods that a manager and a batch have in common.
pub trait Writes {
    fn store(&mut self, content: &[u8], hold: HoldWith<'_>) -> Result<Allocation>;
    fn stream(&mut self, content: &[u8]) -> Result<Allocation>;
    fn free(&mut self, id: &ObjectId, force: bool) -> Result<Freed>;
    fn bind(&mut self, name: &str, id: &ObjectId) -> Result<Option<Freed>>;
    fn unbind(&mut self, name: &str) -> Result<Option<Freed>>;
    fn read(&mut self, id: &ObjectId) -> Result<Vec<u8>>;
    fn expire(&mut self, held: Held<'_>, expiry: Expiry) -> Result<Option<Timestamp>>;
    fn touch(&mut self, name: &str, time: Duration) -> Result<Option<Timestamp>>;
    fn tag(&mut self, held: Held<'_>, key: &str, value: &str) -> Result<()>;
    fn untag(&mut self, name: &str, key: &str) -> Result<bool>;
}

impl Writes for &MemManager {
    fn store(&mut self, content: &[u8], hold: HoldWith<'_>) -> Result<Allocation> {
        self.store_bytes(content, hold)
    }

    fn stream(&mut self, content: &[u8]) -> Result<Allocation> {
        self.store_from(content, Hold::Anonymous)
    }

    fn free(&mut self, id: &ObjectId, force: bool) -> Result<Freed> {
        if force {
            self.force_free(id)
        } else {
            MemManager::free(self, id)
        }
    }

    fn bind(&mut self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        MemManager::bind(self, name, id)
    }

    fn unbind(&mut self, name: &str) -> Result<Option<Freed>> {
        MemManager::unbind(self, name)
    }

    fn read(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        self.get_bytes(id)
    }

    fn expire(&mut self, held: Held<'_>, expiry: Expiry) -> Result<Option<Timestamp>> {
        MemManager::expire(self, held, expiry)
    }

    fn touch(&mut self, name: &str, time: Duration) -> Result<Option<Timestamp>> {
        MemManager::touch(self, name, time)
    }

    fn tag(&mut self, held: Held<'_>, key: &str, value: &str) -> Result<()> {
        MemManager::tag(self, held, key, value)
    }

    fn untag(&mut self, name: &str, key: &str) -> Result<bool> {
        MemManager::untag(self, name, key)
    }
}

impl Writes for Batch<'_, '_> {
    fn store(&mut self, content: &[u8], hold: HoldWith<'_>) -> Result<Allocation> {
        self.store_bytes(content, hold)
    }

    fn stream(&mut self, content: &[u8]) -> Result<Allocation> {
        self.store_bytes(content, Hold::Anonymous)
    }

    fn free(&mut self, id: &ObjectId, force: bool) -> Result<Freed> {
        if force {
            self.force_free(id)
        } else {
            Batch::free(self, id)
        }
    }

    fn bind(&mut self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        Batch::bind(self, name, id)
    }

    fn unbind(&mut self, name: &str) -> Result<Option<Freed>> {
        Batch::unbind(self, name)
    }

    fn read(&mut self, id: &ObjectId) -> Result<Vec<u8>> {
        self.get_bytes(id)
    }

    fn expire(&mut self, held: Held<'_>, expiry: Expiry) -> Result<Option<Timestamp>> {
        Batch::expire(self, held, expiry)
    }

    fn touch(&mut self, name: &str, time: Duration) -> Result<Option<Timestamp>> {
        Batch::touch(self, name, time)
    }

    fn tag(&mut self, held: Held<'_>, key: &str, value: &str) -> Result<()> {
        Batch::tag(self, held, key, value)
    }

    fn untag(&mut self, name: &str, key: &str) -> Result<bool> {
        Batch::untag(self, name, key)
    }
}

/// Applies `op` to both; the outcomes must be equal. Stored content must be readable immediately.
pub fn write(memory: &mut impl Writes, model: &mut Model, op: &Op) {
    let (found, expected) = outcomes(memory, model, op);
    assert_eq!(found, expected, "{op:?}");
    if let Some((&id, object)) = model.objects.last_key_value() {
        assert_eq!(memory.read(&id).unwrap(), object.content, "after {op:?}");
        model.read(&id);
    }
}

fn outcomes(memory: &mut impl Writes, model: &mut Model, op: &Op) -> (Outcome, Outcome) {
    let bytes = |model: &Model, key: &u8, size: &Size| {
        content(
            (*key).into(),
            size.bytes(model.max_mem, model.max_mem - model.available()),
        )
    };
    match op {
        Op::Allocate(key, size) => {
            let content = bytes(model, key, size);
            (
                stored(memory.store(&content, Hold::Anonymous.into())),
                model.allocate(&content, None, None),
            )
        }
        Op::AllocateAgain(index) => {
            let again = model
                .objects
                .get(&pick(model, index))
                .map_or_else(Vec::new, |object| object.content.clone());
            (
                stored(memory.store(&again, Hold::Anonymous.into())),
                model.allocate(&again, None, None),
            )
        }
        Op::AllocateAs(name, key, size) => {
            let (name, content) = (name_of(*name), bytes(model, key, size));
            (
                stored(memory.store(&content, Hold::Name(&name).into())),
                model.allocate(&content, Some(&name), None),
            )
        }
        Op::AllocateStream(key, size) => {
            let content = bytes(model, key, size);
            let found = stored(memory.stream(&content));
            (
                as_if_read_whole(found, content.len() as u64),
                model.allocate(&content, None, None),
            )
        }
        Op::AllocateFor(key, size, minutes) => {
            let content = bytes(model, key, size);
            (
                stored(memory.store(&content, Hold::Anonymous.expires_in(time(*minutes)))),
                model.allocate(&content, None, Some(*minutes)),
            )
        }
        Op::AllocateAsFor(name, key, size, minutes) => {
            let (name, content) = (name_of(*name), bytes(model, key, size));
            (
                stored(memory.store(&content, Hold::Name(&name).expires_in(time(*minutes)))),
                model.allocate(&content, Some(&name), Some(*minutes)),
            )
        }
        Op::Expire(name, minutes) => {
            let name = name_of(*name);
            (
                lasts(memory.expire(Held::Name(&name), expiry(*minutes))),
                model.expire(&name, *minutes),
            )
        }
        Op::ExpireHold(index, minutes) => {
            let id = pick(model, index);
            (
                lasts(memory.expire(Held::Anonymous(&id), expiry(*minutes))),
                model.expire_hold(&id, *minutes),
            )
        }
        Op::Touch(name, minutes) => {
            let name = name_of(*name);
            (lasts(memory.touch(&name, time(*minutes))), model.touch(&name, *minutes))
        }
        Op::Idle(name, minutes) => {
            let name = name_of(*name);
            (
                lasts(memory.expire(Held::Name(&name), Expiry::Idle(time(*minutes)))),
                model.expire_idle(&name, *minutes),
            )
        }
        Op::Tag(name, key, value) => {
            let (name, [key, value]) = (name_of(*name), [key, value].map(u8::to_string));
            (
                tagged(memory.tag(Held::Name(&name), &key, &value).map(|()| false)),
                model.tag(model::Hold::Name(name), &key, &value),
            )
        }
        Op::TagHold(index, key, value) => {
            let (id, [key, value]) = (pick(model, index), [key, value].map(u8::to_string));
            (
                tagged(memory.tag(Held::Anonymous(&id), &key, &value).map(|()| false)),
                model.tag(model::Hold::Anonymous(id), &key, &value),
            )
        }
        Op::Untag(name, key) => {
            let (name, key) = (name_of(*name), key.to_string());
            (tagged(memory.untag(&name, &key)), model.untag(&name, &key))
        }
        Op::AllocateWith(name, content, size, key, value) => {
            let (name, content) = (name.map(name_of), bytes(model, content, size));
            let [key, value] = [key, value].map(u8::to_string);
            let hold = name.as_deref().map_or(Hold::Anonymous, Hold::Name);
            (
                stored(memory.store(&content, hold.tag(&key, &value))),
                model.allocate_with(&content, name.as_deref(), [&key, &value]),
            )
        }
        Op::Free(index) => {
            let id = pick(model, index);
            (freed(memory.free(&id, false)), model.free(&id, false))
        }
        Op::ForceFree(index) => {
            let id = pick(model, index);
            (freed(memory.free(&id, true)), model.free(&id, true))
        }
        Op::FreeMissing => (freed(memory.free(&missing(), false)), model.free(&missing(), false)),
        Op::Bind(name, index) => {
            let (name, id) = (name_of(*name), pick(model, index));
            (bound(memory.bind(&name, &id)), model.bind(&name, &id))
        }
        Op::BindMissing(name) => (bound(memory.bind(&name_of(*name), &missing())), Outcome::NotStored),
        Op::Unbind(name) => {
            let name = name_of(*name);
            let found = memory.unbind(&name).map(|freed| Outcome::Unbound {
                freed: freed.map(|freed| freed.id),
            });
            (found.unwrap_or_else(refused), model.unbind(&name))
        }
        _ => unreachable!("{op:?} neither stores nor frees"),
    }
}

/// One of the stored objects, or an unknown id if there are none.
pub fn pick(model: &Model, pick: &Index) -> ObjectId {
    let ids: Vec<_> = model.objects.keys().copied().collect();
    if ids.is_empty() { missing() } else { *pick.get(&ids) }
}

pub fn missing() -> ObjectId {
    ObjectId::of_bytes(b"never stored")
}

/// A minute of the model takes five, so that it has not passed before a slow server has done all steps.
pub fn time(minutes: u8) -> Duration {
    Duration::from_secs(5 * 60 * u64::from(minutes))
}

fn expiry(minutes: Option<u8>) -> Expiry {
    minutes.map_or(Expiry::Never, |minutes| time(minutes).into())
}

fn lasts(result: Result<Option<Timestamp>>) -> Outcome {
    let lasts = |ends: Option<Timestamp>| Outcome::Lasts {
        forever: ends.is_none(),
    };
    result.map_or_else(refused, lasts)
}

fn tagged(result: Result<bool>) -> Outcome {
    result.map_or_else(refused, |had| Outcome::Tagged { had })
}

pub fn name_of(name: u8) -> String {
    format!("name {name}")
}

/// A stream that cannot fit is read only as far as needed to know that.
fn as_if_read_whole(found: Outcome, size: u64) -> Outcome {
    match found {
        Outcome::OutOfMemory {
            needed,
            available,
            max_mem,
        } if (max_mem + 1..=size).contains(&needed) => Outcome::OutOfMemory {
            needed: size,
            available,
            max_mem,
        },
        found => found,
    }
}

pub fn stored(result: Result<Allocation>) -> Outcome {
    result.map_or_else(refused, |allocation| Outcome::Stored {
        dedup: allocation.dedup,
        freed: allocation.freed.map(|freed| freed.id),
    })
}

fn freed(result: Result<Freed>) -> Outcome {
    result.map_or_else(refused, |freed| Outcome::Freed { names: freed.names })
}

fn bound(result: Result<Option<Freed>>) -> Outcome {
    let freed = |freed: Option<Freed>| freed.map(|freed| freed.id);
    result.map_or_else(refused, |old| Outcome::Bound { freed: freed(old) })
}

pub fn refused(error: Error) -> Outcome {
    match error {
        Error::Reservation(error) => match error {
            ReservationError::Nothing => Outcome::NothingToReserve,
            ReservationError::KeyReused { reserved, wanted, .. } => Outcome::KeyReused { reserved, wanted },
            ReservationError::TooLarge { needed, reserved, .. } => Outcome::TooLarge { needed, reserved },
            ReservationError::Unknown { .. } => Outcome::UnknownReservation,
            ReservationError::Posted { id, .. } => Outcome::Resolved(State::Posted(id)),
            ReservationError::Voided { .. } => Outcome::Resolved(State::Voided),
            ReservationError::Lapsed { .. } => Outcome::Resolved(State::Lapsed),
            other => panic!("{other}"),
        },
        Error::OutOfMemory {
            needed,
            available,
            max_mem,
            ..
        } => Outcome::OutOfMemory {
            needed,
            available,
            max_mem,
        },
        Error::QuotaExceeded(over) => Outcome::OverQuota {
            owner: [over.key, over.value],
            limit: over.limit,
            figures: [over.used, over.needed, over.hard],
        },
        Error::Expiry(ExpiryError::NotHeld { .. }) => Outcome::NotHeld,
        Error::NotStored { .. } => Outcome::NotStored,
        Error::Named { names, .. } => Outcome::Named { names },
        Error::UnknownName { .. } => Outcome::UnknownName,
        other => panic!("{other}"),
    }
}
