//! Eviction for a unit of work whose transaction has no room for it below the ceiling of the file.
//!
//! The objects then go first, in transactions of their own, which cannot be undone if the unit fails again. So they
//! go only if the file can be expected to have room for the content afterwards: an object leaves no free page behind
//! if others are in each of its pages, too.

use crate::error::{Error, Result};
use crate::manager::objects::evict::Making;
use crate::manager::objects::parts::{CHUNK, part_below};
use crate::manager::objects::room::make_room;
use crate::manager::space::eviction::STEP;
use crate::manager::{MemManager, unsigned};
use crate::store::{FileSizes, Rehearsal, reserve};

/// Bytes of the pages that content changes besides its own.
const PAGES: u64 = 64 * 1024;

/// What evicting the first objects leaves free.
struct Tried {
    /// The file before.
    before: FileSizes,
    /// Bytes of the pages that became free.
    gained: u64,
    /// Bytes of the space that they left free, and how many are needed in all.
    made: u64,
    needed: u64,
}

impl MemManager {
    /// Evicts what has to go for `bytes`, in several transactions. Returns whether something went, so that the unit can
    /// run again.
    pub(in crate::manager) fn evict_in_steps(&self, bytes: u64) -> Result<bool> {
        let Some(max_file) = self.inner.writer.as_ref().and_then(|writer| writer.max_file()) else {
            return Ok(false);
        };
        let tried = self.try_to_evict(bytes)?;
        if tried.made == 0 || !tried.are_enough(bytes, self.inner.location.on_disk().index, max_file) {
            return Ok(false);
        }
        Ok(self.evict(bytes)?.objects > 0)
    }

    /// Evicts as much as one transaction has room for, and rolls it back.
    fn try_to_evict(&self, bytes: u64) -> Result<Tried> {
        let (writer, deadline) = self.group()?;
        let mut step = STEP;
        loop {
            match writer.rehearse(deadline, |rehearsal| self.try_step(rehearsal, bytes, step)) {
                Err(Error::FileFull { .. }) if step > 1 => step /= 2,
                tried => return tried,
            }
        }
    }

    fn try_step(&self, rehearsal: &mut Rehearsal<'_>, bytes: u64, step: u64) -> Result<Tried> {
        let (available, before) = rehearsal.unit(|tx| {
            let available = tx.memram()?.available();
            Ok((available, tx.read(|tx| tx.file_sizes())?))
        })?;
        let after = rehearsal.unit(|tx| {
            tx.sign(self.signature());
            let now = bytes.min(available.saturating_add(step));
            make_room(tx, &mut Making::default(), None, now)?;
            Ok(tx.memram()?.available())
        })?;
        let free = rehearsal.read()?.file_sizes()?.free;
        Ok(Tried {
            gained: unsigned(free.saturating_sub(before.free)),
            before,
            made: after.saturating_sub(available),
            needed: bytes.saturating_sub(available),
        })
    }
}

impl Tried {
    /// Whether the pages will be enough for content, if all objects that go leave as many as the first ones: in the
    /// file, whose free pages are used first, and in the log, a part at a time.
    fn are_enough(&self, bytes: u64, index: u64, max_file: u64) -> bool {
        let gained = u128::from(self.gained) * u128::from(self.needed) / u128::from(self.made.max(1));
        let free = u128::from(unsigned(self.before.free)) + gained;
        let in_file = u128::from(bytes.saturating_add(bytes / 50).saturating_add(PAGES)).saturating_sub(free);
        let in_log = bytes.min((part_below(max_file.into()) + CHUNK) as u64) + PAGES;
        let taken = unsigned(self.before.bytes) + index + reserve(max_file) + in_log;
        u128::from(taken) + in_file <= u128::from(max_file)
    }
}
