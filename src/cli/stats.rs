//! `heapledger stats`

use anyhow::Result;

use super::context::Context;
use super::exit::Outcome;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger stats
  heapledger stats --format json | jq .mem")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    let stats = context.read()?.stats()?;
    context
        .output()
        .one(&stats, |out| writeln!(out, "{}", stats.to_string().trim_end()))?;
    Ok(Outcome::Fine)
}
