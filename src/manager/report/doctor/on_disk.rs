//! What a heap takes on disk: the file, its free pages, its log, its history.

use super::examine::{Examined, share};
use super::finding::{Figure, Finding, Remedy, Severity};
use crate::manager::History;

/// Above this share of its ceiling, the reserve included, a file is nearly full: units of work commit
/// alone, and the log is copied more often.
const NEARLY_FULL_FILE: f64 = 0.875;
/// From this free share of the file, giving it back is worth moving pages. SQLite uses free pages
/// before it grows the file, so fewer are no loss.
const MANY_FREE_PAGES: f64 = 0.25;
/// A smaller file is never large, whatever its shares are.
const SMALL_FILE: u64 = 1024 * 1024;
/// Why a file keeps its free pages.
const NO_AUTO_VACUUM: &str = "It cannot shrink as it is: another tool has turned its auto_vacuum off, as a VACUUM can. \
                              Collecting garbage rewrites the file once, and turns it on.";
/// The part of its limit from which the write-ahead log starts again, unless somebody reads from it.
const LONG_LOG: u64 = 2;
/// Bytes of file per stored byte. Blocks of 4 KiB and more take about 1.1, objects of a hundred
/// bytes about 4; over 2, rows and indexes take more than the contents.
const LARGE_FILE: f64 = 2.0;
/// The part of the file from which a history without a limit is worth mentioning.
const LARGE_HISTORY: f64 = 0.25;

/// With less than this, a part of a large object may not fit: its 8 MiB go to the log, and then to the file.
const LITTLE_DISK: u64 = 16 * 1024 * 1024;

pub(super) fn full_disk(examined: &Examined) -> Option<Finding> {
    let free = examined.free_on_disk.filter(|&free| free < LITTLE_DISK)?;
    let text = "The disk of the file has {disk_free} left. What needs more is refused, and changes nothing, until there \
                is room on the disk.";
    let figures = [("disk_free", Figure::Bytes(free))];
    Some(Finding::new("full_disk", Severity::Action, text, figures, Vec::new()))
}

pub(super) fn nearly_full_file(examined: &Examined) -> Option<Finding> {
    let disk = &examined.disk;
    let (max_file, fits) = (disk.max_file?, disk.fits_estimated?);
    let in_use = disk.file_size.saturating_sub(disk.free_file_bytes) + disk.shm_size + disk.reserve;
    let used = share(in_use, max_file);
    if used < NEARLY_FULL_FILE {
        return None;
    }
    let text = "{file_used} of the ceiling of the file is used or kept for freeing: the file has {file_size}, \
                {free_file_bytes} of it free pages, with {reserve} as a reserve, of {max_file}. About \
                {fits_estimated} of content still fit; the space has room for {available}.";
    let figures = [
        ("file_used", Figure::Share(used)),
        ("file_size", Figure::Bytes(disk.file_size)),
        ("free_file_bytes", Figure::Bytes(disk.free_file_bytes)),
        ("reserve", Figure::Bytes(disk.reserve)),
        ("max_file", Figure::Bytes(max_file)),
        ("fits_estimated", Figure::Bytes(fits)),
        ("available", Figure::Bytes(examined.memram.available())),
    ];
    let remedy = vec![Remedy::CollectGarbage, Remedy::SetMaxFile(max_file.saturating_mul(2))];
    Some(Finding::new(
        "nearly_full_file",
        Severity::Action,
        text,
        figures,
        remedy,
    ))
}

pub(super) fn free_pages(examined: &Examined) -> Option<Finding> {
    let free_share = examined.free_file_bytes as f64 / examined.file_size as f64;
    if examined.free_file_bytes < SMALL_FILE || free_share < MANY_FREE_PAGES {
        return None;
    }
    let mut text = "{free_share} of the file is free pages, {free_file_bytes} of {file_size}. The space holds {mem} \
                    and held {peak_mem} at its peak."
        .to_owned();
    if !examined.can_shrink {
        text.push(' ');
        text.push_str(NO_AUTO_VACUUM);
    }
    let figures = [
        ("free_share", Figure::Share(free_share)),
        ("free_file_bytes", Figure::Bytes(examined.free_file_bytes)),
        ("file_size", Figure::Bytes(examined.file_size)),
        ("mem", Figure::Bytes(examined.memram.mem)),
        ("peak_mem", Figure::Bytes(examined.memram.peak_mem)),
    ];
    let remedy = vec![Remedy::CollectGarbage];
    Some(Finding::new("free_pages", Severity::Action, &text, figures, remedy))
}

pub(super) fn large_log(examined: &Examined) -> Option<Finding> {
    let is_held = !examined.log_holders.is_empty() && examined.wal_size >= examined.log_limit / LONG_LOG;
    // A heap on a server has no log of its own.
    let is_large = examined.wal_size > 0 && examined.wal_size >= examined.log_limit;
    if !is_held && !is_large {
        return None;
    }
    let mut text =
        "The write-ahead log has {wal_size} next to a file of {file_size}; its limit is {log_limit}.".to_owned();
    let mut figures = vec![
        ("wal_size", Figure::Bytes(examined.wal_size)),
        ("file_size", Figure::Bytes(examined.file_size)),
        ("log_limit", Figure::Bytes(examined.log_limit)),
    ];
    if is_held {
        text.push_str(
            " {log_readers|reader} of it: {log_held_by}. It cannot start again while they read an old state, and at \
             its limit nothing can be written: end them, or wait for them.",
        );
        let names: Vec<_> = examined.log_holders.iter().map(ToString::to_string).collect();
        figures.push(("log_readers", Figure::Count(names.len() as u64)));
        figures.push(("log_held_by", Figure::Text(names.join("; "))));
    }
    Some(if is_large {
        // A collection could not empty it, either, while somebody reads.
        let remedy = if is_held {
            Vec::new()
        } else {
            vec![Remedy::CollectGarbage]
        };
        Finding::new("large_log", Severity::Action, &text, figures, remedy)
    } else {
        Finding::new("log_held", Severity::Note, &text, figures, Vec::new())
    })
}

pub(super) fn large_file(examined: &Examined) -> Option<Finding> {
    let in_use = examined.file_size - examined.free_file_bytes;
    let ratio = in_use as f64 / examined.stored_in_file.max(1) as f64;
    // Empty tables and indexes of a server take as much as a small file.
    let small = SMALL_FILE * if examined.disk.on_server { 16 } else { 1 };
    if in_use < small || ratio <= LARGE_FILE {
        return None;
    }
    let text = if examined.disk.on_server {
        "The tables and indexes take {in_use} for {stored_in_file} stored, {ratio} bytes per stored byte: more than \
         the contents. This space has {objects|object} in {entries|piece}."
    } else {
        "The file uses {in_use} for {stored_in_file} stored, {ratio} bytes per stored byte: rows and indexes \
         take more than the contents. This space has {objects|object} in {entries|piece}."
    };
    let figures = [
        ("in_use", Figure::Bytes(in_use)),
        ("stored_in_file", Figure::Bytes(examined.stored_in_file)),
        ("ratio", Figure::Ratio(ratio)),
        ("objects", Figure::Count(examined.objects())),
        ("entries", Figure::Count(examined.entries())),
    ];
    let remedy = vec![Remedy::SpaceReport];
    Some(Finding::new("large_file", Severity::Note, text, figures, remedy))
}

/// Without a limit, the history grows with every write, whatever the space holds.
pub(super) fn large_history(examined: &Examined) -> Option<Finding> {
    let memram = &examined.memram;
    let in_use = examined.file_size - examined.free_file_bytes;
    let is_large = memram.history_bytes >= SMALL_FILE && share(memram.history_bytes, in_use) > LARGE_HISTORY;
    if !is_large || memram.history_max_bytes.is_some() {
        return None;
    }
    let text = if examined.disk.on_server {
        "The history of this space takes {history_bytes} of the {in_use} of all tables and indexes, and no size limits it."
    } else {
        "The history of this space takes {history_bytes} of the {in_use} that the file uses, and no size limits it."
    };
    let figures = [
        ("history_bytes", Figure::Bytes(memram.history_bytes)),
        ("in_use", Figure::Bytes(in_use)),
    ];
    let remedy = vec![Remedy::LimitHistory(History::bytes_of_new_space(memram.max_mem))];
    Some(Finding::new("large_history", Severity::Note, text, figures, remedy))
}
