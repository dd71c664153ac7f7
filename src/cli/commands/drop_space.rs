//! `heapledger drop-space`

use anyhow::{Result, bail};
use heapledger::{DroppedSpace, MemManager};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger drop-space cache --dry-run  # what would go
  heapledger drop-space cache --force

Everything in the space goes, and programs that use it fail from then on. Programs that use
other spaces need not stop. If it was interrupted, `spaces` and `check` tell, and the same
command removes the rest. The table dropped_spaces says what was dropped, when and by whom.
The file becomes smaller with the next `heapledger gc`.")]
pub struct Args {
    /// The space to drop
    #[arg(value_name = "NAME")]
    name: String,

    /// Drop nothing; print what would go
    #[arg(long)]
    dry_run: bool,

    /// Drop it although it has objects
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let name = args.name.as_str();
    let (dropped, done) = match args.dry_run {
        true => (context.any()?.plan_drop_space(name)?, "would drop"),
        false => {
            if !args.force {
                spare_content(name, context)?;
            }
            (dropped(name, context)?, "dropped")
        }
    };
    context.answer(&dropped, |out| {
        writeln!(out, "{done} space {}: {}", printable(name), contents(&dropped, context))
    })
}

/// Fails if the space has objects, unless somebody has begun to drop it: then the rest is of no use.
fn spare_content(name: &str, context: &Context<'_>) -> Result<()> {
    let memory = context.any()?;
    let planned = memory.plan_drop_space(name)?;
    let has_begun = || -> Result<bool> { Ok(memory.dropped_spaces()?.iter().any(|space| space.id == planned.id)) };
    if planned.objects > 0 && !has_begun()? {
        let contents = contents(&planned, context);
        bail!("space {} has {contents}; drop them, too, with --force", printable(name));
    }
    Ok(())
}

fn dropped(name: &str, context: &Context<'_>) -> Result<DroppedSpace> {
    let drop = |memory: &MemManager| progress::phases("dropping", |phase| memory.drop_space_with(name, phase));
    match context.change_beside(name, drop)? {
        Some(dropped) => Ok(dropped),
        // The only space may be half dropped.
        None => {
            context.any()?;
            Ok(context.options().space(name).drop_space(context.db())?)
        }
    }
}

/// `3 objects with 2 names, 1.2 KiB; 1 reservation; 3.1 KiB of history`
fn contents(dropped: &DroppedSpace, context: &Context<'_>) -> String {
    let sizes = context.sizes();
    let (objects, names) = (counted(dropped.objects, "object"), counted(dropped.names, "name"));
    let reservations = counted(dropped.reservations, "reservation");
    let (mem, history) = (sizes.phrase(dropped.mem), sizes.phrase(dropped.history_bytes));
    format!("{objects} with {names}, {mem}; {reservations}; {history} of history")
}
