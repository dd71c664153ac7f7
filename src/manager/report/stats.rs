//! Statistics of a space, mostly from counters.

use serde::Serialize;

use super::disk;
use crate::error::Result;
use crate::manager::{Bound, DiskUse, MemManager, unsigned};
use crate::models::{HistoryMode, KindTotals, MemRamId, Policy, SizeClassTotals, StoredObject, Timestamp};
use crate::store::queries::audit::{Bucket, BucketName, Claim, ClaimName};
use crate::store::queries::events::Refusal;
use crate::store::queries::objects::ExpiredOfKind;
use crate::store::{ReadTx, queries};

/// Statistics of a space. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The space.
    pub space: String,
    /// Capacity.
    pub max_mem: u64,
    /// Bytes of content stored.
    pub mem: u64,
    /// Bytes that are promised to reservations.
    pub promised: u64,
    /// Bytes free: `max_mem − mem − promised`. An object of this size still fits.
    pub available: u64,
    /// Bytes that arenas reserve.
    pub reserved: u64,
    /// Every byte of capacity is in exactly one of these; they add up to `max_mem`.
    pub buckets: Vec<Bucket>,
    /// What each byte of capacity belongs to; they add up to `max_mem`, too.
    pub claims: Vec<Claim>,
    /// Number of arenas.
    pub arenas: u64,
    /// Pools and blocks by size class.
    pub classes: Vec<ClassStats>,
    /// Objects by kind.
    pub kinds: Vec<KindTotals>,
    /// Number of objects, without those that have expired.
    pub objects: u64,
    /// Objects that have expired, and are not given back yet.
    pub expired: u64,
    /// Number of ledger entries.
    pub entries: u64,
    /// Ledger entries per object, on average.
    pub pieces_per_object: Option<f64>,
    /// The five largest objects. In a space of more than 1,000 objects, only those of at least
    /// 4 KiB are considered.
    pub largest: Vec<StoredObject>,
    /// The most bytes ever stored at the same time.
    pub peak_mem: u64,
    /// Objects ever stored.
    pub allocations: u64,
    /// Objects ever removed.
    pub frees: u64,
    /// Allocations that found their content already stored.
    pub dedup_hits: u64,
    /// Bytes saved by dedup hits.
    pub dedup_saved: u64,
    /// What goes first if objects are evicted to make room; `None` if none are.
    pub evict: Option<Policy>,
    /// Objects ever evicted.
    pub evictions: u64,
    /// Their bytes.
    pub evicted_mem: u64,
    /// Whether events are recorded.
    pub history: HistoryMode,
    /// How long events are kept, in microseconds, if there is a limit.
    pub history_keep: Option<u64>,
    /// How many bytes of events are kept, if there is a limit.
    pub history_max_bytes: Option<u64>,
    /// Bytes of the events that are kept.
    pub history_bytes: u64,
    /// The newest refusal, if it is one of the newest 16 events.
    pub refused: Option<Refused>,
    /// Bytes of the file with all its spaces, without the write-ahead log.
    pub file_size: u64,
    /// Bytes of the write-ahead log.
    pub wal_size: u64,
    /// Size of the log at which nothing more is written until it can start again; it never exceeds
    /// this by more than one transaction.
    pub log_limit: u64,
    /// Bytes of the file's free pages, which garbage collection gives back.
    pub free_file_bytes: u64,
    /// Everything on disk and its ceiling, and what still fits below it.
    pub disk: DiskUse,
    /// Which bound more content reaches first.
    pub first_bound: Bound,
}

/// A refusal, and how often it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// How often.
    pub count: u64,
    /// When first.
    pub at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// Bytes that were needed the last time.
    pub bytes: u64,
    /// Whether the quota of an owner refused them the last time, and not the space.
    pub by_quota: bool,
}

/// One size class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassStats {
    /// Its stored totals.
    #[serde(flatten)]
    pub totals: SizeClassTotals,
    /// Blocks that are neither empty nor full.
    pub partly_filled_blocks: u64,
    /// Bytes used ÷ bytes of blocks, from 0 to 1; `None` without blocks.
    pub utilisation: Option<f64>,
}

/// How many of the largest objects are listed.
const LARGEST: i64 = 5;
/// In a space of at most this many objects, all are searched for the largest.
const FEW_OBJECTS: u64 = 1000;

impl MemManager {
    /// The statistics of the space. O(classes + spaces + uploads + expired + log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    #[doc(alias = "print_memory_statistics")]
    pub fn stats(&self) -> Result<Stats> {
        self.settle_reads();
        let space = self.inner.space;
        let files = self.inner.location.on_disk();
        self.inner.readers.snapshot(|tx| {
            let memram = queries::spaces::get(tx, space)?;
            let classes = queries::spaces::classes(tx, space)?;
            let mut kinds = queries::spaces::kinds(tx, space)?;
            let (expired, expired_mem) = without_expired(&mut kinds, &queries::objects::expired(tx, space)?);
            let objects = memram.objects().saturating_sub(expired);
            let largest = largest(tx, space, objects, LARGEST)?;
            let refused = queries::events::last_refusal(tx, space)?;
            let file = tx.file_sizes()?;
            let disk = disk::disk_use(tx, files)?;
            let entries: u64 = classes.iter().map(|class| class.entries).sum();
            let sum = |of: fn(&SizeClassTotals) -> u64| classes.iter().map(of).sum::<u64>();
            let uploads = queries::reservations::written_in(tx, space)?;
            let bucket = |bucket, bytes| Bucket { bucket, bytes };
            let claim = |claim, bytes| Claim { claim, bytes };
            Ok(Stats {
                space: memram.name.clone(),
                max_mem: memram.max_mem,
                mem: memram.mem,
                promised: memram.promised,
                available: memram.available(),
                reserved: memram.reserved,
                buckets: vec![
                    bucket(BucketName::Payload, memram.mem),
                    bucket(
                        BucketName::RoomInBlocks,
                        sum(|class| class.reserved.saturating_sub(class.mem)),
                    ),
                    bucket(
                        BucketName::UncarvedInPools,
                        sum(|class| class.pooled.saturating_sub(class.reserved)),
                    ),
                    bucket(
                        BucketName::UncarvedInArenas,
                        memram.reserved.saturating_sub(sum(|class| class.pooled)),
                    ),
                    bucket(BucketName::Unreserved, memram.unreserved()),
                ],
                claims: vec![
                    claim(ClaimName::Objects, memram.mem.saturating_sub(uploads + expired_mem)),
                    claim(ClaimName::Expired, expired_mem),
                    claim(ClaimName::Uploads, uploads),
                    claim(ClaimName::Promised, memram.promised),
                    claim(ClaimName::Available, memram.available()),
                ],
                arenas: memram.arenas,
                classes: classes.into_iter().map(ClassStats::from).collect(),
                kinds: kinds.into_iter().filter(|kind| kind.objects > 0).collect(),
                objects,
                expired,
                entries,
                pieces_per_object: (memram.objects() > 0).then(|| entries as f64 / memram.objects() as f64),
                largest,
                peak_mem: memram.peak_mem,
                allocations: memram.allocations,
                frees: memram.frees,
                dedup_hits: memram.dedup_hits,
                dedup_saved: memram.dedup_saved,
                evict: memram.evict,
                evictions: memram.evictions,
                evicted_mem: memram.evicted_mem,
                history: memram.history,
                history_keep: memram.history_keep,
                history_max_bytes: memram.history_max_bytes,
                history_bytes: memram.history_bytes,
                refused: refused.as_ref().map(Refused::from),
                file_size: unsigned(file.bytes),
                wal_size: files.log,
                log_limit: self.inner.location.log_limit_below(disk.max_file),
                free_file_bytes: unsigned(file.free),
                first_bound: disk.first_bound(memram.available()),
                disk,
            })
        })
    }
}

/// The largest objects of a space that has this many `objects`.
pub(super) fn largest(tx: &mut ReadTx<'_>, space: MemRamId, objects: u64, limit: i64) -> Result<Vec<StoredObject>> {
    if objects > FEW_OBJECTS {
        queries::objects::largest(tx, space, limit)
    } else {
        queries::objects::largest_of_all(tx, space, limit)
    }
}

/// Takes what has expired out of the totals, and returns the number of these objects and their bytes.
fn without_expired(kinds: &mut [KindTotals], expired: &[ExpiredOfKind]) -> (u64, u64) {
    let (mut objects, mut mem) = (0, 0);
    for expired in expired {
        objects += expired.objects;
        mem += expired.mem;
        for totals in kinds.iter_mut().filter(|totals| totals.kind == expired.kind) {
            totals.objects = totals.objects.saturating_sub(expired.objects);
            totals.mem = totals.mem.saturating_sub(expired.mem);
        }
    }
    (objects, mem)
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            count: refusal.count,
            at: refusal.at,
            last_at: refusal.last_at.unwrap_or(refusal.at),
            bytes: unsigned(refusal.bytes),
            by_quota: refusal.is_by_quota(),
        }
    }
}

impl Refused {
    /// Together with an earlier one.
    pub(super) fn and_before(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_add(earlier.count),
            at: earlier.at,
            ..self
        }
    }
}

impl From<SizeClassTotals> for ClassStats {
    fn from(totals: SizeClassTotals) -> Self {
        Self {
            partly_filled_blocks: totals.partly_filled_blocks(),
            utilisation: (totals.reserved > 0).then(|| totals.mem as f64 / totals.reserved as f64),
            totals,
        }
    }
}
