//! What the features `metrics` and `tracing` tell of a program's commits, checkpoints and refusals.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use heapledger::{Error, MemManager, Options};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

/// All that was counted and measured in this process, by name and label, and all spans.
static SEEN: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

fn seen() -> MutexGuard<'static, BTreeMap<String, u64>> {
    SEEN.lock().unwrap()
}

fn count(what: &str) -> u64 {
    seen().get(what).copied().unwrap_or_default()
}

struct Counts;

/// One metric, by its name and label.
struct Named(String);

impl CounterFn for Named {
    fn increment(&self, by: u64) {
        *seen().entry(self.0.clone()).or_default() += by;
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Named {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{} took {value} seconds", self.0);
        *seen().entry(self.0.clone()).or_default() += 1;
    }
}

fn named(key: &Key) -> Arc<Named> {
    let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
    Arc::new(Named(format!("{}{}", key.name(), labels.collect::<String>())))
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(named(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(named(key))
    }
}

struct Spans(AtomicU64);

/// The fields of a span or an event.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("heapledger")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(format!("span {}", span.metadata().name()));
        span.record(&mut fields);
        *seen().entry(fields.0).or_default() += 1;
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields("recorded".into());
        values.record(&mut fields);
        *seen().entry(fields.0).or_default() += 1;
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn options() -> Options {
    MemManager::options().max_mem(1 << 20)
}

#[test]
fn commits_checkpoints_and_refusals_are_counted_and_traced() {
    metrics::set_global_recorder(Counts).unwrap();
    tracing::subscriber::set_global_default(Spans(AtomicU64::new(0))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let memory = options().max_file(4 << 20).open(folder.path().join("heap.db")).unwrap();
    let before = count("heapledger_commits_total result=ok");
    for number in 0..10 {
        memory.set("a", &number).unwrap();
    }
    assert_eq!(count("heapledger_commits_total result=ok"), before + 10);
    assert_eq!(
        count("heapledger_commit_duration_seconds"),
        count("heapledger_commits_total result=ok")
    );
    assert!(count("span commit units=1") >= 10, "{:?}", seen());
    assert!(count("recorded ok=true") >= 10, "{:?}", seen());

    let refused = memory.allocate_bytes(&vec![7; 2 << 20]);
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })));
    assert_eq!(count("heapledger_refusals_total bound=max_mem"), 1);
    assert_eq!(
        count("span refusal bound=\"max_mem\" refusal.needed=2097152 refusal.available=1048575"),
        1,
        "{:?}",
        seen()
    );

    memory.resize(1 << 30).unwrap();
    let full = (0..1000).find_map(|number: u32| {
        let content: Vec<_> = number.to_le_bytes().repeat(10_000);
        memory.allocate_bytes(&content).err()
    });
    assert!(matches!(full, Some(Error::FileFull { .. })), "{full:?}");
    assert!(count("heapledger_refusals_total bound=max_file") >= 1, "{:?}", seen());
    assert!(count("span refusal bound=\"max_file\"") >= 1, "{:?}", seen());
    assert!(count("heapledger_checkpoints_total result=ok") >= 1, "{:?}", seen());
    assert!(count("heapledger_checkpoint_duration_seconds") >= 1 && count("span checkpoint") >= 1);
}
