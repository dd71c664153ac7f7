//! `heapledger layout`

use anyhow::Result;
use heapledger::{LayoutDigest, Moment};
use serde::Serialize;

use super::tree;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when::When;
use crate::cli::output::levels::Then;
use crate::cli::output::progress;
use crate::cli::output::text::time;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The layout is reconstructed from the current rows and the events since, and must agree
with what those events recorded.

Examples:
  heapledger layout --at @123            # just after event 123
  heapledger layout --at 2h --depth 2    # two hours ago
  heapledger layout --at 2025-01-31T12:00:00Z --format csv > then.csv
  heapledger layout --digest             # to compare it with another heap

The digest is the SHA-256 of the order, sizes and use of all levels and of the pieces in
them, without ids, times, names and contents.")]
pub struct Args {
    /// An event (@123), a time (2026-01-31T12:00:00Z), or how long ago (2h, 30d)
    #[arg(long, value_name = "EVENT|TIME", required_unless_present = "digest")]
    at: Option<When>,

    /// Print a digest of the current layout instead, to compare it with that of another heap
    #[arg(long, conflicts_with_all = ["at", "depth"])]
    digest: bool,

    /// How far down: 1 arenas, 2 pools, 3 blocks
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    depth: u8,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let Some(at) = args.at else {
        return digest(context);
    };
    let memory = context.read()?;
    let moment = at.moment(&memory)?;
    let layout = progress::during("looking back", || memory.layout_at(moment))?;
    let (event_id, at) = (layout.event_id, layout.at);
    let title = match moment {
        Moment::Time(asked) if asked < at => format!("empty: the space was created later, at {}\n", time(at)),
        _ => format!("after event {} at {}\n", event_id.n(), time(at)),
    };
    tree::show(&Then::from(layout), args.depth, &title, context)
}

#[derive(Serialize)]
struct Digest<'a> {
    space: &'a str,
    digest: LayoutDigest,
}

fn digest(context: &Context<'_>) -> Result<Outcome> {
    let memory = context.follow()?;
    let digest = progress::during("reading the layout", || memory.layout_digest())?;
    let space = memory.space();
    let answer = Digest { space, digest };
    context.answer(&answer, |out| writeln!(out, "{digest}"))
}
