//! How the program ends: exit status, and errors on one line.

use std::io::{self, Write};
use std::num::{IntErrorKind, ParseIntError};
use std::process::ExitCode;

use clap::error::ErrorKind;
use heapledger::Error;

use super::output::terminal;
use super::output::text::{printable, wrapped};
use super::streams;

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to report.
    Fine,
    /// It found something wrong, and has reported it.
    Findings,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::Findings => Self::from(1),
        }
    }
}

/// 1 for what is not there, 3 for what the budget of the space refuses, 2 for everything
/// else.
pub fn status(error: &anyhow::Error) -> ExitCode {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    ExitCode::from(match cause {
        Some(
            Error::NotStored { .. }
            | Error::UnknownReference { .. }
            | Error::UnknownName { .. }
            | Error::AmbiguousPrefix { .. }
            | Error::UnknownRow { .. },
        ) => 1,
        // A level that is carved to its end is a budget that is spent. A space that cannot
        // shrink is none: there it is the new budget that is refused.
        Some(Error::OutOfMemory { .. } | Error::NoRoom { .. }) => 3,
        _ => 2,
    })
}

/// Whether the reader of the output went away, as `head` does.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The error with its causes: `get x: cannot read: no space left`.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(error), _) => in_words(error),
            (_, Some(error)) => without_temporary_name(error),
            _ => cause.to_string(),
        };
        // Some messages spell out their cause themselves.
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

/// The error of the system alone: `tempfile` adds a name that means nothing to anyone.
fn without_temporary_name(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let (None, Some(end)) = (error.raw_os_error(), text.rfind(" at path \"")) {
        text.truncate(end);
    }
    text
}

/// An error of the library, with advice in commands instead of calls.
pub fn in_words(error: &Error) -> String {
    match advice(error) {
        Some(advice) => format!("{}; {advice}", error.what()),
        None => error.what(),
    }
}

/// What to do about an error, as commands.
fn advice(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::OutOfMemory { .. } => "free objects, or make the space larger with `heapledger resize`",
        Error::NoRoom { .. } => "`heapledger tree` shows what is in it",
        Error::NotStored { .. } | Error::UnknownReference { .. } => "`heapledger ls` lists the objects there are",
        Error::UnknownName { .. } => "`heapledger ls` lists the names there are",
        Error::UnknownRow { .. } => "`heapledger tree` shows what there is",
        Error::Named { .. } => "remove its names with `heapledger unname`, or use --force",
        Error::NameTaken { .. } => "without --keep it moves",
        Error::CannotShrink { .. } => "free objects and run `heapledger gc` first",
        Error::NoFile { .. } => "`heapledger init` or `heapledger put` makes one, --db or HEAPLEDGER_DB names another",
        Error::NoIdsLeft { .. } => {
            "carry its objects over to a new space with `heapledger export` and `heapledger import`"
        }
        Error::TooOld { .. } => {
            "run `heapledger export` of the version that wrote it, then `heapledger import` of this one into a new file"
        }
        Error::SpaceExists { .. } => "--space names another, and `heapledger resize` changes the capacity of one",
        Error::UnknownSpace { .. } => "name it with --space, or make one with `heapledger init`",
        Error::Busy { .. } => "try again, or wait longer with --busy-timeout",
        Error::HistoryOff { .. } => "`heapledger history on` keeps it from then on",
        Error::OutsideHistory { .. } => "`heapledger log` lists the events there are",
        Error::ForeignLog { .. } => "`heapledger restore FILE` puts a backup in its place without leaving a log",
        Error::Damaged { .. } => "`heapledger check` lists all that is wrong",
        Error::AlteredSchema {
            can_be_restored: true, ..
        } => "`heapledger check` lists all that is wrong, `heapledger check --repair` makes it again",
        _ => return None,
    })
}

/// One line on standard error. A closed standard error is nothing to stop for.
pub fn warn(message: &str) {
    line(&format!("heapledger: {}", printable(message)));
}

/// A line on standard error that is no complaint.
pub fn note(message: &str) {
    line(&printable(message));
}

/// One line, unless a terminal is too narrow for it.
fn line(text: &str) {
    let wrapped = terminal::columns_of_stderr().map(|columns| wrapped(text, columns));
    let _ = writeln!(io::stderr(), "{}", wrapped.as_deref().unwrap_or(text));
}

/// Ends for arguments that cannot be understood, or for `--help` and `--version`.
pub fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => answer(error),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            warn(&usage_line(&in_plain_words(error)));
            ExitCode::from(2)
        }
    }
}

/// `--help` and `--version` are answers, and can fail to be written as any other.
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

/// What clap says, without Rust's words for what is no number.
fn in_plain_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ParseIntError>());
    match cause {
        None => text,
        Some(cause) => {
            let why = match cause.kind() {
                IntErrorKind::PosOverflow => "more than can be counted",
                IntErrorKind::NegOverflow => "less than can be counted",
                _ => "not a whole number",
            };
            text.replace(&cause.to_string(), why)
        }
    }
}

/// clap explains in paragraphs; this is what it says, on one line.
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
    // The words before the first option or argument are the command: `heapledger put`.
    // A bad value comes without usage, and says itself what is wrong with it.
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
    fn a_cause_that_is_spelled_out_is_not_repeated() {
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
    fn the_advice_is_a_command() {
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
