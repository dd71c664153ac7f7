//! The writer's cache of its space.

use super::ahead::Ahead;
use super::engine::Engine;
use super::known_quotas::KnownQuotas;
use super::numbers::Numbers;
use super::queries;
use super::queries::trim::{Due, STEP};
use crate::books::batch::Batch;
use crate::books::room::Room;
use crate::books::rows::SpaceChange;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{HistoryMode, MemRam, MemRamId, Timestamp, signed, unsigned};

/// A transaction removes at most this many rows of events, or as many as it has written.
const MOST_ROWS: usize = 4096;

/// It is valid until another connection commits, or a unit of work is rolled back.
#[derive(Clone)]
pub(super) struct KnownSpace {
    /// The [`Engine::version`] for which it is valid.
    pub version: i64,
    /// The space including everything written.
    pub memram: MemRam,
    /// The room, including gathered changes.
    pub room: Room,
    pub numbers: Numbers,
    /// When a reservation needs work next, or something expires, once it has been looked up. It may be too
    /// early, but never too late.
    pub next_due: Option<Option<Timestamp>>,
    /// The quotas of owners that were asked for.
    pub quotas: KnownQuotas,
    /// The last position in the order of eviction, once it was looked up.
    pub last_position: Option<i64>,
    /// What goes next, as far as it was read ahead.
    pub ahead: Ahead,
    /// Rows of events that the open transaction has written.
    pub appended: usize,
    /// Rows of events written since old ones were last looked for.
    unaged: usize,
}

impl KnownSpace {
    pub fn read(engine: &mut dyn Engine, version: i64, space: MemRamId, geometry: &Geometry) -> Result<Self> {
        let memram = queries::spaces::get(&mut engine.read(), space)?;
        let room = Room::unknown(geometry.classes().len(), signed(memram.unreserved()));
        let numbers = Numbers::default();
        Ok(Self {
            version,
            memram,
            room,
            numbers,
            next_due: None,
            quotas: KnownQuotas::default(),
            last_position: None,
            ahead: Ahead::default(),
            appended: 0,
            unaged: STEP,
        })
    }

    /// Whether events are recorded.
    pub fn is_recording(&self) -> bool {
        self.memram.history != HistoryMode::Off
    }

    /// Applies a batch that was written.
    pub fn follow(&mut self, batch: &Batch<'_>) {
        batch.effects().space.add_to(&mut self.memram);
        if !batch.rows().reservations.is_empty() {
            self.next_due = None;
        }
        if let (Some(next), Some(end)) = (&mut self.next_due, batch.rows().first_end) {
            *next = Some(next.map_or(end, |next| next.min(end)));
        }
        if let Some(setting) = batch.history().setting {
            self.memram.history = setting.mode;
            self.memram.history_keep = setting.keep.map(unsigned);
            self.memram.history_max_bytes = setting.max_bytes.map(unsigned);
        }
        if let Some(SpaceChange::Dropping(_)) = batch.rows().space_change {
            self.memram.quotas = 0;
            self.quotas = KnownQuotas::default();
        }
        self.quotas.follow(batch);
        self.appended += batch.events().len();
    }

    /// Whether events have to be removed after this batch is written.
    pub fn trims_after(&self, batch: &Batch<'_>) -> bool {
        let appended = self.appended + batch.events().len();
        let added = batch.effects().space.history_bytes;
        let is_over = match self.memram.history_max_bytes {
            Some(most) => signed(self.memram.history_bytes) + added > signed(most),
            None => self.unaged + appended >= STEP,
        };
        self.memram.history == HistoryMode::Keep && appended > 0 && is_over
    }

    /// Which events the transaction that is about to be committed at this time has to remove.
    pub fn due_to_trim(&mut self, now: Timestamp) -> Option<Due> {
        let appended = std::mem::take(&mut self.appended);
        if appended == 0 || self.memram.history != HistoryMode::Keep {
            return None;
        }
        if let Some(most) = self.memram.history_max_bytes {
            // A clock that is far ahead must not empty a history that is small enough, so only a
            // collection removes events by age.
            let memram = MemRam {
                history_keep: None,
                ..self.memram.clone()
            };
            let is_due = memram.history_bytes > most;
            return is_due.then(|| Due::of(&memram, Timestamp::default(), appended.max(MOST_ROWS)));
        }
        self.unaged += appended;
        let unaged = self.unaged;
        if unaged < STEP {
            return None;
        }
        self.unaged = 0;
        Some(Due::of(&self.memram, now, 2 * unaged))
    }
}
