//! `heapledger history`

use std::time::Duration;

use anyhow::{Result, bail};
use heapledger::{EventFilter, EventId, History, HistoryMode, MemManager};
use serde::Serialize;

use super::log::exact_time;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::{parse, when};
use crate::cli::output::text::{Sizes, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger history                 # what is kept
  heapledger history keep 64MiB      # the newest; of older ones sums
  heapledger history keep 30d        # those of the last 30 days
  heapledger history on              # all of them
  heapledger history off")]
pub struct Args {
    #[command(subcommand)]
    setting: Option<Setting>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Setting {
    /// Keep every event; after `off`, start with the current balance
    #[command(after_help = "Example:\n  heapledger history on")]
    On,
    /// Record nothing
    #[command(after_help = "Example:\n  heapledger history off")]
    Off,
    /// Keep the newest events, replacing older ones by their sums
    #[command(after_help = "\
With a size, the write that exceeds it also removes the oldest events. With a duration, writes
remove older events a few at a time; with both, only `heapledger gc` does that, so that a clock
which is far ahead does not empty the history.

Examples:
  heapledger history keep 64MiB
  heapledger history keep 30d
  heapledger history keep 30d 64MiB")]
    Keep {
        /// For how long (12h, 30d, 4w), up to how many bytes of the file (64MiB), or both
        #[arg(value_name = "DURATION|SIZE", required = true, num_args = 1..=2, value_parser = limit)]
        limits: Vec<Limit>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Age(Duration),
    Bytes(u64),
}

fn limit(text: &str) -> Result<Limit, String> {
    let age = when::span(text).map(Limit::Age);
    let why = "neither a span of time (12h, 30d, 4w) nor a size (64MiB)";
    age.or_else(|_| parse::size(text).map(Limit::Bytes))
        .map_err(|_| why.to_owned())
}

/// The history with these limits, at most one of each sort.
fn keep(limits: &[Limit]) -> Result<History> {
    let (mut age, mut bytes) = (None, None);
    for limit in limits {
        let is_second = match *limit {
            Limit::Age(time) => age.replace(time).is_some(),
            Limit::Bytes(most) => bytes.replace(most).is_some(),
        };
        if is_second {
            bail!("give one duration, one size, or one of each");
        }
    }
    Ok(History::Keep { age, bytes })
}

/// What is recorded. The fields that begin with `history` are columns of `memram`.
#[derive(Serialize)]
struct Kept {
    space: String,
    history: HistoryMode,
    history_keep: Option<u64>,
    history_max_bytes: Option<u64>,
    history_bytes: u64,
    first_event: Option<EventId>,
    first_time: Option<String>,
    last_event: Option<EventId>,
    last_time: Option<String>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let history = match &args.setting {
        None => None,
        Some(Setting::On) => Some(History::On),
        Some(Setting::Off) => Some(History::Off),
        Some(Setting::Keep { limits }) => Some(keep(limits)?),
    };
    let memory = if let Some(history) = history {
        let memory = context.change()?;
        memory.set_history(history)?;
        memory
    } else {
        context.read()?
    };
    let kept = kept(&memory)?;
    context.answer(&kept, |out| writeln!(out, "{}", kept.in_words(context.sizes())))
}

fn kept(memory: &MemManager) -> Result<Kept> {
    let space = memory.memram()?;
    let first = memory.events(EventFilter::default()).next().transpose()?;
    let last = memory.newest_events(&EventFilter::default(), 1)?.pop();
    Ok(Kept {
        space: space.name,
        history: space.history,
        history_keep: space.history_keep,
        history_max_bytes: space.history_max_bytes,
        history_bytes: space.history_bytes,
        first_event: first.as_ref().map(|event| event.id),
        first_time: first.as_ref().map(|event| exact_time(event.at)),
        last_event: last.as_ref().map(|event| event.id),
        last_time: last.as_ref().map(|event| exact_time(event.at)),
    })
}

impl Kept {
    fn in_words(&self, sizes: Sizes) -> String {
        let what = match (self.history, self.history_keep, self.history_max_bytes) {
            (HistoryMode::Off, ..) => "nothing is recorded".to_owned(),
            (HistoryMode::Keep, Some(age), None) => format!("events are kept for {}", span(age)),
            (HistoryMode::Keep, None, Some(bytes)) => {
                format!("the newest events are kept, up to {}", sizes.phrase(bytes))
            }
            (HistoryMode::Keep, Some(age), Some(bytes)) => {
                format!(
                    "the newest events are kept, for {} and up to {}",
                    span(age),
                    sizes.phrase(bytes)
                )
            }
            _ => "every event is kept".to_owned(),
        };
        let there = match (self.first_event, &self.first_time, self.last_event, &self.last_time) {
            (Some(first), Some(since), Some(last), Some(until)) => {
                let (first, last, bytes) = (first.n(), last.n(), sizes.phrase(self.history_bytes));
                format!("; there are events {first} ({since}) to {last} ({until}), which take {bytes}")
            }
            _ => "; there are none".to_owned(),
        };
        format!("space {}: {what}{there}", printable(&self.space))
    }
}

/// A span of time in days and hours, or in seconds.
fn span(micros: u64) -> String {
    let hours = micros / 3_600_000_000;
    match (hours / 24, hours % 24) {
        (0, 0) => format!("{} s", micros / 1_000_000),
        (0, hours) => format!("{hours} h"),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}
