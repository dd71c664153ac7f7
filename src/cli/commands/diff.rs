//! `heapledger diff`

use std::path::Path;

use anyhow::{Result, bail};
use heapledger::{ClassDiff, Diff, MemManager, ObjectId, ObjectSize};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::database::Database;
use crate::cli::input::fail_if::{Crossed, Threshold};
use crate::cli::input::when::When;
use crate::cli::output::progress;
use crate::cli::output::render::{Output, Row};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, counted, printable, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file whose name looks like a moment is written with its folder: ./2h

Examples:
  heapledger diff @100 @200              # between two events
  heapledger diff 2h                     # from two hours ago to now
  heapledger diff old.db new.db          # two files
  heapledger diff 1d --fail-if 'growth > 1GiB' --fail-if 'freed objects > 0'")]
pub struct Args {
    /// A moment (@123, 2026-01-31T12:00:00Z, 2h ago), or a heap file
    #[arg(value_name = "A")]
    from: String,

    /// Another moment or heap file [default: now]
    #[arg(value_name = "B")]
    to: Option<String>,

    /// Exit with status 1 if this is true of added, freed, moved or growth, in bytes or objects
    #[arg(long, value_name = "THRESHOLD")]
    fail_if: Vec<Threshold>,

    /// List all objects, not only the largest
    #[arg(long)]
    all: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let diff = progress::during("comparing", || diff(args, context))?;
    let sizes = context.sizes();
    let crossed: Vec<_> = args
        .fail_if
        .iter()
        .filter_map(|threshold| threshold.crossed_by(&diff))
        .collect();
    let mut output = context.output();
    if output.is_table() {
        draw(&diff, args.all, sizes, &mut output)?;
    } else {
        output.one(&Document::new(&diff, &crossed), |_| Ok(()))?;
    }
    for crossed in &crossed {
        exit::warn(&crossed.in_words(sizes));
    }
    Ok(if crossed.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Findings
    })
}

fn diff(args: &Args, context: &Context<'_>) -> Result<Diff> {
    let to = args.to.as_deref().unwrap_or("now");
    match (args.from.parse::<When>(), to.parse::<When>()) {
        (Ok(from), Ok(to)) => {
            let memory = context.read()?;
            Ok(memory.diff(from.moment(&memory)?, to.moment(&memory)?)?)
        }
        (Err(_), Err(_)) => Ok(open(&args.from, context)?.diff_files(&open(to, context)?)?),
        (Err(_), Ok(_)) if args.to.is_none() => {
            bail!(
                "{} is not a moment, and a file must be compared with another file",
                args.from
            )
        }
        (from, _) => {
            let (file, moment) = if from.is_err() {
                (args.from.as_str(), to)
            } else {
                (to, args.from.as_str())
            };
            bail!("{file} is a file and {moment} a moment; give two files, or two moments of the file of --db")
        }
    }
}

fn open(path: &str, context: &Context<'_>) -> Result<MemManager> {
    let heap = Database::named("the heap to compare", Path::new(path))?;
    if !heap.is_on_server() && !heap.path.exists() {
        bail!("{path} is neither a moment (@123, 2026-01-31T12:00:00Z, 2h) nor an existing file");
    }
    Ok(context.options().read_only(true).open(&heap.path)?.snapshot()?)
}

/// The JSON answer.
#[derive(Serialize)]
struct Document<'a> {
    added_bytes: u64,
    added_objects: usize,
    freed_bytes: u64,
    freed_objects: usize,
    moved_bytes: u64,
    moved_objects: usize,
    growth_bytes: i128,
    #[serde(flatten)]
    diff: &'a Diff,
    crossed: &'a [Crossed<'a>],
}

impl<'a> Document<'a> {
    fn new(diff: &'a Diff, crossed: &'a [Crossed<'a>]) -> Self {
        Self {
            added_bytes: bytes(&diff.added),
            added_objects: diff.added.len(),
            freed_bytes: bytes(&diff.freed),
            freed_objects: diff.freed.len(),
            moved_bytes: bytes(&diff.moved),
            moved_objects: diff.moved.len(),
            growth_bytes: diff.growth(),
            diff,
            crossed,
        }
    }
}

fn bytes(objects: &[ObjectSize]) -> u64 {
    objects.iter().map(|object| object.size).sum()
}

/// Objects of each sort listed without `--all`.
const LISTED: usize = 10;

fn draw(diff: &Diff, all: bool, sizes: Sizes, output: &mut Output) -> Result<()> {
    let sorts = [("added", &diff.added), ("freed", &diff.freed), ("moved", &diff.moved)];
    for (what, objects) in sorts {
        let (count, bytes) = (counted(objects.len() as u64, "object"), sizes.phrase(bytes(objects)));
        writeln!(output.text(), "{what:<6} {count:>16}  {bytes}")?;
    }
    writeln!(output.text(), "growth {:>16}  {}\n", "", sizes.signed(diff.growth()))?;
    output.rows(&diff.classes)?;
    if sorts.iter().all(|(_, objects)| objects.is_empty()) {
        return Ok(());
    }
    writeln!(output.text())?;
    let listed = if all { usize::MAX } else { LISTED };
    output.rows(sorts.into_iter().flat_map(|(what, objects)| {
        let line = move |&ObjectSize { object_id, size, .. }: &_| Line { what, object_id, size };
        objects.iter().take(listed).map(line)
    }))?;
    let hidden: usize = sorts
        .iter()
        .map(|(_, objects)| objects.len().saturating_sub(listed))
        .sum();
    if hidden > 0 {
        let hidden = counted(hidden as u64, "smaller object");
        writeln!(output.text(), "… and {}; --all shows them", printable(&hidden))?;
    }
    Ok(output.flush()?)
}

#[derive(Serialize)]
struct Line {
    what: &'static str,
    object_id: ObjectId,
    size: u64,
}

impl Row for Line {
    const KEYS: &'static str = "what,object_id,size";
    const HEAD: &'static [Head] = &[Head::left("CHANGE"), Head::left("OBJECT"), Head::right("SIZE")];

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        vec![self.what.to_owned(), short_id(self.object_id), sizes.cell(self.size)]
    }
}

impl Row for ClassDiff {
    const KEYS: &'static str = "block_size,mem_before,mem_after,entries_before,entries_after";
    const HEAD: &'static [Head] = &[
        Head::right("BLOCK SIZE"),
        Head::right("USED BEFORE").worth(3),
        Head::right("AFTER").worth(4),
        Head::right("PIECES BEFORE").worth(1),
        Head::right("AFTER").worth(2),
    ];

    fn cells(&self, sizes: Sizes) -> Vec<String> {
        vec![
            sizes.cell(self.block_size),
            sizes.cell(self.mem_before),
            sizes.cell(self.mem_after),
            self.entries_before.to_string(),
            self.entries_after.to_string(),
        ]
    }
}
