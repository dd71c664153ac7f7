//! Work on several things at once.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

/// Does `work` for each item, on as many threads as there are processors. This thread helps, so it
/// is done even if the system starts no other.
pub(super) fn for_each<T: Send>(items: &mut [T], work: impl Fn(&mut T) + Sync) {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let waiting = Mutex::new(items.iter_mut());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_through = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            if Builder::new().spawn_scoped(scope, work_through).is_err() {
                break;
            }
        }
        work_through();
    });
}
