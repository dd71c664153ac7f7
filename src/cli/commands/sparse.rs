//! `heapledger sparse`

use anyhow::Result;
use heapledger::{ArenaId, Occupant, SparseOptions};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{name_list, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
An arena is given back when all its objects are freed and garbage is collected, or when
`heapledger compact` has moved them.

Examples:
  heapledger sparse
  heapledger sparse 3                    # what is in arena 3
  heapledger sparse --under 50 --limit 5")]
pub struct Args {
    /// The arena; if not given, all that are nearly empty
    #[arg(value_name = "ARENA")]
    arena: Option<i64>,

    /// An arena is nearly empty if less than this is used, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = SparseOptions::default().under,
          value_parser = clap::value_parser!(u8).range(1..=100), conflicts_with = "arena")]
    under: u8,

    /// List at most this many objects per arena, those with the most bytes in it first
    #[arg(long, value_name = "NUMBER", default_value_t = SparseOptions::default().limit)]
    limit: u64,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let options = SparseOptions::default()
        .arena(args.arena.map(|arena| ArenaId::within(memory.space_id(), arena)))
        .under(args.under)
        .limit(args.limit);
    let mut output = context.output();
    let mut occupants = memory.sparse_with(options)?.peekable();
    if output.is_table() && occupants.peek().is_none() {
        match args.arena {
            Some(arena) => writeln!(output.text(), "arena {arena} is empty; gc gives it back")?,
            None => writeln!(
                output.text(),
                "no arena with objects is less than {} % used",
                args.under
            )?,
        }
        output.flush()?;
        return Ok(Outcome::Fine);
    }
    output.rows_read(occupants)?;
    Ok(Outcome::Fine)
}

impl Row for Occupant {
    const KEYS: &'static str = "arena_id,max_mem,mem,objects,stored_object_id,object_id,names,kind,size,held,pieces,\
        allocated_mem";
    columns! { self, sizes,
        Head::right("ARENA") => self.arena_id.n(),
        Head::right("USED").worth(3) => sizes.cell(self.mem),
        Head::right("OF").worth(1) => sizes.cell(self.max_mem),
        Head::right("OBJECTS").worth(2) => self.objects,
        Head::left("OBJECT") => short_id(self.object_id),
        Head::right("HERE").worth(6) => sizes.cell(self.allocated_mem),
        Head::right("PIECES").worth(4) => self.pieces,
        Head::right("SIZE").worth(5) => sizes.cell(self.size),
        Head::left("NAMES").worth(7).cut_to(10).of_names() => name_list(&self.names),
    }
}
