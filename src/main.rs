//! The `heapledger` command. `cli` does the work; here it becomes an exit status.

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
        // Whoever reads the output has seen enough of it.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            exit::warn(&exit::one_line(&error));
            streams::hear_out();
            exit::status(&error)
        }
    }
}
