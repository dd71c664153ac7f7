//! What a program can observe of this library while it runs: metrics and spans, each behind its
//! feature. Without the features nothing here has a size or an effect.

#[cfg(feature = "metrics")]
use std::time::Instant;

use crate::books::refusals::Refusal;
use crate::error::Error;

/// Measures how long a piece of work takes, until `end`, and whether it succeeded.
pub(crate) struct Timed {
    #[cfg(feature = "metrics")]
    began: Instant,
    #[cfg(feature = "metrics")]
    names: [&'static str; 2],
    #[cfg(feature = "tracing")]
    span: tracing::span::EnteredSpan,
}

impl Timed {
    /// A commit for this number of units of work.
    #[allow(unused_variables, reason = "nobody observes it")]
    pub fn commit(units: usize) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            began: Instant::now(),
            #[cfg(feature = "metrics")]
            names: ["heapledger_commits_total", "heapledger_commit_duration_seconds"],
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!("commit", units, ok = tracing::field::Empty).entered(),
        }
    }

    /// A checkpoint: a part of the write-ahead log is copied into the file.
    pub fn checkpoint() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            began: Instant::now(),
            #[cfg(feature = "metrics")]
            names: ["heapledger_checkpoints_total", "heapledger_checkpoint_duration_seconds"],
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!("checkpoint", ok = tracing::field::Empty).entered(),
        }
    }

    /// Ends the work.
    #[allow(unused_variables, reason = "nobody observes it")]
    pub fn end(self, is_ok: bool) {
        #[cfg(feature = "metrics")]
        {
            let [counter, duration] = self.names;
            let result = if is_ok { "ok" } else { "error" };
            metrics::counter!(counter, "result" => result).increment(1);
            metrics::histogram!(duration).record(self.began.elapsed().as_secs_f64());
        }
        #[cfg(feature = "tracing")]
        self.span.record("ok", is_ok);
    }
}

/// Runs `record`, which records that something is refused by the budget of the space or of an owner.
#[allow(unused_variables, reason = "nobody observes it")]
pub(crate) fn refusal<R>(refusal: &Refusal, record: impl FnOnce() -> R) -> R {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    let bound = if refusal.quota.is_some() { "quota" } else { "max_mem" };
    #[cfg(feature = "metrics")]
    metrics::counter!("heapledger_refusals_total", "bound" => bound).increment(1);
    #[cfg(feature = "tracing")]
    let _span = tracing::info_span!("refusal", bound, refusal.needed, refusal.available).entered();
    record()
}

/// Reports an error that is a refusal because of what the heap may take on disk. Such refusals are not in the history.
#[allow(unused_variables, reason = "nobody observes it")]
pub(crate) fn refusal_on_disk(error: &Error) {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    {
        let bound = match error {
            Error::FileFull { .. } => "max_file",
            Error::LogHeld(_) => "log",
            _ => return,
        };
        #[cfg(feature = "metrics")]
        metrics::counter!("heapledger_refusals_total", "bound" => bound).increment(1);
        #[cfg(feature = "tracing")]
        tracing::info_span!("refusal", bound).in_scope(|| tracing::info!("{}", error.what()));
    }
}
