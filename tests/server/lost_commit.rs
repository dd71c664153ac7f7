//! Guards against these failures: a connection is lost at a commit, and what was committed is done
//! again, or reported as not done; what was not committed is reported as done, or happens later.

use std::time::Duration;

use heapledger::{Error, Hold, MemManager, ObjectId, ServerError};

use crate::common::{Heap, Place, assert_balanced, on_server, options};
use crate::proxy::{Cut, Proxy};

const CUTS: [Cut; 4] = [Cut::Before, Cut::NoAnswer, Cut::HalfAnswer, Cut::Late];

fn behind(proxy: &Proxy) -> MemManager {
    options()
        .busy_timeout(Duration::from_secs(5))
        .open(proxy.address())
        .unwrap()
}

/// A heap, a proxy before it, and the heap through that.
fn proxied() -> (Heap, Proxy, MemManager) {
    let heap = Heap::new();
    let place: &Place = heap.place();
    let proxy = Proxy::new(place);
    let memory = behind(&proxy);
    // From now on the writer knows the space, and begins lazily.
    memory.allocate("first").unwrap();
    (heap, proxy, memory)
}

#[track_caller]
fn assert_counts(heap: &MemManager, allocations: u64, frees: u64, dedup_hits: u64) {
    let stats = heap.stats().unwrap();
    let found = [stats.allocations, stats.frees, stats.dedup_hits, stats.objects];
    assert_eq!(found, [allocations, frees, dedup_hits, allocations - frees]);
    assert!(heap.check().unwrap().is_empty());
    assert_balanced(heap);
}

#[test]
fn a_put_is_done_once() {
    if !on_server() {
        return;
    }
    let (heap, proxy, memory) = proxied();
    for (number, cut) in (1..).zip(CUTS) {
        proxy.cut(cut);
        let stored = memory.store(&number, Hold::Anonymous).unwrap();
        assert_eq!(proxy.cuts(), 1, "{cut:?}");
        assert!(!stored.dedup, "{cut:?}");
        if cut == Cut::Late {
            proxy.release();
        }
        assert!(heap.contains(&stored.id).unwrap());
        assert_counts(&heap, 2 * number, 0, 0);
        // What is known of the space is right, even if others have written meanwhile.
        heap.bind(&format!("name {number}"), &stored.id).unwrap();
        memory.bind("last", &stored.id).unwrap();
        // It begins lazily again.
        memory.allocate(&("between", number)).unwrap();
    }
    assert_eq!(heap.resolve("last").unwrap(), Some(ObjectId::of(&4).unwrap()));
}

#[test]
fn a_dedup_hit_and_a_free_are_counted_once() {
    if !on_server() {
        return;
    }
    let (heap, proxy, memory) = proxied();
    for (number, cut) in (1..).zip(CUTS) {
        let id = memory.allocate(&number).unwrap();
        for dedup in [true, false] {
            proxy.cut(cut);
            if dedup {
                assert!(memory.store(&number, Hold::Anonymous).unwrap().dedup);
            } else {
                memory.free(&id).unwrap();
            }
            assert_eq!(proxy.cuts(), 1, "{cut:?}");
            if cut == Cut::Late {
                proxy.release();
            }
        }
        assert_counts(&heap, number + 1, number, number);
    }
}

#[test]
fn a_batch_is_done_or_fails() {
    if !on_server() {
        return;
    }
    let (heap, proxy, memory) = proxied();
    let mut done = 1;
    for (number, cut) in (1..).zip(CUTS) {
        let mut runs = 0;
        proxy.cut(cut);
        let stored = memory.batch(|batch| {
            runs += 1;
            batch.allocate(&[number, 1])?;
            batch.allocate(&[number, 2])
        });
        assert_eq!((proxy.cuts(), runs), (1, 1), "{cut:?}");
        if cut == Cut::Late {
            proxy.release();
        }
        match cut {
            Cut::NoAnswer | Cut::HalfAnswer => {
                stored.unwrap();
                done += 2;
            }
            Cut::Before => {
                let error = stored.unwrap_err();
                assert!(matches!(error, Error::Server(ServerError::Lost { .. })), "{error}");
                assert!(error.is_retryable());
            }
            // Its transaction has the lock until the commit comes, so nobody knows better.
            Cut::Late => {
                let error = stored.unwrap_err();
                assert!(
                    matches!(error, Error::Server(ServerError::CommitUnknown { .. })),
                    "{error}"
                );
                assert!(!error.is_retryable());
                done += 2;
            }
        }
        assert_counts(&heap, done, 0, 0);
    }
}

#[test]
fn an_outcome_that_nobody_can_ask_for_is_an_error_of_its_own() {
    if !on_server() {
        return;
    }
    let heap = Heap::new();
    let proxy = Proxy::new(heap.place());
    let memory = options()
        .busy_timeout(Duration::from_millis(300))
        .open(proxy.address())
        .unwrap();
    memory.allocate("first").unwrap();
    for (cut, is_done) in [(Cut::Before, false), (Cut::NoAnswer, true)] {
        proxy.cut_for_good(cut);
        let error = memory.allocate(&[cut as u8]).unwrap_err();
        assert!(
            matches!(error, Error::Server(ServerError::CommitUnknown { .. })),
            "{error}"
        );
        let message = error.to_string();
        assert!(message.contains("was lost at a commit"), "{message}");
        proxy.come_back();
        // The caller asks, and the heap goes on.
        let id = ObjectId::of(&[cut as u8]).unwrap();
        assert_eq!(memory.contains(&id).unwrap(), is_done);
        assert_eq!(memory.store(&[cut as u8], Hold::Anonymous).unwrap().dedup, is_done);
        proxy.cuts();
    }
    assert_counts(&heap, 3, 0, 1);
}

/// Cuts the connection at the commit of each step of a drop, also the last one, after which there is no row to ask.
#[test]
fn a_drop_is_done_or_continues() {
    if !on_server() {
        return;
    }
    let (heap, proxy, memory) = proxied();
    for cut in [Cut::Before, Cut::NoAnswer, Cut::HalfAnswer] {
        let mut at = 1;
        loop {
            let other = options().space("other").open(heap.address()).unwrap();
            (0..20).for_each(|number| assert!(other.set(&format!("n{number}"), &number).is_ok()));
            let mut steps = 0;
            let dropped = memory.drop_space_with("other", &mut |_, _, _| {
                steps += 1;
                if steps == at {
                    proxy.cut(cut);
                }
            });
            if steps < at {
                assert!(dropped.is_ok(), "{dropped:?}");
                break;
            }
            assert_eq!(proxy.cuts(), 1, "{cut:?} at {at}");
            let is_lost = |error: &Error| matches!(error, Error::Server(ServerError::Lost { .. }));
            match dropped {
                Ok(dropped) => assert!(dropped.gone_at.is_some()),
                Err(error) => {
                    assert!(is_lost(&error) && cut == Cut::Before, "{cut:?} at {at}: {error}");
                    assert_balanced(&heap);
                    assert_eq!(memory.drop_space("other").unwrap().objects, 20);
                }
            }
            assert_eq!(heap.spaces().unwrap().len(), 1);
            at += 1;
        }
        assert!(at > 4, "{at}");
    }
    assert_balanced(&heap);
}
