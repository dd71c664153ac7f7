//! `heapledger drop-space`

use anyhow::Result;
use heapledger::DroppedSpace;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::text::{counted, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger drop-space cache --dry-run  # what would go
  heapledger drop-space cache

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
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let name = args.name.as_str();
    let (dropped, done) = match args.dry_run {
        true => (context.any()?.plan_drop_space(name)?, "would drop"),
        false => (dropped(name, context)?, "dropped"),
    };
    context.answer(&dropped, |out| {
        writeln!(out, "{done} space {}: {}", printable(name), contents(&dropped, context))
    })
}

fn dropped(name: &str, context: &Context<'_>) -> Result<DroppedSpace> {
    match context.change_any()? {
        Some(memory) => Ok(progress::phases("dropping", |phase| {
            memory.drop_space_with(name, phase)
        })?),
        // The only one may be half gone.
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
