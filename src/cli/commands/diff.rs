//! `heapledger diff`

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use heapledger::{ClassDiff, Diff, EventFilter, EventKind, MemManager, Moment, ObjectId, ObjectSize};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::database::Database;
use crate::cli::input::fail_if::{Crossed, Threshold};
use crate::cli::input::when::When;
use crate::cli::output::progress;
use crate::cli::output::render::{Output, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, counted, name_list, printable, short_id};

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
    let (diff, names) = progress::during("comparing", || diff(args, context))?;
    let sizes = context.sizes();
    let crossed: Vec<_> = args
        .fail_if
        .iter()
        .filter_map(|threshold| threshold.crossed_by(&diff))
        .collect();
    let mut output = context.output();
    if output.is_table() {
        draw(&diff, &names, args.all, sizes, &mut output)?;
    } else {
        output.one(&Document::new(&diff, &names, &crossed), |_| Ok(()))?;
    }
    for crossed in &crossed {
        exit::warn(&crossed.in_words(sizes));
    }
    Ok(Outcome::findings_if(!crossed.is_empty()))
}

/// The names of objects that differ.
type Names = BTreeMap<ObjectId, Vec<String>>;

fn diff(args: &Args, context: &Context<'_>) -> Result<(Diff, Names)> {
    let to = args.to.as_deref().unwrap_or("now");
    match (args.from.parse::<When>(), to.parse::<When>()) {
        (Ok(from), Ok(to)) => {
            let memory = context.read()?;
            let moments = [from.moment(&memory)?, to.moment(&memory)?];
            let diff = memory.diff(moments[0], moments[1])?;
            let names = names_between(&memory, &diff, moments, [from, to].contains(&When::Now))?;
            Ok((diff, names))
        }
        (Err(_), Err(_)) => {
            let (from, to) = (open(&args.from, context)?, open(to, context)?);
            let diff = from.diff_files(&to)?;
            let mut names = from.names_of(&ids(&diff.freed))?;
            names.extend(to.names_of(&ids(&diff.added))?);
            names.extend(to.names_of(&ids(&diff.moved))?);
            Ok((diff, names))
        }
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

fn ids(objects: &[ObjectSize]) -> Vec<ObjectId> {
    objects.iter().map(|object| object.object_id).collect()
}

/// The names that objects have now, or lost between two moments. `is_until_now`: one of the moments is now, the latest.
fn names_between(memory: &MemManager, diff: &Diff, moments: [Moment; 2], is_until_now: bool) -> Result<Names> {
    let mut all = ids(&diff.added);
    all.extend(ids(&diff.moved));
    all.extend(ids(&diff.freed));
    let mut names = memory.names_of(&all)?;
    all.retain(|id| !names.contains_key(id));
    if all.is_empty() {
        return Ok(names);
    }
    all.sort_unstable();
    let lost = EventFilter::default().kinds([EventKind::Unbind, EventKind::Expire, EventKind::Evict]);
    let lost = match moments {
        [Moment::Event(one), Moment::Event(other)] => lost.after(one.min(other)),
        [Moment::Time(one), Moment::Time(other)] => lost.since(one.min(other)),
        [Moment::Time(time), _] | [_, Moment::Time(time)] if is_until_now => lost.since(time),
        _ => lost,
    };
    for event in memory.events(lost) {
        let event = event?;
        if let (Some(id), Some(name)) = (event.object, event.name)
            && all.binary_search(&id).is_ok()
        {
            let names = names.entry(id).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
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
    /// By object.
    names: &'a Names,
    crossed: &'a [Crossed<'a>],
}

impl<'a> Document<'a> {
    fn new(diff: &'a Diff, names: &'a Names, crossed: &'a [Crossed<'a>]) -> Self {
        Self {
            added_bytes: bytes(&diff.added),
            added_objects: diff.added.len(),
            freed_bytes: bytes(&diff.freed),
            freed_objects: diff.freed.len(),
            moved_bytes: bytes(&diff.moved),
            moved_objects: diff.moved.len(),
            growth_bytes: diff.growth(),
            diff,
            names,
            crossed,
        }
    }
}

fn bytes(objects: &[ObjectSize]) -> u64 {
    objects.iter().map(|object| object.size).sum()
}

/// Objects of each sort listed without `--all`.
const LISTED: usize = 10;

fn draw(diff: &Diff, names: &Names, all: bool, sizes: Sizes, output: &mut Output) -> Result<()> {
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
        let line = move |&ObjectSize { object_id, size, .. }: &_| Line {
            what,
            object_id,
            size,
            names: names.get(&object_id).cloned().unwrap_or_default(),
        };
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
    names: Vec<String>,
}

impl Row for Line {
    const KEYS: &'static str = "what,object_id,size,names";
    columns! { self, sizes,
        Head::left("CHANGE") => self.what,
        Head::left("OBJECT") => short_id(self.object_id),
        Head::right("SIZE") => sizes.cell(self.size),
        Head::left("NAMES").worth(1).cut_to(12).of_names() => name_list(&self.names),
    }
}

impl Row for ClassDiff {
    const KEYS: &'static str = "block_size,mem_before,mem_after,entries_before,entries_after";
    columns! { self, sizes,
        Head::right("BLOCK SIZE") => sizes.cell(self.block_size),
        Head::right("USED BEFORE").worth(3) => sizes.cell(self.mem_before),
        Head::right("AFTER").worth(4) => sizes.cell(self.mem_after),
        Head::right("PIECES BEFORE").worth(1) => self.entries_before,
        Head::right("AFTER").worth(2) => self.entries_after,
    }
}
