//! `heapledger tag`, `heapledger untag` and `heapledger tags`

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use heapledger::{Batch, Error, ObjectId, TagValue};
use serde::Serialize;

use super::expire::{Found, find};
use super::soft_limits;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::printable;

/// Tags of what is stored or named.
#[derive(Debug, Clone, clap::Args)]
pub struct Tags {
    /// Tag it, to find and count it by: owner=ann. Any number of times, once for each key
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<Tag>,
}

/// A key and its value.
pub type Tag = (String, String);

impl Tags {
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.tags)
    }

    /// # Errors
    /// If a key is given twice.
    pub fn check(&self) -> Result<()> {
        check(&self.tags)
    }
}

fn check(tags: &[Tag]) -> Result<()> {
    let mut keys = BTreeSet::new();
    match tags.iter().find(|(key, _)| !keys.insert(key)) {
        Some((key, _)) => bail!("the tag {} is given twice, but has one value", printable(key)),
        None => Ok(()),
    }
}

pub fn pairs(tags: &[Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// A tag as it is shown.
pub fn shown(key: &str, value: &str) -> String {
    printable(&format!("{key}={value}")).into_owned()
}

/// A tag as it is written.
pub fn tag(text: &str) -> Result<Tag, String> {
    let (key, value) = text.split_once('=').ok_or("not a tag; write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What has tags is a name, or the hold that storing without a name took; they go with it.

Examples:
  heapledger tag greeting owner=ann job=7
  heapledger tag 2cf24dba5fb0 owner=bob  # stored without a name
  heapledger ls --tag owner=ann
  heapledger usage --by owner")]
pub struct TagArgs {
    /// A name, or the id of an object that was stored without one, or its first 6 or more digits
    #[arg(value_name = "NAME|ID")]
    held: String,

    /// The tags to set, or to change
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = tag)]
    tags: Vec<Tag>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger untag greeting job")]
pub struct UntagArgs {
    /// A name, or the id of an object that was stored without one, or its first 6 or more digits
    #[arg(value_name = "NAME|ID")]
    held: String,

    /// The keys of the tags to remove; it need not have them
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger tags
  heapledger tags --format csv")]
pub struct ListArgs {}

#[derive(Serialize)]
struct Shown {
    object_id: ObjectId,
    /// The name that has them; without one it is the hold of an allocation without a name.
    name: Option<String>,
    tags: BTreeMap<String, String>,
}

pub fn add(args: &TagArgs, context: &Context<'_>) -> Result<Outcome> {
    check(&args.tags)?;
    change(&args.held, context, &args.tags, |batch, found| {
        let mut tags = args.tags.iter();
        tags.try_for_each(|(key, value)| batch.tag(found.held(), key, value))
    })
}

pub fn remove(args: &UntagArgs, context: &Context<'_>) -> Result<Outcome> {
    change(&args.held, context, &[], |batch, found| {
        let mut keys = args.keys.iter();
        keys.try_for_each(|key| batch.untag(found.held(), key).map(drop))
    })
}

/// Changes the tags of something, some of them to new ones, and shows what it has then.
fn change(
    text: &str,
    context: &Context<'_>,
    new: &[Tag],
    work: impl FnOnce(&mut Batch<'_, '_>, &Found) -> Result<(), Error>,
) -> Result<Outcome> {
    let memory = context.change()?;
    let found = memory.batch(|batch| {
        let found = find(batch, text)?;
        work(batch, &found)?;
        Ok(found)
    })?;
    soft_limits::warn_beyond(&memory, pairs(new), context.sizes())?;
    let shown = Shown {
        tags: memory.tags(found.held())?,
        object_id: found.object_id,
        name: found.name,
    };
    context.answer(&shown, |out| {
        writeln!(out, "{}: {}", printable(text), list(&shown.tags))
    })
}

pub fn list_all(_: &ListArgs, context: &Context<'_>) -> Result<Outcome> {
    context.list(context.read()?.tag_values()?)
}

/// The tags of one hold.
pub fn list(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() {
        return "no tags".to_owned();
    }
    let tags = tags.iter().map(|(key, value)| shown(key, value));
    tags.collect::<Vec<_>>().join(", ")
}

impl Row for TagValue {
    const KEYS: &'static str = "key,value,holds";
    columns! { self, _,
        Head::left("KEY").worth(2) => printable(&self.key),
        Head::left("VALUE").worth(3).cut_to(12) => printable(&self.value),
        Head::right("HOLDS").worth(1) => self.holds,
    }
}
