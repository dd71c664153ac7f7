//! The `heapledger` command. `cli` does the work; here it becomes an exit status.

mod cli;

use std::process::ExitCode;

use cli::{Cli, exit};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    match cli.run() {
        Ok(outcome) => outcome.into(),
        // Whoever reads the output has seen enough of it.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            exit::warn(&exit::one_line(&error));
            exit::status(&error)
        }
    }
}
