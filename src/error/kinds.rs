//! The error type.

use super::{ExpiryError, HeldLog, PlanError, ReservationError, ServerError, SpaceError, TransferError};
use crate::identity::{Kind, ObjectId};
use crate::models::{OverQuota, Promise};

/// What went wrong. After any error the heap is as it was before, unless the call documents otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is larger than the free bytes.
    OutOfMemory {
        /// Bytes of the object.
        needed: u64,
        /// Free bytes that are not promised to reservations.
        available: u64,
        /// Capacity of the space, in bytes.
        max_mem: u64,
        /// Bytes that are promised to reservations, with those that uploads have stored.
        promised: u64,
        /// The largest of these promises, at most three, if the object would fit without them.
        promised_to: Vec<Promise>,
        /// Bytes that have expired, but are not given back because the clock is far ahead of the last write.
        expired: u64,
        /// Whether the space evicts, but may not evict enough, because of pins, age, damage or the same batch.
        spared: bool,
    },
    /// An owner would have more than its quota allows; see [`MemManager::set_quota`](crate::MemManager::set_quota).
    QuotaExceeded(OverQuota),
    /// What is needed, the file, the log and the reserve add up to more than `max_file`.
    FileFull {
        /// Bytes that the unit of work needed when it was refused.
        needed: u64,
        /// Bytes of the file, including what the log adds to it.
        file: u64,
        /// Bytes of the log and its index.
        log: u64,
        /// Bytes that only units that make room may use or, if this was one of them, only its log.
        reserve: u64,
        /// The ceiling, in bytes.
        max_file: u64,
    },
    /// A heap on a server cannot be used.
    Server(ServerError),
    /// A reservation cannot be made, found or resolved, or a large object cannot be completed.
    Reservation(ReservationError),
    /// A written plan cannot be carried out.
    Plan(PlanError),
    /// A name or a hold cannot expire like this.
    Expiry(ExpiryError),
    /// A tag is invalid: its key has 1 to 128 bytes without `=`, its value at most 1,024, both without U+0000.
    BadTag {
        /// Its key.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A level has no room for another child.
    NoRoom {
        /// What should have been carved: `arena`, `pool` or `block`.
        child: &'static str,
        /// Where: `space main`, `arena 3`, `pool 7`.
        parent: String,
        /// Bytes of the parent.
        max_mem: u64,
    },
    /// No object has this id.
    NotStored {
        /// The id that was asked for.
        id: ObjectId,
        /// The space that was searched.
        space: String,
    },
    /// There is no object whose id starts like this, and no such name.
    UnknownReference {
        /// The given text.
        text: String,
        /// The space that was searched.
        space: String,
    },
    /// Several ids start with these digits.
    AmbiguousPrefix {
        /// The digits given.
        text: String,
        /// How many ids start with them.
        count: usize,
    },
    /// The name is not bound.
    UnknownName {
        /// The name that was asked for.
        name: String,
        /// The space that was searched.
        space: String,
    },
    /// A name must be 1 to 4,096 bytes of text.
    BadName {
        /// Bytes of the name given.
        length: usize,
    },
    /// The name looks like an object id, and would be taken for one.
    NameIsId {
        /// The name given.
        name: String,
    },
    /// The name is already bound, and the call asked not to move it.
    NameTaken {
        /// The name.
        name: String,
        /// The object that it is bound to.
        id: ObjectId,
        /// The space.
        space: String,
    },
    /// The name of a space must be 1 to 255 bytes of text.
    BadSpaceName {
        /// Bytes of the name given.
        length: usize,
    },
    /// There is no such arena, pool or block.
    UnknownRow {
        /// `arena`, `pool` or `block`.
        what: &'static str,
        /// Its number in the space; its whole id, if that is one of another space.
        id: i64,
        /// The space that was searched.
        space: String,
    },
    /// The space has no class with this block size.
    UnknownClass {
        /// What was asked for, in bytes.
        block_size: u64,
        /// The block sizes of the space.
        known: Vec<u64>,
    },
    /// The object has names, so it is in use.
    Named {
        /// The object.
        id: ObjectId,
        /// Its names.
        names: Vec<String>,
    },
    /// The id is taken by an object of another kind.
    KindConflict {
        /// The id of both.
        id: ObjectId,
        /// The kind that is stored.
        stored: Kind,
        /// The kind that should have been stored.
        wanted: Kind,
    },
    /// The object cannot be read as the requested type.
    WrongType {
        /// The object.
        id: ObjectId,
        /// Its kind, and for JSON the name of the type.
        stored: String,
        /// The requested Rust type.
        wanted: &'static str,
        /// What does not fit.
        why: String,
    },
    /// The value has no exact encoding.
    NotStorable {
        /// The Rust type.
        type_name: &'static str,
        /// What cannot be encoded.
        why: String,
    },
    /// No kind has this name.
    BadKind {
        /// What was given.
        name: String,
    },
    /// A reason or an actor is too long for the history.
    TooLong {
        /// `a reason` or `an actor`.
        what: &'static str,
        /// Bytes of the text given.
        length: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// The text is not JSON, or not a value that can be represented exactly.
    BadJson {
        /// What is wrong, and where.
        why: String,
    },
    /// Not 64 hexadecimal digits.
    BadObjectId {
        /// What was given.
        text: String,
    },
    /// The sizes of a geometry do not fit each other.
    BadGeometry {
        /// Which rule is broken.
        why: String,
    },
    /// A name contains U+0000, where most tools would end it.
    NulInName {
        /// The name given.
        name: String,
    },
    /// The capacity of a space must be from 1 to 2⁶³ − 1 bytes.
    BadMaxMem {
        /// What was given, in bytes.
        max_mem: u64,
    },
    /// The ceiling of the file is too low.
    BadMaxFile {
        /// What was asked for, in bytes.
        wanted: u64,
        /// The lowest possible one now, in bytes: the file, its log, and the reserve for freeing.
        least: u64,
        /// Bytes of free pages in the file.
        free: u64,
    },
    /// A limit for the bytes of a history must be at least [`History::LEAST_BYTES`](crate::History).
    BadHistoryLimit {
        /// What was given, in bytes.
        bytes: u64,
        /// The least that is possible.
        least: u64,
    },
    /// The space cannot shrink below what its arenas reserve, nor below what it stores and has promised.
    CannotShrink {
        /// The space.
        space: String,
        /// The requested size.
        max_mem: u64,
        /// Bytes that arenas reserve.
        reserved: u64,
        /// Bytes of content stored.
        mem: u64,
        /// Bytes that are promised to reservations.
        promised: u64,
    },
    /// The space already exists, and opening or creating it never changes it.
    SpaceExists {
        /// The space.
        space: String,
        /// The file.
        path: std::path::PathBuf,
        /// How the request differs.
        why: String,
    },
    /// The file has no such space.
    UnknownSpace {
        /// The requested space.
        space: String,
        /// The file.
        path: std::path::PathBuf,
        /// The spaces it has.
        known: Vec<String>,
    },
    /// The space was dropped, or is being dropped.
    Space(SpaceError),
    /// There is no file to read.
    NoFile {
        /// The path.
        path: std::path::PathBuf,
    },
    /// The file is not a heap, and was not changed.
    NotAHeap {
        /// The file.
        path: std::path::PathBuf,
        /// What it is.
        why: String,
    },
    /// The space has used up all its ids for a table, which are never reused.
    NoIdsLeft {
        /// The space.
        space: String,
        /// `arenas`, `pools`, `blocks`, `stored_objects` (whose pieces take ids, too) or `events`.
        table: &'static str,
        /// Ids needed by the call.
        needed: u64,
        /// Remaining ids.
        left: u64,
    },
    /// The file has used up all ids of spaces.
    TooManySpaces,
    /// A version before the first release wrote the file.
    TooOld {
        /// The file.
        path: std::path::PathBuf,
        /// Its format.
        found: i64,
    },
    /// A newer version of heapledger wrote the file.
    TooNew {
        /// The file.
        path: std::path::PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Another writer did not finish in time.
    Busy {
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },
    /// The log is at its limit, and somebody still reads an old state from it. Freeing and collecting lengthen it, too.
    LogHeld(HeldLog),
    /// The read took longer than [`Options::max_snapshot_age`](crate::Options::max_snapshot_age), and ended.
    SnapshotTooOld {
        /// How long ago the read began.
        age: std::time::Duration,
        /// How long it may take.
        max: std::time::Duration,
    },
    /// The thread is inside a batch, another write or a snapshot's read of the same heap: it would wait for itself.
    Reentered,
    /// The file was opened for reading.
    ReadOnly,
    /// The file or its folder is not writable.
    NotWritable {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The write-ahead log or its `-shm` cannot be opened or created.
    LogUnreadable,
    /// The file changed while it was read by a user who may not lock its state (no write permission).
    ChangedWhileRead,
    /// The heap file, or the write-ahead log next to it, is not the one that was opened.
    FileChanged {
        /// The path of the file or of the log.
        path: std::path::PathBuf,
    },
    /// The file has several names, and SQLite would use a different log for each.
    HardLinked {
        /// The file.
        path: std::path::PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The write-ahead log next to the heap file belongs to another file.
    ForeignLog {
        /// The heap file.
        path: std::path::PathBuf,
    },
    /// Somebody has the heap open, so it cannot be replaced.
    InUse {
        /// The heap file.
        path: std::path::PathBuf,
    },
    /// The file system is full.
    DiskFull,
    /// The file system reported an error.
    DiskFailed {
        /// What SQLite said.
        why: String,
    },
    /// The space has no history.
    HistoryOff {
        /// The space.
        space: String,
    },
    /// The history does not cover the requested moment.
    OutsideHistory {
        /// The event or the time.
        moment: String,
        /// Why.
        why: String,
    },
    /// Views, triggers, indexes or tables differ from those of this version, so nothing is run from the schema.
    AlteredSchema {
        /// The file.
        path: std::path::PathBuf,
        /// The first affected parts, and what is wrong with them.
        what: String,
        /// Whether [`crate::Options::restore_schema`] can recreate all of them.
        can_be_restored: bool,
    },
    /// The file contradicts itself.
    Damaged {
        /// What was found.
        what: String,
    },
    /// Reading a source or writing to a target failed.
    Io {
        /// What was being done.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The database reported another error.
    Database {
        /// What was being done.
        what: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A batch continued after a call that had failed halfway.
    BatchFailed,
    /// Something cannot be exported, imported or backed up.
    Transfer(TransferError),
    /// [`interrupt`](crate::interrupt) was called.
    Interrupted,
}
