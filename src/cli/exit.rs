//! How the program ends: exit status, and errors on one line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use heapledger::Error;

use super::streams;
use super::text::printable;

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
        let text = cause.to_string();
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

/// One line on standard error. A closed standard error is nothing to stop for.
pub fn warn(message: &str) {
    let _ = writeln!(io::stderr(), "heapledger: {}", printable(message));
}

/// A line on standard error that is no complaint.
pub fn note(message: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(message));
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
            warn(&usage_line(&error.to_string()));
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
