//! `heapledger log`

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::TypedValueParser;
use heapledger::{Event, EventFilter, EventId, EventKind, MemManager, ObjectId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::{parse, when};
use crate::cli::output::render::{Format, List, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{self, if_any, printable, short_id};
use crate::cli::streams;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger log --limit 20
  heapledger log --since 2h --kind refusal
  heapledger log --reason cleanup         # only what had this --reason
  heapledger log --object greeting        # all that happened to it
  heapledger log --name greeting          # all objects that it has meant
  heapledger log --follow --format ndjson | jq 'select(.kind == \"free\")'")]
pub struct Args {
    /// Only about this object, which may have been freed: a name, its id, or the id's first digits
    #[arg(long, value_name = "ID|NAME")]
    object: Option<String>,

    /// Only about this name: when it was bound to which object, and taken from it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Only since this time: 90s, 2h, 30d ago, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when::time)]
    since: Option<Timestamp>,

    /// Only until this time
    #[arg(long, value_name = "TIME", value_parser = when::time)]
    until: Option<Timestamp>,

    /// Only of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    kind: Vec<EventKind>,

    /// Only by this actor
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,

    /// Only the newest N [default: all, or 10 with --follow]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,

    /// Keep printing new events until interrupted
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
}

pub fn kinds() -> impl TypedValueParser<Value = EventKind> {
    parse::one_of(EventKind::ALL.iter().map(|&kind| (kind.as_str(), kind)))
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.follow && context.format() == Format::Json {
        bail!("--follow would never end a JSON array; use --format ndjson");
    }
    let memory = context.follow()?;
    let now = memory.snapshot()?;
    let filter = args.filter(&now, context.reason())?;
    if let Some(note) = args.before_the_opening(&now)? {
        exit::note(&note);
    }
    let mut output = context.output();
    let mut list = output.list();
    match args.limit.or(args.follow.then_some(10)) {
        Some(limit) => {
            for event in now.newest_events(&filter, limit)? {
                list.row(&Entry::new(&event, &memory))?;
            }
        }
        None => {
            for event in now.events(filter.clone()) {
                list.row(&Entry::new(&event?, &memory))?;
            }
        }
    }
    if args.follow {
        let newest = now.newest_events(&EventFilter::default(), 1)?.pop();
        // An open snapshot would prevent a collection from shrinking the file.
        drop(now);
        let none = EventId::within(memory.space_id(), 0);
        let after = newest.map_or(none, |event| event.id);
        follow(&memory, filter.after(after), &mut list)?;
    }
    list.end()?;
    Ok(Outcome::Fine)
}

/// How often to look for new events.
const PAUSE: Duration = Duration::from_millis(200);

/// Lists events as they happen, until nobody reads them or the process ends.
pub fn follow<'a>(memory: &'a MemManager, filter: EventFilter, list: &mut List<'_, Entry<'a>>) -> Result<()> {
    let mut watch = memory.watch(filter)?;
    loop {
        if let Some(event) = watch.ready()? {
            list.row(&Entry::new(&event, memory))?;
            continue;
        }
        list.flush()?;
        if streams::nobody_reads() {
            return Ok(());
        }
        sleep(PAUSE);
    }
}

impl Args {
    /// A note if events that are asked for may have been removed.
    fn before_the_opening(&self, memory: &MemManager) -> Result<Option<String>> {
        let first = memory.events(EventFilter::default()).next().transpose()?;
        // The first event of a space is an opening; a later one replaces removed events.
        let Some(first) = first.filter(|first| first.kind == EventKind::Opening && first.id.n() > 1) else {
            return Ok(None);
        };
        let is_before = |time: Option<Timestamp>| time.is_some_and(|time| time < first.at);
        let is_asked_for =
            self.object.is_some() || self.name.is_some() || is_before(self.since) || is_before(self.until);
        let (id, at) = (first.id.n(), text::time(first.at));
        Ok(is_asked_for.then(|| format!("the history begins with event {id} at {at}; earlier events were removed")))
    }

    fn filter(&self, memory: &MemManager, reason: Option<&str>) -> Result<EventFilter> {
        let object = self.object.as_deref().map(|object| memory.find_ever(object));
        let mut filter = EventFilter::default()
            .object(object.transpose()?)
            .name(self.name.clone())
            .since(self.since)
            .until(self.until)
            .kinds(self.kind.iter().copied());
        filter.actor.clone_from(&self.actor);
        filter.reason = reason.map(str::to_owned);
        Ok(filter)
    }
}

/// A row of the view `log`.
#[derive(Serialize)]
pub struct Entry<'a> {
    id: EventId,
    space: &'a str,
    time: String,
    kind: EventKind,
    actor: Option<String>,
    reason: Option<String>,
    object_id: Option<ObjectId>,
    name: Option<String>,
    bytes: i64,
    mem: u64,
    count: u64,
    last_time: Option<String>,
    cause: Option<String>,
    #[serde(skip)]
    at: Timestamp,
    #[serde(skip)]
    last_at: Option<Timestamp>,
}

impl<'a> Entry<'a> {
    pub fn new(event: &Event, memory: &'a MemManager) -> Self {
        Self {
            id: event.id,
            space: memory.space(),
            time: exact_time(event.at),
            kind: event.kind,
            actor: event.actor.clone(),
            reason: event.reason.clone(),
            object_id: event.object,
            name: event.name.clone(),
            bytes: event.bytes,
            mem: event.mem,
            count: event.count,
            last_time: event.last_at.map(exact_time),
            cause: event.changes.as_deref().and_then(|changes| cause(event.kind, changes)),
            at: event.at,
            last_at: event.last_at,
        }
    }
}

/// Why something was refused or evicted: the quota or the policy, which the column `changes` has.
fn cause(kind: EventKind, changes: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Why {
        owner: Option<String>,
        limit: Option<String>,
        policy: Option<String>,
    }
    let why: Why = serde_json::from_str(changes).ok()?;
    match (kind, why) {
        (EventKind::Evict, Why { policy, .. }) => policy,
        (
            EventKind::Refusal,
            Why {
                owner: Some(owner),
                limit: Some(limit),
                ..
            },
        ) => Some(format!("quota of {limit} of {owner}")),
        (EventKind::Refusal, _) => Some("no room in the space".to_owned()),
        _ => None,
    }
}

/// To the microsecond, so that `--at` finds the event again.
pub fn exact_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

impl Row for Entry<'_> {
    const KEYS: &'static str = "id,space,time,kind,actor,reason,object_id,name,bytes,mem,count,last_time,cause";
    columns! { self, sizes,
        Head::right("EVENT").usual(6) => self.id.n(),
        Head::left("TIME").worth(4).usual(20) => text::time(self.at),
        Head::left("KIND").usual(9) => self.kind,
        Head::right("SIZE").worth(5).usual(9) => sizes.signed(self.bytes),
        Head::right("USED").worth(1).usual(9) => sizes.cell(self.mem),
        Head::left("OBJECT").worth(6).usual(12) => if_any(self.object_id, short_id),
        Head::left("NAME").worth(7).cut_to(8).of_names().usual(20) => if_any(self.name.as_deref(), printable),
        Head::left("ACTOR").worth(2).cut_to(8).usual(8) => if_any(self.actor.as_deref(), printable),
        Head::left("REASON").worth(3).cut_to(12).usual(12) => if_any(self.reason.as_deref(), printable),
        Head::right("TIMES").worth(8) => if_any(self.last_at, |_| self.count),
        Head::left("LAST TIME").worth(4) => if_any(self.last_at, text::time),
        Head::left("CAUSE").worth(3).cut_to(12).usual(20) => if_any(self.cause.as_deref(), printable),
    }
}
