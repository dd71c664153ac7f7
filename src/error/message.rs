//! The messages: what happened, with the figures, and what to do.

use std::fmt;

use super::Error;
use super::figures::{bytes, grouped};
use crate::models::{OverQuota, Promise};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)?;
        self.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, hard, needed) = (grouped(self.used), grouped(self.hard), grouped(self.needed));
        let Self { key, value, limit, .. } = self;
        write!(f, "{key}={value} has {used} of {hard} {limit}, and needs {needed} more")
    }
}

impl Error {
    /// The message without the advice, for programs that give their own advice.
    pub fn what(&self) -> String {
        fmt::from_fn(|f| self.say(f)).to_string()
    }

    fn say(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory {
                needed,
                available,
                max_mem,
                promised,
                promised_to,
                expired,
                spared,
            } => {
                write!(
                    f,
                    "out of memory: {} needed, {} of {} free",
                    bytes(*needed),
                    grouped(*available),
                    grouped(*max_mem)
                )?;
                match promised_to.as_slice() {
                    [] if *expired > 0 => write!(
                        f,
                        ", and {} have expired, but the clock is more than a day ahead of the last write",
                        grouped(*expired)
                    ),
                    [] if *spared => {
                        f.write_str(", and the rest cannot be evicted: it is pinned, too young, or of the same batch")
                    }
                    [] => Ok(()),
                    named => write!(
                        f,
                        ", and {} are promised to {}, without which it would fit",
                        grouped(*promised),
                        those(named, *promised)
                    ),
                }
            }
            Self::QuotaExceeded(over) => write!(f, "quota exceeded: {over}"),
            Self::FileFull {
                needed,
                file,
                log,
                reserve,
                max_file,
            } => {
                write!(
                    f,
                    "file full: {} more needed on disk, where the file takes {} and its log {} of at most {}",
                    bytes(*needed),
                    grouped(*file),
                    grouped(*log),
                    grouped(*max_file)
                )?;
                match reserve {
                    0 => Ok(()),
                    reserve => write!(f, ", and {} are kept for freeing", grouped(*reserve)),
                }
            }
            Self::Server(error) => write!(f, "{error}"),
            Self::Reservation(error) => write!(f, "{error}"),
            Self::Space(error) => write!(f, "{error}"),
            Self::Expiry(error) => write!(f, "{error}"),
            Self::BadTag { key, why } => write!(f, "invalid tag {key:?}: {why}"),
            Self::Transfer(error) => write!(f, "{error}"),
            Self::Plan(error) => write!(f, "{error}"),
            Self::NoRoom { child, parent, max_mem } => write!(
                f,
                "no room for another {child} in {parent}: all of its {} are reserved",
                bytes(*max_mem)
            ),
            Self::NotStored { id, space } => write!(f, "no object {id} in space {space}"),
            Self::UnknownReference { text, space } => {
                write!(f, "no object and no name {text:?} in space {space}{}", misspelled(text))
            }
            Self::AmbiguousPrefix { text, count } => {
                write!(f, "{text} is the start of {count} object ids; give more digits")
            }
            Self::UnknownName { name, space } => write!(f, "no name {name:?} in space {space}"),
            Self::BadName { length } => write!(
                f,
                "a name of {} cannot be bound: a name has 1 to 4,096 bytes",
                bytes(*length as u64)
            ),
            Self::NameIsId { name } => write!(
                f,
                "the name {name} cannot be bound: 64 hexadecimal digits would be taken for an object id"
            ),
            Self::NameTaken { name, id, space } => write!(
                f,
                "the name {name:?} is taken in space {space}, by object {id}; nothing was changed"
            ),
            Self::BadSpaceName { length } => write!(
                f,
                "a space cannot have a name of {}: it has 1 to 255",
                bytes(*length as u64)
            ),
            Self::UnknownRow { what, id, space } => write!(f, "no {what} {id} in space {space}"),
            Self::UnknownClass { block_size, known } => write!(
                f,
                "no size class with blocks of {}; this space has {}",
                bytes(*block_size),
                list(known)
            ),
            Self::Named { id, names } => write!(f, "object {id} is named {}", quoted(names)),
            Self::KindConflict { id, stored, wanted } => write!(
                f,
                "object {id} is already stored as {stored}, so it cannot be stored as {wanted}; its content \
                equals the other kind's encoding"
            ),
            Self::WrongType {
                id,
                stored,
                wanted,
                why,
            } => write!(
                f,
                "object {id} is stored as {stored} and cannot be read as {wanted}: {why}"
            ),
            Self::NotStorable { type_name, why } => {
                write!(f, "a value of type {type_name} cannot be stored exactly: {why}")
            }
            Self::BadKind { name } => write!(
                f,
                "{name:?} is not a kind; there are bytes, str, int, float, bool, none and json"
            ),
            Self::TooLong { what, length, most } => write!(
                f,
                "{what} of {} bytes is too long: the history stores at most {} with each event",
                grouped(*length as u64),
                grouped(*most as u64)
            ),
            Self::BadJson { why } => write!(f, "not JSON that can be stored exactly: {why}"),
            Self::BadObjectId { text } => write!(f, "{text:?} is not an object id: an id has 64 hexadecimal digits"),
            Self::BadGeometry { why } => write!(f, "bad geometry: {why}"),
            Self::NulInName { name } => write!(
                f,
                "the name {name:?} cannot be used: it contains U+0000, where most tools end a text"
            ),
            Self::BadMaxMem { max_mem } => write!(
                f,
                "max_mem of {}: a space has from 1 to {} bytes",
                bytes(*max_mem),
                grouped(i64::MAX as u64)
            ),
            Self::BadMaxFile { wanted, least, free } => {
                write!(
                    f,
                    "max_file of {}: the least is {} now",
                    bytes(*wanted),
                    grouped(*least)
                )?;
                match free {
                    0 => Ok(()),
                    free => write!(f, ", with {} of free pages that a collection gives back", bytes(*free)),
                }
            }
            Self::BadHistoryLimit { bytes: limit, least } => write!(
                f,
                "a history of at most {}: the limit is at least {}",
                bytes(*limit),
                bytes(*least)
            ),
            Self::CannotShrink {
                space,
                max_mem,
                reserved,
                mem,
                promised,
            } => {
                write!(f, "space {space} cannot shrink to {}: ", bytes(*max_mem))?;
                if max_mem < reserved {
                    write!(f, "its arenas reserve {}", grouped(*reserved))
                } else {
                    let (mem, promised) = (grouped(*mem), grouped(*promised));
                    write!(f, "it stores {mem}, and {promised} are promised to reservations")
                }
            }
            Self::SpaceExists { space, path, why } => {
                write!(f, "space {space} already exists in {}: {why}", path.display())
            }
            Self::UnknownSpace { space, path, known } => {
                write!(f, "no space {space:?} in {}; it has {}", path.display(), quoted(known))
            }
            Self::NoFile { path } => write!(f, "no heap at {}", path.display()),
            Self::NotAHeap { path, why } => write!(
                f,
                "{} is not a heapledger file: {why}; it was left untouched",
                path.display()
            ),
            Self::NoIdsLeft {
                space,
                table,
                needed,
                left,
            } => write!(
                f,
                "no ids are left for {table} of space {space:?}: {} needed, {} of 1,099,511,627,775 left",
                grouped(*needed),
                grouped(*left)
            ),
            Self::TooManySpaces => {
                f.write_str("the file has used up the ids of 8,388,608 spaces; create the space in another file")
            }
            Self::TooOld { path, found } => write!(
                f,
                "{} has format {found}, of a version before the first release, and was left untouched",
                path.display()
            ),
            Self::TooNew { path, found, known } => write!(
                f,
                "{} has format {found}, and this heapledger knows up to {known}; update heapledger. The file \
                 was left untouched",
                path.display()
            ),
            Self::Busy { waited_ms } => write!(
                f,
                "the heap is busy: another writer held it for longer than {waited_ms} ms"
            ),
            Self::LogHeld(held) => write!(f, "{held}"),
            Self::SnapshotTooOld { age, max } => write!(
                f,
                "the read is too old: it began {:.3} s ago and may take {:.3} s, because meanwhile the \
                 write-ahead log cannot start again",
                age.as_secs_f64(),
                max.as_secs_f64()
            ),
            Self::Reentered => f.write_str(
                "this thread is in the middle of another call on the same heap and would wait for itself: \
                 inside a batch or a read use what its closure is given, and from a callback call after the \
                 call that runs it; nothing was changed",
            ),
            Self::ReadOnly => f.write_str("the heap is open for reading only"),
            Self::NotWritable { path } => write!(
                f,
                "{} cannot be written: the file, its folder or its disk is read-only for this user; nothing \
                 was changed",
                path.display()
            ),
            Self::LogUnreadable => f.write_str(
                "the write-ahead log next to the file cannot be opened: it belongs to another user, or the folder \
                 is read-only for this user; whoever may write opens the heap once, or copy the file with its log",
            ),
            Self::ChangedWhileRead => f.write_str(
                "the file was changed while it was read, and this user may not write next to it, which would be \
                needed to preserve the old state: read it again",
            ),
            Self::FileChanged { path } => write!(
                f,
                "{} was moved, removed or replaced while it was open; nothing was changed: open it again",
                path.display()
            ),
            Self::HardLinked { path, links } => write!(
                f,
                "{} has {links} hard links, and commits under one name would be missing under another; \
                remove the other names, or use a copy; nothing was changed",
                path.display()
            ),
            Self::ForeignLog { path } => write!(
                f,
                "the log {0}-wal is not of the file {0}, and would destroy it; nothing was changed. If {0} \
                 was restored from a copy, delete {0}-wal and {0}-shm to use it; if it is the copy that is \
                 wrong, put the file back that the log belongs to",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "{} is in use: nothing was changed; end the programs that have it open and try again",
                path.display()
            ),
            Self::DiskFull => {
                f.write_str("the disk is full, and the transaction was undone; make room on it and try again")
            }
            Self::DiskFailed { why } => write!(f, "the disk failed: {why}; the transaction was undone"),
            Self::HistoryOff { space } => write!(f, "space {space} has no history"),
            Self::OutsideHistory { moment, why } => {
                write!(f, "{moment} is outside the history: {why}")
            }
            Self::AlteredSchema { path, what, .. } => write!(f, "{}: {what}", path.display()),
            Self::Damaged { what } => write!(f, "damaged: {what}"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Database { what, source } => write!(f, "{what}: {source}"),
            Self::BatchFailed => f.write_str(
                "a call of the batch failed halfway, and the batch continued, so it was rolled back as a whole; \
                return the call's error",
            ),
            Self::Interrupted => f.write_str("interrupted: uncommitted work was rolled back"),
        }
    }
}

/// To whom bytes are promised: `reservation "k", upload 17 and others`.
fn those(named: &[Promise], promised: u64) -> String {
    let names: Vec<_> = named.iter().map(ToString::to_string).collect();
    let sum: u128 = named.iter().map(|promise| u128::from(promise.bytes)).sum();
    match names.as_slice() {
        names if sum < u128::from(promised) => format!("{} and others", names.join(", ")),
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// A hint for text that looks like an id but has too few or too many digits.
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

/// Names safe for a terminal: quoted, with control characters escaped.
fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
