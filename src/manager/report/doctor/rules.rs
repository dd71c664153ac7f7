//! Pure rules that turn figures into findings, with a reason for each threshold.

use super::evicting::evicting;
use super::examine::Examined;
use super::finding::{Figure, Finding, Remedy, Severity};
use super::quotas::quotas;
use crate::manager::History;
use crate::models::SizeClassTotals;

/// From this free share of the file, giving it back is worth moving pages. SQLite uses free pages
/// before it grows the file, so fewer are no loss.
const MANY_FREE_PAGES: f64 = 0.25;
/// A smaller file is never large, whatever its shares are.
const SMALL_FILE: u64 = 1024 * 1024;
/// The part of its limit from which the write-ahead log starts again, unless somebody reads from it.
const LONG_LOG: u64 = 2;
/// Bytes of file per stored byte. Blocks of 4 KiB and more take about 1.1, objects of a hundred
/// bytes about 4; over 2, rows and indexes take more than the contents.
const LARGE_FILE: f64 = 2.0;
/// The part of the file from which a history without a limit is worth mentioning.
const LARGE_HISTORY: f64 = 0.25;
/// Why a file keeps its free pages.
const NO_AUTO_VACUUM: &str = "It cannot shrink as it is: another tool has turned its auto_vacuum off, as a VACUUM can. \
                              Collecting garbage rewrites the file once, and turns it on.";
/// Above this share of its ceiling, the reserve counted, a file is nearly full: units of work commit alone,
/// and the log is copied more often.
const NEARLY_FULL_FILE: f64 = 0.875;
/// Who else has a right to the space.
const PROMISED: &str = " {promised} of the space are promised to reservations.";
/// Below this used share, the blocks of a class are mostly room.
const SPARSE: f64 = 0.5;
/// From this share of all blocks, empty ones are worth mentioning.
const MANY_EMPTY: f64 = 0.25;
/// Pieces relative to what placement makes without fragmentation.
const SCATTERED: f64 = 1.1;

/// All findings; those that need action come first.
pub(super) fn findings(examined: &Examined) -> Vec<Finding> {
    let mut findings: Vec<_> = [
        nearly_full(examined),
        evicting(examined),
        quotas(examined),
        nearly_full_file(examined),
        garbage(examined),
        free_pages(examined),
        leftovers(examined),
        old_uploads(examined),
        large_log(examined),
        scattered(examined),
        large_file(examined),
        large_history(examined),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.extend(
        examined
            .classes
            .iter()
            .filter_map(|class| sparse_blocks(examined, class)),
    );
    if !findings.iter().any(|finding| finding.severity == Severity::Action) {
        findings.push(healthy(examined));
    }
    findings.sort_by_key(|finding| match finding.severity {
        Severity::Action => 0,
        Severity::Fine => 1,
        Severity::Note => 2,
    });
    findings
}

fn bytes(bytes: u64) -> Figure {
    Figure::Bytes(bytes)
}

fn count(count: u64) -> Figure {
    Figure::Count(count)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn nearly_full(examined: &Examined) -> Option<Finding> {
    let fullness = examined.fullness.as_ref()?;
    let memram = &examined.memram;
    let mut figures = vec![
        ("used", Figure::Share(examined.used())),
        ("mem", bytes(memram.mem)),
        ("max_mem", bytes(memram.max_mem)),
        ("promised", bytes(memram.promised)),
        ("available", bytes(memram.available())),
        ("objects", count(examined.objects())),
        ("unnamed_objects", count(fullness.unnamed.count)),
        ("unnamed_mem", bytes(fullness.unnamed.bytes)),
    ];
    let mut text = "{used} of the space is used, {mem} of {max_mem}; an object larger than {available} is refused. \
                    There are {objects|object}, {unnamed_objects} of them without a name, with {unnamed_mem}."
        .to_owned();
    let mut remedy = Vec::new();
    if memram.promised > 0 {
        text.push_str(PROMISED);
        remedy.push(Remedy::Reservations);
    }
    if let Some((id, size)) = &fullness.largest {
        figures.push(("largest_object_id", Figure::Id(*id)));
        figures.push(("largest_size", Figure::Bytes(*size)));
        text.push_str(" The largest found, {largest_object_id}, has {largest_size}.");
        remedy.push(Remedy::PlanFree(*id));
    }
    remedy.push(Remedy::Resize(memram.max_mem.saturating_mul(2)));
    Some(Finding::new("nearly_full", Severity::Action, &text, figures, remedy))
}

fn nearly_full_file(examined: &Examined) -> Option<Finding> {
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
        ("file_size", bytes(disk.file_size)),
        ("free_file_bytes", bytes(disk.free_file_bytes)),
        ("reserve", bytes(disk.reserve)),
        ("max_file", bytes(max_file)),
        ("fits_estimated", bytes(fits)),
        ("available", bytes(examined.memram.available())),
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

/// Empty arenas are useful as long as their class needs blocks. They deprive other classes of room
/// only if no new arena can be carved.
fn garbage(examined: &Examined) -> Option<Finding> {
    let empty = examined.empty_arenas;
    let unreserved = examined.memram.unreserved();
    let (blocks, empty_blocks) = (
        examined.sum(|class| class.blocks),
        examined.sum(|class| class.empty_blocks),
    );
    let stuck = empty.bytes > 0 && unreserved < examined.memram.arena_size;
    if !stuck && empty.bytes == 0 && share(empty_blocks, blocks) < MANY_EMPTY {
        return None;
    }
    let text = "Empty: {empty_arenas|arena} with {empty_arena_bytes}, and {empty_blocks} of {blocks|block}";
    let figures = [
        ("empty_arenas", count(empty.count)),
        ("empty_arena_bytes", bytes(empty.bytes)),
        ("empty_blocks", count(empty_blocks)),
        ("blocks", count(blocks)),
        ("unreserved", bytes(unreserved)),
    ];
    let remedy = vec![Remedy::CollectGarbage];
    Some(if stuck {
        let text = format!(
            "{text}. Only {{unreserved}} are left to carve, so other classes have to use these arenas, in blocks of \
             the wrong size."
        );
        Finding::new("nothing_to_carve", Severity::Action, &text, figures, remedy)
    } else {
        let text = format!("{text}. They will be filled before new ones are carved ({{unreserved}} are unreserved).");
        Finding::new("garbage", Severity::Note, &text, figures, remedy)
    })
}

fn free_pages(examined: &Examined) -> Option<Finding> {
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
        ("mem", bytes(examined.memram.mem)),
        ("peak_mem", bytes(examined.memram.peak_mem)),
    ];
    let remedy = vec![Remedy::CollectGarbage];
    Some(Finding::new("free_pages", Severity::Action, &text, figures, remedy))
}

fn leftovers(examined: &Examined) -> Option<Finding> {
    let (lapsed, waiting, expired) = examined.leftovers.due();
    if lapsed.count + waiting.count + expired.count == 0 {
        return None;
    }
    let text = "Held to no end: {lapsed_bytes} of {lapsed|reservation} whose time is over, as of an upload whose \
                program died, {waiting_bytes} of {waiting|large object} that came to nothing or were freed, and \
                {expired_bytes} of {expired|object} that expired. Each write gives some back, a collection all.";
    let figures = [
        ("lapsed", count(lapsed.count)),
        ("lapsed_bytes", bytes(lapsed.bytes)),
        ("waiting", count(waiting.count)),
        ("waiting_bytes", bytes(waiting.bytes)),
        ("expired", count(expired.count)),
        ("expired_bytes", bytes(expired.bytes)),
    ];
    let remedy = vec![Remedy::CollectGarbage];
    Some(Finding::new("leftovers", Severity::Note, text, figures, remedy))
}

fn old_uploads(examined: &Examined) -> Option<Finding> {
    let old = examined.leftovers.old;
    if old.count == 0 {
        return None;
    }
    let text = "{old_uploads|large object} with {old_upload_bytes} began to be stored more than a day ago, and a \
                program still renews the lease: its source may never end.";
    let figures = [
        ("old_uploads", count(old.count)),
        ("old_upload_bytes", bytes(old.bytes)),
    ];
    let remedy = vec![Remedy::Reservations];
    Some(Finding::new("old_uploads", Severity::Note, text, figures, remedy))
}

fn large_log(examined: &Examined) -> Option<Finding> {
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
        figures.push(("log_readers", count(names.len() as u64)));
        figures.push(("log_held_by", Figure::Text(names.join("; "))));
    }
    Some(if is_large {
        let remedy = vec![Remedy::CollectGarbage];
        Finding::new("large_log", Severity::Action, &text, figures, remedy)
    } else {
        Finding::new("log_held", Severity::Note, &text, figures, Vec::new())
    })
}

fn scattered(examined: &Examined) -> Option<Finding> {
    let (entries, objects) = (examined.entries(), examined.objects());
    let fewest = examined.fewest_pieces?;
    if entries as f64 <= SCATTERED * (fewest + objects) as f64 {
        return None;
    }
    let partly = examined.sum(SizeClassTotals::partly_filled_blocks);
    let text = "{objects|object} have {entries|piece}, {pieces_per_object} each; alone in their blocks they would \
                have {fewest_pieces}. {partly_filled_blocks} of {blocks|block} are partly filled, and new objects \
                fill them first. Pieces are never moved together, but objects copied into a new file have the \
                fewest.";
    let figures = [
        ("objects", count(objects)),
        ("entries", count(entries)),
        ("pieces_per_object", Figure::Ratio(share(entries, objects))),
        ("fewest_pieces", count(fewest)),
        ("partly_filled_blocks", count(partly)),
        ("blocks", count(examined.sum(|class| class.blocks))),
    ];
    Some(Finding::new("scattered", Severity::Note, text, figures, Vec::new()))
}

fn sparse_blocks(examined: &Examined, class: &SizeClassTotals) -> Option<Finding> {
    let used = share(class.mem, class.reserved);
    // A class may always have the room of one arena ahead of need.
    if used >= SPARSE || class.reserved.saturating_sub(class.mem) <= examined.memram.arena_size {
        return None;
    }
    let text = "The blocks of {block_size} are {used} full: {mem} in {blocks|block} with {reserved}. \
                Under a quarter full: {nearly_empty_arenas|arena} of the space, with {nearly_empty_mem}.";
    let figures = [
        ("block_size", bytes(class.block_size)),
        ("used", Figure::Share(used)),
        ("mem", bytes(class.mem)),
        ("blocks", count(class.blocks)),
        ("reserved", bytes(class.reserved)),
        ("nearly_empty_arenas", count(examined.nearly_empty_arenas.count)),
        ("nearly_empty_mem", bytes(examined.nearly_empty_arenas.bytes)),
    ];
    let mut remedy = Vec::new();
    if examined.nearly_empty_arenas.count > 0 {
        remedy.extend([Remedy::Sparse, Remedy::Compact]);
    }
    Some(Finding::new("sparse_blocks", Severity::Note, text, figures, remedy))
}

fn large_file(examined: &Examined) -> Option<Finding> {
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
        ("objects", count(examined.objects())),
        ("entries", count(examined.entries())),
    ];
    let remedy = vec![Remedy::SpaceReport];
    Some(Finding::new("large_file", Severity::Note, text, figures, remedy))
}

/// Without a limit, the history grows with every write, whatever the space holds.
fn large_history(examined: &Examined) -> Option<Finding> {
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
        ("history_bytes", bytes(memram.history_bytes)),
        ("in_use", bytes(in_use)),
    ];
    let remedy = vec![Remedy::LimitHistory(History::bytes_of_new_space(memram.max_mem))];
    Some(Finding::new("large_history", Severity::Note, text, figures, remedy))
}

fn healthy(examined: &Examined) -> Finding {
    let memram = &examined.memram;
    let on_disk = if examined.disk.on_server {
        "the tables and indexes take {file_size}"
    } else {
        "the file has {file_size}, of which {free_file_bytes} free pages, and a write-ahead log of {wal_size}"
    };
    let mut text = format!(
        "Nothing needs action: {{used}} of the space is used, {{mem}} of {{max_mem}}; {{objects|object}} in \
         {{entries|piece}}; {on_disk}. The history takes {{history_bytes}}."
    );
    let mut figures = vec![
        ("used", Figure::Share(examined.used())),
        ("mem", bytes(memram.mem)),
        ("max_mem", bytes(memram.max_mem)),
        ("promised", bytes(memram.promised)),
        ("objects", count(examined.objects())),
        ("entries", count(examined.entries())),
        ("file_size", Figure::Bytes(examined.file_size)),
        ("free_file_bytes", Figure::Bytes(examined.free_file_bytes)),
        ("wal_size", Figure::Bytes(examined.wal_size)),
        ("history_bytes", bytes(memram.history_bytes)),
    ];
    if let (Some(max_file), Some(fits)) = (examined.disk.max_file, examined.disk.fits_estimated) {
        text.push_str(
            " On disk are {on_disk} of {max_file}; the space has room for {available}, and the file for about \
             {fits_estimated}.",
        );
        figures.extend([
            ("on_disk", bytes(examined.disk.total())),
            ("max_file", bytes(max_file)),
            ("available", bytes(memram.available())),
            ("fits_estimated", bytes(fits)),
        ]);
    }
    if memram.promised > 0 {
        text.push_str(PROMISED);
    }
    Finding::new("healthy", Severity::Fine, &text, figures, Vec::new())
}
