//! Everything that can go wrong, each with what to do about it.

use std::path::PathBuf;

use crate::identity::{Kind, ObjectId};

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Whatever it was, the file is as it was before the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is larger than the bytes that are free.
    OutOfMemory {
        /// Bytes that the object takes.
        needed: u64,
        /// Bytes that are free.
        available: u64,
        /// Bytes of the whole space.
        max_mem: u64,
    },
    /// A parent has no room to carve another child from.
    NoRoom {
        /// What was to be carved: `arena`, `pool` or `block`.
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
    /// No object has an id that starts so, and no name is spelled so.
    UnknownReference {
        /// What was asked for.
        text: String,
        /// The space that was searched.
        space: String,
    },
    /// Several ids start with these digits.
    AmbiguousPrefix {
        /// The digits given.
        text: String,
        /// How many ids start so.
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
    /// The name is spelled like an object id, which would be looked up in its place.
    NameIsId {
        /// The name given.
        name: String,
    },
    /// The name is bound already, and was not to move.
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
    /// No such row.
    UnknownRow {
        /// `arena`, `pool` or `block`.
        what: &'static str,
        /// Its number in the space; its whole id, if that is one of another space.
        id: i64,
        /// The space that was searched.
        space: String,
    },
    /// The space has no class with such blocks.
    UnknownClass {
        /// What was asked for, in bytes.
        block_size: u64,
        /// The block sizes of the space.
        known: Vec<u64>,
    },
    /// The object has names, and so is in use.
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
        /// The kind that was to be stored.
        wanted: Kind,
    },
    /// The object is not of the type asked for.
    WrongType {
        /// The object.
        id: ObjectId,
        /// Its kind, and for JSON the name of the type.
        stored: String,
        /// The Rust type that was asked for.
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
    /// A reason or an actor is longer than the history keeps with each event.
    TooLong {
        /// `a reason` or `an actor`.
        what: &'static str,
        /// Bytes of the text given.
        length: usize,
        /// Bytes that it may have.
        most: usize,
    },
    /// The text is not JSON, or no JSON value that can be kept exactly.
    BadJson {
        /// What is wrong, and where.
        why: String,
    },
    /// Not 64 hexadecimal digits.
    BadObjectId {
        /// What was given.
        text: String,
    },
    /// Sizes that do not fit each other.
    BadGeometry {
        /// Which rule is broken.
        why: String,
    },
    /// A name with U+0000 in it: most tools would take what comes before it for the name.
    NulInName {
        /// The name given.
        name: String,
    },
    /// A space must have room, and SQLite counts to 2⁶³ − 1.
    BadMaxMem {
        /// What was given, in bytes.
        max_mem: u64,
    },
    /// The space cannot shrink below what its arenas reserve.
    CannotShrink {
        /// The space.
        space: String,
        /// The size that was asked for.
        max_mem: u64,
        /// Bytes that arenas reserve.
        reserved: u64,
    },
    /// The space is there already, and is never changed by opening or making it.
    SpaceExists {
        /// The space.
        space: String,
        /// The file.
        path: PathBuf,
        /// What was asked for that it is not.
        why: String,
    },
    /// The file has no such space.
    UnknownSpace {
        /// The space that was asked for.
        space: String,
        /// The file.
        path: PathBuf,
        /// The spaces it has.
        known: Vec<String>,
    },
    /// There is no file to read.
    NoFile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else, and was left alone.
    NotAHeap {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// The space has given out all the ids that it has for a table; they never come back.
    NoIdsLeft {
        /// The space.
        space: String,
        /// `arenas`, `pools`, `blocks`, `stored_objects` (whose pieces have ids of their own) or
        /// `events`.
        table: &'static str,
        /// Ids that were needed at once.
        needed: u64,
        /// Ids that are left.
        left: u64,
    },
    /// The file has as many spaces as there are ids for.
    TooManySpaces,
    /// A version before the first release wrote the file.
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// A later heapledger wrote the file.
    TooNew {
        /// The file.
        path: PathBuf,
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
    /// The thread is inside a batch of the same heap file, another write to it, or a read of
    /// the same [`snapshot`](crate::MemManager::snapshot), and would wait for itself.
    Reentered,
    /// The file was opened for reading.
    ReadOnly,
    /// The file or its folder may not be written.
    NotWritable {
        /// The file.
        path: PathBuf,
    },
    /// The write-ahead log, or its index, is neither there nor can it be made.
    LogUnreadable,
    /// Somebody opened the heap for writing and changed the file while it was read by a user
    /// who may not write in its folder, and so has no way to keep the state before.
    ChangedWhileRead,
    /// The heap file, or the write-ahead log next to it, is not the one that was opened.
    FileChanged {
        /// Where the file was, or the log.
        path: PathBuf,
    },
    /// The file has several names, under each of which SQLite would keep another log.
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The write-ahead log next to the heap file is that of another file.
    ForeignLog {
        /// The heap file.
        path: PathBuf,
    },
    /// Somebody has the heap open that is to be replaced.
    InUse {
        /// The heap file.
        path: PathBuf,
    },
    /// The file system has no room for what was to be written.
    DiskFull,
    /// The file system failed to read or write.
    DiskFailed {
        /// What SQLite said.
        why: String,
    },
    /// The space keeps no history to look back into.
    HistoryOff {
        /// The space.
        space: String,
    },
    /// The history does not reach the moment that was asked for.
    OutsideHistory {
        /// The event or the time.
        moment: String,
        /// Why it cannot.
        why: String,
    },
    /// Views, triggers, indexes or tables of the file are not as this version makes them.
    /// They are code that comes with the file, so nothing of it is run.
    AlteredSchema {
        /// The file.
        path: PathBuf,
        /// The first parts, and what is the matter with them.
        what: String,
        /// Whether [`crate::Options::restore_schema`] makes all of them again.
        can_be_restored: bool,
    },
    /// The file contradicts itself.
    Damaged {
        /// What was found.
        what: String,
    },
    /// A source or target of bytes failed.
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused a statement or could not be reached.
    Database {
        /// What was being done.
        what: &'static str,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A batch went on after a call that had failed half-way.
    BatchFailed,
    /// What was to be made is there already.
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// An export does not hold what its manifest says.
    BadExport {
        /// The file that is wrong.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A name of an export cannot be bound as it is;
    /// [`ImportOptions::on_conflict`](crate::ImportOptions) says what else to do with it.
    NameRefused {
        /// The file with the content of the object.
        path: PathBuf,
        /// The name in the export.
        name: String,
        /// Why it cannot be bound.
        why: String,
    },
    /// [`interrupt`](crate::interrupt) was called.
    Interrupted,
}
