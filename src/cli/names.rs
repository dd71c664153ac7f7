//! `heapledger name` and `heapledger unname`

use anyhow::Result;
use heapledger::{Error, ObjectId};
use serde::Serialize;

use super::context::Context;
use super::exit::Outcome;
use super::text::{printable, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger name 2cf24dba5fb0 greeting
  heapledger name greeting hello         a second name for the same object")]
pub struct NameArgs {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,

    /// The name to bind; if it is another object's, it moves
    #[arg(value_name = "NEW_NAME")]
    name: String,
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
}

#[derive(Serialize)]
struct Unnamed<'a> {
    object_id: ObjectId,
    name: &'a str,
    /// Whether that freed the object, and what it took.
    freed: bool,
    size: u64,
    pieces: u64,
}

pub fn name(args: &NameArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let id = memory.find(&args.object)?;
    memory.bind(&args.name, &id)?;
    let named = Named {
        object_id: id,
        name: &args.name,
    };
    context.output().one(&named, |out| {
        writeln!(out, "{} is named {}", short_id(id), printable(&args.name))
    })?;
    Ok(Outcome::Fine)
}

pub fn unname(args: &UnnameArgs, context: &Context<'_>) -> Result<Outcome> {
    let name = args.name.as_str();
    let memory = context.change()?;
    let id = memory.resolve(name)?.ok_or_else(|| Error::UnknownName {
        name: name.to_owned(),
        space: memory.space().to_owned(),
    })?;
    let freed = memory.unbind(name)?;
    let unnamed = Unnamed {
        object_id: id,
        name,
        freed: freed.is_some(),
        size: freed.as_ref().map_or(0, |freed| freed.size),
        pieces: freed.as_ref().map_or(0, |freed| freed.pieces),
    };
    context.output().one(&unnamed, |out| {
        let end = match &freed {
            Some(freed) => format!(
                "nothing else held it, so its {} are free",
                context.sizes().phrase(freed.size)
            ),
            None => "it stays: something else holds it".to_owned(),
        };
        writeln!(out, "{} is no longer named {}; {end}", short_id(id), printable(name))
    })?;
    Ok(Outcome::Fine)
}
