//! The writer's cache of its space.

use super::numbers::Numbers;
use super::queries;
use super::sqlite::engine::Engine;
use crate::books::batch::Batch;
use crate::books::room::Room;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{HistoryMode, MemRam, MemRamId, Timestamp, signed, unsigned};

/// It is valid until another connection commits, or a unit of work is rolled back.
pub(super) struct KnownSpace {
    /// The [`Engine::version`] for which it is valid.
    pub version: i64,
    /// The space including everything written.
    pub memram: MemRam,
    /// The room, including gathered changes.
    pub room: Room,
    pub numbers: Numbers,
    /// When a reservation needs work next, once it has been looked up.
    pub next_due: Option<Option<Timestamp>>,
}

impl KnownSpace {
    pub fn read(engine: &mut Engine, version: i64, space: MemRamId, geometry: &Geometry) -> Result<Self> {
        let memram = queries::spaces::get(&mut engine.read(), space)?;
        let room = Room::unknown(geometry.classes().len(), signed(memram.unreserved()));
        let numbers = Numbers::default();
        Ok(Self {
            version,
            memram,
            room,
            numbers,
            next_due: None,
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
        if let Some(setting) = batch.history().setting {
            self.memram.history = setting.mode;
            self.memram.history_keep = setting.keep.map(unsigned);
        }
    }
}
