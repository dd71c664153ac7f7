//! `heapledger ls`

use std::cmp::{Ordering, Reverse};

use anyhow::Result;
use clap::ValueEnum;
use glob::Pattern;
use heapledger::{Kind, ObjectInfo, Timestamp};
use serde::Serialize;

use super::reserve;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::{parse, when};
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{if_any, name_list, printable, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger ls
  heapledger ls --sort size --limit 10   # the largest
  heapledger ls --like 'photos/*.jpg' --since 7d
  heapledger ls --unnamed --kind json,str
  heapledger ls --format csv > objects.csv
  heapledger ls --tag owner=ann --tag job
  heapledger ls --reservations
  heapledger ls --format ndjson | jq -r 'select(.size > 1000000) | .object_id'")]
pub struct Args {
    /// Show whole object ids
    #[arg(short, long)]
    long: bool,

    /// List reservations instead: what is promised, and to whom
    #[arg(short, long, conflicts_with_all = ["long", "tags", "like", "unnamed", "kind", "since", "sort", "reverse", "limit"])]
    reservations: bool,

    /// Only what has this tag, with any value if none is given; several times: all of these tags
    #[arg(long = "tag", value_name = "KEY[=VALUE]")]
    tags: Vec<String>,

    /// Only what has a name like this: * stands for any characters, / among them, ? for one, [a-z] for
    /// one of these
    #[arg(long, value_name = "GLOB")]
    like: Option<Pattern>,

    /// Only what has no name
    #[arg(long, conflicts_with = "like")]
    unnamed: bool,

    /// Only of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = parse::one_of(Kind::ALL.map(|kind| (kind.as_str(), kind))))]
    kind: Vec<Kind>,

    /// Only what was stored since this time: 90s, 2h, 30d ago, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when::time)]
    since: Option<Timestamp>,

    /// The order [default: as stored]
    #[arg(long, value_name = "BY")]
    sort: Option<Sort>,

    /// Turn the order around
    #[arg(long)]
    reverse: bool,

    /// Only the first N
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

/// An order of objects. Those that are equal in it come as they were stored.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// By the first of its names; what has none comes last
    Name,
    /// The largest first
    Size,
    /// The newest first
    Time,
    /// The most pieces first
    Pieces,
    /// By kind
    Kind,
}

impl Sort {
    fn compare(self, one: &ObjectInfo, other: &ObjectInfo) -> Ordering {
        let name = |object: &'_ ObjectInfo| (object.names.is_empty(), object.names.first().cloned());
        match self {
            Self::Name => name(one).cmp(&name(other)),
            Self::Size => Reverse(one.size).cmp(&Reverse(other.size)),
            Self::Time => Reverse((one.created, one.key)).cmp(&Reverse((other.created, other.key))),
            Self::Pieces => Reverse(one.pieces).cmp(&Reverse(other.pieces)),
            Self::Kind => one.kind.as_str().cmp(other.kind.as_str()),
        }
    }
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
    let objects = memory
        .tagged(tags)
        .filter(|object| object.as_ref().map_or(true, |object| args.wants(object)));
    let objects: Box<dyn Iterator<Item = _>> = match (args.sort, args.reverse) {
        (None, false) => Box::new(objects),
        _ => Box::new(args.sorted(objects)?.into_iter().map(Ok)),
    };
    let objects = objects.take(args.limit.unwrap_or(usize::MAX));
    let long = args.long;
    output.rows_read(objects.map(|object| Ok(Listed { object: object?, long })))?;
    Ok(Outcome::Fine)
}

impl Args {
    fn wants(&self, object: &ObjectInfo) -> bool {
        // They are stored to the microsecond, but listed to the second.
        let is_since = |since: Timestamp| object.created.as_micros() / 1_000_000 >= since.as_micros() / 1_000_000;
        let is_like = |like: &Pattern| object.names.iter().any(|name| like.matches(name));
        self.since.is_none_or(is_since)
            && self.like.as_ref().is_none_or(is_like)
            && (!self.unnamed || object.names.is_empty())
            && (self.kind.is_empty() || self.kind.contains(&object.kind))
    }

    /// The objects that are listed, and perhaps more, in order. With a limit, it needs memory for twice as many.
    fn sorted(&self, objects: impl Iterator<Item = heapledger::Result<ObjectInfo>>) -> Result<Vec<ObjectInfo>> {
        let most = self
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_mul(2).saturating_add(1000));
        let mut found = Vec::new();
        for object in objects {
            found.push(object?);
            if found.len() >= most {
                self.sort(&mut found);
                found.truncate(most / 2);
            }
        }
        self.sort(&mut found);
        Ok(found)
    }

    fn sort(&self, objects: &mut [ObjectInfo]) {
        objects.sort_by(|one, other| {
            let order = self.sort.map_or(Ordering::Equal, |sort| sort.compare(one, other));
            let order = order.then(one.key.cmp(&other.key));
            if self.reverse { order.reverse() } else { order }
        });
    }
}

/// An object, perhaps with its whole id.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Listed {
    object: ObjectInfo,
    #[serde(skip)]
    long: bool,
}

impl Row for Listed {
    const KEYS: &'static str = "id,object_id,space,names,kind,type_name,size,pieces,held,created,expires_at,value";
    columns! { self, sizes,
        Head::left("OBJECT") => if self.long { self.object.id.to_string() } else { short_id(self.object.id) },
        Head::left("KIND").worth(3) => self.object.kind,
        Head::right("SIZE").worth(6) => sizes.cell(self.object.size),
        Head::right("PIECES").worth(1) => self.object.pieces,
        Head::left("CREATED").worth(2) => time(self.object.created),
        Head::left("EXPIRES").worth(4) => if_any(self.object.expires_at, time),
        Head::left("NAMES").worth(7).cut_to(12).of_names() => name_list(&self.object.names),
        Head::left("VALUE").worth(5).cut_to(16) => if_any(self.object.value.as_deref(), printable),
    }
}
