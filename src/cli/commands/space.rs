//! `heapledger space`

use std::io::{self, Write};

use anyhow::Result;
use heapledger::{SpaceReport, TreeSize};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::render::table;
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, counted, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
From the stored bytes to the bytes of the file, for all its spaces: what each table and index
takes, and what could be given back. Reads every page of the file. On a server it shows
the tables and indexes of the schema.

Examples:
  heapledger space
  heapledger space --format json | jq '.trees[] | [.name, .bytes]'")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    let report = progress::during("reading every page", || {
        context.read()?.space_report().map_err(anyhow::Error::from)
    })?;
    context.answer(&report, |out| text(out, &report, context.sizes()))
}

fn text(out: &mut dyn Write, report: &SpaceReport, sizes: Sizes) -> io::Result<()> {
    let ratio = |bytes: u64| match report.mem {
        0 => String::new(),
        mem => format!("{:.3}", bytes as f64 / mem as f64),
    };
    let rows = ladder(report)
        .into_iter()
        .map(|(what, bytes)| vec![what.to_owned(), sizes.cell(bytes), ratio(bytes)]);
    table(out, LADDER, rows)?;
    let (objects, pieces) = (counted(report.objects, "object"), counted(report.entries, "piece"));
    writeln!(out, "{objects} in {pieces}")?;
    if let Some(max_file) = report.disk.max_file {
        let (max_file, reserve) = (sizes.phrase(max_file), sizes.phrase(report.disk.reserve));
        let total = sizes.phrase(report.disk.total());
        writeln!(out, "on disk {total} of {max_file}, {reserve} of it only for freeing")?;
    }
    writeln!(out)?;
    // Where the head has fewer columns, the other cells are left out.
    let head = if report.disk.on_server { ON_SERVER } else { TREES };
    table(out, head, report.trees.iter().map(|tree| tree_cells(tree, sizes)))?;
    if report.disk.on_server {
        let rows = counted(report.empty_blocks, "empty block");
        return writeln!(
            out,
            "\ngc removes the rows of {rows}; the server uses their room again once its autovacuum has seen them"
        );
    }
    let (gc, rows) = (
        sizes.phrase(report.gc_bytes),
        counted(report.empty_blocks, "empty block"),
    );
    writeln!(
        out,
        "\ngc gives back at least {gc}, and removes the rows of {rows}; gc --dry-run tells exactly"
    )?;
    if !report.auto_vacuum {
        writeln!(
            out,
            "the file cannot shrink as it is: another tool has turned its auto_vacuum off, as a VACUUM can; gc writes \
             the file again once, and turns it on"
        )?;
    }
    let vacuum = sizes.phrase(report.vacuum_bytes_estimated);
    writeln!(
        out,
        "VACUUM would give back up to {vacuum} (estimated): free pages, and room on partly filled pages"
    )
}

const LADDER: &[Head] = &[
    Head::left("FROM CONTENT TO FILE").cut_to(20),
    Head::right("SIZE"),
    Head::right("PER STORED BYTE").worth(1),
];

/// Each step adds the cost of the next layer. On a server no more is known than of the tables.
fn ladder(report: &SpaceReport) -> Vec<(&'static str, u64)> {
    let bytes = |tree: &TreeSize| tree.bytes;
    let ledger = report.trees.iter().find(|tree| tree.name == "ledger").map_or(0, bytes);
    let trees: u64 = report.trees.iter().map(bytes).sum();
    if report.disk.on_server {
        return vec![
            ("stored", report.mem),
            ("+ the rest of the ledger", ledger.saturating_sub(report.mem)),
            ("+ other tables, and indexes", trees.saturating_sub(ledger)),
            ("= on the server", report.file_size),
        ];
    }
    vec![
        ("stored", report.mem),
        (
            "+ row headers and keys of the pieces",
            report.ledger_payload.saturating_sub(report.mem),
        ),
        (
            "+ page headers and room in the ledger",
            ledger.saturating_sub(report.ledger_payload),
        ),
        ("+ other tables, and indexes", trees.saturating_sub(ledger)),
        ("+ free pages", report.free_file_bytes),
        ("+ pointer map", report.pointer_map_bytes),
        ("= file", report.file_size),
        ("  write-ahead log next to it", report.wal_size),
        ("  index of the log", report.disk.shm_size),
    ]
}

const ON_SERVER: &[Head] = &[
    Head::left("TABLE OR INDEX").cut_to(20),
    Head::left("KIND").worth(1),
    Head::right("PAGES").worth(3),
    Head::right("ROWS (ABOUT)").worth(4),
    Head::right("SIZE"),
];

const TREES: &[Head] = &[
    Head::left("TABLE OR INDEX").cut_to(20),
    Head::left("KIND").worth(1),
    Head::right("PAGES").worth(3),
    Head::right("ROWS").worth(5),
    Head::right("SIZE"),
    Head::right("PAYLOAD").worth(4),
    Head::right("UNUSED").worth(2),
];

fn tree_cells(tree: &TreeSize, sizes: Sizes) -> Vec<String> {
    vec![
        printable(&tree.name).into_owned(),
        tree.kind.to_string(),
        tree.pages.to_string(),
        tree.rows.to_string(),
        sizes.cell(tree.bytes),
        sizes.cell(tree.payload),
        sizes.cell(tree.unused),
    ]
}
