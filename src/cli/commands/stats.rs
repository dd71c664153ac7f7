//! `heapledger stats`

use std::io::{self, Write};

use anyhow::Result;
use heapledger::{Bound, ClassStats, Figure, HistoryMode, KindTotals, Policy, Stats, StoredObject};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::table;
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, counted, printable, share, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger stats
  heapledger stats --format json | jq .mem")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    let stats = context.read()?.stats()?;
    context.answer(&stats, |out| text(out, &stats, context.sizes()))
}

fn text(out: &mut dyn Write, stats: &Stats, sizes: Sizes) -> io::Result<()> {
    writeln!(
        out,
        "space {} of {}\n",
        printable(&stats.space),
        sizes.phrase(stats.max_mem)
    )?;
    buckets(out, stats, sizes)?;
    writeln!(out, "\n{}", counted(stats.arenas, "arena"))?;
    table(
        out,
        CLASSES,
        stats.classes.iter().map(|class| class_cells(class, sizes)),
    )?;
    let pieces = counted(stats.entries, "piece");
    let each = stats.pieces_per_object;
    let each = each.map_or(String::new(), |each| format!(", {each:.2} per object"));
    let expired = match stats.expired {
        0 => String::new(),
        expired => format!(", and {} that expired", counted(expired, "object")),
    };
    let objects = counted(stats.objects, "object");
    writeln!(out, "\n{objects} in {pieces}{each}{expired}")?;
    if !stats.kinds.is_empty() {
        table(out, KINDS, stats.kinds.iter().map(|kind| kind_cells(kind, sizes)))?;
        writeln!(out)?;
        table(
            out,
            LARGEST,
            stats.largest.iter().map(|object| largest_cells(object, sizes)),
        )?;
    }
    let count = |number, thing: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{} {thing}{plural}", Figure::Count(number))
    };
    let saved = sizes.phrase(stats.dedup_saved);
    let (hits, frees) = (count(stats.dedup_hits, "dedup hit"), count(stats.frees, "free"));
    let allocations = count(stats.allocations, "allocation");
    writeln!(out, "\npeak      {}", sizes.phrase(stats.peak_mem))?;
    writeln!(out, "lifetime  {allocations}, {frees}, {hits} that saved {saved}")?;
    if stats.evict.is_some() || stats.evictions > 0 {
        let (evicted, bytes) = (counted(stats.evictions, "object"), sizes.phrase(stats.evicted_mem));
        let policy = stats.evict.map_or("off", Policy::as_str);
        writeln!(out, "evicted   {evicted}, {bytes}; policy {policy}")?;
    }
    history(out, stats, sizes)?;
    if stats.disk.on_server {
        let tables = sizes.phrase(stats.file_size);
        return writeln!(out, "server    {tables} in tables and indexes{}", per_byte(stats));
    }
    let (file, free) = (sizes.phrase(stats.file_size), sizes.phrase(stats.free_file_bytes));
    let (log, log_limit) = (sizes.phrase(stats.wal_size), sizes.phrase(stats.log_limit));
    writeln!(
        out,
        "file      {file}, of which {free} free pages; write-ahead log {log} (limit {log_limit})"
    )?;
    on_disk(out, stats, sizes)
}

/// What the history takes, and the newest refusal.
fn history(out: &mut dyn Write, stats: &Stats, sizes: Sizes) -> io::Result<()> {
    let taken = sizes.phrase(stats.history_bytes);
    match (stats.history, stats.history_max_bytes) {
        (HistoryMode::Off, _) => writeln!(out, "history   off; earlier events take {taken}")?,
        (_, Some(most)) => writeln!(out, "history   {taken} of at most {}", sizes.phrase(most))?,
        (_, None) => writeln!(out, "history   {taken}, without a limit")?,
    }
    let Some(refused) = &stats.refused else { return Ok(()) };
    let (needed, last) = (sizes.phrase(refused.bytes), time(refused.last_at));
    if refused.count == 1 {
        return writeln!(out, "refused   {needed} at {last}");
    }
    let (count, since) = (Figure::Count(refused.count), time(refused.at));
    writeln!(out, "refused   {count} times since {since}, last {needed} at {last}")
}

fn per_byte(stats: &Stats) -> String {
    let of = if stats.disk.on_server { "there" } else { "of file" };
    let each = stats.disk.file_bytes_per_stored_byte;
    each.map_or(String::new(), |each| format!(", {each:.2} bytes {of} per stored byte"))
}

/// What is on disk, its ceiling, and which bound is reached first.
fn on_disk(out: &mut dyn Write, stats: &Stats, sizes: Sizes) -> io::Result<()> {
    let disk = &stats.disk;
    let per_byte = per_byte(stats);
    let total = sizes.phrase(disk.total());
    let (Some(max_file), Some(fits)) = (disk.max_file, disk.fits_estimated) else {
        return writeln!(out, "on disk   {total}, without a ceiling{per_byte}");
    };
    let (max_file, reserve) = (sizes.phrase(max_file), sizes.phrase(disk.reserve));
    writeln!(
        out,
        "on disk   {total} of {max_file}, {reserve} of it only for freeing{per_byte}"
    )?;
    let first = match stats.first_bound {
        Bound::MaxFile => "the ceiling of the file",
        _ => "the capacity of the space",
    };
    let (available, fits) = (sizes.phrase(stats.available), sizes.phrase(fits));
    writeln!(
        out,
        "fits      {available} in the space, about {fits} in the file: {first} is reached first"
    )
}

const BUCKETS: &[Head] = &[Head::left("BUCKET"), Head::right("SIZE"), Head::right("SHARE").worth(1)];
const CLAIMS: &[Head] = &[Head::left("CLAIM"), Head::right("SIZE"), Head::right("SHARE").worth(1)];

/// The buckets of the capacity, whether they add up, and whose the bytes are.
fn buckets(out: &mut dyn Write, stats: &Stats, sizes: Sizes) -> io::Result<()> {
    let cells = |what: String, bytes| vec![what, sizes.cell(bytes), share(bytes, stats.max_mem)];
    let rows = stats.buckets.iter();
    table(out, BUCKETS, rows.map(|row| cells(row.bucket.to_string(), row.bytes)))?;
    let total: i128 = stats.buckets.iter().map(|bucket| i128::from(bucket.bytes)).sum();
    if total == i128::from(stats.max_mem) {
        writeln!(out, "the buckets add up to {}", sizes.phrase(stats.max_mem))?;
    } else {
        writeln!(out, "THE BUCKETS DO NOT ADD UP: run heapledger check")?;
    }
    writeln!(out)?;
    let rows = stats.claims.iter();
    table(out, CLAIMS, rows.map(|row| cells(row.claim.to_string(), row.bytes)))
}

const CLASSES: &[Head] = &[
    Head::right("BLOCK SIZE"),
    Head::right("POOLS").worth(3),
    Head::right("BLOCKS").worth(5),
    Head::right("FULL").worth(1),
    Head::right("PARTLY").worth(1),
    Head::right("EMPTY").worth(2),
    Head::right("PIECES").worth(4),
    Head::right("USED"),
];

fn class_cells(class: &ClassStats, sizes: Sizes) -> Vec<String> {
    let totals = &class.totals;
    let used = class.utilisation;
    vec![
        sizes.cell(totals.block_size),
        totals.pools.to_string(),
        totals.blocks.to_string(),
        totals.full_blocks.to_string(),
        class.partly_filled_blocks.to_string(),
        totals.empty_blocks.to_string(),
        totals.entries.to_string(),
        used.map_or("-".into(), |used| format!("{:.1} %", 100.0 * used)),
    ]
}

const KINDS: &[Head] = &[Head::left("KIND"), Head::right("OBJECTS"), Head::right("SIZE")];

fn kind_cells(kind: &KindTotals, sizes: Sizes) -> Vec<String> {
    vec![kind.kind.to_string(), kind.objects.to_string(), sizes.cell(kind.mem)]
}

const LARGEST: &[Head] = &[Head::left("LARGEST"), Head::left("KIND").worth(1), Head::right("SIZE")];

fn largest_cells(object: &StoredObject, sizes: Sizes) -> Vec<String> {
    let (id, kind) = (short_id(object.object_id), object.kind.to_string());
    vec![id, kind, sizes.cell(object.size)]
}
