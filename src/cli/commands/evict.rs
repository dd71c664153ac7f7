//! `heapledger evict`

use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::TypedValueParser;
use heapledger::{EvictOptions, Eviction, Policy, Work};
use serde::Serialize;

use super::plan;
use super::plan_file::{self, PlanFile};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::{parse, when};
use crate::cli::output::text::{counted, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without eviction, what does not fit is refused. With it, whole objects go, with their names,
just as many as the new one needs; if those that may go are not enough, it is refused and
nothing goes. Pinned objects stay. `heapledger plan SIZE --evict` tells which would go.
With --free, the same objects go at once, and the policy of the space stays as it is.

Examples:
  heapledger evict  # what goes first, if anything
  heapledger evict lru  # what was not used for longest
  heapledger evict largest --min-age 1h  # spares the young
  heapledger evict off
  heapledger evict --free 10MiB  # objects go until so much is free
  heapledger evict --free 10MiB --policy oldest --dry-run
  heapledger evict --free 10MiB --plan p.json && heapledger apply p.json")]
pub struct Args {
    /// What goes first if there is no room: by use (lru, sieve, s3-fifo), largest or oldest; or off
    #[arg(value_name = "POLICY", value_parser = setting())]
    policy: Option<Setting>,

    /// Younger objects stay: 90s, 2h, 7d, or 0s for none; without it, this is as it was
    #[arg(long, value_name = "TIME", value_parser = when::age, conflicts_with = "free")]
    min_age: Option<Duration>,

    /// Evict objects now, until this many bytes are free
    #[arg(long, value_name = "SIZE", value_parser = parse::size, conflicts_with = "policy")]
    free: Option<u64>,

    #[command(flatten)]
    how: How,
}

/// How to evict objects now.
#[derive(Debug, clap::Args)]
struct How {
    /// What goes first, if not what the space evicts: largest or oldest
    #[arg(
        long = "policy", id = "by", value_name = "POLICY", value_parser = policy(),
        requires = "free", conflicts_with = "policy"
    )]
    by: Option<Policy>,

    /// Evict nothing; print what would go
    // A required argument that conflicts with a given one is not asked for.
    #[arg(long, requires = "free", conflicts_with = "policy")]
    dry_run: bool,

    #[command(flatten)]
    plan: PlanFile,
}

#[derive(Debug, Clone, Copy)]
enum Setting {
    Off,
    By(Policy),
}

fn setting() -> impl TypedValueParser<Value = Setting> {
    let policies = Policy::ALL.map(|policy| (policy.as_str(), Setting::By(policy)));
    parse::one_of(policies.into_iter().chain([("off", Setting::Off)]))
}

/// The policies by which a heap can evict.
pub fn policy() -> impl TypedValueParser<Value = Policy> {
    parse::one_of(Policy::ALL.map(|policy| (policy.as_str(), policy)))
}

/// A policy with a minimum age.
pub fn eviction(policy: Policy, min_age: Option<Duration>) -> Eviction {
    Eviction::by(policy).min_age(min_age.unwrap_or_default())
}

/// What a space evicts. The fields that begin with `evict` are columns of `memram`.
#[derive(Serialize)]
struct Shown {
    space: String,
    evict: Option<Policy>,
    evict_min_age: u64,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if let Some(bytes) = args.free {
        return args.how.make_room(bytes, context);
    }
    if args.how.plan.path().is_some() {
        bail!("--plan needs --free SIZE: how many bytes are to be free");
    }
    let memory = match (args.policy, args.min_age) {
        (None, None) => context.read()?,
        (Some(Setting::Off), Some(_)) => bail!("with off, nothing is evicted at any age"),
        (setting, min_age) => {
            let memory = context.change()?;
            let before = memory.eviction()?;
            // What is not given stays as it is.
            let min_age = min_age.or(before.map(|before| before.min_age));
            memory.set_eviction(match (setting, before) {
                (Some(Setting::Off), _) => None,
                (Some(Setting::By(policy)), _) => Some(eviction(policy, min_age)),
                (None, Some(before)) => Some(eviction(before.policy, min_age)),
                (None, None) => bail!("nothing is evicted, whatever its age; give a POLICY, too"),
            })?;
            memory
        }
    };
    let space = memory.memram()?;
    let shown = Shown {
        space: space.name,
        evict: space.evict,
        evict_min_age: space.evict_min_age,
    };
    let words = in_words(memory.eviction()?);
    context.answer(&shown, |out| {
        writeln!(out, "space {}: {words}", printable(&shown.space))
    })
}

impl How {
    fn make_room(&self, bytes: u64, context: &Context<'_>) -> Result<Outcome> {
        let mut options = EvictOptions::room(bytes);
        options.policy = self.by;
        if let Some(path) = self.plan.path() {
            return plan_file::write(&context.change()?, &Work::Evict(options), path, context);
        }
        if self.dry_run {
            return plan::evictions(&context.read()?, options, context);
        }
        let evicted = context.change()?.evict(options)?;
        context.answer(&evicted, |out| {
            let sizes = context.sizes();
            let (objects, bytes) = (counted(evicted.objects, "object"), sizes.phrase(evicted.bytes));
            let available = sizes.phrase(evicted.available);
            writeln!(
                out,
                "evicted {objects} of {bytes}, {} first; {available} are free",
                evicted.policy
            )
        })
    }
}

/// `the oldest objects go if there is no room`
pub fn in_words(eviction: Option<Eviction>) -> String {
    let Some(Eviction { policy, min_age, .. }) = eviction else {
        return "nothing is evicted; what does not fit is refused".into();
    };
    let which = match min_age {
        Duration::ZERO => String::new(),
        age => format!(", if they are at least {} s old,", age.as_secs_f64()),
    };
    let first = match policy {
        Policy::Lru => "objects that were not used for longest".into(),
        Policy::Largest | Policy::Oldest => format!("{policy} objects"),
        policy => format!("objects that {policy} chooses by their use"),
    };
    format!("the {first}{which} go if there is no room")
}
