//! The `heapledger` command: runs `cli` and turns its outcome into an exit status.

mod cli;

use std::process::ExitCode;

use cli::{Cli, exit, interrupt, streams};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    interrupt::watch();
    let done = cli.run();
    interrupt::end_if_told();
    match done {
        Ok(outcome) => outcome.into(),
        // The reader of the output closed it, as `head` does.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            exit::warn(&exit::one_line(&error));
            streams::hear_out();
            exit::status(&error)
        }
    }
}
