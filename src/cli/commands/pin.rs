//! `heapledger pin`, `unpin` and `pins`

use anyhow::Result;
use heapledger::{Error, ObjectId, ObjectInfo};
use serde::Serialize;

use super::ls::Listed;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{name_list, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is pinned is never evicted. It can still be freed, and expires with its last hold. The
pin is the object's: if its name moves to another object, the pin does not.

Examples:
  heapledger pin hello
  heapledger pin 2cf24dba5fb0 486ea46224d1  # all of them, or none
  heapledger pins                           # what is pinned")]
pub struct PinArgs {
    /// Names of objects, their ids, or the first 6 or more digits of these
    #[arg(value_name = "NAME|ID", required = true)]
    objects: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger unpin hello
  heapledger unpin 2cf24dba5fb0 486ea46224d1  # all of them, or none")]
pub struct UnpinArgs {
    /// Names of objects, their ids, or the first 6 or more digits of these
    #[arg(value_name = "NAME|ID", required = true)]
    objects: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger pins
  heapledger pins --format ndjson | jq -r .object_id")]
pub struct ListArgs {}

/// An object whose pin was set or taken away.
#[derive(Serialize)]
struct Pinned {
    object_id: ObjectId,
    pinned: bool,
    /// Whether that is new.
    changed: bool,
}

pub fn pin(args: &PinArgs, context: &Context<'_>) -> Result<Outcome> {
    set(&args.objects, true, context)
}

pub fn unpin(args: &UnpinArgs, context: &Context<'_>) -> Result<Outcome> {
    set(&args.objects, false, context)
}

fn set(objects: &[String], pinned: bool, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let rows = memory.batch(|batch| {
        let set = |text: &String| {
            let object_id = batch.find(text)?;
            let changed = match pinned {
                true => batch.pin(&object_id)?,
                false => batch.unpin(&object_id)?,
            };
            Ok(Pinned {
                object_id,
                pinned,
                changed,
            })
        };
        objects.iter().map(set).collect::<Result<Vec<_>, Error>>()
    })?;
    context.list(rows)
}

pub fn list(_: &ListArgs, context: &Context<'_>) -> Result<Outcome> {
    let pins = context.read()?.pins()?;
    context.list(pins.into_iter().map(Pin))
}

/// A pinned object.
#[derive(Serialize)]
#[serde(transparent)]
struct Pin(ObjectInfo);

impl Row for Pinned {
    const KEYS: &'static str = "object_id,pinned,changed";
    columns! { self, _,
        Head::left("OBJECT") => short_id(self.object_id),
        Head::left("PINNED") => yes(self.pinned),
        Head::left("CHANGED") => yes(self.changed),
    }
}

impl Row for Pin {
    const KEYS: &'static str = Listed::KEYS;
    columns! { self, sizes,
        Head::left("OBJECT") => short_id(self.0.id),
        Head::right("SIZE") => sizes.cell(self.0.size),
        Head::left("NAMES").worth(1).cut_to(12).of_names() => name_list(&self.0.names),
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
