//! Reservations of the heap and of its model.

use std::collections::BTreeMap;
use std::time::Duration;

use heapledger::{Hold, MemManager, ReservationInfo, ReservationState};

use crate::common::{MIB, Sql, content};
use crate::model::{Model, Outcome, State};
use crate::ops::Op;
use crate::writes::{pick, refused, stored};

/// Applies `op` to both; the outcomes must be equal.
pub fn take(memory: &MemManager, model: &mut Model, op: &Op, sql: &Sql) {
    let (found, expected) = match op {
        Op::Reserve(key, size) => {
            let (key, bytes) = (name(*key), size.bytes(model.max_mem, model.max_mem - model.available()));
            let made = memory.reserve(bytes).key(&key).expires_in(Duration::MAX).make();
            let found = made.map_or_else(refused, |made| Outcome::Reserved(state(&made)));
            (found, model.reserve(&key, bytes))
        }
        Op::Post(key, of, size, stream) => {
            let (key, reserved) = (name(*key), model.reservations.get(&name(*key)));
            // About as large as is reserved.
            let most = reserved.map_or(1000, |(bytes, _)| *bytes + 1);
            let bytes = content((*of).into(), size.bytes(most, 0).min(12 * MIB));
            post(memory, model, &key, &bytes, *stream)
        }
        Op::PostAgain(key, index) => {
            let again = model.objects.get(&pick(model, index));
            let again = again.map_or_else(Vec::new, |object| object.content.clone());
            post(memory, model, &name(*key), &again, false)
        }
        Op::Void(key) => {
            let key = name(*key);
            let voided = memory.reservation(&key).and_then(|reservation| reservation.void());
            let found = voided.map_or_else(refused, |()| Outcome::Reserved(State::Voided));
            (found, model.void(&key))
        }
        Op::Lapse => {
            let space = memory.space_id();
            sql.execute(&format!(
                "UPDATE reservations SET expires_at = 1 WHERE state = 'open' AND memram_id = {space}"
            ));
            memory.collect_garbage().unwrap();
            model.lapse();
            return;
        }
        _ => unreachable!("{op:?} is not about reservations"),
    };
    assert_eq!(found, expected, "{op:?}");
}

fn post(memory: &MemManager, model: &mut Model, key: &str, bytes: &[u8], stream: bool) -> (Outcome, Outcome) {
    let size = bytes.len() as u64;
    let posted = memory.reservation(key).and_then(|reservation| match stream {
        true => reservation.post_from(bytes, Hold::Anonymous),
        false => reservation.post_bytes(bytes, Hold::Anonymous),
    });
    let found = match stored(posted) {
        // A stream is read only as far as needed to know that.
        Outcome::TooLarge { needed, reserved } if stream && needed == reserved + 1 => Outcome::TooLarge {
            needed: needed.max(size),
            reserved,
        },
        found => found,
    };
    (found, model.post(key, bytes))
}

/// Checks that both have the same reservations.
pub fn assert_same(memory: &MemManager, model: &Model) {
    let found = memory.reservations().unwrap().into_iter();
    let found = found.map(|info| {
        assert_eq!(info.written, 0, "{info:?}");
        let state = state(&info);
        (info.key.unwrap(), (info.bytes, state))
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), model.reservations);
}

fn state(info: &ReservationInfo) -> State {
    match (info.state, info.object_id) {
        (ReservationState::Open, None) => State::Open,
        (ReservationState::Posted, Some(id)) => State::Posted(id),
        (ReservationState::Voided, None) => State::Voided,
        (ReservationState::Lapsed, None) => State::Lapsed,
        _ => panic!("{info:?}"),
    }
}

fn name(key: u8) -> String {
    format!("key {key}")
}
