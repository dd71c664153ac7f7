//! `heapledger show`

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use heapledger::{EntryInfo, Error, Ledger, ObjectInfo, Timestamp};
use serde::Serialize;

use super::ledger::Named;
use super::tags;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{Row, table};
use crate::cli::output::terminal;
use crate::cli::output::text::{Sizes, counted, cut, preview, printable, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger show greeting
  heapledger show 2cf24dba5fb0 --format json")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,
}

/// A row of the view `objects`, with its rows of `names` and `ledger`.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    object: ObjectInfo,
    held_until: Option<Timestamp>,
    held_refresh: Option<u64>,
    held_tags: BTreeMap<String, String>,
    bindings: Vec<Binding>,
    ledger: Vec<EntryInfo>,
}

#[derive(Serialize)]
struct Binding {
    name: String,
    bound_at: Timestamp,
    expires_at: Option<Timestamp>,
    refresh: Option<u64>,
    tags: BTreeMap<String, String>,
}

/// Pieces listed at most; `ledger` lists all.
const PIECES: usize = 16;

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let id = memory.find(&args.object)?;
    let entries: Vec<Ledger> = memory.ledger(&id)?;
    let names = memory.names(&id)?.into_iter();
    let bindings = names.map(|name| {
        let tags = match memory.tags(&name.name) {
            // The name has gone since or, in a damaged heap, is not as it is shown.
            Err(Error::UnknownName { .. }) => BTreeMap::new(),
            tags => tags?,
        };
        Ok::<_, Error>(Binding {
            name: name.name,
            bound_at: name.bound_at,
            expires_at: name.expires_at,
            refresh: name.refresh,
            tags,
        })
    });
    let row = memory.object(&id)?;
    let shown = Shown {
        object: memory.object_info(&id)?,
        held_until: row.held_until,
        held_refresh: row.held_refresh,
        held_tags: memory.tags(&id)?,
        bindings: bindings.collect::<Result<_, _>>()?,
        ledger: entries.iter().map(|entry| EntryInfo::new(entry, id)).collect(),
    };
    context.answer(&shown, |out| text(out, &shown, context.sizes()))
}

fn text(out: &mut dyn Write, shown: &Shown, sizes: Sizes) -> io::Result<()> {
    let Shown {
        object,
        bindings,
        ledger,
        ..
    } = shown;
    let columns = terminal::columns();
    let fits = |text| columns.map_or(Cow::Borrowed(text), |columns| cut(text, columns.saturating_sub(9)));
    writeln!(out, "object   {}", fits(&object.id.to_hex()))?;
    writeln!(out, "space    {}", printable(&object.space))?;
    match &object.type_name {
        Some(name) => writeln!(out, "kind     {} ({})", object.kind, printable(name))?,
        None => writeln!(out, "kind     {}", object.kind)?,
    }
    writeln!(
        out,
        "size     {} in {}",
        sizes.phrase(object.size),
        counted(object.pieces, "piece")
    )?;
    writeln!(out, "created  {}", time(object.created))?;
    if let Some(at) = object.expires_at {
        writeln!(out, "expires  {}", time(at))?;
    }
    if object.held {
        writeln!(
            out,
            "held     by an allocation without a name{}",
            until(shown.held_until, shown.held_refresh, &shown.held_tags)
        )?;
    }
    for binding in bindings {
        writeln!(
            out,
            "name     {}, bound {}{}",
            printable(&binding.name),
            time(binding.bound_at),
            until(binding.expires_at, binding.refresh, &binding.tags)
        )?;
    }
    if let Some(value) = &object.value {
        let value = match columns {
            Some(_) => preview(value, 1000),
            None => printable(value).into_owned(),
        };
        writeln!(out, "value    {value}")?;
    }
    placement(out, ledger, sizes)
}

/// `, expires 2026-11-27 12:00:00 UTC, 1800 s after each get, owner=ann`
fn until(expires_at: Option<Timestamp>, refresh: Option<u64>, tags: &BTreeMap<String, String>) -> String {
    let mut until = expires_at.map_or(String::new(), |at| format!(", expires {}", time(at)));
    if let Some(micros) = refresh {
        until += &format!(", {} s after each get", Duration::from_micros(micros).as_secs_f64());
    }
    if tags.is_empty() {
        return until;
    }
    format!("{until}, {}", tags::list(tags))
}

fn placement(out: &mut dyn Write, ledger: &[EntryInfo], sizes: Sizes) -> io::Result<()> {
    if ledger.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    // Without names, which are shown above, their column is left out.
    let shown = ledger.iter().take(PIECES).cloned().map(|entry| Named {
        entry,
        names: Vec::new(),
    });
    table(out, Named::HEAD, shown.map(|entry| entry.cells(sizes)))?;
    match ledger.len().saturating_sub(PIECES) {
        0 => Ok(()),
        more => writeln!(
            out,
            "… and {}; `heapledger ledger` lists them all",
            counted(more as u64, "more piece")
        ),
    }
}
