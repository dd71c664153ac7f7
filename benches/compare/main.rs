//! Compares heapledger with alternatives on the same work, in one run on this machine:
//! `cargo bench --bench compare`, with options after `--`.
//!
//! Every figure is a median over rounds. In each round every store does the work once, so that
//! a slow minute of the machine affects all of them.

mod args;
mod cell;
mod contender;
mod contents;
mod fragmented;
mod growth;
mod machine;
mod report;
mod rounds;
#[cfg(feature = "postgres")]
mod spaces;
mod store;
mod stores;
mod trial;
#[cfg(feature = "postgres")]
mod trips;
mod work;

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;

use args::Args;
use cell::{Cell, Scale, Work};
use contender::Contender;
use report::{Report, Row};
use store::Durability;

fn main() -> Result<()> {
    let args = Args::parse();
    if args.cpu {
        machine::count_cpu_time()?;
    }
    #[cfg(feature = "postgres")]
    if let Some(url) = &args.url {
        stores::server::use_server(url.clone());
    }
    let dir = args.work_dir().context("no folder to work in")?;
    let contenders = args.contenders();
    let mut report = Report::new(args.rounds());
    for work in args.works() {
        match work {
            Work::Fragmented => report.add_fragmented(fragmented::run(&args, dir.path())?),
            Work::Growth => report.add_growth(growth::run(&args, dir.path())?),
            #[cfg(feature = "postgres")]
            Work::Spaces => report.add_spaces(spaces::run(&args, dir.path())?),
            #[cfg(feature = "postgres")]
            Work::Trips => report.add_trips(trips::run(dir.path())?),
            _ => {
                for durability in args.durabilities(work) {
                    let rows = compare(work, durability, &args, &contenders, dir.path())?;
                    report.add(work, durability, rows);
                }
            }
        }
        if !args.json {
            report.print_new();
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    if args.scale() == Scale::Smoke {
        eprintln!("ran once with little data, as a test; `cargo bench --bench compare` measures");
    }
    Ok(())
}

/// One table: a row per content size, a column per store.
fn compare(
    work: Work,
    durability: Durability,
    args: &Args,
    contenders: &[Box<dyn Contender>],
    dir: &Path,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for size in args.sizes_for(work) {
        let cell = Cell::new(work, durability, size, args.scale());
        machine::progress(format_args!("{work}, {}", report::bytes(size as u64)));
        rows.push(Row::new(
            cell,
            rounds::alternate(contenders, &cell, dir, args.rounds())?,
        ));
    }
    Ok(rows)
}
