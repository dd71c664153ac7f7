//! What takes the bytes of the file.

use serde::Serialize;

use super::disk::disk_use;
use crate::error::Result;
use crate::manager::{DiskUse, MemManager, unsigned};
use crate::models::{MemRam, SizeClassTotals};
use crate::store::{FileSizes, ReadTx, TreeSize, queries};

/// From the stored bytes to the bytes of the file. Sizes are in bytes, for all spaces together,
/// because they share the pages of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpaceReport {
    /// Bytes of content stored.
    pub mem: u64,
    /// Objects stored.
    pub objects: u64,
    /// Ledger entries.
    pub entries: u64,
    /// The rows of the ledger as SQLite encodes them: the contents, and a few bytes of keys and
    /// sizes per piece. On a server the contents alone.
    pub ledger_payload: u64,
    /// Every table and index, the largest first. Their bytes, `free_file_bytes` and
    /// `pointer_map_bytes` add up to `file_size`.
    pub trees: Vec<TreeSize>,
    /// Unused pages.
    pub free_file_bytes: u64,
    /// Pointer-map pages, which let SQLite move pages to shrink the file.
    pub pointer_map_bytes: u64,
    /// Whether the file can shrink: another tool's `VACUUM` may have turned `auto_vacuum` off. Then
    /// [`MemManager::collect_garbage`] rewrites the file once and turns it on again.
    pub auto_vacuum: bool,
    /// The file, without the write-ahead log.
    pub file_size: u64,
    /// A page of the file.
    pub page_size: u64,
    /// The write-ahead log next to the file.
    pub wal_size: u64,
    /// Size of the log at which nothing more is written until it can start again.
    pub log_limit: u64,
    /// The least that [`MemManager::collect_garbage`] gives back: the free pages.
    pub gc_bytes: u64,
    /// Empty blocks, whose rows it removes too; [`MemManager::plan_free`] without objects predicts
    /// both exactly.
    pub empty_blocks: u64,
    /// An estimate of what SQLite's `VACUUM` would give back: free pages, and unused bytes on
    /// partly filled pages. It cannot use every byte of a page, so the real figure is lower.
    pub vacuum_bytes_estimated: u64,
    /// Everything on disk, and its ceiling.
    pub disk: DiskUse,
}

impl MemManager {
    /// What takes the bytes of the file: contents, rows, pages and indexes
    /// add, and what could be given back. Reads every page of the file: O(file). On a server it asks for
    /// the sizes of the tables and indexes, which is O(1); what they are made of is not known there.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn space_report(&self) -> Result<SpaceReport> {
        let files = self.inner.location.on_disk();
        self.inner.readers.snapshot(|tx| {
            let spaces = queries::spaces::all(tx)?;
            let classes = all_classes(tx, &spaces)?;
            let trees = tx.trees()?;
            let FileSizes { bytes, free, page } = tx.file_sizes()?;
            let in_trees: u64 = trees.iter().map(|tree| tree.bytes).sum();
            let unused: u64 = trees.iter().map(|tree| tree.unused_in_trees).sum();
            let ledger = trees.iter().find(|tree| tree.name == "ledger");
            let mem: u64 = spaces.iter().map(|space| space.mem).sum();
            let disk = disk_use(tx, files)?;
            Ok(SpaceReport {
                mem,
                objects: spaces.iter().map(MemRam::objects).sum(),
                entries: classes.iter().map(|class| class.entries).sum(),
                ledger_payload: ledger.map_or(0, |tree| if disk.on_server { mem } else { tree.payload }),
                free_file_bytes: unsigned(free),
                auto_vacuum: tx.can_shrink()?,
                pointer_map_bytes: unsigned(bytes - free).saturating_sub(in_trees),
                file_size: unsigned(bytes),
                page_size: unsigned(page),
                wal_size: files.log,
                log_limit: self.inner.location.log_limit_below(disk.max_file),
                gc_bytes: unsigned(free),
                empty_blocks: classes.iter().map(|class| class.empty_blocks).sum(),
                vacuum_bytes_estimated: unsigned(free) + unused,
                disk,
                trees,
            })
        })
    }
}

fn all_classes(tx: &mut ReadTx<'_>, spaces: &[MemRam]) -> Result<Vec<SizeClassTotals>> {
    let mut classes = Vec::new();
    for space in spaces {
        classes.extend(queries::spaces::classes(tx, space.id)?);
    }
    Ok(classes)
}
