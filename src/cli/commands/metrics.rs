//! `heapledger metrics`

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Result, bail};
use heapledger::{EventCounts, EventKind, MemManager, Quota, QuotaUsage, Stats};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::http;
use crate::cli::output::openmetrics::{Exposition, Kind};
use crate::cli::output::render::Format;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The text is in the format OpenMetrics, with all spaces or the one of --space. Buckets add up
to the capacity, and so do claims. Events are counted from the oldest one that the history
still has, so between two runs their number may fall; with --listen it only grows.

Examples:
  heapledger metrics
  heapledger metrics | grep bucket_bytes
  heapledger metrics --listen 9464          # at http://127.0.0.1:9464/metrics

--listen answers GET /metrics, one request at a time, until the process ends. A bare port is
that of the loopback address; nobody is asked for a password, so give another address only
where everybody may see this.")]
pub struct Args {
    /// Serve them over HTTP instead: a port of this machine, or an address like 192.0.2.7:9464
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if context.format() != Format::Table {
        bail!("metrics prints OpenMetrics; leave out --format");
    }
    // Fails here, rather than in the first answer, if there is no heap.
    let memory = context.any()?;
    if context.names_space() {
        context.follow()?;
    }
    let mut spaces = Spaces {
        context,
        memory,
        counted: BTreeMap::new(),
    };
    match &args.listen {
        None => io::stdout().write_all(spaces.text()?.as_bytes())?,
        Some(address) => {
            let server = http::Server::bind(address)?;
            exit::note(&format!("http://{}/metrics", server.address()?));
            server.serve(|| spaces.text())?;
        }
    }
    Ok(Outcome::Fine)
}

/// The spaces to report, with what was counted before.
struct Spaces<'c> {
    context: &'c Context<'c>,
    memory: MemManager,
    counted: BTreeMap<String, (MemManager, EventCounts)>,
}

/// What is reported of a space.
struct Told {
    stats: Stats,
    counts: EventCounts,
    quotas: Vec<QuotaUsage>,
}

impl Spaces<'_> {
    fn text(&mut self) -> Result<String> {
        let mut names: Vec<_> = self.memory.spaces()?.into_iter().map(|space| space.name).collect();
        if self.context.names_space() {
            names.retain(|name| name == self.context.space());
        }
        self.counted.retain(|name, _| names.contains(name));
        let mut told = Vec::new();
        for name in names {
            told.push(self.one(name)?);
        }
        Ok(exposition(&told))
    }

    fn one(&mut self, name: String) -> Result<Told> {
        let (memory, counts) = match self.counted.entry(name) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let options = self.context.options().space(new.key()).read_only(true);
                let memory = options.open(self.context.db())?;
                new.insert((memory, EventCounts::default()))
            }
        };
        memory.count_events(counts)?;
        Ok(Told {
            stats: memory.stats()?,
            counts: counts.clone(),
            quotas: memory.quotas()?,
        })
    }
}

type Figure = fn(&Stats) -> Option<u64>;
type FigureOfQuota = fn(&Quota) -> Option<u64>;

/// The metrics with one figure for each space.
const OF_SPACES: [(&str, Kind, &str, Figure); 12] = [
    ("capacity_bytes", Kind::Gauge, "Capacity of the space (max_mem).", |s| {
        Some(s.max_mem)
    }),
    (
        "peak_bytes",
        Kind::Gauge,
        "The most content that was ever stored at once.",
        |s| Some(s.peak_mem),
    ),
    (
        "objects",
        Kind::Gauge,
        "Objects, without those that have expired.",
        |s| Some(s.objects),
    ),
    ("pieces", Kind::Gauge, "Rows of the ledger.", |s| Some(s.entries)),
    ("history_bytes", Kind::Gauge, "Events that are kept.", |s| {
        Some(s.history_bytes)
    }),
    ("allocations", Kind::Counter, "Objects ever stored.", |s| {
        Some(s.allocations)
    }),
    ("frees", Kind::Counter, "Objects ever removed.", |s| Some(s.frees)),
    (
        "dedup_hits",
        Kind::Counter,
        "Allocations that found their content stored.",
        |s| Some(s.dedup_hits),
    ),
    (
        "dedup_saved_bytes",
        Kind::Counter,
        "Bytes that were not stored again.",
        |s| Some(s.dedup_saved),
    ),
    ("evictions", Kind::Counter, "Objects ever evicted.", |s| {
        Some(s.evictions)
    }),
    ("evicted_bytes", Kind::Counter, "Their bytes.", |s| Some(s.evicted_mem)),
    (
        "refusal_bytes",
        Kind::Gauge,
        "Bytes needed at the newest refusal, if it is recent.",
        |s| s.refused.map(|refused| refused.bytes),
    ),
];

/// The metrics with one figure for the whole heap.
const OF_HEAP: [(&str, &str, Figure); 6] = [
    (
        "file_bytes",
        "The file with all spaces; on a server, tables and indexes.",
        |s| Some(s.file_size),
    ),
    ("file_free_bytes", "Free pages of the file.", |s| {
        Some(s.free_file_bytes)
    }),
    ("log_bytes", "The write-ahead log.", |s| {
        (!s.disk.on_server).then_some(s.wal_size)
    }),
    (
        "log_limit_bytes",
        "Length of the log at which nothing is written.",
        |s| (!s.disk.on_server).then_some(s.log_limit),
    ),
    ("log_index_bytes", "The index of the log.", |s| {
        (!s.disk.on_server).then_some(s.disk.shm_size)
    }),
    (
        "max_file_bytes",
        "The ceiling of file, log and index, if there is one.",
        |s| s.disk.max_file,
    ),
];

/// The metrics with one figure for each quota.
const OF_QUOTAS: [(&str, &str, FigureOfQuota); 6] = [
    ("quota_used_bytes", "Bytes that the owner has.", |q| Some(q.used_bytes)),
    ("quota_hard_bytes", "More bytes are refused.", |q| q.limits.hard_bytes),
    ("quota_soft_bytes", "Bytes beyond which there is a warning.", |q| {
        q.limits.soft_bytes
    }),
    ("quota_used_objects", "Objects that the owner has.", |q| {
        Some(q.used_objects)
    }),
    ("quota_hard_objects", "More objects are refused.", |q| {
        q.limits.hard_objects
    }),
    ("quota_soft_objects", "Objects beyond which there is a warning.", |q| {
        q.limits.soft_objects
    }),
];

fn space(stats: &Stats) -> (&'static str, String) {
    ("space", stats.space.clone())
}

fn exposition(told: &[Told]) -> String {
    let mut out = Exposition::default();
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    out.family("build", Kind::Info, "The program that tells this.", [(version, 1)]);
    for (name, help, figure) in OF_HEAP {
        let figure = told.first().and_then(|told| figure(&told.stats));
        out.family(name, Kind::Gauge, help, figure.map(|figure| ([], figure)));
    }
    for (name, kind, help, figure) in OF_SPACES {
        let of = |stats: &Stats| Some(([space(stats)], figure(stats)?));
        out.family(name, kind, help, told.iter().filter_map(|told| of(&told.stats)));
    }
    let each = told.iter().map(|told| &told.stats);
    let buckets = each.clone().flat_map(|stats| {
        let of =
            move |bucket: &heapledger::Bucket| ([space(stats), ("bucket", bucket.bucket.to_string())], bucket.bytes);
        stats.buckets.iter().map(of)
    });
    out.family(
        "bucket_bytes",
        Kind::Gauge,
        "Where the capacity is; adds up to it.",
        buckets,
    );
    let claims = each.clone().flat_map(|stats| {
        let of = move |claim: &heapledger::Claim| ([space(stats), ("claim", claim.claim.to_string())], claim.bytes);
        stats.claims.iter().map(of)
    });
    out.family(
        "claim_bytes",
        Kind::Gauge,
        "Whose the capacity is; adds up to it.",
        claims,
    );
    let blocks = each.flat_map(|stats| {
        stats.classes.iter().flat_map(move |class| {
            let states = [
                ("full", class.totals.full_blocks),
                ("partly", class.partly_filled_blocks),
                ("empty", class.totals.empty_blocks),
            ];
            states.map(|(state, blocks)| {
                let size = class.totals.block_size.to_string();
                (
                    [space(stats), ("block_size", size), ("state", state.to_owned())],
                    blocks,
                )
            })
        })
    });
    out.family("blocks", Kind::Gauge, "Blocks by size class.", blocks);
    for (name, help, figure) in OF_QUOTAS {
        let of_space = |told: &Told| {
            let of = |quota: &Quota| {
                let [key, value] = [&quota.key, &quota.value].map(String::clone);
                Some(([space(&told.stats), ("key", key), ("value", value)], figure(quota)?))
            };
            told.quotas
                .iter()
                .filter_map(|usage| of(&usage.quota))
                .collect::<Vec<_>>()
        };
        out.family(name, Kind::Gauge, help, told.iter().flat_map(of_space));
    }
    let of_kinds = |figure: fn(&EventCounts, EventKind) -> u64| {
        told.iter().flat_map(move |told| {
            let labels = |kind: EventKind| [space(&told.stats), ("kind", kind.to_string())];
            let of = move |&kind: &EventKind| (labels(kind), figure(&told.counts, kind));
            EventKind::ALL.iter().map(of)
        })
    };
    let help = "Events; a refusal counts as often as it happened.";
    out.family("events", Kind::Counter, help, of_kinds(EventCounts::of));
    let help = "Bytes that these events are about.";
    out.family("event_bytes", Kind::Counter, help, of_kinds(EventCounts::bytes_of));
    out.end()
}
