//! `heapledger free`

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use heapledger::{Error, Freed, MemManager, ObjectId, Work};

use super::free_plan;
use super::plan_file::{self, PlanFile};
use super::tags::{self, Tag};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::render::Row;
use crate::cli::output::text::{Sizes, counted, name_list, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger free 2cf24dba5fb0
  heapledger free --force greeting       # also removes its names
  heapledger free 2cf24dba5fb0 486ea46224d1
  heapledger free --dry-run greeting     # what that and gc would give back
  heapledger free --tag job=7            # what nothing else holds
  heapledger free --plan p.json 2cf24dba5fb0 && heapledger apply p.json")]
pub struct Args {
    /// Names, object ids, or the first 6 or more digits of ids
    #[arg(value_name = "ID|NAME", required_unless_present = "tag")]
    objects: Vec<String>,

    /// Give up all names, and all holds of storing without a name, that have this tag. Objects that nothing
    /// else holds are freed
    #[arg(long, value_name = "KEY=VALUE", value_parser = tags::tag, conflicts_with_all = ["objects", "force"])]
    tag: Option<Tag>,

    /// Free nothing; print what this and `gc` would give back, and what occupies the rest
    #[arg(long)]
    dry_run: bool,

    /// Free objects that have names, and remove the names
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    plan: PlanFile,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    if let Some(path) = args.plan.path() {
        return plan(args, &memory, path, context);
    }
    if args.dry_run {
        return free_plan::run(&memory, &objects(args, &memory)?, args.tag.is_none(), context);
    }
    if let Some((key, value)) = &args.tag {
        let done = memory.free_tagged(key, value)?;
        context.list(&done.freed)?;
        exit::note(&format!(
            "{} had the tag, {} freed",
            counted(done.holds, "hold"),
            counted(done.freed.len() as u64, "object")
        ));
        return Ok(Outcome::Fine);
    }
    // Looked up inside the transaction, so that nobody can move a name before its object is freed.
    let freed: Vec<Freed> = memory.try_batch(|batch| {
        let ids = find_all(&args.objects, |reference| batch.find(reference))?;
        let freed = ids.iter().map(|id| match args.force {
            true => batch.force_free(id),
            false => batch.free(id),
        });
        freed.collect::<Result<_, _>>().context("freed nothing")
    })?;
    context.list(freed)
}

/// Writes a plan. Without `--force` it has no objects that have names.
fn plan(args: &Args, memory: &MemManager, path: &Path, context: &Context<'_>) -> Result<Outcome> {
    let ids = objects(args, memory)?;
    if !args.force && args.tag.is_none() {
        for &id in &ids {
            let names = memory.object_info(&id)?.names;
            if !names.is_empty() {
                return Err(Error::Named { id, names }).context("planned nothing");
            }
        }
    }
    plan_file::write(memory, &Work::Free(ids), path, context)
}

/// The objects to free.
fn objects(args: &Args, memory: &MemManager) -> Result<Vec<ObjectId>, Error> {
    match &args.tag {
        Some((key, value)) => memory.only_tagged(key, value),
        None => find_all(&args.objects, |reference| memory.find(reference)),
    }
}

/// The objects referred to, without duplicates.
fn find_all(
    references: &[String],
    mut find: impl FnMut(&str) -> Result<ObjectId, Error>,
) -> Result<Vec<ObjectId>, Error> {
    let ids = references.iter().map(|reference| find(reference));
    let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

impl Row for Freed {
    const KEYS: &'static str = "object_id,size,pieces,names";

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        let (size, pieces) = (sizes.phrase(self.size), counted(self.pieces, "piece"));
        let names = match self.names.as_slice() {
            [] => String::new(),
            names => format!(" ({})", name_list(names)),
        };
        vec![format!("freed {}{names}: {size} in {pieces}", short_id(self.id))]
    }
}
