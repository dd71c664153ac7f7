//! The lock by which the threads of this process take turns to write.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::settings::HeapId;
use crate::error::{Error, Result};

/// A lock with a deadline, which refuses a thread that already has it, and knows whether others
/// wait.
///
/// It counts threads that will join an open transaction: as long as there is one, the transaction
/// may be left open for it. A thread that leaves the gate with a transaction open must know that
/// another one is certain to enter, and a thread that gives up must know that nobody relies on it.
/// Both decide with `taken` locked: see [`Gate::pass_on`].
pub(super) struct Gate {
    taken: Mutex<bool>,
    /// A copy of `taken` for spinning threads.
    looks_taken: AtomicBool,
    freed: Condvar,
    /// Threads that wait for `freed`, counted so that nobody makes a system call to wake no one.
    /// Changed with `taken` locked.
    sleeping: AtomicUsize,
    /// Threads that will join an open transaction.
    pub(super) joining: AtomicUsize,
    /// The heap, which several managers may have open.
    heap: Option<HeapId>,
}

/// What a thread will do with its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    /// Add a short unit of work to an open transaction.
    ToJoin,
    /// End an open transaction, and do something else.
    Apart,
}

/// How long a thread spins before it sleeps: a few units of work, each of which is shorter than
/// waking a thread.
const ASKING: Duration = Duration::from_micros(60);

thread_local! {
    /// The gates (by address) that this thread has entered, with their heaps.
    static ENTERED: RefCell<Vec<(usize, Option<HeapId>)>> = const { RefCell::new(Vec::new()) };
}

/// Refuses a thread that already has the turn for this heap, because it would wait for itself.
pub(super) fn refuse_reentry(heap: Option<HeapId>) -> Result<()> {
    refuse_if(|_, entered| heap.is_some() && entered == heap)
}

fn refuse_if(waits_for_itself: impl Fn(usize, Option<HeapId>) -> bool) -> Result<()> {
    // A thread that is ending, whose thread-locals are destroyed, has entered nothing.
    let found = ENTERED.try_with(|entered| {
        let entered = entered.borrow();
        entered.iter().any(|&(gate, heap)| waits_for_itself(gate, heap))
    });
    if found.unwrap_or(false) {
        Err(Error::Reentered)
    } else {
        Ok(())
    }
}

impl Gate {
    pub fn new(heap: Option<HeapId>) -> Self {
        Self {
            taken: Mutex::new(false),
            looks_taken: AtomicBool::new(false),
            freed: Condvar::new(),
            sleeping: AtomicUsize::new(0),
            joining: AtomicUsize::new(0),
            heap,
        }
    }

    /// Waits for the turn.
    pub fn enter(&self, coming: Coming, deadline: Deadline) -> Result<()> {
        let address = self.address();
        refuse_if(|gate, heap| gate == address || (heap.is_some() && heap == self.heap))?;
        let joins = coming == Coming::ToJoin;
        if joins {
            self.joining.fetch_add(1, Ordering::SeqCst);
        }
        if !self.ask(deadline) {
            let mut taken = self.lock();
            while *taken {
                taken = match deadline.remaining() {
                    Some(Duration::ZERO) => {
                        // The current holder has not left yet, and will see that this thread does not come.
                        self.joining.fetch_sub(usize::from(joins), Ordering::SeqCst);
                        return Err(deadline.busy());
                    }
                    left => self.sleep(taken, left),
                };
            }
            self.take(taken);
        }
        self.joining.fetch_sub(usize::from(joins), Ordering::SeqCst);
        Ok(())
    }

    fn sleep<'g>(&self, taken: MutexGuard<'g, bool>, left: Option<Duration>) -> MutexGuard<'g, bool> {
        self.sleeping.fetch_add(1, Ordering::Relaxed);
        let woken = match left {
            Some(left) => {
                let woken = self.freed.wait_timeout(taken, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner),
        };
        self.sleeping.fetch_sub(1, Ordering::Relaxed);
        woken
    }

    /// Takes the turn if it is free.
    pub fn try_enter(&self) -> bool {
        if self.looks_taken.load(Ordering::Relaxed) {
            return false;
        }
        let taken = self.lock();
        if *taken {
            return false;
        }
        self.take(taken);
        true
    }

    /// Spins for the turn for a moment.
    fn ask(&self, deadline: Deadline) -> bool {
        let sleeps = Instant::now() + ASKING;
        loop {
            if self.try_enter() {
                return true;
            }
            if Instant::now() >= sleeps || deadline.is_over() {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Whether some thread waits to join the open transaction. A moment later it may be a different one.
    pub fn is_joined(&self) -> bool {
        self.joining.load(Ordering::SeqCst) > 0
    }

    /// Leaves if a thread is certain to enter that will join or end the open transaction.
    pub fn pass_on(&self) -> bool {
        let taken = self.lock();
        if !self.is_joined() {
            return false;
        }
        self.free(taken);
        true
    }

    pub fn leave(&self) {
        self.free(self.lock());
    }

    fn take(&self, mut taken: MutexGuard<'_, bool>) {
        *taken = true;
        self.looks_taken.store(true, Ordering::Relaxed);
        let entered = (self.address(), self.heap);
        let _ = ENTERED.try_with(|all| all.borrow_mut().push(entered));
    }

    fn free(&self, mut taken: MutexGuard<'_, bool>) {
        *taken = false;
        self.looks_taken.store(false, Ordering::Relaxed);
        let somebody_sleeps = self.sleeping.load(Ordering::Relaxed) > 0;
        drop(taken);
        if somebody_sleeps {
            self.freed.notify_one();
        }
        let address = self.address();
        let _ = ENTERED.try_with(|all| {
            let mut all = all.borrow_mut();
            if let Some(at) = all.iter().rposition(|&(gate, _)| gate == address) {
                all.remove(at);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
