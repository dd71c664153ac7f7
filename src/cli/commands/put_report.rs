//! The output of `put`: a row per object, a line per failure, and a summary.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use heapledger::{Allocation, Freed, ObjectId};
use serde::Serialize;

use super::names::replaced;
use super::put_source::{Change, Source};
use crate::cli::exit;
use crate::cli::output::fit::GAP;
use crate::cli::output::progress::Progress;
use crate::cli::output::render::{List, Output, Row};
use crate::cli::output::terminal;
use crate::cli::output::text::{
    Sizes, counted, cut_name, path_bytes, printable, printable_path, short_id, sum_line, width,
};

/// The report of one `put`.
pub struct Report<'a> {
    /// `None` after the reader of the rows closed the pipe, which does not stop `put`.
    rows: Option<List<'a, Stored>>,
    progress: Progress,
    totals: Totals,
    /// The last object that had the name before, if that freed it.
    freed: Option<Freed>,
    quiet: bool,
}

#[derive(Default)]
struct Totals {
    stored: u64,
    dedup: u64,
    pieces: u64,
    bytes: u64,
    new_bytes: u64,
    repaired: u64,
    freed: u64,
    freed_bytes: u64,
    gone: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
}

impl<'a> Report<'a> {
    /// A `quiet` report has only rows and failures.
    pub fn new(output: &'a mut Output, quiet: bool) -> Self {
        Self {
            rows: Some(output.list()),
            progress: Progress::new("storing"),
            totals: Totals::default(),
            freed: None,
            quiet,
        }
    }

    /// Reports objects whose transaction was committed.
    pub fn stored<'b>(&mut self, stored: impl Iterator<Item = (&'b Source, &'b Allocation)>) -> Result<()> {
        let Self {
            rows,
            progress,
            totals,
            freed,
            ..
        } = self;
        let printed = progress.suspend(|| {
            let mut printed = Ok(());
            for (source, allocation) in stored {
                totals.add(allocation);
                if let Some(before) = &allocation.freed {
                    totals.free(before);
                    *freed = Some(before.clone());
                }
                if let (Some(rows), Ok(())) = (rows.as_mut(), &printed) {
                    printed = rows.row(&Stored::new(source, allocation));
                }
            }
            printed.and_then(|()| rows.as_mut().map_or(Ok(()), List::flush))
        });
        self.go_on_without_reader(printed)
    }

    /// Reports a change that is not, or not yet, carried out by storing something.
    pub fn change(&mut self, source: &Source, object_id: Option<ObjectId>, size: u64) -> Result<()> {
        let row = Stored {
            object_id,
            size,
            ..Stored::of(source)
        };
        let rows = &mut self.rows;
        let printed = self
            .progress
            .suspend(|| rows.as_mut().map_or(Ok(()), |rows| rows.row(&row)));
        self.go_on_without_reader(printed)
    }

    /// Reports a name that was removed, and the object if that freed it.
    pub fn gone(&mut self, source: &Source, object_id: ObjectId, size: u64, freed: Option<&Freed>) -> Result<()> {
        self.totals.gone += 1;
        if let Some(freed) = freed {
            self.totals.free(freed);
        }
        self.change(source, Some(object_id), size)
    }

    /// Counts files whose names already have their contents.
    pub fn unchanged(&mut self, files: u64) {
        self.totals.unchanged += files;
    }

    /// Reports something skipped on purpose.
    pub fn skipped(&mut self, path: &Path, why: &str) {
        self.totals.skipped += 1;
        if !self.quiet {
            self.progress
                .suspend(|| exit::note(&format!("skipped {}: {why}", printable_path(path))));
        }
    }

    /// Reports something that cannot be stored.
    pub fn failed(&mut self, path: &Path, why: &str) {
        self.totals.failed += 1;
        self.progress
            .suspend(|| exit::warn(&format!("{}: {why}", printable_path(path))));
    }

    /// Shows how much has been stored so far.
    pub fn show_progress(&mut self) {
        self.progress.step("storing", self.totals.bytes, 0);
    }

    /// Shows that the commit is being written to disk.
    pub fn show_commit(&mut self) {
        self.progress.step("writing to disk", self.totals.bytes, 0);
    }

    /// Hides the progress, to make room for another bar.
    pub fn hide_progress(&mut self) {
        self.progress.hide();
    }

    /// Ends the list. [`Self::end`] does it, too.
    pub fn end_list(&mut self) -> Result<()> {
        self.progress.hide();
        let ended = self.rows.take().map_or(Ok(()), List::end);
        self.go_on_without_reader(ended)
    }

    /// Ends the list and prints the summary. Returns the number of failed paths.
    pub fn end(mut self, sizes: Sizes) -> Result<u64> {
        self.end_list()?;
        if !self.quiet {
            // Of several, the summary says how many.
            if let Some(freed) = self.freed.as_ref().filter(|_| self.totals.freed == 1)
                && let Some(name) = freed.names.first()
            {
                exit::note(&replaced(name, freed, sizes));
            }
            exit::note(&self.totals.summary(sizes));
        }
        Ok(self.totals.failed)
    }

    fn go_on_without_reader(&mut self, printed: io::Result<()>) -> Result<()> {
        match printed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.rows = None,
            other => other?,
        }
        Ok(())
    }
}

impl Totals {
    fn add(&mut self, allocation: &Allocation) {
        self.stored += 1;
        self.bytes += allocation.size;
        self.repaired += allocation.repaired;
        if allocation.dedup {
            self.dedup += 1;
        } else {
            self.pieces += allocation.pieces;
            self.new_bytes += allocation.size;
        }
    }

    fn free(&mut self, freed: &Freed) {
        self.freed += 1;
        self.freed_bytes += freed.size;
    }

    /// `stored 3 objects: 2 new in 5 pieces (1.2 MiB), 1 already known (3 B)`
    fn summary(&self, sizes: Sizes) -> String {
        let (stored, new) = (counted(self.stored, "object"), self.stored - self.dedup);
        let (pieces, new_bytes) = (counted(self.pieces, "piece"), sizes.phrase(self.new_bytes));
        let mut text = format!("stored {stored}: {new} new in {pieces} ({new_bytes})");
        if self.dedup > 0 {
            let known_bytes = sizes.phrase(self.bytes - self.new_bytes);
            text.push_str(&format!(", {} already known ({known_bytes})", self.dedup));
        }
        if self.repaired > 0 {
            text.push_str(&format!(
                ", of which {} were damaged and have been repaired",
                sizes.phrase(self.repaired)
            ));
        }
        if self.freed > 1 {
            let freed_bytes = sizes.phrase(self.freed_bytes);
            text.push_str(&format!(
                ", {} freed that had their names before ({freed_bytes})",
                self.freed
            ));
        }
        for (count, what) in [
            (self.gone, "gone"),
            (self.unchanged, "unchanged"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

#[derive(Serialize)]
struct Stored {
    object_id: Option<ObjectId>,
    path: String,
    /// Hexadecimal digits, if `path` is not UTF-8.
    path_bytes: Option<String>,
    /// The name for the path, with --names.
    name: Option<String>,
    /// What has become of the name, with --sync.
    change: Option<Change>,
    size: u64,
    pieces: u64,
    dedup: bool,
    /// Stored bytes that were damaged and have been rewritten.
    repaired: u64,
    freed: Option<Freed>,
    #[serde(skip)]
    raw: PathBuf,
}

impl Stored {
    fn of(source: &Source) -> Self {
        let path = source.path.as_path();
        Self {
            object_id: None,
            path: path.to_string_lossy().into_owned(),
            path_bytes: path_bytes(path),
            name: source.name.clone(),
            change: source.change,
            size: 0,
            pieces: 0,
            dedup: false,
            repaired: 0,
            freed: None,
            raw: path.to_owned(),
        }
    }

    fn new(source: &Source, allocation: &Allocation) -> Self {
        Self {
            object_id: Some(allocation.id),
            size: allocation.size,
            pieces: allocation.pieces,
            dedup: allocation.dedup,
            repaired: allocation.repaired,
            freed: allocation.freed.clone(),
            ..Self::of(source)
        }
    }
}

impl Row for Stored {
    const KEYS: &'static str = "object_id,path,path_bytes,name,change,size,pieces,dedup,repaired,freed";

    /// Whole ids if there is room; the first digits suffice otherwise.
    fn cells(&self, _: Sizes) -> Vec<String> {
        if let Some(change) = self.change {
            let name = self.name.as_deref().unwrap_or_default();
            return vec![format!("{:<7}", change.as_str()), printable(name).into_owned()];
        }
        let id = self.object_id.map(|id| id.to_string()).unwrap_or_default();
        let path = printable_path(&self.raw);
        let columns = terminal::columns().unwrap_or(usize::MAX);
        if id.len() + GAP + width(&path) <= columns {
            return vec![id, path];
        }
        let id = short_id(id);
        let path = cut_name(&path, columns.saturating_sub(id.len() + GAP)).into_owned();
        vec![id, path]
    }

    /// The line that sha256sum prints.
    fn raw_line(&self) -> Option<Vec<u8>> {
        let id = self.object_id.filter(|_| self.change.is_none())?;
        Some(sum_line(id, &self.raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_distinguishes_new_and_known_objects() {
        let totals = Totals {
            stored: 3,
            dedup: 1,
            pieces: 5,
            bytes: 1539,
            new_bytes: 1536,
            repaired: 0,
            freed: 0,
            freed_bytes: 0,
            gone: 0,
            unchanged: 0,
            skipped: 0,
            failed: 2,
        };
        assert_eq!(
            totals.summary(Sizes::Human),
            "stored 3 objects: 2 new in 5 pieces (1.5 KiB), 1 already known (3 B), 2 failed"
        );
    }
}
