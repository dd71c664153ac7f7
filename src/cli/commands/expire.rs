//! `heapledger expire` and `heapledger touch`

use std::time::Duration;

use anyhow::Result;
use heapledger::{Batch, Error, Expiry, Held, ObjectId, Timestamp};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{if_any, printable, short_id, time};

/// When what is stored or named expires.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Expires {
    /// When it expires: after 90s, 2h or 7d, at a time (2099-12-31T12:00:00Z), or never, the default
    #[arg(long, value_name = "WHEN", value_parser = when::expiry)]
    expires: Option<Expiry>,

    /// It expires so long after it was last read with `get`: 90s, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = when::idle, conflicts_with = "expires")]
    idle: Option<Expiry>,
}

impl Expires {
    pub fn expiry(self) -> Expiry {
        self.given().unwrap_or_default()
    }

    /// The expiry that was asked for.
    pub fn given(self) -> Option<Expiry> {
        self.expires.or(self.idle)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What expires is a name, or the hold that storing without a name took: an object goes with
the last of them. It is gone at that moment; its bytes are given back when they are needed,
a few at a time by other writes, or all by gc.

Examples:
  heapledger expire greeting 2h          # from now on
  heapledger expire greeting never
  heapledger expire greeting --idle 2h   # from each get on
  heapledger expire 2cf24dba5fb0 2099-12-31T23:59:59Z")]
pub struct ExpireArgs {
    /// A name, or the id of an object that was stored without one, or its first 6 or more digits
    #[arg(value_name = "NAME|ID")]
    held: String,

    /// After 90s, 2h or 7d, at a time (2099-12-31T12:00:00Z), or never
    #[arg(value_name = "WHEN", value_parser = when::expiry, required_unless_present = "idle")]
    when: Option<Expiry>,

    /// So long after it was last read with `get`: 90s, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = when::idle, conflicts_with = "when")]
    idle: Option<Expiry>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Never lets anything expire sooner than before, and what never expires stays so.

Examples:
  heapledger touch greeting --expires 30m
  heapledger touch greeting hello --expires 7d   # both, or none")]
pub struct TouchArgs {
    /// Names, or ids of objects that were stored without one, or their first 6 or more digits
    #[arg(value_name = "NAME|ID", required = true)]
    held: Vec<String>,

    /// How long they last from now on at least: 90s, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = when::span)]
    expires: Duration,
}

#[derive(Serialize)]
struct Shown {
    object_id: ObjectId,
    /// The name that expires; without one it is the hold of an allocation without a name.
    name: Option<String>,
    expires_at: Option<Timestamp>,
}

pub fn expire(args: &ExpireArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let expiry = args.when.or(args.idle).unwrap_or_default();
    let shown = memory.batch(|batch| {
        let found = find(batch, &args.held)?;
        let expires_at = batch.expire(found.held(), expiry)?;
        Ok(found.shown(expires_at))
    })?;
    context.answer(&shown, |out| writeln!(out, "{}", text(&shown)))
}

pub fn touch(args: &TouchArgs, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let shown = memory.batch(|batch| {
        let touch = |held_by: &String| {
            let found = find(batch, held_by)?;
            let expires_at = batch.touch(found.held(), args.expires)?;
            Ok(found.shown(expires_at))
        };
        args.held.iter().map(touch).collect::<Result<Vec<_>, Error>>()
    })?;
    context.list(shown)
}

/// A name, or an object stored without one.
pub struct Found {
    pub object_id: ObjectId,
    pub name: Option<String>,
}

impl Found {
    pub fn held(&self) -> Held<'_> {
        match &self.name {
            Some(name) => Held::Name(name),
            None => Held::Anonymous(&self.object_id),
        }
    }

    fn shown(self, expires_at: Option<Timestamp>) -> Shown {
        Shown {
            object_id: self.object_id,
            name: self.name,
            expires_at,
        }
    }
}

/// A name, or the anonymous hold of an object that is given by its id.
pub fn find(batch: &mut Batch<'_, '_>, text: &str) -> Result<Found, Error> {
    let named = batch.resolve(text)?;
    let object_id = match named {
        Some(object_id) => object_id,
        None => batch.find(text)?,
    };
    Ok(Found {
        object_id,
        name: named.map(|_| text.to_owned()),
    })
}

fn text(shown: &Shown) -> String {
    let held = match &shown.name {
        Some(name) => printable(name).into_owned(),
        None => format!("{}, stored without a name,", short_id(shown.object_id)),
    };
    match shown.expires_at {
        Some(at) => format!("{held} expires at {}", time(at)),
        None => format!("{held} never expires"),
    }
}

impl Row for Shown {
    const KEYS: &'static str = "object_id,name,expires_at";
    columns! { self, _,
        Head::left("OBJECT") => short_id(self.object_id),
        Head::left("NAME").worth(2).cut_to(12).of_names() => if_any(self.name.as_deref(), printable),
        Head::left("EXPIRES").worth(1) => if_any(self.expires_at, time),
    }
}
