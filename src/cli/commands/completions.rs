//! `heapledger completions`

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::cli::exit::Outcome;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger completions bash > heapledger.bash        # then: source it
  heapledger completions zsh > _heapledger             # in a folder of $fpath
  heapledger completions fish > heapledger.fish

Where each shell looks: ~/.local/share/bash-completion/completions/heapledger, a folder of
zsh's $fpath, ~/.config/fish/completions/heapledger.fish.")]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub fn run(args: &Args) -> Result<Outcome> {
    // Written at once, because the generators panic if a write fails.
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "heapledger", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Outcome::Fine)
}
