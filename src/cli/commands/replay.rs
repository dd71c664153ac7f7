//! `heapledger replay`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use heapledger::{Policy, Replay, ReplayRun, Replayed, TraceRequest};
use serde::Serialize;

use super::evict;
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::size_list::{SizeRange, size_range};
use crate::cli::input::trace::{self, Columns, TraceKind};
use crate::cli::output::progress::{Reading, during};
use crate::cli::output::render::{Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, above_zero, counted, if_any, printable_path};
use crate::cli::streams;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints which share of the requests, and of their bytes, each cache would have had (HITS, BYTES). `belady` knows the
future: with objects of one size nothing is better. With different sizes the best cannot be computed; the larger figure
of `belady` and `belady-size` comes near it. docs/eviction.md describes the policies and the formats.

Without TRACE, each time that a value was stored is a request for it: reads are not in the history.

Examples:
  heapledger replay --size 16MiB..256MiB
  heapledger replay requests.csv --size 64MiB,1GiB --policy lru,sieve
  heapledger replay io.csv -t 'obj-id-col=5, obj-size-col=4' --size 128MiB
  gzip -dc requests.csv.gz | heapledger replay - --trace-type csv --size 1GiB")]
pub struct Args {
    /// The trace, a file in a format of libCacheSim; `-` is standard input. Without it, the history
    /// of the space
    #[arg(value_name = "TRACE")]
    trace: Option<PathBuf>,

    /// Policies to compare [default: all]
    #[arg(long, value_name = "POLICY", value_delimiter = ',', value_parser = evict::policy())]
    policy: Vec<Policy>,

    /// Sizes of the cache: 64MiB,1GiB, or 256MiB..4GiB, where each is twice the one before
    /// [default: the capacity of the space; required with TRACE]
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = size_range)]
    size: Vec<SizeRange>,

    /// Do not compute the best possible, for which the trace is kept in memory (24 bytes a request)
    #[arg(long)]
    no_best: bool,

    /// Replay as if nothing had been freed, if objects were freed only to make room
    #[arg(long, conflicts_with = "trace")]
    ignore_frees: bool,

    /// The format of the trace [default: by its name]
    #[arg(long, value_name = "TYPE", value_enum, requires = "trace")]
    trace_type: Option<TraceKind>,

    /// The columns of a trace in text [default: time-col=1, obj-id-col=2, obj-size-col=3]
    #[arg(short = 't', long, value_name = "COLUMNS", requires = "trace")]
    columns: Option<Columns>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let replayed = match &args.trace {
        Some(path) => args.of_trace(path)?,
        None => args.of_history(context)?,
    };
    note(&replayed, context.sizes());
    context.list(replayed.runs.iter().map(|run| Line::new(run, &replayed)))
}

impl Args {
    fn of_trace(&self, path: &Path) -> Result<Replayed> {
        if self.size.is_empty() {
            bail!("--size is missing: say how large the cache is, such as --size 64MiB..1GiB");
        }
        let replay = self.replay(self.sizes());
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin {
            "standard input".into()
        } else {
            printable_path(path)
        };
        let read = || {
            let kind = self.trace_type.map_or_else(|| TraceKind::of(path), Ok)?;
            let reader: Box<dyn Read> = match is_stdin {
                true => Box::new(streams::input()?),
                false => Box::new(File::open(path)?),
            };
            let columns = self.columns.clone().unwrap_or_default();
            let reader = Reading::new(reader, "computing the best possible");
            replay.run(trace::requests(kind, &columns, reader)?)
        };
        read().with_context(|| name)
    }

    fn of_history(&self, context: &Context<'_>) -> Result<Replayed> {
        let memory = context.read()?;
        let mut sizes = self.sizes();
        if sizes.is_empty() {
            sizes.push(memory.stats()?.max_mem);
        }
        let is_wanted = |request: &heapledger::Result<TraceRequest>| {
            !self.ignore_frees || !matches!(request, Ok(TraceRequest::Free { .. }))
        };
        let requests = memory.requests()?.filter(is_wanted);
        Ok(during("replaying the history", || self.replay(sizes).run(requests))?)
    }

    fn sizes(&self) -> Vec<u64> {
        self.size.iter().flat_map(|range| range.0.iter().copied()).collect()
    }

    fn replay(&self, sizes: Vec<u64>) -> Replay {
        let replay = Replay::new(sizes).best(!self.no_best);
        match self.policy.as_slice() {
            [] => replay,
            policies => replay.policies(policies.iter().copied()),
        }
    }
}

/// `300 requests for 100.0 KiB, of 3 objects with 1.0 KiB: at most 99.0 % can be hits`
fn note(replayed: &Replayed, sizes: Sizes) {
    let requests = counted(replayed.requests, "request");
    let mut text = format!("{requests} for {}", sizes.phrase(replayed.bytes));
    if let Some(footprint) = replayed.footprint.filter(|footprint| footprint.objects > 0) {
        let objects = counted(footprint.objects, "object");
        let again = percent(replayed.requests.saturating_sub(footprint.objects), replayed.requests);
        text.push_str(&format!(
            ", of {objects} with {}: at most {again} can be hits",
            sizes.phrase(footprint.bytes)
        ));
    }
    exit::note(&text);
}

/// A cache of the replay.
#[derive(Serialize)]
struct Line {
    policy: String,
    size: u64,
    requests: u64,
    hits: u64,
    hit_ratio: Option<f64>,
    bytes: u64,
    hit_bytes: u64,
    byte_hit_ratio: Option<f64>,
    evicted: u64,
    evicted_bytes: u64,
    refused: u64,
}

impl Line {
    fn new(run: &ReplayRun, replayed: &Replayed) -> Self {
        Self {
            policy: run.strategy.to_string(),
            size: run.size,
            requests: replayed.requests,
            hits: run.hits,
            hit_ratio: ratio(run.hits, replayed.requests),
            bytes: replayed.bytes,
            hit_bytes: run.hit_bytes,
            byte_hit_ratio: ratio(run.hit_bytes, replayed.bytes),
            evicted: run.evicted,
            evicted_bytes: run.evicted_bytes,
            refused: run.refused,
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> String {
    ratio(part, whole).map_or_else(|| "-".into(), |ratio| format!("{:.2} %", 100.0 * ratio))
}

impl Row for Line {
    const KEYS: &'static str =
        "policy,size,requests,hits,hit_ratio,bytes,hit_bytes,byte_hit_ratio,evicted,evicted_bytes,refused";
    columns! { self, sizes,
        Head::right("SIZE") => sizes.cell(self.size),
        Head::left("POLICY") => self.policy,
        Head::right("HITS") => percent(self.hits, self.requests),
        Head::right("BYTES") => percent(self.hit_bytes, self.bytes),
        Head::right("EVICTED").worth(2) => self.evicted,
        Head::right("EVICTED BYTES").worth(1) => sizes.cell(self.evicted_bytes),
        Head::right("TOO LARGE").worth(0) => if_any(above_zero(self.refused), |refused| refused),
    }
}
