//! `heapledger name` and `heapledger unname`

use anyhow::Result;
use heapledger::{Error, Freed, ObjectId};
use serde::Serialize;

use super::expire::Expires;
use super::soft_limits;
use super::tags::Tags;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::text::{Sizes, printable, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger name 2cf24dba5fb0 greeting
  heapledger name greeting hello         # a second name for the same object
  heapledger name --keep hello latest    # only if nothing is named latest")]
pub struct NameArgs {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,

    /// The name to bind; if another object has it, it moves, and that object is freed if nothing
    /// else holds it
    #[arg(value_name = "NEW_NAME")]
    name: String,

    /// Fail if the name is taken
    #[arg(short, long)]
    keep: bool,

    #[command(flatten)]
    expires: Expires,

    #[command(flatten)]
    tags: Tags,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  heapledger unname greeting")]
pub struct UnnameArgs {
    /// The name to remove
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Named<'a> {
    object_id: ObjectId,
    name: &'a str,
    /// The object that had the name before, if that freed it.
    freed: Option<Freed>,
}

#[derive(Serialize)]
struct Unnamed<'a> {
    object_id: ObjectId,
    name: &'a str,
    /// Whether that freed the object.
    freed: bool,
    size: u64,
    pieces: u64,
}

pub fn name(args: &NameArgs, context: &Context<'_>) -> Result<Outcome> {
    args.tags.check()?;
    let memory = context.change()?;
    let bound = memory.batch(|batch| {
        let object_id = batch.find(&args.object)?;
        let freed = match args.keep {
            true => batch.bind_new(&args.name, &object_id).map(|()| None)?,
            false => batch.bind(&args.name, &object_id)?,
        };
        if let Some(expiry) = args.expires.given() {
            batch.expire(&args.name, expiry)?;
        }
        let mut tags = args.tags.pairs();
        tags.try_for_each(|(key, value)| batch.tag(&args.name, key, value))?;
        Ok((object_id, freed))
    });
    let (id, freed) = bound.map_err(explain_taken)?;
    soft_limits::warn_beyond(&memory, args.tags.pairs(), context.sizes())?;
    let named = Named {
        object_id: id,
        name: &args.name,
        freed,
    };
    let sizes = context.sizes();
    context.answer(&named, |out| {
        writeln!(out, "{} is named {}", short_id(id), printable(&args.name))?;
        match &named.freed {
            Some(freed) => writeln!(out, "{}", replaced(&args.name, freed, sizes)),
            None => Ok(()),
        }
    })
}

/// Reports the object that a moved name freed.
pub fn replaced(name: &str, freed: &Freed, sizes: Sizes) -> String {
    format!(
        "{} was {} before; nothing else held it, so it is freed ({})",
        printable(name),
        short_id(freed.id),
        sizes.phrase(freed.size)
    )
}

/// Explains that a name is taken, and what to do.
pub fn explain_taken(error: Error) -> anyhow::Error {
    match error {
        Error::NameTaken { name, id, space } => anyhow::anyhow!(
            "the name {name:?} is taken in space {space}, by object {}; nothing was changed, and without --keep it would move",
            short_id(id)
        ),
        other => other.into(),
    }
}

pub fn unname(args: &UnnameArgs, context: &Context<'_>) -> Result<Outcome> {
    let name = args.name.as_str();
    let memory = context.change()?;
    let (id, freed) = memory.batch(|batch| {
        let id = batch.resolve(name)?.ok_or_else(|| Error::UnknownName {
            name: name.to_owned(),
            space: memory.space().to_owned(),
        })?;
        Ok((id, batch.unbind(name)?))
    })?;
    let unnamed = Unnamed {
        object_id: id,
        name,
        freed: freed.is_some(),
        size: freed.as_ref().map_or(0, |freed| freed.size),
        pieces: freed.as_ref().map_or(0, |freed| freed.pieces),
    };
    context.answer(&unnamed, |out| {
        let end = match &freed {
            Some(freed) => format!(
                "nothing else held it, so its {} are free",
                context.sizes().phrase(freed.size)
            ),
            None => "it stays: something else holds it".to_owned(),
        };
        writeln!(out, "{} is no longer named {}; {end}", short_id(id), printable(name))
    })
}
