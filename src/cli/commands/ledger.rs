//! `heapledger ledger`

use anyhow::Result;
use heapledger::{EntryInfo, ObjectId, ReservationId};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::Row;
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger ledger                  # every piece of every object
  heapledger ledger greeting         # where the pieces of one object are
  heapledger ledger --format csv > ledger.csv

A piece of a large object that is being stored, or given back, shows the number of its upload.")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: Option<String>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let mut output = context.output();
    match &args.object {
        Some(object) => {
            let id = memory.find(object)?;
            output.rows(memory.ledger(&id)?.iter().map(|entry| EntryInfo::new(entry, id)))?;
        }
        None => output.rows_read(memory.entries())?,
    }
    Ok(Outcome::Fine)
}

impl Row for EntryInfo {
    const KEYS: &'static str =
        "id,object_id,reservation_id,stored_object_id,seq,arena_id,pool_id,block_id,allocated_mem";
    const HEAD: &'static [Head] = &[
        Head::right("ENTRY"),
        Head::left("OBJECT"),
        Head::right("SEQ").worth(3),
        Head::right("ARENA").worth(1),
        Head::right("POOL").worth(2),
        Head::right("BLOCK").worth(5),
        Head::right("SIZE").worth(4),
    ];

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        vec![
            self.id.n().to_string(),
            owner(self.object_id, self.reservation_id),
            self.seq.to_string(),
            self.arena_id.n().to_string(),
            self.pool_id.n().to_string(),
            self.block_id.n().to_string(),
            sizes.cell(self.allocated_mem),
        ]
    }
}

/// What a piece belongs to: an object, or a large one that is being stored or given back.
pub fn owner(object: Option<ObjectId>, reservation: Option<ReservationId>) -> String {
    match (object, reservation) {
        (Some(id), _) => short_id(id),
        (None, Some(id)) => format!("upload {}", id.n()),
        (None, None) => "none".to_owned(),
    }
}
