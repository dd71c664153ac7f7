//! `heapledger doctor`

use anyhow::Result;
use heapledger::{Finding, Severity};

use super::context::Context;
use super::exit::Outcome;
use super::render::Row;
use super::table::Head;
use super::text::Sizes;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Says why the space is full, fragmented or large on disk, with the figures that it says so from,
and which command mends it. Exit status 1 if something asks for action. Whether the books balance
is what `heapledger check` says.

Examples:
  heapledger doctor
  heapledger doctor --format json | jq -r '.[].remedy[]'")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    let findings = context.read()?.doctor()?;
    let mut output = context.output();
    let mut list = output.list();
    for finding in &findings {
        list.row(finding)?;
    }
    list.end()?;
    let action = findings.iter().any(|finding| finding.severity == Severity::Action);
    Ok(if action { Outcome::Findings } else { Outcome::Fine })
}

impl Row for Finding {
    const KEYS: &'static [&'static str] = &["code", "severity", "sentence", "figures", "remedy"];
    const HEAD: &'static [Head] = &[];

    fn cells(&self, _: Sizes) -> Vec<String> {
        // Nothing in a finding was written by anybody but this program.
        vec![self.to_string()]
    }
}
