//! The events of a batch, and whether they are recorded.

use std::mem::take;

use super::Batch;
use crate::books::event_rows::EventRow;
use crate::books::events::{Draft, Signature};
use crate::books::history_change::HistorySetting;
use crate::books::refusals::{self, KnownRefusal};
use crate::models::{EventId, EventKind, HistoryMode};

impl Batch<'_> {
    pub(super) fn set_history(&mut self, setting: HistorySetting) {
        let was_recording = self.effects.recording;
        self.effects.recording = setting.mode != HistoryMode::Off;
        self.history.setting = Some(setting);
        if self.effects.recording && !was_recording {
            self.open_books();
        }
    }

    /// Adds an opening, whose figures the store computes from the rows. It states the balance, which no actor caused.
    pub(super) fn open_books(&mut self) {
        let at = self.effects.signature.at;
        let signature = Signature {
            at,
            ..Signature::default()
        };
        self.effects.events.push(Draft::new(EventKind::Opening, &signature));
    }

    /// The number of events without a number.
    pub fn drafts(&self) -> usize {
        self.effects.events.len()
    }

    /// Whether the first event without a number is a refusal.
    pub fn begins_with_refusal(&self) -> bool {
        self.effects
            .events
            .first()
            .is_some_and(|draft| draft.kind == EventKind::Refusal)
    }

    /// Counts repeated refusals instead of recording each. `newest` are the newest events of the
    /// file, as long as they are refusals, oldest first.
    pub fn count_refusals(&mut self, newest: Vec<KnownRefusal>) {
        let counted = refusals::count(take(&mut self.effects.events), newest);
        self.effects.events = counted.drafts;
        self.history.repeated = counted.repeated;
        self.effects.space.history_bytes += self.history.repeated.iter().map(|refusal| refusal.growth).sum::<i64>();
    }

    /// Numbers the events, starting with `first`. `mem` is that of the space without the effects of
    /// this batch.
    pub fn number_events(&mut self, first: EventId, mem: i64) {
        self.events = EventRow::of(take(&mut self.effects.events), first, mem);
        self.effects.space.history_bytes += self.events.iter().map(EventRow::bytes).sum::<i64>();
    }
}
