//! Exit statuses, and errors on one line.

use std::io::{self, Write};
use std::num::{IntErrorKind, ParseIntError};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use heapledger::{Error, PlanError, ReservationError, ServerError, SpaceError, TransferError};

use super::output::terminal;
use super::output::text::{printable, wrapped};
use super::streams;

/// The outcome of a command that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to report.
    Fine,
    /// It found and reported something wrong.
    Findings,
    /// It said that there is no room, and changed nothing.
    NoRoom,
}

impl Outcome {
    pub fn findings_if(found: bool) -> Self {
        if found { Self::Findings } else { Self::Fine }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::Findings => Self::from(1),
            Outcome::NoRoom => Self::from(3),
        }
    }
}

/// 1 if something was not found, 3 if the budget of the space refuses, 4 if a plan is stale, 2 for all
/// other errors.
pub fn status(error: &anyhow::Error) -> ExitCode {
    let cause = error.chain().find_map(of_library);
    ExitCode::from(match cause {
        Some(
            Error::NotStored { .. }
            | Error::UnknownReference { .. }
            | Error::UnknownName { .. }
            | Error::Reservation(ReservationError::Unknown { .. })
            | Error::AmbiguousPrefix { .. }
            | Error::UnknownRow { .. },
        ) => 1,
        Some(Error::Plan(PlanError::Stale { .. })) => 4,
        // A fully carved level is an exhausted budget. CannotShrink is not: there the new budget
        // itself is refused.
        Some(error) if error.is_out_of_room() => 3,
        _ => 2,
    })
}

/// The library's error that a cause is, or that it contains as the error of a reader.
fn of_library<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    let inside = || cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    cause.downcast_ref().or_else(inside)
}

/// Whether the reader of the output closed it, as `head` does.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The error with its causes: `get x: cannot read: no space left`.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = match (of_library(cause), cause.downcast_ref()) {
            (Some(error), _) => in_words(error),
            (_, Some(error)) => without_temporary_name(error),
            _ => cause.to_string(),
        };
        // Some messages already include their cause.
        if line.ends_with(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

/// The system's error without the temporary path that `tempfile` adds.
fn without_temporary_name(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let (None, Some(end)) = (error.raw_os_error(), text.rfind(" at path \"")) {
        text.truncate(end);
    }
    text
}

/// An error of the library, with advice in commands instead of calls.
pub fn in_words(error: &Error) -> String {
    if let Error::Server(ServerError::NotOnServer { what, instead }) = error {
        let instead = instead_on_server(what).unwrap_or(instead);
        return format!("{what} is for heaps in files; on a server, {instead}");
    }
    match advice(error) {
        Some(advice) => format!("{}; {advice}", error.what()),
        None => error.what(),
    }
}

/// What to do on a server instead of something that is for files, in terms of commands.
fn instead_on_server(what: &str) -> Option<&'static str> {
    Some(match what {
        "a ceiling of the file" => "`heapledger resize SIZE` bounds each space",
        "a copy of the file" => "use `heapledger copy --to FILE`, or `pg_dump --schema=SCHEMA`",
        "a backup that replaces a heap" => "use `heapledger copy --to URL`, or `pg_restore`",
        _ => return None,
    })
}

/// Advice for an error, in terms of commands.
fn advice(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::OutOfMemory { promised_to, .. } if promised_to.iter().any(|promise| promise.key.is_some()) => {
            "free objects, give reservations up with `heapledger void`, or make the space larger with `heapledger resize`"
        }
        Error::OutOfMemory { promised_to, .. } if !promised_to.is_empty() => {
            "`heapledger ls --reservations` says when an upload ends whose process has died; free objects, or make the \
             space larger with `heapledger resize`"
        }
        Error::OutOfMemory { needed, max_mem, .. } if needed > max_mem => {
            "it is larger than the whole space, which `heapledger resize` makes larger"
        }
        Error::OutOfMemory { expired: 1.., .. } => "if it is right, run `heapledger gc --expired`",
        Error::OutOfMemory { spared: true, .. } => {
            "unpin objects with `heapledger unpin`, lower --min-age with `heapledger evict`, or make the space larger with \
             `heapledger resize`"
        }
        Error::OutOfMemory { .. } => "free objects, or make the space larger with `heapledger resize`",
        Error::QuotaExceeded(_) => "free some of its objects, or allow it more with `heapledger quota`",
        Error::FileFull { .. } => {
            "free objects and run `heapledger gc`, or raise the ceiling with `heapledger resize --max-file`"
        }
        Error::NoRoom { .. } => "`heapledger tree` shows what is in it",
        Error::NotStored { .. } | Error::UnknownReference { .. } => "`heapledger ls` lists the objects",
        Error::UnknownName { .. } => "`heapledger ls` lists the names",
        Error::UnknownRow { .. } => "`heapledger tree` shows what exists",
        Error::Named { .. } => "remove its names with `heapledger unname`, or use --force",
        Error::NameTaken { .. } => "without --keep it moves",
        Error::Reservation(ReservationError::Unknown { .. }) => {
            "`heapledger ls --reservations` lists those that are remembered"
        }
        Error::Reservation(ReservationError::KeyReused { .. }) => "use another --key for another reservation",
        Error::Reservation(ReservationError::Lapsed { .. }) => {
            "`heapledger reserve --again` makes it again, with more time (--expires)"
        }
        Error::Reservation(ReservationError::Voided { .. }) => {
            "`heapledger reserve --again` makes it again, or another one with another --key"
        }
        Error::Reservation(ReservationError::UploadLapsed { .. })
        | Error::Reservation(ReservationError::TooManyPieces { .. }) => "store it again",
        Error::Plan(PlanError::Stale { .. }) => "make another plan",
        Error::Transfer(TransferError::NotAnExport { .. }) => {
            "`heapledger import - --by-name` stores the files of any tar by their paths; an export that was packed again \
             is imported from its folder"
        }
        Error::CannotShrink { max_mem, reserved, .. } if max_mem >= reserved => {
            "give reservations up with `heapledger void` first"
        }
        Error::CannotShrink { .. } => "free objects and run `heapledger gc` first",
        Error::NoFile { .. } => {
            "`heapledger init` or `heapledger put` creates one, --db or HEAPLEDGER_DB names another"
        }
        Error::Server(ServerError::NoHeap { .. }) => {
            "`heapledger init` creates one; on a server nothing else does, also not --create"
        }
        Error::Server(error) => return error.advice(),
        Error::NoIdsLeft { .. } => "move its objects to a new space with `heapledger export` and `heapledger import`",
        Error::TooOld { .. } => {
            "run `heapledger export` of the version that wrote it, then `heapledger import` of this one into a new file"
        }
        Error::Space(SpaceError::EvictsNothing { .. }) => {
            "`heapledger evict POLICY` lets it evict, and --policy names one for `evict --free` alone"
        }
        Error::Space(SpaceError::UseUnknown { .. }) => {
            "use --policy largest or oldest, or set it with `heapledger evict POLICY`"
        }
        Error::Space(SpaceError::BeingDropped { .. }) => "`heapledger drop-space` removes the rest",
        Error::Space(SpaceError::OtherCeiling { .. }) => "`heapledger resize --max-file` changes it",
        Error::SpaceExists { .. } => "--space names another, and `heapledger resize` changes the capacity of one",
        Error::UnknownSpace { known, .. } if known.is_empty() => "`heapledger init` creates one",
        Error::UnknownSpace { .. } => "name it with --space, or create one with `heapledger init`",
        Error::Busy { .. } => "try again, or wait longer with --busy-timeout",
        Error::LogHeld(_) => "end that program or its transaction and try again, or wait longer with --busy-timeout",
        Error::HistoryOff { .. } => "`heapledger history on` starts recording",
        Error::OutsideHistory { .. } => "`heapledger log` lists the events",
        Error::ForeignLog { .. } => {
            "`heapledger restore --force FILE` with the same --db replaces it with a backup without leaving a log"
        }
        Error::Damaged { .. } => {
            "`heapledger check` lists the damage that it can read, `heapledger get -r -o FOLDER` saves the named objects that \
             can be read, and `heapledger restore --force FILE` with the same --db brings a backup back"
        }
        Error::AlteredSchema {
            can_be_restored: true, ..
        } => "`heapledger check` lists all damage, `heapledger check --repair` recreates what can be derived",
        _ => return None,
    })
}

/// Prints one line to standard error, and ignores it if that is closed.
pub fn warn(message: &str) {
    line(&format!("heapledger: {}", printable(message)));
}

/// Prints a line to standard error that is not an error.
pub fn note(message: &str) {
    line(&printable(message));
}

/// Prints one line, wrapped on a terminal that is too narrow.
fn line(text: &str) {
    let wrapped = terminal::columns_of_stderr().map(|columns| wrapped(text, columns));
    let _ = writeln!(io::stderr(), "{}", wrapped.as_deref().unwrap_or(text));
}

/// Handles invalid arguments, and `--help` and `--version`.
pub fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => answer(error),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            let line = usage_line(&in_plain_words(error));
            match known_elsewhere(error) {
                Some(instead) => warn(&format!("{line}; {instead}")),
                None => warn(&line),
            }
            ExitCode::from(2)
        }
    }
}

/// What to do instead of a command that other programs have.
fn known_elsewhere(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    Some(match command.as_str() {
        "mv" => "`heapledger name OLD NEW` and `heapledger unname OLD` move a name",
        "cp" | "ln" => "`heapledger name OLD NEW` gives an object another name",
        "find" => "`heapledger ls --like GLOB` finds names",
        "rsync" | "sync" => "`heapledger put -r --names` and `heapledger get -r` transfer trees",
        "df" => "`heapledger stats` and `heapledger usage` show what is free",
        _ => return None,
    })
}

/// Prints the text of `--help` or `--version`, which can fail like any output.
fn answer(error: &clap::Error) -> ExitCode {
    if let Err(closed) = streams::need_output() {
        warn(&closed.to_string());
        return ExitCode::from(2);
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => {
            warn(&format!("cannot write the answer: {failed}"));
            ExitCode::from(2)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// clap's message, without Rust's wording for invalid numbers.
fn in_plain_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ParseIntError>());
    match cause {
        None => text,
        Some(cause) => {
            let why = match cause.kind() {
                IntErrorKind::PosOverflow => "too large",
                IntErrorKind::NegOverflow => "too small",
                _ => "not a whole number",
            };
            text.replace(&cause.to_string(), why)
        }
    }
}

/// clap's paragraphs as one line.
fn usage_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (what, usage) = text.split_once("\nUsage: ").unwrap_or((text, ""));
    let mut line = String::new();
    for part in what
        .lines()
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.starts_with("For more"))
    {
        match part.strip_prefix("tip: ") {
            Some(tip) => line.push_str(&format!("; {tip}")),
            None if line.is_empty() => line.push_str(part),
            None => line.push_str(&format!(" {part}")),
        }
    }
    // The words before the first option or argument are the command: `heapledger put`. Errors
    // about a bad value have no usage line.
    let words = usage.split_whitespace();
    let words = words.take_while(|word| word.starts_with(|first: char| first.is_ascii_lowercase()));
    match words.collect::<Vec<_>>().join(" ") {
        command if command.is_empty() => line,
        command => format!("{line}; see `{command} --help`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_repeated() {
        let error = anyhow::anyhow!("denied")
            .context("cannot read: denied")
            .context("put x");
        assert_eq!(one_line(&error), "put x: cannot read: denied");
    }

    #[test]
    fn no_temporary_name_is_shown() {
        let error = tempfile::tempdir_in("/nowhere").unwrap_err();
        let line = one_line(&anyhow::Error::from(error).context("copy"));
        assert_eq!(line, "copy: No such file or directory (os error 2)");
    }

    #[test]
    fn advice_names_commands() {
        let busy = anyhow::Error::from(Error::Busy { waited_ms: 50 }).context("put x");
        let line = one_line(&busy);
        assert!(
            line.starts_with("put x: the heap is busy") && line.ends_with("--busy-timeout"),
            "{line}"
        );
        assert!(!line.contains("Options::"), "{line}");
    }

    #[test]
    fn a_usage_error_takes_one_line() {
        let text = "error: unexpected argument '--forse' found\n\n  tip: a similar argument exists: '--force'\n\n\
                    Usage: heapledger free --force <ID|NAME>...\n\nFor more information, try '--help'.\n";
        assert_eq!(
            usage_line(text),
            "unexpected argument '--forse' found; a similar argument exists: '--force'; see `heapledger free --help`"
        );
        let text = "error: the following required arguments were not provided:\n  <NAME>\n  <VALUE>\n\n\
                    Usage: heapledger set <NAME> <VALUE>\n";
        assert_eq!(
            usage_line(text),
            "the following required arguments were not provided: <NAME> <VALUE>; see `heapledger set --help`"
        );
    }
}
