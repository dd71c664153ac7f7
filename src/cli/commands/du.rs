//! `heapledger du`

use std::collections::HashSet;

use anyhow::Result;
use heapledger::{Error, MemManager, StoredObjectId};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{List, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Names are taken for paths, with / between folders. An object with several names counts
once, where it comes first; `usage --by` counts by tags, and `ls --unnamed` lists the rest.

Examples:
  heapledger du
  heapledger du -d 1                     # the uppermost folders
  heapledger du --summarize photos
  heapledger du --all photos --bytes")]
pub struct Args {
    /// Only names below this one [default: all names]
    #[arg(value_name = "NAME")]
    prefix: Option<String>,

    /// Also list names, not only their folders
    #[arg(short, long)]
    all: bool,

    /// List only this many levels; what is deeper is counted
    #[arg(short, long, value_name = "N", visible_alias = "max-depth")]
    depth: Option<usize>,

    /// List only the total
    #[arg(short, long, visible_alias = "summarise", conflicts_with_all = ["all", "depth"])]
    summarize: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let mut output = context.output();
    let prefix = args.prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    let mut count = Count {
        most: if args.summarize {
            0
        } else {
            args.depth.unwrap_or(usize::MAX)
        },
        all: args.all,
        seen: HashSet::new(),
        open: vec![Used::of(if prefix.is_empty() { "." } else { prefix })],
        rows: output.list(),
    };
    let is_any = count.all(&memory, prefix)?;
    if !is_any && !prefix.is_empty() {
        return Err(Error::UnknownName {
            name: prefix.to_owned(),
            space: memory.space().to_owned(),
        }
        .into());
    }
    count.end()?;
    Ok(Outcome::Fine)
}

/// A folder of names, or a name.
#[derive(Serialize)]
struct Used {
    bytes: u64,
    names: u64,
    name: String,
}

impl Used {
    fn of(name: &str) -> Self {
        let name = name.to_owned();
        let (bytes, names) = (0, 0);
        Self { bytes, names, name }
    }
}

struct Count<'o> {
    /// The depth to which rows are printed.
    most: usize,
    all: bool,
    seen: HashSet<StoredObjectId>,
    /// The folders in which more names may follow, each inside the one before.
    open: Vec<Used>,
    rows: List<'o, Used>,
}

impl Count<'_> {
    /// Counts the names below a prefix, or that name if there are none. Returns whether there is any.
    fn all(&mut self, memory: &MemManager, prefix: &str) -> Result<bool> {
        let below = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        let mut is_any = false;
        for name in memory.names_with_prefix(&below) {
            let name = name?;
            is_any = true;
            let bytes = if self.seen.insert(name.stored_object_id) {
                name.size
            } else {
                0
            };
            self.name(below.len(), &name.name, bytes)?;
        }
        if !is_any && let Some(id) = memory.resolve(prefix)? {
            is_any = true;
            self.add(memory.object(&id)?.size, 1);
        }
        Ok(is_any)
    }

    /// Counts a name. Those in one folder follow each other.
    fn name(&mut self, prefix: usize, name: &str, bytes: u64) -> Result<()> {
        let slashes = name.match_indices('/').map(|(at, _)| at);
        let folders: Vec<_> = slashes
            .filter(|&at| at >= prefix)
            .filter_map(|at| name.get(..at))
            .collect();
        let of_both = self.open.iter().skip(1).zip(&folders);
        let same = of_both.take_while(|(open, folder)| open.name == **folder).count();
        self.close(same + 1)?;
        self.open
            .extend(folders.iter().skip(same).map(|folder| Used::of(folder)));
        self.add(bytes, 1);
        if self.all && self.open.len() <= self.most {
            let (names, name) = (1, name.to_owned());
            self.rows.row(&Used { bytes, names, name })?;
        }
        Ok(())
    }

    fn add(&mut self, bytes: u64, names: u64) {
        if let Some(last) = self.open.last_mut() {
            last.bytes += bytes;
            last.names += names;
        }
    }

    /// Prints the folders that are complete: all but the first `left`.
    fn close(&mut self, left: usize) -> Result<()> {
        while self.open.len() > left {
            let Some(used) = self.open.pop() else { break };
            if self.open.len() <= self.most {
                self.rows.row(&used)?;
            }
            self.add(used.bytes, used.names);
        }
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        self.close(0)?;
        Ok(self.rows.end()?)
    }
}

impl Row for Used {
    const KEYS: &'static str = "bytes,names,name";
    columns! { self, sizes,
        Head::right("SIZE") => sizes.cell(self.bytes),
        Head::right("NAMES").worth(1) => self.names,
        Head::left("NAME").worth(2).cut_to(20).of_names() => printable(&self.name),
    }
}
