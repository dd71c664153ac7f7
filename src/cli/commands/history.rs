//! `heapledger history`

use std::time::Duration;

use anyhow::Result;
use heapledger::{EventFilter, EventId, History, HistoryMode, MemManager};
use serde::Serialize;

use super::log::exact_time;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when;
use crate::cli::output::text::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger history                 # what is kept
  heapledger history keep 30d        # older events go, and their sums stay
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
    /// Keep events for a span of time
    #[command(after_help = "Example:\n  heapledger history keep 30d")]
    Keep {
        /// For how long: 12h, 30d, 4w
        #[arg(value_name = "DURATION", value_parser = when::span)]
        time: Duration,
    },
}

/// What is recorded. `history` and `history_keep` are columns of `memram`.
#[derive(Serialize)]
struct Kept {
    space: String,
    history: HistoryMode,
    history_keep: Option<u64>,
    first_event: Option<EventId>,
    first_time: Option<String>,
    last_event: Option<EventId>,
    last_time: Option<String>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = match args.setting {
        None => context.read()?,
        Some(_) => context.change()?,
    };
    match args.setting {
        None => {}
        Some(Setting::On) => memory.set_history(History::On)?,
        Some(Setting::Off) => memory.set_history(History::Off)?,
        Some(Setting::Keep { time }) => memory.set_history(History::Keep(time))?,
    }
    let kept = kept(&memory)?;
    context
        .output()
        .one(&kept, |out| writeln!(out, "{}", kept.in_words()))?;
    Ok(Outcome::Fine)
}

fn kept(memory: &MemManager) -> Result<Kept> {
    let space = memory.memram()?;
    let first = memory.events(EventFilter::default()).next().transpose()?;
    let last = memory.newest_events(&EventFilter::default(), 1)?.pop();
    Ok(Kept {
        space: space.name,
        history: space.history,
        history_keep: space.history_keep,
        first_event: first.as_ref().map(|event| event.id),
        first_time: first.as_ref().map(|event| exact_time(event.at)),
        last_event: last.as_ref().map(|event| event.id),
        last_time: last.as_ref().map(|event| exact_time(event.at)),
    })
}

impl Kept {
    fn in_words(&self) -> String {
        let what = match (self.history, self.history_keep) {
            (HistoryMode::Off, _) => "nothing is recorded".to_owned(),
            (HistoryMode::Keep, Some(micros)) => {
                let hours = micros / 3_600_000_000;
                let keep = match (hours / 24, hours % 24) {
                    (0, 0) => format!("{} s", micros / 1_000_000),
                    (0, hours) => format!("{hours} h"),
                    (days, 0) => format!("{days} d"),
                    (days, hours) => format!("{days} d {hours} h"),
                };
                format!("events are kept for {keep}")
            }
            _ => "every event is kept".to_owned(),
        };
        let span = match (self.first_event, &self.first_time, self.last_event, &self.last_time) {
            (Some(first), Some(since), Some(last), Some(until)) => {
                format!("; there are events {} ({since}) to {} ({until})", first.n(), last.n())
            }
            _ => "; there are none".to_owned(),
        };
        format!("space {}: {what}{span}", printable(&self.space))
    }
}
