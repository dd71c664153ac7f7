//! `heapledger ledger`

use anyhow::Result;
use heapledger::{EntryInfo, MemManager, ObjectId, ReservationId};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{List, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{name_list, short_id};

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
    let mut rows = output.list();
    match &args.object {
        Some(object) => {
            let id = memory.find(object)?;
            let entries = memory.ledger(&id)?;
            list(
                &memory,
                entries.iter().map(|entry| Ok(EntryInfo::new(entry, id))),
                &mut rows,
            )?;
        }
        None => list(&memory, memory.entries(), &mut rows)?,
    }
    rows.end()?;
    Ok(Outcome::Fine)
}

/// Entries whose names are read together.
const TOGETHER: usize = 500;

fn list(
    memory: &MemManager,
    mut entries: impl Iterator<Item = heapledger::Result<EntryInfo>>,
    rows: &mut List<'_, Named>,
) -> Result<()> {
    loop {
        let some: Vec<_> = entries.by_ref().take(TOGETHER).collect::<Result<_, _>>()?;
        if some.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<_> = some.iter().filter_map(|entry| entry.object_id).collect();
        ids.dedup();
        let names = memory.names_of(&ids)?;
        for entry in some {
            let names = entry.object_id.and_then(|id| names.get(&id).cloned());
            let names = names.unwrap_or_default();
            rows.row(&Named { entry, names })?;
        }
    }
}

/// An entry with the names of its object.
#[derive(Serialize)]
pub struct Named {
    #[serde(flatten)]
    pub entry: EntryInfo,
    pub names: Vec<String>,
}

impl Row for Named {
    const KEYS: &'static str =
        "id,object_id,reservation_id,stored_object_id,seq,arena_id,pool_id,block_id,allocated_mem,names";
    columns! { self, sizes,
        Head::right("ENTRY") => self.entry.id.n(),
        Head::left("OBJECT") => owner(self.entry.object_id, self.entry.reservation_id),
        Head::right("SEQ").worth(3) => self.entry.seq,
        Head::right("ARENA").worth(1) => self.entry.arena_id.n(),
        Head::right("POOL").worth(2) => self.entry.pool_id.n(),
        Head::right("BLOCK").worth(5) => self.entry.block_id.n(),
        Head::right("SIZE").worth(4) => sizes.cell(self.entry.allocated_mem),
        Head::left("NAMES").worth(3).cut_to(12).of_names() => name_list(&self.names),
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
