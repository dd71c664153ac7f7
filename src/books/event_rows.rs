//! The rows of events: one per event, or one per run of similar events of a unit of work.
//!
//! In a batch of small objects, each costs a quarter more if its event has a row of its own, and a
//! tenth more if it shares one. The view `every_event` unfolds the runs.

use serde::Serialize;

use super::events::{Accounts, Changes, Draft, Signature};
use crate::models::{EventId, EventKind};

/// Most events in a row.
pub(crate) const MOST_EVENTS: i64 = 256;

/// A row whose changes have this length is full.
const MOST_BYTES: usize = 64 * 1024;

/// A row of `events`.
#[derive(Debug)]
pub(crate) struct EventRow {
    /// Key of the event, or of the last one of a run. The others have the keys before it.
    pub id: EventId,
    /// The event, or the sums of a run and the rest of its first event. Its `changes` are empty, and
    /// `mem` is that of the space after it.
    pub draft: Draft,
    /// Ids of the objects of a run, one after the other.
    pub objects: Vec<u8>,
    /// The column `changes`.
    pub changes: Option<String>,
}

/// Bytes that a row counts for in `history_bytes`, besides its object and texts; an opening has
/// neither. The other columns, the key and the part of a page that the row takes are about as large.
pub(crate) const ROW_BYTES: i64 = 56;

impl EventRow {
    /// Bytes that it counts for in `history_bytes`. The view `event_sizes` has the same formula.
    pub fn bytes(&self) -> i64 {
        let draft = &self.draft;
        let object = draft.object.map_or(0, |object| object.as_bytes().len());
        let texts = [
            draft.signature.actor.as_deref(),
            draft.signature.reason.as_deref(),
            draft.name.as_deref(),
            self.changes.as_deref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        ROW_BYTES + (object + self.objects.len() + texts) as i64
    }

    /// Whether it is an opening, which states the whole balance: its figures are taken from the
    /// rows.
    pub fn is_opening(&self) -> bool {
        self.draft.kind == EventKind::Opening
    }

    /// Whether it carved nothing, and at most moved pieces.
    pub fn is_plain(&self) -> bool {
        let accounts = &self.draft.accounts;
        let moved = Accounts {
            payload: accounts.payload,
            room_in_blocks: accounts.room_in_blocks,
            ..Accounts::default()
        };
        self.draft.name.is_none()
            && self.draft.reservation.is_none()
            && self.draft.repeated.is_none()
            && *accounts == moved
    }

    /// Whether it is about a name, and moved nothing.
    pub fn is_of_name(&self) -> bool {
        let draft = &self.draft;
        let moved = draft.accounts != Accounts::default();
        draft.name.is_some() && !moved && draft.reservation.is_none() && self.changes.is_none()
    }

    /// The rows of events that get the keys from `first` on. `mem` is that of the space before the
    /// effects that the drafts belong to.
    pub fn of(drafts: Vec<Draft>, first: EventId, mem: i64) -> Vec<Self> {
        let mut rows = Vec::new();
        let mut last = first.0 - 1;
        let mut drafts = drafts.into_iter().peekable();
        while let Some(draft) = drafts.next() {
            if drafts.peek().is_none_or(|next| !draft.runs_into(next)) {
                last += 1;
                rows.push(Self::single(EventId(last), draft, mem));
                continue;
            }
            let mut run = Run::new(draft.kind, &draft.signature);
            let most = last + MOST_EVENTS;
            last += 1;
            run.add(&draft);
            // A list of one event would not be taken for a list.
            if run.changes.len() >= MOST_BYTES {
                rows.push(Self::single(EventId(last), draft, mem));
                continue;
            }
            while let Some(next) =
                drafts.next_if(|next| last < most && run.changes.len() < MOST_BYTES && draft.runs_into(next))
            {
                last += 1;
                run.add(&next);
            }
            rows.push(run.into_row(EventId(last), mem));
        }
        rows
    }

    fn single(id: EventId, mut draft: Draft, mem: i64) -> Self {
        draft.mem += mem;
        // A large object has many changes, so free them as soon as they are text.
        let changes = std::mem::take(&mut draft.changes).into_json();
        Self {
            id,
            draft,
            objects: Vec::new(),
            changes,
        }
    }
}

impl Draft {
    /// Whether a row can have both events.
    fn runs_into(&self, next: &Self) -> bool {
        self.kind == next.kind && self.is_of_a_run() && next.is_of_a_run() && self.signature == next.signature
    }

    /// The view derives the payload of an event in a run from its kind and its bytes.
    fn is_of_a_run(&self) -> bool {
        let payload = match self.kind {
            EventKind::Allocate => self.bytes,
            EventKind::Free => -self.bytes,
            EventKind::DedupHit | EventKind::Release | EventKind::Move => 0,
            EventKind::Expire if self.name.is_none() => 0,
            _ => return false,
        };
        self.object.is_some() && self.reservation.is_none() && self.accounts.payload == payload
    }
}

/// A run while it is gathered.
struct Run {
    sum: Draft,
    objects: Vec<u8>,
    /// The column `changes`, without its last bracket.
    changes: Vec<u8>,
}

impl Run {
    fn new(kind: EventKind, signature: &Signature) -> Self {
        Self {
            sum: Draft::new(kind, signature),
            objects: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn add(&mut self, draft: &Draft) {
        self.sum.mem = draft.mem;
        self.sum.bytes += draft.bytes;
        self.sum.accounts.add(draft.accounts);
        self.objects
            .extend(draft.object.iter().flat_map(|object| object.as_bytes()));
        self.changes.push(if self.changes.is_empty() { b'[' } else { b',' });
        let (bytes, until) = (draft.bytes, self.sum.bytes);
        let changes = &draft.changes;
        match changes.pieces.as_slice() {
            _ if *changes == Changes::default() => self.push(&(bytes, until)),
            &[piece] if changes.carved.is_empty() => {
                let [block, pool, arena, block_size, _] = piece.into();
                self.push(&(bytes, until, block, pool, arena, block_size));
            }
            _ => {
                let of = draft.accounts;
                let levels = [
                    of.room_in_blocks,
                    of.uncarved_in_pools,
                    of.uncarved_in_arenas,
                    of.unreserved,
                ];
                self.push(&(bytes, until, changes, levels));
            }
        }
    }

    fn push(&mut self, event: &impl Serialize) {
        // Numbers and fixed strings cannot fail to serialise, and neither can writing to memory.
        let _ = serde_json::to_writer(&mut self.changes, event);
    }

    fn into_row(mut self, id: EventId, mem: i64) -> EventRow {
        self.sum.mem += mem;
        self.changes.push(b']');
        EventRow {
            id,
            draft: self.sum,
            objects: self.objects,
            changes: String::from_utf8(self.changes).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ObjectId;

    fn draft(kind: EventKind, payload: i64) -> Draft {
        let mut draft = Draft::new(kind, &Signature::default());
        draft.object = Some(ObjectId::from([7; 32]));
        draft.bytes = payload.abs();
        draft.accounts.payload = payload;
        draft.accounts.room_in_blocks = -payload;
        draft
    }

    fn ids(drafts: Vec<Draft>) -> Vec<(i64, usize)> {
        let rows = EventRow::of(drafts, EventId(10), 0);
        rows.iter().map(|row| (row.id.0, row.objects.len() / 32)).collect()
    }

    #[test]
    fn a_run_has_the_key_of_its_last_event_and_the_sums() {
        let mut drafts = vec![draft(EventKind::Allocate, 5), draft(EventKind::Allocate, 7)];
        drafts[1].mem = 12;
        let rows = EventRow::of(drafts, EventId(10), 100);
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.id, row.objects.len()), (EventId(11), 64));
        assert_eq!((row.draft.bytes, row.draft.mem), (12, 112));
        assert_eq!(
            (row.draft.accounts.payload, row.draft.accounts.room_in_blocks),
            (12, -12)
        );
        assert_eq!(row.changes.as_deref(), Some("[[5,5],[7,12]]"));
    }

    #[test]
    fn other_events_interrupt_a_run() {
        let allocate = draft(EventKind::Allocate, 5);
        let mut named = draft(EventKind::Bind, 0);
        named.name = Some("it".into());
        // Its bytes were stored by earlier events.
        let mut complete = draft(EventKind::Allocate, 0);
        complete.bytes = 5;
        let mut by_another = allocate.clone();
        by_another.signature.actor = Some("somebody".into());
        for other in [named, complete, by_another, draft(EventKind::Free, -5)] {
            let drafts = vec![allocate.clone(), allocate.clone(), other, allocate.clone()];
            assert_eq!(ids(drafts), [(11, 2), (12, 0), (13, 0)]);
        }
    }

    #[test]
    fn a_long_run_takes_several_rows() {
        let drafts = vec![draft(EventKind::Free, -5); 600];
        assert_eq!(ids(drafts), [(265, 256), (521, 256), (609, 88)]);
    }
}
