//! The file system below SQLite: what is done differently there, and why.
//!
//! SQLite reaches the disk through a [virtual file system], a table of C functions. This
//! folder is the only code of the library below SQLite, called from C, and so the only one where a
//! mistake could damage a file instead of failing a call. It does four things.
//!
//! # 1. The writer's files ([`log`], [`held`], [`grow`])
//! A copy of SQLite's own VFS, registered as `heapledger` and used by writing connections. Only
//! these functions differ:
//!
//! - *A commit is written to the log in one piece.* SQLite makes two writes per page (a header of
//!   24 bytes, and the page), and one small object changes a dozen pages. The appended bytes are
//!   gathered in memory while COMMIT runs, and written when its last page has arrived. This alone
//!   makes single puts with [`Durability::Normal`] 1.3 to 1.4 times as fast, batches and threads
//!   1.1 to 1.3 times.
//! - *The log is filled with zeros ahead of small commits*, which then overwrite them: a sync
//!   takes longer when the file has grown. Single small puts with `Normal` take another sixth
//!   less.
//! - *A commit that reaches the limit of the log cuts off what an earlier log has left after it*,
//!   because Litestream takes that for a log which it has missed (`docs/litestream.md`).
//! - *The database file grows 16 KiB at a time* before a checkpoint copies into it. Reads of
//!   20 KiB and more are 1.25 to 1.5 times as fast, because the kernel keeps such a file in larger
//!   parts; batches of 4 KiB and more gain 5 to 15 %.
//! - *Facts are noticed on the way*: the length of the log (for checkpoints), and that somebody
//!   truncated it. Without this VFS, [`super::log`] asks SQLite for the length after each commit,
//!   and checks for a truncated log only before each transaction.
//!
//! It assumes that SQLite appends to its log in order and describes the last page of a commit
//! as the [file format] says; that between this page and the end of COMMIT it reads, syncs or
//! shortens the log only through the functions replaced here, all of which first write
//! what is gathered; and that all files of one kind have the same functions (a file with others
//! keeps SQLite's own).
//! Nothing is assumed about the disk that SQLite does not assume.
//!
//! All figures are from `cargo bench --bench compare -- --io`; the tables are in
//! `benches/RESULTS.md`.
//!
//! **To turn it off:** `Options::plain_io`; the program and the tests take
//! `HEAPLEDGER_PLAIN_IO=1`. It is also off where SQLite does not accept it. The tests of crashes,
//! power loss, faults, contention and locks run both ways. The files are the same, so heaps may
//! be opened with it and without it, even at the same time.
//!
//! # 2. The ceiling of the file ([`bound`])
//! Both VFSes of writers refuse to append to the log what would make the files of the heap larger
//! than its ceiling. Without a ceiling, nothing is checked. Both also report a full disk if the index
//! does not fit on it, where SQLite would report a failed one. One of them, [`plain`], registered as
//! `heapledger plain`, does nothing else: it is what `Options::plain_io` uses.
//!
//! # 3. Readers without write permission next to the heap ([`unlogged`])
//! Registered as `heapledger unlogged`. SQLite reads a file in WAL mode only with a log and an
//! index, which these readers cannot make. It checks that the file does not change while it is
//! read. This is a feature and not for speed: it cannot be turned off.
//!
//! # 4. A database file next to SQLite ([`file`])
//! To read or lock a file that SQLite may have open, through SQLite's own file system: closing
//! any other descriptor of it would drop the locks of the process. It cannot be turned off.
//!
//! [virtual file system]: https://sqlite.org/vfs.html
//! [file format]: https://sqlite.org/fileformat2.html#walformat
//! [`Durability::Normal`]: crate::Durability::Normal
#![allow(unsafe_code, reason = "SQLite calls its files through C")]

mod bound;
mod file;
mod grow;
mod held;
mod log;
mod methods;
mod plain;
mod system;
#[cfg(test)]
mod tests;
mod unlogged;

pub(in crate::store) use self::file::DatabaseFile;
pub(in crate::store) use self::log::{CUT_SHORT, GatheredLog};
pub(in crate::store) use self::system::{file_system, longest_path, plain_file_system};
pub(in crate::store) use self::unlogged::{has_been_opened, has_no_log, unlogged_file_system};
