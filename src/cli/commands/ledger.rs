//! `heapledger ledger`

use anyhow::Result;
use heapledger::{EntryInfo, MemManager, ObjectId, ReservationId};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{List, Row};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, name_list, short_id};

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
struct Named {
    #[serde(flatten)]
    entry: EntryInfo,
    names: Vec<String>,
}

impl Row for Named {
    const KEYS: &'static str =
        "id,object_id,reservation_id,stored_object_id,seq,arena_id,pool_id,block_id,allocated_mem,names";
    const HEAD: &'static [Head] = &{
        let [entry, object, seq, arena, pool, block, size] = ENTRY;
        [
            entry,
            object,
            seq,
            arena,
            pool,
            block,
            size,
            Head::left("NAMES").worth(3).cut_to(12),
        ]
    };

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        let mut cells = self.entry.cells(sizes);
        cells.push(name_list(&self.names));
        cells
    }
}

const ENTRY: [Head; 7] = [
    Head::right("ENTRY"),
    Head::left("OBJECT"),
    Head::right("SEQ").worth(3),
    Head::right("ARENA").worth(1),
    Head::right("POOL").worth(2),
    Head::right("BLOCK").worth(5),
    Head::right("SIZE").worth(4),
];

impl Row for EntryInfo {
    const KEYS: &'static str =
        "id,object_id,reservation_id,stored_object_id,seq,arena_id,pool_id,block_id,allocated_mem";
    const HEAD: &'static [Head] = &ENTRY;

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
