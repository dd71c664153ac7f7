//! Uses of objects, and reads of holds that a read refreshes, since these were last written.
//!
//! A read notes in memory what it has read, and only where somebody wants to know. The next unit of work of the
//! process writes it, or a thread once a second, or the manager when it ends, so that no read waits for a
//! write.

use std::collections::HashMap;
use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use hashlink::LinkedHashMap;

use super::refresh::{self, HoldRead, ReadHold};
use crate::books::events::Signature;
use crate::clock;
use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{Term, Timestamp};
use crate::store::{Deadline, Group, WriteTx};
use crate::value::ObjectId;

/// How often uses are written if nothing else is.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread ends after this many intervals without a use.
const MOST_IDLE: u32 = 10;

/// At most this many objects are noted until the next write; further ones are not.
const MOST_NOTED: usize = 64 * 1024;

/// More uses of an object make no difference to any policy.
const MOST_USES: u8 = 3;

/// The uses that a manager notes.
pub(in crate::manager) struct Uses {
    shared: Arc<Shared>,
    /// Who writes them; `None` if another manager does, or nobody.
    writer: Option<Arc<Group>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// Whether the space evicts by use. Without that no use is noted.
    wanted: AtomicBool,
    /// Whether anybody writes what is noted.
    is_written: bool,
    /// When the first of the holds that were read ends if its read is not written, in microseconds; the
    /// latest time if none was read.
    first_end: AtomicI64,
    noted: Mutex<Noted>,
    /// Notified at the end.
    ended: Condvar,
}

#[derive(Default)]
struct Noted {
    /// How often each object was used, the last used one last.
    objects: LinkedHashMap<ObjectId, u8>,
    /// The last read of each hold that reads refresh.
    reads: HashMap<ReadHold, HoldRead>,
    /// The uses that units of work are writing, the oldest first.
    taken: Vec<Weak<[(ObjectId, u8)]>>,
    /// How many of them have ended.
    ended: u64,
    /// Whether the thread runs.
    is_running: bool,
    is_over: bool,
}

impl Uses {
    pub fn new(writer: Option<Arc<Group>>, wanted: bool) -> Self {
        let shared = Shared {
            wanted: AtomicBool::new(wanted && writer.is_some()),
            is_written: writer.is_some(),
            first_end: AtomicI64::new(i64::MAX),
            noted: Mutex::default(),
            ended: Condvar::new(),
        };
        let shared = Arc::new(shared);
        let thread = Mutex::default();
        Self { shared, writer, thread }
    }

    /// The same for a snapshot, whose reads the manager writes.
    pub fn of_snapshot(&self) -> Self {
        let (writer, thread) = (None, Mutex::default());
        let shared = Arc::clone(&self.shared);
        Self { shared, writer, thread }
    }

    /// Says whether to note anything.
    pub fn want(&self, wanted: bool) {
        self.shared.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Notes that an object was used. O(1), and one atomic load if nobody wants to know.
    pub fn note(&self, id: &ObjectId) {
        if !self.shared.wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut noted = self.shared.lock();
        if let Some(uses) = noted.objects.to_back(id) {
            *uses = (*uses + 1).min(MOST_USES);
        } else if noted.objects.len() < MOST_NOTED {
            noted.objects.insert(*id, 1);
        }
        self.start_thread(&mut noted);
    }

    /// Notes a read of a hold that lasts for `term`. O(1), and does nothing if a read does not refresh the hold.
    pub fn note_read(&self, hold: impl FnOnce() -> ReadHold, term: Term, at: Timestamp) {
        let (Some(ends), Some(_), true) = (term.ends, term.refresh, self.shared.is_written) else {
            return;
        };
        let mut noted = self.shared.lock();
        noted.reads.insert(hold(), HoldRead { at, ends });
        // If there are too many, the next read writes them.
        let first = if noted.reads.len() < MOST_NOTED {
            ends.as_micros()
        } else {
            i64::MIN
        };
        self.shared.first_end.fetch_min(first, Ordering::Relaxed);
        self.start_thread(&mut noted);
    }

    /// Whether a hold seems to have ended only because a read of it is not written yet. O(1): one atomic load if
    /// nothing is noted.
    fn are_overdue(&self) -> bool {
        let first = self.shared.first_end.load(Ordering::Relaxed);
        first != i64::MAX && first <= clock::now().as_micros()
    }

    fn start_thread(&self, noted: &mut Noted) {
        if !noted.is_running
            && !noted.is_over
            && let Some(writer) = &self.writer
        {
            let (shared, writer) = (Arc::clone(&self.shared), Arc::clone(writer));
            let thread = std::thread::Builder::new().name("heapledger-uses".into());
            // Without a thread, the next commit writes them.
            if let Ok(thread) = thread.spawn(move || shared.run(&writer)) {
                noted.is_running = true;
                let before = self
                    .thread
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .replace(thread);
                drop(before);
            }
        }
    }

    /// The uses that are not written yet.
    pub fn unwritten(&self) -> Unwritten {
        let noted = self.shared.lock();
        let mut uses = Vec::new();
        for taken in noted.taken.iter().filter_map(Weak::upgrade) {
            uses.extend_from_slice(&taken);
        }
        uses.extend(noted.objects.iter().map(|(&id, &uses)| (id, uses)));
        let ended = noted.ended;
        Unwritten { uses, ended }
    }

    /// Whether some have been written since, or could not be, so that they are to be asked for again.
    pub fn is_outdated(&self, unwritten: &Unwritten) -> bool {
        self.shared.lock().ended != unwritten.ended
    }
}

/// Uses that were not written yet at some moment, so that a snapshot of that moment lacks them.
pub(in crate::manager) struct Unwritten {
    /// How often each object was used, in the order of the last uses.
    pub uses: Vec<(ObjectId, u8)>,
    ended: u64,
}

impl Noted {
    /// Ends what [`Shared::take`] began.
    fn end(&mut self, uses: &Arc<[(ObjectId, u8)]>) {
        let uses = Arc::downgrade(uses);
        // A unit that panicked has lost its own.
        self.taken
            .retain(|taken| taken.strong_count() > 0 && !taken.ptr_eq(&uses));
        self.ended += 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Taken {
        let has_reads = self.first_end.load(Ordering::Relaxed) != i64::MAX;
        if !has_reads && !self.wanted.load(Ordering::Relaxed) {
            return Taken::default();
        }
        let mut noted = self.lock();
        let taken = Taken {
            uses: take(&mut noted.objects).into_iter().collect(),
            reads: take(&mut noted.reads).into_iter().collect(),
        };
        if !taken.uses.is_empty() {
            noted.taken.push(Arc::downgrade(&taken.uses));
        }
        taken
    }

    /// Learns that what was taken is written, so the holds last longer now.
    fn have_written(&self, taken: &Taken) {
        if taken.is_empty() {
            return;
        }
        let mut noted = self.lock();
        noted.end(&taken.uses);
        if !taken.reads.is_empty() {
            let first = noted.reads.values().map(|read| read.ends.as_micros()).min();
            self.first_end.store(first.unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// Notes again what could not be written, as used before everything that was noted since.
    fn give_back(&self, Taken { uses, reads }: Taken) {
        let mut noted = self.lock();
        noted.end(&uses);
        for (hold, read) in reads {
            noted.reads.entry(hold).or_insert(read);
        }
        let later = take(&mut noted.objects);
        noted.objects.extend(uses.iter().copied());
        for (id, uses) in later {
            let before = noted.objects.remove(&id).unwrap_or(0);
            noted.objects.insert(id, (before + uses).min(MOST_USES));
        }
    }

    /// Writes from time to time what is noted.
    fn run(&self, writer: &Group) {
        let mut idle = 0;
        loop {
            let noted = self.lock();
            let waited = self.ended.wait_timeout_while(noted, INTERVAL, |noted| !noted.is_over);
            let (mut noted, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let is_idle = noted.objects.is_empty() && noted.reads.is_empty();
            idle = if is_idle { idle + 1 } else { 0 };
            if noted.is_over || idle == MOST_IDLE {
                noted.is_running = false;
                return;
            }
            drop(noted);
            self.write(writer);
        }
    }

    /// Writes what is noted, unless somebody else is writing: then it stays noted.
    fn write(&self, writer: &Group) {
        if !self.has_noted() {
            return;
        }
        let mut taken = Taken::default();
        let written = writer.write_unsynced(Deadline::after(Duration::ZERO), |tx| {
            // Taken only now: before its turn, a unit that comes first would have to decide without them.
            taken = self.take();
            tx.sign(Signature {
                at: clock::now(),
                ..Signature::default()
            });
            tx.note_uses(&taken.uses)?;
            refresh::refresh(tx, &taken.reads)
        });
        match written {
            Ok(()) => self.have_written(&taken),
            Err(_) => self.give_back(taken),
        }
    }

    fn has_noted(&self) -> bool {
        let noted = self.lock();
        !(noted.objects.is_empty() && noted.reads.is_empty())
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        let Some(writer) = &self.writer else { return };
        self.shared.lock().is_over = true;
        self.shared.ended.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.write(writer);
    }
}

impl MemManager {
    /// Notes that an object was used, as each read of it does: in a space that evicts by use it will go later.
    /// This is for a program that keeps copies of what it has read, or that reads from a
    /// [snapshot](Self::snapshot) of a heap that it opened for reading. O(1); the next commit writes the note,
    /// or a thread within about a second. Does nothing in other spaces, or if the object is not stored.
    pub fn note_use(&self, id: &ObjectId) {
        self.inner.uses.note(id);
    }

    /// Runs `write`, which gets what was used since the last time, to be written with it.
    pub(in crate::manager) fn with_uses<R>(&self, write: impl FnOnce(&Taken) -> Result<R>) -> Result<R> {
        let shared = &self.inner.uses.shared;
        let taken = shared.take();
        let result = write(&taken);
        match result {
            Ok(_) => shared.have_written(&taken),
            Err(_) if !taken.is_empty() => shared.give_back(taken),
            Err(_) => {}
        }
        result
    }

    /// Writes which holds were read, if one of them would otherwise seem to have ended. If that is not
    /// possible, because somebody else writes for too long, that hold counts as ended for the time being.
    pub(in crate::manager) fn settle_reads(&self) {
        if self.inner.uses.are_overdue() {
            let _ = self.write(|_| Ok(()));
        }
    }

    /// Writes uses, and learns whether the space still wants them.
    pub(in crate::manager) fn write_uses(&self, tx: &mut WriteTx<'_>, taken: &Taken) -> Result<()> {
        self.inner.uses.want(tx.policy_by_use()?.is_some());
        tx.note_uses(&taken.uses)?;
        refresh::refresh(tx, &taken.reads)
    }
}

/// Uses and reads on their way to the heap.
#[derive(Default)]
pub(in crate::manager) struct Taken {
    uses: Arc<[(ObjectId, u8)]>,
    reads: Vec<(ReadHold, HoldRead)>,
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.reads.is_empty()
    }
}
