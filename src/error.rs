//! Everything that can go wrong, each with what to do about it.

mod advice;

use std::path::PathBuf;

use crate::value::{Kind, ObjectId};

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Whatever it was, the file is as it was before the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is larger than the bytes that are free.
    #[error(
        "out of memory: {} needed, {} of {} free; {}",
        bytes(*needed), grouped(*available), grouped(*max_mem), advice::RESIZE
    )]
    OutOfMemory {
        /// Bytes that the object takes.
        needed: u64,
        /// Bytes that are free.
        available: u64,
        /// Bytes of the whole space.
        max_mem: u64,
    },
    /// A parent has no room to carve another child from.
    #[error("no room for another {child} in {parent}: all of its {} are reserved", bytes(*max_mem))]
    NoRoom {
        /// What was to be carved: `arena`, `pool` or `block`.
        child: &'static str,
        /// Where: `space main`, `arena 3`, `pool 7`.
        parent: String,
        /// Bytes of the parent.
        max_mem: u64,
    },
    /// No object has this id.
    #[error("no object {id} in space {space}; {}", advice::OBJECTS)]
    NotStored {
        /// The id that was asked for.
        id: ObjectId,
        /// The space that was searched.
        space: String,
    },
    /// No object has an id that starts so, and no name is spelled so.
    #[error(
        "no object and no name {text:?} in space {space}{}; {}",
        misspelled(text),
        advice::OBJECTS
    )]
    UnknownReference {
        /// What was asked for.
        text: String,
        /// The space that was searched.
        space: String,
    },
    /// Several ids start with these digits.
    #[error("{text} is the start of {count} object ids; give more digits")]
    AmbiguousPrefix {
        /// The digits given.
        text: String,
        /// How many ids start so.
        count: usize,
    },
    /// The name is not bound.
    #[error("no name {name:?} in space {space}")]
    UnknownName {
        /// The name that was asked for.
        name: String,
        /// The space that was searched.
        space: String,
    },
    /// A name must be 1 to 4,096 bytes of text.
    #[error("a name of {} cannot be bound: a name has 1 to 4,096 bytes", bytes(*length as u64))]
    BadName {
        /// Bytes of the name given.
        length: usize,
    },
    /// The name is spelled like an object id, which would be looked up in its place.
    #[error("the name {name} cannot be bound: 64 hexadecimal digits would be taken for an object id")]
    NameIsId {
        /// The name given.
        name: String,
    },
    /// The name is bound already, and was not to move.
    #[error(
        "the name {name:?} is taken in space {space}, by object {id}; nothing was changed; {}",
        advice::MOVE
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The object that it is bound to.
        id: ObjectId,
        /// The space.
        space: String,
    },
    /// The name of a space must be 1 to 255 bytes of text.
    #[error("a space cannot have a name of {}: it has 1 to 255", bytes(*length as u64))]
    BadSpaceName {
        /// Bytes of the name given.
        length: usize,
    },
    /// No such row.
    #[error("no {what} {id} in space {space}; {}", advice::LEVELS)]
    UnknownRow {
        /// `arena`, `pool` or `block`.
        what: &'static str,
        /// Its id.
        id: i64,
        /// The space that was searched.
        space: String,
    },
    /// The space has no class with such blocks.
    #[error("no size class with blocks of {}; this space has {}", bytes(*block_size), list(known))]
    UnknownClass {
        /// What was asked for, in bytes.
        block_size: u64,
        /// The block sizes of the space.
        known: Vec<u64>,
    },
    /// The object has names, and so is in use.
    #[error("object {id} is named {}; {}", quoted(names), advice::UNBIND)]
    Named {
        /// The object.
        id: ObjectId,
        /// Its names.
        names: Vec<String>,
    },
    /// The id is taken by an object of another kind.
    #[error(
        "object {id} is stored already, as {stored} where {wanted} was to be stored; its content spells the other kind's encoding"
    )]
    KindConflict {
        /// The id of both.
        id: ObjectId,
        /// The kind that is stored.
        stored: Kind,
        /// The kind that was to be stored.
        wanted: Kind,
    },
    /// The object is not of the type asked for.
    #[error("object {id} is stored as {stored} and cannot be read as {wanted}: {why}")]
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
    #[error("a value of type {type_name} cannot be stored exactly: {why}")]
    NotStorable {
        /// The Rust type.
        type_name: &'static str,
        /// What cannot be encoded.
        why: String,
    },
    /// No kind has this name.
    #[error("{name:?} is not a kind; there are bytes, str, int, float, bool, none and json")]
    BadKind {
        /// What was given.
        name: String,
    },
    /// A reason or an actor is longer than the history keeps with each event.
    #[error("{what} of {} bytes is too long: the history keeps up to {} with each event", grouped(*length as u64), grouped(*most as u64))]
    TooLong {
        /// `a reason` or `an actor`.
        what: &'static str,
        /// Bytes of the text given.
        length: usize,
        /// Bytes that it may have.
        most: usize,
    },
    /// The text is not JSON, or no JSON value that can be kept exactly.
    #[error("not JSON that can be kept exactly: {why}")]
    BadJson {
        /// What is wrong, and where.
        why: String,
    },
    /// Not 64 hexadecimal digits.
    #[error("{text:?} is not an object id: an id has 64 hexadecimal digits")]
    BadObjectId {
        /// What was given.
        text: String,
    },
    /// Sizes that do not fit each other.
    #[error("bad geometry: {why}")]
    BadGeometry {
        /// Which rule is broken.
        why: String,
    },
    /// A name with U+0000 in it: most tools would take what comes before it for the name.
    #[error("the name {name:?} cannot be used: it has U+0000 in it, where most tools end a text")]
    NulInName {
        /// The name given.
        name: String,
    },
    /// A space must have room, and SQLite counts to 2⁶³ − 1.
    #[error("max_mem of {}: a space has from 1 to {} bytes", bytes(*max_mem), grouped(i64::MAX as u64))]
    BadMaxMem {
        /// What was given, in bytes.
        max_mem: u64,
    },
    /// The space cannot shrink below what its arenas reserve.
    #[error(
        "space {space} cannot shrink to {}: its arenas reserve {}; {}",
        bytes(*max_mem), grouped(*reserved), advice::COLLECT
    )]
    CannotShrink {
        /// The space.
        space: String,
        /// The size that was asked for.
        max_mem: u64,
        /// Bytes that arenas reserve.
        reserved: u64,
    },
    /// The space is there already, and is never changed by opening or making it.
    #[error("space {space} exists already in {}: {why}; {}", path.display(), advice::SPACES)]
    SpaceExists {
        /// The space.
        space: String,
        /// The file.
        path: PathBuf,
        /// What was asked for that it is not.
        why: String,
    },
    /// The file has no such space.
    #[error("no space {space:?} in {}; it has {}", path.display(), quoted(known))]
    UnknownSpace {
        /// The space that was asked for.
        space: String,
        /// The file.
        path: PathBuf,
        /// The spaces it has.
        known: Vec<String>,
    },
    /// There is no file to read.
    #[error("no heap at {}; {}", path.display(), advice::MAKE)]
    NoFile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else, and was left alone.
    #[error("{} is not a heapledger file: {why}; it was left untouched", path.display())]
    NotAHeap {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A heapledger before the first release wrote the file.
    #[error(
        "{} has format {found}, of a heapledger before the first release, and was left untouched; {}",
        path.display(),
        advice::CARRY
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// A later heapledger wrote the file.
    #[error("{} has format {found}, and this heapledger knows up to {known}; update heapledger. The file was left untouched", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Another writer did not finish in time.
    #[error(
        "the heap is busy: another writer held it for longer than {waited_ms} ms; {}",
        advice::WAIT
    )]
    Busy {
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },
    /// The thread is inside a batch of the same heap file, another write to it, or a read of
    /// the same [`snapshot`](crate::MemManager::snapshot), and would wait for itself.
    #[error(
        "this thread is in the middle of another call on the same heap and would wait for itself: inside a batch or a \
         read use what its closure is given, and from a callback call after the call that runs it; nothing was changed"
    )]
    Reentered,
    /// The file was opened for reading.
    #[error("the heap is open for reading only")]
    ReadOnly,
    /// The file or its folder may not be written.
    #[error("{} cannot be written: the file, its folder or its disk is read-only for this user; nothing was changed", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
    },
    /// The write-ahead log, or its index, is neither there nor can it be made.
    #[error(
        "the write-ahead log beside the file cannot be opened: the folder is read-only for this user; \
         whoever may write opens the heap once, or copy the file with its log"
    )]
    LogUnreadable,
    /// Somebody opened the heap for writing and changed the file while it was read by a user
    /// who may not write in its folder, and so has no way to keep the state before.
    #[error(
        "the file was changed while it was read, and this user may not write next to it, \
         which it takes to keep the state before: read it again"
    )]
    ChangedWhileRead,
    /// The heap file, or the write-ahead log beside it, is not the one that was opened.
    #[error("{} was moved, removed or replaced while it was open; nothing was changed: open it again", path.display())]
    FileChanged {
        /// Where the file was, or the log.
        path: PathBuf,
    },
    /// The file has several names, under each of which SQLite would keep another log.
    #[error(
        "{} has {links} hard links, and what is written under one name is missing under another; \
         remove the other names, or use a copy; nothing was changed",
        path.display()
    )]
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The write-ahead log beside the heap file is that of another file.
    #[error(
        "the log {0}-wal is not of the file {0}, and would destroy it; nothing was changed. If {0} was restored from \
         a copy, delete {0}-wal and {0}-shm to use it; if it is the copy that is wrong, put the file back that the log \
         belongs to. MemManager::restore puts a backup in the place of a heap without leaving a log",
        path.display()
    )]
    ForeignLog {
        /// The heap file.
        path: PathBuf,
    },
    /// Somebody has the heap open that is to be replaced.
    #[error("{} is in use: nothing was changed; end the programs that have it open and try again", path.display())]
    InUse {
        /// The heap file.
        path: PathBuf,
    },
    /// The file system has no room for what was to be written.
    #[error("the disk is full: nothing was changed; make room on it and try again")]
    DiskFull,
    /// The file system failed to read or write.
    #[error("the disk failed: {why}; nothing was changed")]
    DiskFailed {
        /// What SQLite said.
        why: String,
    },
    /// The space keeps no history to look back into.
    #[error("space {space} keeps no history; {}", advice::HISTORY)]
    HistoryOff {
        /// The space.
        space: String,
    },
    /// The history does not reach the moment that was asked for.
    #[error("{moment} cannot be looked back to: {why}; {}", advice::EVENTS)]
    OutsideHistory {
        /// The event or the time.
        moment: String,
        /// Why it cannot.
        why: String,
    },
    /// Views, triggers, indexes or tables of the file are not as this version makes them.
    /// They are code that comes with the file, so nothing of it is run.
    #[error("{}: {what}{}", path.display(), advice::restore(*can_be_restored))]
    AlteredSchema {
        /// The file.
        path: PathBuf,
        /// The first parts, and what is the matter with them.
        what: String,
        /// Whether [`crate::Options::restore_schema`] makes all of them again.
        can_be_restored: bool,
    },
    /// The file contradicts itself.
    #[error("damaged: {what}; {}", advice::CHECK)]
    Damaged {
        /// What was found.
        what: String,
    },
    /// A source or target of bytes failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused a statement or could not be reached.
    #[error("{what}: {source}")]
    Database {
        /// What was being done.
        what: &'static str,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A batch went on after a call that had failed half-way.
    #[error(
        "a call of the batch failed half-way, and the batch went on: it was undone as a whole; return the call's error"
    )]
    BatchFailed,
    /// What was to be made is there already.
    #[error("{} exists already and was left as it is; name another", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// An export does not hold what its manifest says.
    #[error("{} cannot be imported: {why}", path.display())]
    BadExport {
        /// The file that is wrong.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A name of an export cannot be bound as it is;
    /// [`ImportOptions::on_conflict`](crate::ImportOptions) says what else to do with it.
    #[error("{} cannot be imported with its name {name:?}: {why}", path.display())]
    NameRefused {
        /// The file with the content of the object.
        path: PathBuf,
        /// The name in the export.
        name: String,
        /// Why it cannot be bound.
        why: String,
    },
    /// [`interrupt`](crate::interrupt) was called.
    #[error("interrupted: what was not committed was undone")]
    Interrupted,
}

impl From<diesel::result::Error> for Error {
    fn from(source: diesel::result::Error) -> Self {
        // A value that no column of ours holds.
        if let diesel::result::Error::DeserializationError(unread) = source {
            return Self::Damaged {
                what: with_causes(unread.as_ref()),
            };
        }
        let said = source.to_string();
        // Diesel keeps SQLite's message and not its code.
        match said.as_str() {
            "database or disk is full" => Self::DiskFull,
            // SQLite does not say which error it was: also that the index of the log, which
            // is a file, cannot be opened.
            "disk I/O error" => descriptors_used_up().unwrap_or_else(|| Self::DiskFailed {
                why: file_size_limit().map_or(said.clone(), |limit| format!("{said}; {limit}")),
            }),
            "unable to open database file" => descriptors_used_up().unwrap_or(Self::LogUnreadable),
            "query aborted" => Self::ChangedWhileRead,
            "file is not a database" => Self::Damaged { what: said },
            // Whoever waited for it says for how long.
            "locking protocol" => Self::Busy { waited_ms: 0 },
            _ if said.contains("is locked") => Self::Busy { waited_ms: 0 },
            _ if said.contains("malformed") => Self::Damaged { what: said },
            _ => Self::Database {
                what: "the database refused",
                source: Box::new(source),
            },
        }
    }
}

impl Error {
    /// The same error for another of those whose transaction it ended.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Busy { waited_ms } => Self::Busy { waited_ms: *waited_ms },
            Self::NotWritable { path } => Self::NotWritable { path: path.clone() },
            Self::LogUnreadable => Self::LogUnreadable,
            Self::FileChanged { path } => Self::FileChanged { path: path.clone() },
            Self::DiskFull => Self::DiskFull,
            Self::Interrupted => Self::Interrupted,
            Self::DiskFailed { why } => Self::DiskFailed { why: why.clone() },
            Self::Damaged { what } => Self::Damaged { what: what.clone() },
            Self::Database { what, source } => Self::Database {
                what,
                source: source.to_string().into(),
            },
            other => Self::Database {
                what: "the shared transaction was lost",
                source: other.to_string().into(),
            },
        }
    }

    /// SQLite's refusal, with its reason where it does not tell it.
    pub(crate) fn database(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        descriptors_used_up().unwrap_or(Self::Database { what, source })
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io {
            what,
            source: match file_size_limit().filter(|_| source.kind() == std::io::ErrorKind::FileTooLarge) {
                Some(limit) => std::io::Error::new(source.kind(), limit),
                None => without_temporary_name(source),
            },
        }
    }
}

/// The error and what caused it: `cannot read: no space left`.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error of the system, where `tempfile` adds a name that means nothing to anyone.
fn without_temporary_name(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    match (error.raw_os_error(), text.rsplit_once(" at path \"")) {
        (None, Some((what, _))) => std::io::Error::new(error.kind(), what),
        _ => error,
    }
}

/// As many files as SQLite opens for one connection, and has closed again when it has failed.
const FILES_OF_CONNECTION: usize = 4;

/// SQLite only says that a file cannot be opened. If no file can be, that is why.
fn descriptors_used_up() -> Option<Error> {
    #[cfg(unix)]
    {
        let files: Result<Vec<_>, _> = (0..FILES_OF_CONNECTION)
            .map(|_| std::fs::File::open("/dev/null"))
            .collect();
        let error = files.err()?;
        let errors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
        let is_that = error.raw_os_error().is_some_and(|code| errors.contains(&code));
        is_that.then(|| Error::io("the heap needs another file descriptor (`ulimit -n`)")(error))
    }
    #[cfg(not(unix))]
    None
}

/// What this process may not write more of into a file, in words.
fn file_size_limit() -> Option<String> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current?;
        let limit = grouped(limit);
        Some(format!(
            "the file-size limit of this process is {limit} bytes (`ulimit -f`)"
        ))
    }
    #[cfg(not(unix))]
    None
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 byte`, `1,024 bytes`.
fn bytes(number: u64) -> String {
    format!("{} byte{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// What looks like an id and has too few digits, or too many.
fn misspelled(text: &str) -> &'static str {
    match text.len() {
        _ if !text.bytes().all(|sign| sign.is_ascii_hexdigit()) => "",
        0 => "",
        1..6 => "; the start of an id needs at least 6 digits",
        6..=64 => "",
        _ => "; an id has 64 digits",
    }
}

fn list(sizes: &[u64]) -> String {
    let sizes: Vec<_> = sizes.iter().map(|&size| grouped(size)).collect();
    sizes.join(", ")
}

/// Names as they may be shown on a terminal: quoted, control characters escaped.
fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
