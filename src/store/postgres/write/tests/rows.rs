//! Rows other than those of objects.

use super::heap::{Heap, SPACE};

use crate::books::change::Change;
use crate::books::limits::Limits;
use crate::books::rows::Binding;
use crate::models::{EventId, HistoryMode, Lifetime, ReservationId, ReservationRow, Timestamp};

#[test]
fn names_move_and_go() {
    let Some(mut heap) = Heap::create("names") else { return };
    let (at, expires_at) = (Timestamp::from_micros(9), Some(Timestamp::from_micros(11)));
    let mut batch = heap.batch();
    let [one, two] = [1, 2].map(|byte| heap.store(&mut batch, &[byte; 200], 0));
    for name in ["moves", "goes"] {
        let (object, object_id) = (one.id, one.object_id);
        heap.apply(
            &mut batch,
            Change::NameBound {
                name,
                binding: Binding {
                    object,
                    at,
                    expires_at,
                    refresh: None,
                },
                object_id,
                lifetime: None,
            },
        );
    }
    heap.write(batch);
    let mut batch = heap.batch();
    for name in ["moves", "goes"] {
        let (object, object_id) = (one.id, one.object_id);
        heap.apply(
            &mut batch,
            Change::NameUnbound {
                name,
                object,
                object_id,
                lifetime: None,
            },
        );
    }
    let (object, object_id) = (two.id, two.object_id);
    heap.apply(
        &mut batch,
        Change::NameBound {
            name: "moves",
            binding: Binding {
                object,
                at,
                expires_at,
                refresh: None,
            },
            object_id,
            lifetime: None,
        },
    );
    let lifetime = Lifetime {
        expires_at,
        ..Lifetime::default()
    };
    heap.apply(
        &mut batch,
        Change::Released {
            object,
            object_id,
            lifetime,
        },
    );
    heap.write(batch);
    assert_eq!(
        heap.query("SELECT string_agg(name || stored_object_id, ',') FROM names"),
        "(moves2)"
    );
    assert_eq!(heap.query("SELECT expires_at FROM names"), "(11)");
    assert_eq!(
        heap.query("SELECT string_agg(coalesce(expires_at::text, 'never'), ',' ORDER BY id) FROM stored_objects"),
        "(\"never,11\")"
    );
    assert_eq!(
        heap.query("SELECT string_agg(held::text, ',' ORDER BY id) FROM stored_objects"),
        "(\"true,false\")"
    );
}

#[test]
fn reservations_are_made_and_change_and_go() {
    let Some(mut heap) = Heap::create("reserve") else {
        return;
    };
    let times = [1, 2].map(Timestamp::from_micros);
    let row = |id, key: Option<&str>| ReservationRow::begun(ReservationId(id), SPACE, key.map(Into::into), 500, times);
    let (kept, gone) = (row(1, Some("k")), row(2, None));
    let mut batch = heap.batch();
    for after in [kept.clone(), gone.clone()] {
        heap.apply(&mut batch, Change::ReservationSet { before: None, after });
    }
    heap.write(batch);
    assert_eq!(
        heap.query("SELECT promised, (SELECT sum(bytes) FROM reservations) FROM memram"),
        "(1000,1000)"
    );
    let mut batch = heap.batch();
    let after = ReservationRow {
        bytes: 600,
        ..kept.clone()
    };
    heap.apply(
        &mut batch,
        Change::ReservationSet {
            before: Some(&kept),
            after,
        },
    );
    heap.apply(&mut batch, Change::ReservationRemoved { reservation: &gone });
    heap.write(batch);
    assert_eq!(
        heap.query("SELECT id, key, bytes, written, resolved_at FROM reservations"),
        "(1,k,600,0,)"
    );
}

#[test]
fn history_is_opened_and_trimmed() {
    let Some(mut heap) = Heap::create("history") else {
        return;
    };
    assert_eq!(
        heap.query("SELECT kind, unreserved, capacity FROM events WHERE id = 1"),
        "(opening,1073741824,1073741824)"
    );
    let mut batch = heap.batch();
    heap.store(&mut batch, &[1; 200], 0);
    heap.write(batch);
    let mut batch = heap.batch();
    heap.apply(
        &mut batch,
        Change::HistoryTrimmed {
            last: EventId(12),
            bytes: 10,
        },
    );
    heap.write(batch);
    let opening = "SELECT id, kind, mem, payload, room_in_blocks, uncarved_in_arenas, capacity, \
        (SELECT count(*) FROM events) FROM events";
    assert_eq!(heap.query(opening), "(12,opening,200,200,32568,229376,1073741824,1)");
    let mut batch = heap.batch();
    heap.apply(
        &mut batch,
        Change::HistorySet {
            mode: HistoryMode::Off,
            keep: None,
            max_bytes: None,
        },
    );
    heap.write(batch);
    let mut batch = heap.batch();
    batch.begin(false, Limits::LARGE);
    let (mode, keep, max_bytes) = (HistoryMode::Keep, Some(60), None);
    heap.apply(&mut batch, Change::HistorySet { mode, keep, max_bytes });
    heap.write(batch);
    assert_eq!(
        heap.query("SELECT history, history_keep, history_max_bytes FROM memram"),
        "(keep,60,)"
    );
    let again = opening.replace("FROM events) FROM events", "FROM events) FROM events ORDER BY id DESC");
    assert_eq!(heap.query(&again), "(13,opening,200,200,32568,229376,1073741824,2)");
}
