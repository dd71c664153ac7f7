//! `heapledger plan`

use std::io::{self, Write};

use anyhow::Result;
use heapledger::{
    Bound, EvictOptions, EvictionPlan, Hold, HoldWith, MemManager, Plan, Quota, ReservationInfo, Timestamp,
};

use super::tags::{self, Tag};
use super::{quota, reserve};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::{parse, when};
use crate::cli::output::text::{Sizes, counted, name_list, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status 1 if it does not fit, or a quota refuses it. `heapledger put --dry-run` does the same for files.

Examples:
  heapledger plan 1MiB
  heapledger plan 1GiB --at +7d          # with what expires until then
  heapledger plan 1MiB --evict           # what goes, if the space evicts
  heapledger plan 1MiB --tag owner=ann   # whether its quota allows for it
  heapledger plan 3GiB --format json | jq .shortfall")]
pub struct Args {
    /// Bytes of the object: 65536, 64K, 1.5MiB
    #[arg(value_name = "SIZE", value_parser = parse::size)]
    size: u64,

    /// Plan for a later time: +2h, +7d, 2099-12-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::ahead)]
    at: Option<Timestamp>,

    /// Tell which objects would be evicted for it
    #[arg(long, conflicts_with = "at")]
    evict: bool,

    /// Plan for a hold with this tag, whose quota counts. Any number of times, once for each key
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tags::tag, conflicts_with_all = ["at", "evict"])]
    tags: Vec<Tag>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    if args.evict {
        return evictions(&memory, EvictOptions::room(args.size), context);
    }
    let (plan, quotas) = match args.at {
        Some(at) => (memory.plan_allocation_at(args.size, at)?, Vec::new()),
        None => memory.plan_batch(|planner| {
            planner.hold(HoldWith::from(Hold::Anonymous).tags(tags::pairs(&args.tags)))?;
            Ok((planner.allocate_size(args.size)?, planner.quotas()?))
        })?,
    };
    let promised = match plan.fits_but_for_promises() {
        true => promised(&memory.reservations()?),
        false => String::new(),
    };
    let evicts = plan.shortfall > 0 && memory.eviction()?.is_some();
    context.answer(&plan, |out| {
        text(out, &plan, &promised, context.sizes())?;
        left(out, &plan, &quotas, context.sizes())?;
        match evicts {
            true => writeln!(
                out,
                "evicts     the space may make room for it: --evict tells what goes"
            ),
            false => Ok(()),
        }
    })?;
    Ok(Outcome::findings_if(!plan.fits()))
}

/// Prints what would be evicted.
pub fn evictions(memory: &MemManager, options: EvictOptions, context: &Context<'_>) -> Result<Outcome> {
    let plan = memory.plan_eviction(options)?;
    context.answer(&plan, |out| victims(out, &plan, context.sizes()))?;
    Ok(Outcome::findings_if(!plan.fits()))
}

/// Whom bytes are promised to: `k, upload 17`.
fn promised(reservations: &[ReservationInfo]) -> String {
    let open = reservations.iter().filter(|reservation| reservation.promised > 0);
    let mut names = open.map(reserve::label);
    let mut text = names.by_ref().take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(" and others");
    }
    text
}

/// Reservations named at most.
const MOST_NAMES: usize = 3;

fn text(out: &mut dyn Write, plan: &Plan, promised: &str, sizes: Sizes) -> io::Result<()> {
    let (size, class) = (sizes.phrase(plan.size), sizes.phrase(plan.block_size));
    writeln!(out, "size       {size}, in the class with blocks of {class}")?;
    if let Some(over) = &plan.over_quota {
        return writeln!(out, "refused    {over}");
    }
    let available = sizes.phrase(plan.available);
    if plan.shortfall > 0 {
        let shortfall = sizes.phrase(plan.shortfall);
        writeln!(out, "refused    {available} are free: {shortfall} too few")?;
        if plan.fits_but_for_promises() {
            let bytes = sizes.phrase(plan.promised);
            writeln!(out, "promised   {bytes} to {promised}; without them it would fit")?;
        }
        return Ok(());
    }
    if plan.due > 0 {
        let due = sizes.phrase(plan.due);
        writeln!(
            out,
            "free       {available}, and {due} of what is over are given back for it"
        )?;
        return writeln!(out, "placement  depends on what is given back");
    }
    let fits = plan.file_fits_estimated.map(|fits| sizes.phrase(fits));
    if let Some(fits) = fits.as_deref().filter(|_| plan.file_shortfall_estimated > 0) {
        return writeln!(
            out,
            "refused    {available} are free, but only about {fits} fit below the ceiling of the file"
        );
    }
    writeln!(
        out,
        "free       {available} before, {} after",
        sizes.phrase(plan.available - plan.size)
    )?;
    if let Some(fits) = fits {
        let first = match plan.first_bound {
            Bound::MaxFile => "this is less than is free in the space",
            _ => "there is less in the space",
        };
        writeln!(out, "file       room for about {fits} before; {first}")?;
    }
    writeln!(out, "placement  {}", placement(plan))
}

/// What owners have left after it.
fn left(out: &mut dyn Write, plan: &Plan, quotas: &[Quota], sizes: Sizes) -> io::Result<()> {
    let mut quotas = quotas.iter().filter(|_| plan.fits());
    quotas.try_for_each(|planned| writeln!(out, "left       {}", quota::left(planned, sizes)))
}

fn victims(out: &mut dyn Write, plan: &EvictionPlan, sizes: Sizes) -> io::Result<()> {
    writeln!(out, "size       {}", sizes.phrase(plan.size))?;
    writeln!(out, "free       {} before", sizes.phrase(plan.available))?;
    if plan.due > 0 {
        writeln!(out, "due        {} are given back first", sizes.phrase(plan.due))?;
    }
    if plan.shortfall > 0 {
        let shortfall = sizes.phrase(plan.shortfall);
        return writeln!(
            out,
            "refused    {shortfall} too few, whatever is evicted; nothing would be"
        );
    }
    let (objects, bytes) = (counted(plan.victims.len() as u64, "object"), sizes.phrase(plan.evicted));
    writeln!(out, "evicted    {objects} with {bytes}, {} first", plan.policy)?;
    for victim in &plan.victims {
        let (id, size) = (short_id(victim.id), sizes.cell(victim.size));
        writeln!(out, "           {id}  {size}  {}", name_list(&victim.names))?;
    }
    Ok(())
}

/// `3 pieces: 1 block reused, 2 new blocks in 1 new pool in 0 new arenas`
pub fn placement(plan: &Plan) -> String {
    let pieces = counted(plan.pieces, "piece");
    let reused = counted(plan.blocks_reused, "block");
    let (blocks, pools) = (
        counted(plan.new_blocks, "new block"),
        counted(plan.new_pools, "new pool"),
    );
    let arenas = counted(plan.new_arenas, "new arena");
    format!("{pieces}: {reused} reused, {blocks}, {pools}, {arenas}")
}
