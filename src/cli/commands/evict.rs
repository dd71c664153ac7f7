//! `heapledger evict`

use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use heapledger::{Eviction, Policy};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when;
use crate::cli::output::text::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without eviction, what does not fit is refused. With it, whole objects go, with their names,
just as many as the new one needs; if those that may go are not enough, it is refused and
nothing goes. Pinned objects stay. `heapledger plan SIZE --evict` tells which would go.

Examples:
  heapledger evict  # what goes first, if anything
  heapledger evict lru  # what was not used for longest
  heapledger evict largest --min-age 1h  # spares the young
  heapledger evict off")]
pub struct Args {
    /// What goes first if there is no room: by use (lru, sieve, s3-fifo), largest or oldest; or off
    #[arg(value_name = "POLICY", value_parser = setting())]
    policy: Option<Setting>,

    /// Younger objects stay: 90s, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = when::span, requires = "policy")]
    min_age: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Setting {
    Off,
    By(Policy),
}

fn setting() -> impl TypedValueParser<Value = Setting> {
    let names = Policy::ALL.map(Policy::as_str).into_iter().chain(["off"]);
    PossibleValuesParser::new(names).try_map(|name| match name.as_str() {
        "off" => Ok(Setting::Off),
        name => name.parse().map(Setting::By),
    })
}

/// The policies by which a heap can evict.
pub fn policy() -> impl TypedValueParser<Value = Policy> {
    PossibleValuesParser::new(Policy::ALL.map(Policy::as_str)).try_map(|name| name.parse::<Policy>())
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
    let memory = match args.policy {
        None => context.read()?,
        Some(Setting::Off) if args.min_age.is_some() => bail!("with off, nothing is evicted at any age"),
        Some(setting) => {
            let memory = context.change()?;
            memory.set_eviction(match setting {
                Setting::Off => None,
                Setting::By(policy) => Some(eviction(policy, args.min_age)),
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
    context.output().one(&shown, |out| {
        writeln!(out, "space {}: {words}", printable(&shown.space))
    })?;
    Ok(Outcome::Fine)
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
