//! Where the bytes of the file are.

use std::fmt;

use bytesize::ByteSize;
use serde::Serialize;

use super::{MemManager, unsigned};
use crate::error::{Result, grouped};
use crate::models::{MemRam, SizeClassTotals};
use crate::store::queries::pages::TreeSize;
use crate::store::{Conn, beside, file_sizes, queries};

/// From the bytes stored to the bytes of the file. Sizes are bytes, of all spaces of the
/// file together, because they share its pages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpaceReport {
    /// Bytes of content stored.
    pub mem: u64,
    /// Objects stored.
    pub objects: u64,
    /// Ledger entries.
    pub entries: u64,
    /// The rows of the ledger as SQLite encodes them: the contents, and a few bytes of
    /// keys and sizes for each piece.
    pub ledger_payload: u64,
    /// Every table and index, the largest first. Their bytes, `free_file_bytes` and
    /// `pointer_map_bytes` add up to `file_size`.
    pub trees: Vec<TreeSize>,
    /// Pages that nothing uses.
    pub free_file_bytes: u64,
    /// Pages in which SQLite notes who points to which page, so that the file can shrink.
    pub pointer_map_bytes: u64,
    /// The file, without the write-ahead log.
    pub file_size: u64,
    /// A page of the file.
    pub page_size: u64,
    /// The write-ahead log beside the file.
    pub wal_size: u64,
    /// Bytes of the file ÷ bytes stored; `None` when nothing is stored.
    pub file_bytes_per_stored_byte: Option<f64>,
    /// What [`MemManager::collect_garbage`] gives back at least: the free pages.
    pub gc_bytes: u64,
    /// Blocks with nothing in them, whose rows it removes too; [`MemManager::plan_free`]
    /// without objects says exactly what comes of both.
    pub empty_blocks: u64,
    /// What a `VACUUM` of SQLite would give back, estimated: the free pages, and what is
    /// unused on pages that rows share. It cannot use every byte of a page, so it is
    /// rather less.
    pub vacuum_bytes_estimated: u64,
}

impl MemManager {
    /// Where every byte of the file is: what is stored, what its rows, pages and indexes
    /// add, and what could be given back. Reads every page of the file: O(file).
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn space_report(&self) -> Result<SpaceReport> {
        let wal = std::fs::metadata(beside(self.path(), "-wal")).map_or(0, |file| file.len());
        self.inner.readers.snapshot(|conn| {
            let spaces = queries::spaces::all(conn)?;
            let classes = all_classes(conn, &spaces)?;
            let trees = queries::pages::trees(conn)?;
            let (file_size, free, page_size) = file_sizes(conn)?;
            let in_trees: i64 = trees.iter().map(|tree| tree.bytes).sum();
            let unused: i64 = trees.iter().map(|tree| tree.unused_in_trees).sum();
            let ledger = trees.iter().find(|tree| tree.name == "ledger");
            let mem: i64 = spaces.iter().map(|space| space.mem).sum();
            Ok(SpaceReport {
                mem: unsigned(mem),
                objects: unsigned(spaces.iter().map(|space| space.allocations - space.frees).sum()),
                entries: unsigned(classes.iter().map(|class| class.entries).sum()),
                ledger_payload: unsigned(ledger.map_or(0, |tree| tree.payload)),
                free_file_bytes: unsigned(free),
                pointer_map_bytes: unsigned(file_size - free - in_trees),
                file_size: unsigned(file_size),
                page_size: unsigned(page_size),
                wal_size: wal,
                file_bytes_per_stored_byte: (mem > 0).then(|| file_size as f64 / mem as f64),
                gc_bytes: unsigned(free),
                empty_blocks: unsigned(classes.iter().map(|class| class.empty_blocks).sum()),
                vacuum_bytes_estimated: unsigned(free + unused),
                trees,
            })
        })
    }
}

fn all_classes(conn: &mut Conn, spaces: &[MemRam]) -> Result<Vec<SizeClassTotals>> {
    let mut classes = Vec::new();
    for space in spaces {
        classes.extend(queries::spaces::classes(conn, space.id)?);
    }
    Ok(classes)
}

impl fmt::Display for SpaceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_ladder(f)?;
        self.write_trees(f)?;
        writeln!(
            f,
            "\ngc gives {} back at least, and removes the rows of {} empty blocks; `gc --dry-run` says exactly",
            ByteSize::b(self.gc_bytes),
            grouped(self.empty_blocks)
        )?;
        write!(
            f,
            "VACUUM would give back up to {}, by estimate: free pages, and room on pages that rows share",
            ByteSize::b(self.vacuum_bytes_estimated)
        )
    }
}

impl SpaceReport {
    /// Each step adds what the layer below costs.
    fn write_ladder(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.trees.iter().find(|tree| tree.name == "ledger");
        let ledger_bytes = unsigned(ledger.map_or(0, |tree| tree.bytes));
        let trees: u64 = self.trees.iter().map(|tree| unsigned(tree.bytes)).sum();
        let steps = [
            ("stored", self.mem),
            (
                "+ row headers and keys of the pieces",
                self.ledger_payload.saturating_sub(self.mem),
            ),
            (
                "+ page headers and room in the ledger",
                ledger_bytes.saturating_sub(self.ledger_payload),
            ),
            ("+ other tables, and indexes", trees.saturating_sub(ledger_bytes)),
            ("+ free pages", self.free_file_bytes),
            ("+ pointer map", self.pointer_map_bytes),
            ("= file", self.file_size),
            ("  write-ahead log beside it", self.wal_size),
        ];
        for (what, bytes) in steps {
            self.write_step(f, what, bytes)?;
        }
        let (objects, entries) = (grouped(self.objects), grouped(self.entries));
        write!(f, "{objects} objects in {entries} pieces")?;
        match self.file_bytes_per_stored_byte {
            Some(ratio) => writeln!(f, "; {ratio:.3} bytes of file for each byte stored\n"),
            None => writeln!(f, "\n"),
        }
    }

    fn write_step(&self, f: &mut fmt::Formatter<'_>, what: &str, bytes: u64) -> fmt::Result {
        let human = ByteSize::b(bytes).to_string();
        write!(f, "{what:<40} {:>18} {human:>11}", grouped(bytes))?;
        match self.mem {
            0 => writeln!(f),
            mem => writeln!(f, " {:>8.3} per byte", bytes as f64 / mem as f64),
        }
    }

    fn write_trees(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = "table or index";
        let names = self.trees.iter().map(|tree| tree.name.len());
        let width = names.max().unwrap_or(0).max(title.len());
        writeln!(
            f,
            "{title:<width$} {:<5} {:>9} {:>11} {:>15} {:>15} {:>15}",
            "", "pages", "rows", "bytes", "payload", "unused"
        )?;
        for tree in &self.trees {
            let columns = [tree.pages, tree.rows, tree.bytes, tree.payload, tree.unused];
            let [pages, rows, bytes, payload, unused] = columns.map(|number| grouped(unsigned(number)));
            writeln!(
                f,
                "{:<width$} {:<5} {pages:>9} {rows:>11} {bytes:>15} {payload:>15} {unused:>15}",
                tree.name, tree.kind
            )?;
        }
        Ok(())
    }
}
