//! `heapledger release`

use anyhow::Result;
use heapledger::{Freed, ObjectId};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::text::short_id;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
An object that put stores without --name is held until it is freed or released. A name
bound to it later holds it as well: when the name is removed, the object stays.

Example:
  heapledger release greeting            # only its names hold it from now on")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,
}

#[derive(Serialize)]
struct Released {
    object_id: ObjectId,
    /// The object, if that freed it because it has no name.
    freed: Option<Freed>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let (id, freed) = memory.batch(|batch| {
        let id = batch.find(&args.object)?;
        Ok((id, batch.release(&id)?))
    })?;
    let released = Released { object_id: id, freed };
    context.answer(&released, |out| {
        let end = match &released.freed {
            Some(freed) => format!("it had no name, so its {} are free", context.sizes().phrase(freed.size)),
            None => "its names hold it".to_owned(),
        };
        writeln!(out, "{} is released: {end}", short_id(id))
    })
}
