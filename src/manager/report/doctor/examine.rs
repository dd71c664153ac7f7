//! Gathers the figures that the rules use.

use std::time::Duration;

use crate::error::{LogHolder, Result};
use crate::manager::report::disk::disk_use;
use crate::manager::report::stats::Refused;
use crate::manager::{DiskUse, MemManager, unsigned};
use crate::models::{MemRam, Quota, SizeClassTotals};
use crate::store::queries::diagnosis::{self, Leftovers, Tally};
use crate::store::{ReadTx, queries};
use crate::value::ObjectId;

/// Figures about a space and its file. Sizes are in bytes.
pub(super) struct Examined {
    pub memram: MemRam,
    pub classes: Vec<SizeClassTotals>,
    pub empty_arenas: Tally,
    pub nearly_empty_arenas: Tally,
    /// What was evicted in the last day, if the space does so.
    pub evicted: Option<Tally>,
    /// The newest refusal, if it is of the last day and among the newest events.
    pub refused: Option<Refused>,
    /// What owners may have and have, if the space has quotas.
    pub quotas: Vec<Quota>,
    /// Set if the space is nearly full, and does not make room by itself.
    pub fullness: Option<Fullness>,
    /// The fewest pieces that the objects could have, if the counters alone do not tell whether
    /// they are scattered.
    pub fewest_pieces: Option<u64>,
    /// What reservations hold to no purpose.
    pub leftovers: Leftovers,
    /// Content of all spaces, which share the file.
    pub stored_in_file: u64,
    pub file_size: u64,
    pub free_file_bytes: u64,
    /// Whether the file can shrink without being rewritten.
    pub can_shrink: bool,
    pub wal_size: u64,
    pub disk: DiskUse,
    /// What is free on the disk of the file.
    pub free_on_disk: Option<u64>,
    pub log_limit: u64,
    /// Who read from the log when the examination began.
    pub log_holders: Vec<LogHolder>,
}

/// What could be freed.
pub(super) struct Fullness {
    pub largest: Option<(ObjectId, u64)>,
    pub unnamed: Tally,
}

/// Above this used or promised share a space counts as nearly full: an object of a tenth of the space no
/// longer fits, and free bytes are mostly remainders of many blocks.
const NEARLY_FULL: f64 = 0.9;
/// How far back evictions and refusals are counted.
const LATELY: Duration = Duration::from_secs(24 * 60 * 60);
/// An upload that takes longer is likely to have a source that never ends.
const OLD_UPLOAD: Duration = Duration::from_secs(24 * 60 * 60);

impl Examined {
    pub fn objects(&self) -> u64 {
        self.memram.objects()
    }

    pub fn entries(&self) -> u64 {
        self.sum(|class| class.entries)
    }

    pub fn sum(&self, of: fn(&SizeClassTotals) -> u64) -> u64 {
        self.classes.iter().map(of).sum()
    }

    pub fn used(&self) -> f64 {
        self.memram.mem as f64 / self.memram.max_mem as f64
    }

    /// The share of the space that is used or promised.
    pub fn taken(&self) -> f64 {
        (self.memram.mem + self.memram.promised) as f64 / self.memram.max_mem as f64
    }

    /// Whether there are so many pieces that objects may be scattered. Every object has at least one
    /// piece, and one more if it starts in the rest of a block. The largest block size gives a lower
    /// bound for all contents together.
    fn may_be_scattered(&self) -> bool {
        let largest = self.classes.iter().map(|class| class.block_size).max().unwrap_or(1);
        let at_least = self.objects().max(self.memram.mem / largest.max(1));
        self.entries() > at_least + self.objects()
    }
}

impl MemManager {
    pub(super) fn examine(&self) -> Result<Examined> {
        let space = self.inner.space;
        let location = &self.inner.location;
        let (files, log_holders) = (location.on_disk(), location.log_holders());
        self.inner.readers.snapshot(|tx| {
            let memram = queries::spaces::get(tx, space)?;
            let now = tx.now();
            let uploads = queries::reservations::written_in(tx, space)?;
            let file = tx.file_sizes()?;
            let disk = disk_use(tx, files)?;
            let mut examined = Examined {
                classes: queries::spaces::classes(tx, space)?,
                empty_arenas: diagnosis::empty_arenas(tx, space)?,
                nearly_empty_arenas: diagnosis::nearly_empty_arenas(tx, space)?,
                evicted: None,
                refused: queries::events::refusals(tx, space)?
                    .iter()
                    .map(Refused::from)
                    .filter(|refused| refused.last_at >= now - LATELY)
                    .reduce(Refused::and_before),
                quotas: match memram.quotas {
                    0 => Vec::new(),
                    _ => queries::quotas::all(tx, space)?,
                },
                fullness: None,
                fewest_pieces: None,
                leftovers: diagnosis::leftovers(tx, space, now, now - OLD_UPLOAD)?,
                stored_in_file: queries::spaces::all(tx)?.iter().map(|space| space.mem).sum(),
                file_size: unsigned(file.bytes),
                free_file_bytes: unsigned(file.free),
                can_shrink: tx.can_shrink()?,
                wal_size: files.log,
                log_limit: location.log_limit_below(disk.max_file),
                disk,
                free_on_disk: location.free_on_disk(),
                log_holders: log_holders.clone(),
                memram,
            };
            if examined.memram.evict.is_some() {
                examined.evicted = Some(diagnosis::evicted(tx, space, now - LATELY)?);
            } else if examined.taken() >= NEARLY_FULL {
                examined.fullness = Some(fullness(tx, &examined, uploads)?);
            }
            // The counters include the pieces of uploads too.
            if uploads == 0 && examined.may_be_scattered() {
                examined.fewest_pieces = Some(diagnosis::fewest_pieces(tx, space, self.geometry())?);
            }
            Ok(examined)
        })
    }
}

fn fullness(tx: &mut ReadTx<'_>, examined: &Examined, uploads: u64) -> Result<Fullness> {
    let space = examined.memram.id;
    let named = diagnosis::named_objects(tx, space)?;
    let mut largest = queries::objects::largest(tx, space, 1)?;
    if largest.is_empty() {
        // All objects are small, so their number fills the space, and one of them serves as an
        // example.
        largest = queries::objects::largest_of_all(tx, space, 1)?;
    }
    Ok(Fullness {
        largest: largest.pop().map(|object| (object.object_id, object.size)),
        unnamed: Tally {
            count: examined.objects().saturating_sub(named.count),
            bytes: examined.memram.mem.saturating_sub(uploads).saturating_sub(named.bytes),
        },
    })
}

pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
