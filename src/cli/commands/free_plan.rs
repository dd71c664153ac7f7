//! `heapledger free --dry-run` and `heapledger gc --dry-run`: what they would give back.

use std::io::{self, Write};

use anyhow::Result;
use heapledger::{FreePlan, MemManager, ObjectId, Occupant};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::render::{Row, table};
use crate::cli::output::text::{Sizes, counted, name_list, short_id};

/// Plans to free `ids` and then to collect garbage. With `needs_force`, those with names need `--force`.
pub fn run(memory: &MemManager, ids: &[ObjectId], needs_force: bool, context: &Context<'_>) -> Result<Outcome> {
    let plan = progress::during("trying it out", || memory.plan_free(ids))?;
    context.answer(&plan, |out| text(out, &plan, needs_force, context))
}

fn text(out: &mut dyn Write, plan: &FreePlan, needs_force: bool, context: &Context<'_>) -> io::Result<()> {
    let (sizes, on_server) = (context.sizes(), context.is_on_server());
    let forced = if needs_force { ", with --force" } else { "" };
    for object in &plan.objects {
        let (size, pieces) = (sizes.phrase(object.size), counted(object.pieces, "piece"));
        let id = short_id(object.id);
        match object.names.as_slice() {
            [] => writeln!(out, "would free {id}: {size} in {pieces}")?,
            names => {
                let names = name_list(names);
                writeln!(out, "would free {id} ({names}){forced}: {size} in {pieces}")?;
            }
        }
    }
    let collected = &plan.collected;
    let (blocks, pools) = (counted(collected.blocks, "block"), counted(collected.pools, "pool"));
    let (arenas, bytes) = (counted(collected.arenas, "arena"), sizes.phrase(collected.bytes));
    let empty = plan.empty_blocks;
    writeln!(
        out,
        "gc would remove {blocks} ({empty} empty already), {pools} and {arenas}; the space would get {bytes} back"
    )?;
    // What a server gives back, and when, is up to its autovacuum.
    if !on_server {
        let (returned, free) = (sizes.phrase(collected.file_bytes), sizes.phrase(plan.free_file_bytes));
        let left = sizes.phrase(collected.file_size);
        writeln!(
            out,
            "the file would be {returned} smaller ({free} free already) and have {left}"
        )?;
    }
    sparse(out, &plan.sparse, sizes)
}

fn sparse(out: &mut dyn Write, occupants: &[Occupant], sizes: Sizes) -> io::Result<()> {
    if occupants.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nthese would occupy nearly empty arenas:")?;
    table(
        out,
        Occupant::HEAD,
        occupants.iter().map(|occupant| occupant.cells(sizes)),
    )
}
