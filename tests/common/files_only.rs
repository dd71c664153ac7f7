//! What concerns files alone, in one list. On a server (`HEAPLEDGER_TEST_URL`) the tests that say
//! `files_only!(WHAT)` are skipped and reported with the reason; everything else runs on both engines.

use super::{server, skip};

#[derive(Clone, Copy)]
pub enum FilesOnly {
    Backup,
    Ceiling,
    File,
    Guards,
    Hostile,
    Locks,
    Log,
    Medium,
    Plans,
    Schema,
    Text,
    Transcripts,
}

impl FilesOnly {
    fn reason(self) -> &'static str {
        match self {
            Self::Backup => "backup, restore and copies of a file; a server has pg_dump",
            Self::Ceiling => "max_file bounds a file and its log",
            Self::File => "the file itself: its path, header, pages, and the files next to it",
            Self::Guards => "triggers guard a file against other tools; a server has privileges",
            Self::Hostile => "bytes and schemas of a file that was tampered with",
            Self::Locks => "how connections of SQLite lock a file",
            Self::Log => "the write-ahead log of a file",
            Self::Medium => "disks that are full, fail or lose power below a file",
            Self::Plans => "plans and statements of SQLite",
            Self::Schema => "the SQL text of the schema in a file, and what only SQLite lets other tools write",
            Self::Text => "text that is not UTF-8, or contains NUL, which a server does not store",
            Self::Transcripts => "examples of the documentation and of help that use files",
        }
    }
}

/// Whether the calling test is skipped because the tests run on a server.
#[track_caller]
pub fn is_skipped(what: FilesOnly) -> bool {
    let on_server = server().is_some();
    if on_server {
        skip::by_design("a file", what.reason());
    }
    on_server
}

/// Ends the calling test on a server.
#[allow(unused_macros, reason = "a program may have nothing that concerns files alone")]
macro_rules! files_only {
    ($what:ident) => {
        if $crate::common::is_skipped($crate::common::FilesOnly::$what) {
            return;
        }
    };
}
#[allow(unused_imports, reason = "the same")]
pub(crate) use files_only;

/// Whether the tests run on a server. If not, the calling test is skipped, and must return.
#[track_caller]
pub fn on_server() -> bool {
    let on_server = server().is_some();
    if !on_server {
        skip::by_design("a server", "HEAPLEDGER_TEST_URL is not set");
    }
    on_server
}
