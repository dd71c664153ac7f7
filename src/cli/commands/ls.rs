//! `heapledger ls`

use anyhow::Result;
use heapledger::ObjectInfo;

use super::{expire, reserve};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::Row;
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, name_list, printable, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger ls
  heapledger ls --format csv > objects.csv
  heapledger ls --tag owner=ann --tag job
  heapledger ls --reservations
  heapledger ls --format ndjson | jq -r 'select(.size > 1000000) | .object_id'")]
pub struct Args {
    /// Show whole object ids
    #[arg(short, long)]
    long: bool,

    /// List reservations instead: what is promised, and to whom
    #[arg(short, long, conflicts_with = "long")]
    reservations: bool,

    /// Only what has this tag, with any value if none is given; several times: all of these tags
    #[arg(long = "tag", value_name = "KEY[=VALUE]", conflicts_with = "reservations")]
    tags: Vec<String>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.reservations {
        return reserve::list(context);
    }
    let memory = context.read()?;
    let mut output = context.output();
    let tags = args.tags.iter().map(|tag| match tag.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (tag.as_str(), None),
    });
    let objects = memory.tagged(tags);
    match args.long {
        true => output.rows_read(objects.map(|object| object.map(Long)))?,
        false => output.rows_read(objects)?,
    }
    Ok(Outcome::Fine)
}

impl Row for ObjectInfo {
    const KEYS: &'static str = "id,object_id,space,names,kind,type_name,size,pieces,held,created,expires_at,value";
    const HEAD: &'static [Head] = &[
        Head::left("OBJECT"),
        Head::left("KIND").worth(3),
        Head::right("SIZE").worth(6),
        Head::right("PIECES").worth(1),
        Head::left("CREATED").worth(2),
        Head::left("EXPIRES").worth(4),
        Head::left("NAMES").worth(7).cut_to(12),
        Head::left("VALUE").worth(5).cut_to(16),
    ];

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        vec![
            short_id(self.id),
            self.kind.to_string(),
            sizes.cell(self.size),
            self.pieces.to_string(),
            time(self.created),
            expire::cell(self.expires_at),
            name_list(&self.names),
            self.value.as_deref().map(printable).unwrap_or_default().into_owned(),
        ]
    }
}

/// The same with the whole id.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Long(ObjectInfo);

impl Row for Long {
    const KEYS: &'static str = ObjectInfo::KEYS;
    const HEAD: &'static [Head] = ObjectInfo::HEAD;

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        let mut cells = self.0.cells(sizes);
        if let Some(id) = cells.first_mut() {
            *id = self.0.id.to_string();
        }
        cells
    }
}
