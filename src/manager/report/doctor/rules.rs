//! Pure rules that turn figures into findings, with a reason for each threshold.

use super::examine::{Examined, share};
use super::finding::{Figure, Finding, Remedy, Severity};
use super::on_disk::{free_pages, full_disk, large_file, large_history, large_log, nearly_full_file};
use super::quotas::quotas;
use crate::models::SizeClassTotals;

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
        refused(examined),
        quotas(examined),
        full_disk(examined),
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

fn nearly_full(examined: &Examined) -> Option<Finding> {
    let fullness = examined.fullness.as_ref()?;
    let memram = &examined.memram;
    let mut figures = vec![
        ("used", Figure::Share(examined.used())),
        ("mem", Figure::Bytes(memram.mem)),
        ("max_mem", Figure::Bytes(memram.max_mem)),
        ("promised", Figure::Bytes(memram.promised)),
        ("available", Figure::Bytes(memram.available())),
        ("objects", Figure::Count(examined.objects())),
        ("unnamed_objects", Figure::Count(fullness.unnamed.count)),
        ("unnamed_mem", Figure::Bytes(fullness.unnamed.bytes)),
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

/// Says what went in the last day, instead of calling the space full, which such a space should be. If that was
/// more than all that it can hold, objects last for less than a day: then it may be too small.
fn evicting(examined: &Examined) -> Option<Finding> {
    let (memram, evicted) = (&examined.memram, examined.evicted?);
    let policy = memram.evict?;
    let figures = vec![
        ("used", Figure::Share(examined.used())),
        ("mem", Figure::Bytes(memram.mem)),
        ("max_mem", Figure::Bytes(memram.max_mem)),
        ("evicted_objects", Figure::Count(evicted.count)),
        ("evicted_mem", Figure::Bytes(evicted.bytes)),
    ];
    let mut text = format!(
        "{{used}} of the space is used, {{mem}} of {{max_mem}}, and the policy {policy} decides which objects go if there \
         is no room. In the last day {{evicted_objects|object}} with {{evicted_mem}} went, according to the history that \
         is kept."
    );
    let mut remedy = Vec::new();
    if evicted.bytes > memram.max_mem {
        text.push_str(" That is more than all that it can hold, so it may be too small: a replay tells what another size would change.");
        remedy.push(Remedy::Resize(memram.max_mem.saturating_mul(2)));
    }
    Some(Finding::new("evicting", Severity::Note, &text, figures, remedy))
}

/// Reports refusals among the newest events, which the present figures may no longer explain.
fn refused(examined: &Examined) -> Option<Finding> {
    let refused = examined.refused.as_ref()?;
    let mut figures = vec![
        ("refused_times", Figure::Count(refused.count)),
        ("refused_bytes", Figure::Bytes(refused.bytes)),
    ];
    let mut remedy = Vec::new();
    let text = if refused.by_quota && refused.count == 1 {
        "A quota refused an object in the last day, {refused_times|time}; it needed {refused_bytes}."
    } else if refused.by_quota {
        // This is known only of the last one: repeated refusals are one event.
        "An object was refused in the last day, {refused_times|time}, the last time by a quota; it needed {refused_bytes}."
    } else {
        figures.push(("available", Figure::Bytes(examined.memram.available())));
        remedy.extend((examined.memram.promised > 0).then_some(Remedy::Reservations));
        "An object was refused in the last day, {refused_times|time}; it needed {refused_bytes}. Now {available} are free."
    };
    Some(Finding::new("refused", Severity::Note, text, figures, remedy))
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
        ("empty_arenas", Figure::Count(empty.count)),
        ("empty_arena_bytes", Figure::Bytes(empty.bytes)),
        ("empty_blocks", Figure::Count(empty_blocks)),
        ("blocks", Figure::Count(blocks)),
        ("unreserved", Figure::Bytes(unreserved)),
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

fn leftovers(examined: &Examined) -> Option<Finding> {
    let (lapsed, waiting, expired) = examined.leftovers.due();
    if lapsed.count + waiting.count + expired.count == 0 {
        return None;
    }
    let parts = [
        (
            lapsed,
            "{lapsed_bytes} of {lapsed|reservation} whose time is over, as of an upload whose program died",
        ),
        (
            waiting,
            "{waiting_bytes} of {waiting|large object} that came to nothing or were freed",
        ),
        (expired, "{expired_bytes} of {expired|object} that expired"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(due, _)| due.count > 0)
        .map(|&(_, text)| text)
        .collect();
    let text = format!(
        "Waiting to be given back: {}. Each write gives some back, a collection all.",
        parts.join("; ")
    );
    let figures = [
        ("lapsed", Figure::Count(lapsed.count)),
        ("lapsed_bytes", Figure::Bytes(lapsed.bytes)),
        ("waiting", Figure::Count(waiting.count)),
        ("waiting_bytes", Figure::Bytes(waiting.bytes)),
        ("expired", Figure::Count(expired.count)),
        ("expired_bytes", Figure::Bytes(expired.bytes)),
    ];
    let remedy = vec![Remedy::CollectGarbage];
    Some(Finding::new("leftovers", Severity::Note, &text, figures, remedy))
}

fn old_uploads(examined: &Examined) -> Option<Finding> {
    let old = examined.leftovers.old;
    if old.count == 0 {
        return None;
    }
    let text = "{old_uploads|large object} with {old_upload_bytes} began to be stored more than a day ago, and a \
                program still renews the lease: its source may never end.";
    let figures = [
        ("old_uploads", Figure::Count(old.count)),
        ("old_upload_bytes", Figure::Bytes(old.bytes)),
    ];
    let remedy = vec![Remedy::Reservations];
    Some(Finding::new("old_uploads", Severity::Note, text, figures, remedy))
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
        ("objects", Figure::Count(objects)),
        ("entries", Figure::Count(entries)),
        ("pieces_per_object", Figure::Ratio(share(entries, objects))),
        ("fewest_pieces", Figure::Count(fewest)),
        ("partly_filled_blocks", Figure::Count(partly)),
        ("blocks", Figure::Count(examined.sum(|class| class.blocks))),
    ];
    Some(Finding::new("scattered", Severity::Note, text, figures, Vec::new()))
}

fn sparse_blocks(examined: &Examined, class: &SizeClassTotals) -> Option<Finding> {
    let used = share(class.mem, class.reserved);
    // A class may always have one arena's worth of room ahead of need.
    if used >= SPARSE || class.reserved.saturating_sub(class.mem) <= examined.memram.arena_size {
        return None;
    }
    let text = "The blocks of {block_size} are {used} full: {mem} in {blocks|block} with {reserved}. \
                Under a quarter full: {nearly_empty_arenas|arena} of the space, with {nearly_empty_mem}.";
    let figures = [
        ("block_size", Figure::Bytes(class.block_size)),
        ("used", Figure::Share(used)),
        ("mem", Figure::Bytes(class.mem)),
        ("blocks", Figure::Count(class.blocks)),
        ("reserved", Figure::Bytes(class.reserved)),
        ("nearly_empty_arenas", Figure::Count(examined.nearly_empty_arenas.count)),
        ("nearly_empty_mem", Figure::Bytes(examined.nearly_empty_arenas.bytes)),
    ];
    let mut remedy = Vec::new();
    if examined.nearly_empty_arenas.count > 0 {
        remedy.extend([Remedy::Sparse, Remedy::Compact]);
    }
    Some(Finding::new("sparse_blocks", Severity::Note, text, figures, remedy))
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
        ("mem", Figure::Bytes(memram.mem)),
        ("max_mem", Figure::Bytes(memram.max_mem)),
        ("promised", Figure::Bytes(memram.promised)),
        ("objects", Figure::Count(examined.objects())),
        ("entries", Figure::Count(examined.entries())),
        ("file_size", Figure::Bytes(examined.file_size)),
        ("free_file_bytes", Figure::Bytes(examined.free_file_bytes)),
        ("wal_size", Figure::Bytes(examined.wal_size)),
        ("history_bytes", Figure::Bytes(memram.history_bytes)),
    ];
    if let (Some(max_file), Some(fits)) = (examined.disk.max_file, examined.disk.fits_estimated) {
        text.push_str(
            " On disk are {on_disk} of {max_file}; the space has room for {available}, and the file for about \
             {fits_estimated}.",
        );
        figures.extend([
            ("on_disk", Figure::Bytes(examined.disk.total())),
            ("max_file", Figure::Bytes(max_file)),
            ("available", Figure::Bytes(memram.available())),
            ("fits_estimated", Figure::Bytes(fits)),
        ]);
    }
    if memram.promised > 0 {
        text.push_str(PROMISED);
    }
    Finding::new("healthy", Severity::Fine, &text, figures, Vec::new())
}
