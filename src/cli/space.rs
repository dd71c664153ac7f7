//! `heapledger space`

use anyhow::Result;

use super::context::Context;
use super::exit::Outcome;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
From the bytes stored to the bytes of the file, of all its spaces: what each table and index takes,
and what could be given back. Reads every page of the file.

Examples:
  heapledger space
  heapledger space --format json | jq '.trees[] | [.name, .bytes]'")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    let report = context.read()?.space_report()?;
    context.output().one(&report, |out| writeln!(out, "{report}"))?;
    Ok(Outcome::Fine)
}
