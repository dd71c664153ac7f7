//! `heapledger quota`

use anyhow::Result;
use heapledger::{Quota, QuotaLimits, QuotaState, QuotaUsage};
use serde::Serialize;

use super::tags::{self, Tag};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::parse;
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, above_zero, counted, if_any};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
An owner is a tag. Each object counts in full for every owner that has it, once for each,
however many of its names have the tag. What would exceed a hard limit is refused with exit
status 3; a soft limit only warns. Limits that are not given stay as they are.

Examples:
  heapledger quota                                  # who has how much of what
  heapledger quota owner=ann --hard 2GiB --soft 1.5GiB --objects 10000
  heapledger put --tag owner=ann photo.jpg
  heapledger quota owner=ann --soft none            # no soft limit any more
  heapledger quota owner=ann --remove")]
pub struct Args {
    /// The owner; without limits, its quota is shown
    #[arg(value_name = "KEY=VALUE", value_parser = tags::tag)]
    owner: Option<Tag>,

    /// Refuse what would give it more bytes than this; `none` for no limit
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "owner")]
    hard: Option<Limit>,

    /// Warn when it has more bytes than this; `none` for no warning
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "owner")]
    soft: Option<Limit>,

    /// Refuse what would give it more objects than this; `none` for no limit
    #[arg(long, value_name = "N", value_parser = number, requires = "owner")]
    objects: Option<Limit>,

    /// Warn when it has more objects than this; `none` for no warning
    #[arg(long, value_name = "N", value_parser = number, requires = "owner")]
    soft_objects: Option<Limit>,

    /// Remove its quota; nothing is counted for it any more
    #[arg(long, requires = "owner", conflicts_with_all = ["hard", "soft", "objects", "soft_objects"])]
    remove: bool,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<u64>);

fn size(text: &str) -> Result<Limit, String> {
    limit(text, |text| parse::size(text).map_err(|why| why.to_string()))
}

fn number(text: &str) -> Result<Limit, String> {
    limit(text, |text| text.parse().map_err(|_| "not a whole number".to_owned()))
}

fn limit(text: &str, parse: impl FnOnce(&str) -> Result<u64, String>) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        text => parse(text).map(|limit| Limit(Some(limit))),
    }
}

/// The quota of one owner.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    quota: Quota,
    state: QuotaState,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let Some((key, value)) = &args.owner else {
        return context.list(context.read()?.quotas()?);
    };
    let owner = tags::shown(key, value);
    if args.remove {
        return remove(key, value, &owner, context);
    }
    let given = [args.hard, args.soft, args.objects, args.soft_objects];
    let memory = match given.iter().any(Option::is_some) {
        true => {
            let memory = context.change()?;
            let before = memory.quota(key, value)?.map(|quota| quota.limits);
            memory.set_quota(key, value, changed(before.unwrap_or_default(), given))?;
            memory
        }
        false => context.read()?,
    };
    let Some(quota) = memory.quota(key, value)? else {
        exit::warn(&format!("{owner} has no quota"));
        return Ok(Outcome::Findings);
    };
    let sizes = context.sizes();
    let shown = Shown {
        state: quota.state(),
        quota,
    };
    context.answer(&shown, |out| {
        let (quota, limits) = (&shown.quota, shown.quota.limits);
        let hard = of(limits.hard_bytes, |bytes| sizes.phrase(bytes));
        let soft = of(limits.soft_bytes, |bytes| sizes.phrase(bytes));
        writeln!(out, "{owner}: {}", shown.state)?;
        writeln!(
            out,
            "bytes    {} used, hard limit {hard}, soft limit {soft}",
            sizes.phrase(quota.used_bytes)
        )?;
        let hard = of(limits.hard_objects, |objects| objects.to_string());
        let soft = of(limits.soft_objects, |objects| objects.to_string());
        writeln!(
            out,
            "objects  {} used, hard limit {hard}, soft limit {soft}",
            quota.used_objects
        )
    })
}

fn of(limit: Option<u64>, shown: impl Fn(u64) -> String) -> String {
    limit.map_or_else(|| "none".to_owned(), shown)
}

/// The limits, with those changed that are given.
fn changed(limits: QuotaLimits, [hard, soft, objects, soft_objects]: [Option<Limit>; 4]) -> QuotaLimits {
    let mut limits = limits;
    for (limit, given) in [
        (&mut limits.hard_bytes, hard),
        (&mut limits.soft_bytes, soft),
        (&mut limits.hard_objects, objects),
        (&mut limits.soft_objects, soft_objects),
    ] {
        if let Some(Limit(given)) = given {
            *limit = given;
        }
    }
    limits
}

#[derive(Serialize)]
struct Removed<'a> {
    key: &'a str,
    value: &'a str,
    removed: bool,
}

fn remove(key: &str, value: &str, owner: &str, context: &Context<'_>) -> Result<Outcome> {
    let removed = context.change()?.remove_quota(key, value)?;
    let shown = Removed { key, value, removed };
    let since = if removed { " any more" } else { "" };
    context.answer(&shown, |out| writeln!(out, "{owner} has no quota{since}"))
}

/// What an owner has left: `owner=ann 6 B of 20 B, 1 of 3 objects`.
pub fn left(quota: &Quota, sizes: Sizes) -> String {
    let Quota { key, value, limits, .. } = quota;
    let bytes = limits.hard_bytes.map(|hard| {
        let left = hard.saturating_sub(quota.used_bytes);
        format!("{} of {}", sizes.phrase(left), sizes.phrase(hard))
    });
    let objects = limits.hard_objects.map(|hard| {
        let left = hard.saturating_sub(quota.used_objects);
        format!("{left} of {}", counted(hard, "object"))
    });
    let both: Vec<_> = bytes.into_iter().chain(objects).collect();
    let left = if both.is_empty() {
        "no hard limit".to_owned()
    } else {
        both.join(", ")
    };
    format!("{} {left}", tags::shown(key, value))
}

impl Row for QuotaUsage {
    const KEYS: &'static str = "key,value,hard_bytes,soft_bytes,hard_objects,soft_objects,used_bytes,used_objects,state,\
        shared_bytes,shared_objects,expired_bytes,expired_objects";
    columns! { self, sizes,
        Head::left("OWNER").cut_to(12) => tags::shown(&self.quota.key, &self.quota.value),
        Head::left("STATE").worth(8) => self.state,
        Head::right("USED").worth(9) => sizes.cell(self.quota.used_bytes),
        Head::right("HARD").worth(7) => if_any(self.quota.limits.hard_bytes, |bytes| sizes.cell(bytes)),
        Head::right("SOFT").worth(5) => if_any(self.quota.limits.soft_bytes, |bytes| sizes.cell(bytes)),
        Head::right("SHARED").worth(4) => if_any(above_zero(self.shared_bytes), |bytes| sizes.cell(bytes)),
        Head::right("EXPIRED").worth(1) => if_any(above_zero(self.expired_bytes), |bytes| sizes.cell(bytes)),
        Head::right("OBJECTS").worth(6) => self.quota.used_objects,
        Head::right("MOST").worth(3) => if_any(self.quota.limits.hard_objects, |most| most),
        Head::right("WARN").worth(2) => if_any(self.quota.limits.soft_objects, |most| most),
    }
}
