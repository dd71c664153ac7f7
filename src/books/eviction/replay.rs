//! Replays requests through caches of several policies and sizes.

use super::best::{Future, Offline};
use super::policy::Policy;
use super::run::{ReplayRun, ReplayStrategy};
use super::simulation::Simulation;
use super::trace::{Footprint, TraceRequest};
use super::workers;

/// Tells how often a cache would have had what was asked for, by [`Policy`] and size.
///
/// A cache stores each object that is asked for and not there. Until there is room it evicts whole
/// objects, and not one more than it must. An object that is larger than the cache is not stored.
///
/// # The best possible
///
/// Besides the policies there is what a cache that knows the future could reach. If all objects have
/// the same size, that is [`ReplayStrategy::Belady`], and no policy that stores what is asked for can
/// be better. With different sizes the best is [NP-hard] to find, and it is a different one for hits
/// and for bytes. [`ReplayStrategy::BeladySize`] comes near it for hits, and `Belady` often for bytes;
/// a policy can be a little better than both, which is rare.
///
/// # Costs
///
/// 80 to 160 bytes for each object in a cache, depending on the policy. For the best possible, also
/// 24 bytes for each request and 50 for each object that was ever asked for; without it
/// ([`Self::best`]) a trace can have any length. A request takes each cache O(1), with
/// [`Policy::Largest`] and the best possible O(log n). The caches are spread over the processors.
///
/// ```
/// use heapledger::{Policy, Replay, ReplayStrategy, TraceRequest};
///
/// // Three objects in turn, and room for two.
/// let requests = (0..300).map(|n| TraceRequest::Use { object: n % 3, size: 100 });
/// let replayed = Replay::new([200]).policies([Policy::Lru]).run(requests.map(Ok::<_, ()>)).unwrap();
///
/// let hits = |strategy| replayed.runs.iter().find(|run| run.strategy == strategy).unwrap().hits;
/// assert_eq!(hits(ReplayStrategy::Policy(Policy::Lru)), 0);
/// assert_eq!(hits(ReplayStrategy::Belady), 149);
/// ```
///
/// [NP-hard]: https://arxiv.org/abs/1506.07905
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    policies: Vec<Policy>,
    sizes: Vec<u64>,
    best: bool,
}

/// What [`Replay::run`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Requests for an object.
    pub requests: u64,
    /// Bytes that they asked for.
    pub bytes: u64,
    /// The objects that were asked for. `None` without the best possible.
    pub footprint: Option<Footprint>,
    /// By size, then in the order of the policies; the best possible comes last.
    pub runs: Vec<ReplayRun>,
}

/// Requests that all caches take before the next are read.
const BATCH: usize = 64 * 1024;

impl Replay {
    /// All policies, each in caches of these sizes in bytes, and the best possible.
    pub fn new(sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut sizes: Vec<_> = sizes.into_iter().collect();
        sizes.sort_unstable();
        sizes.dedup();
        Self {
            policies: Policy::ALL.to_vec(),
            sizes,
            best: true,
        }
    }

    /// These policies only.
    #[must_use]
    pub fn policies(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.policies.clear();
        for policy in policies {
            if !self.policies.contains(&policy) {
                self.policies.push(policy);
            }
        }
        self
    }

    /// Whether to compute the best possible, for which the whole trace is kept in memory.
    #[must_use]
    pub fn best(mut self, best: bool) -> Self {
        self.best = best;
        self
    }

    /// Replays a trace.
    ///
    /// # Errors
    /// The first error of the trace.
    pub fn run<E>(&self, requests: impl IntoIterator<Item = Result<TraceRequest, E>>) -> Result<Replayed, E> {
        let of_size = |&size| self.policies.iter().map(move |&policy| Simulation::new(policy, size));
        let mut caches: Vec<_> = self.sizes.iter().flat_map(of_size).collect();
        let mut future = self.best.then(Future::default);
        let mut replayed = Replayed {
            requests: 0,
            bytes: 0,
            footprint: None,
            runs: Vec::new(),
        };
        let mut requests = requests.into_iter();
        let mut batch = Vec::new();
        loop {
            batch.clear();
            for request in requests.by_ref().take(BATCH) {
                batch.push(request?);
            }
            if batch.is_empty() {
                break;
            }
            replayed.count(&batch);
            workers::for_each(&mut caches, |cache| {
                batch.iter().for_each(|&request| cache.take(request))
            });
            if let Some(future) = &mut future {
                batch.iter().for_each(|&request| future.add(request));
            }
        }
        // The caches are dropped before the best possible takes memory, too.
        replayed.runs.extend(caches.into_iter().map(|cache| cache.tally));
        if let Some(future) = &future {
            replayed.footprint = Some(future.footprint());
            replayed.runs.extend(self.best_of(future));
        }
        replayed.runs.sort_by_key(|run| run.size);
        Ok(replayed)
    }

    /// If all objects have the same size, both variants are the same.
    fn best_of(&self, future: &Future) -> Vec<ReplayRun> {
        let both = [ReplayStrategy::Belady, ReplayStrategy::BeladySize];
        let variants = both.into_iter().take(if future.is_uniform() { 1 } else { 2 });
        let of_size = |&size| variants.clone().map(move |strategy| ReplayRun::new(strategy, size));
        let mut runs: Vec<_> = self.sizes.iter().flat_map(of_size).collect();
        workers::for_each(&mut runs, |run| *run = Offline::run(future, *run));
        runs
    }
}

impl Replayed {
    fn count(&mut self, batch: &[TraceRequest]) {
        for request in batch {
            if let TraceRequest::Use { size, .. } = request {
                self.requests += 1;
                self.bytes = self.bytes.saturating_add(*size);
            }
        }
    }
}
