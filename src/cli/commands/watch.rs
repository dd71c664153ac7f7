//! `heapledger watch`

use anyhow::{Result, bail};
use heapledger::{EventFilter, EventId, EventKind};

use super::log::{follow, kinds};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::render::{Format, Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is one event, as a JSON object with the columns of the view log, written as soon
as it has happened, whichever process caused it. A program that stops remembers the id of
the last one, and continues after it. A refusal that happens again has the id it had before
and a higher count. If events were removed in between, the first is an opening, which stands
for them.

It ends with a signal, or when nobody reads its output any more.

Examples:
  heapledger watch                          # what happens from now on
  heapledger watch --after 0 | jq .kind     # what has happened, too
  heapledger watch --kind refusal,evict")]
pub struct Args {
    /// Begin after this event, by its number in the space or its id; 0 begins with the oldest
    /// [default: with what happens from now on]
    #[arg(long, value_name = "EVENT")]
    after: Option<i64>,

    /// Only of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    kind: Vec<EventKind>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if !matches!(context.format(), Format::Table | Format::Ndjson) {
        bail!("watch prints lines of JSON; leave out --format");
    }
    let memory = context.follow()?;
    let after = args.after.map(|after| EventId::within(memory.space_id(), after));
    let newest = memory.newest_events(&EventFilter::default(), 1)?;
    if let (Some(after), Some(newest)) = (after, newest.first())
        && after > newest.id
    {
        // A reader that continues after the last event of a heap restored since would miss what happens now.
        bail!(
            "event {} has not happened yet; the newest is {}",
            after.n(),
            newest.id.n()
        );
    }
    let mut filter = EventFilter::default().after(after).kinds(args.kind.iter().copied());
    filter.reason = context.reason().map(str::to_owned);
    let mut output = Output::new(Format::Ndjson, context.sizes());
    follow(&memory, filter, &mut output.list())?;
    Ok(Outcome::Fine)
}
