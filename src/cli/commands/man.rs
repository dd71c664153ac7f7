//! `heapledger man`

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::cli::Cli;
use crate::cli::exit::Outcome;
use crate::cli::input::parse;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger man | less          # the page of the program
  heapledger man put > put.1     # that of a command, to read with man -l
  heapledger man -o man1         # all pages, in a folder")]
pub struct Args {
    /// The command to print the page of
    #[arg(value_name = "COMMAND", num_args = 0.., conflicts_with = "output")]
    command: Vec<String>,

    /// The folder to write the pages of all commands into, replacing older ones
    #[arg(short, long, value_name = "DIR", value_parser = parse::named_path())]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        write_all(&program, folder)?;
        return Ok(Outcome::Fine);
    }
    let mut command = &program;
    for name in &args.command {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => bail!("there is no command {name}; `heapledger --help` lists them"),
        }
    }
    io::stdout().write_all(&page(command)?)?;
    Ok(Outcome::Fine)
}

fn write_all(command: &Command, folder: &Path) -> Result<()> {
    for below in command.get_subcommands() {
        write_all(below, folder)?;
    }
    let path = folder.join(Man::new(command.clone()).get_filename());
    fs::write(&path, page(command)?).with_context(|| format!("{}", path.display()))
}

/// The page of a command. The crate would fill the lines of the examples like a paragraph.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]).control("nf", []);
        notes.text([roman(text.to_string())]).control("fi", []);
        notes.to_writer(&mut page)?;
    }
    Ok(page)
}
