//! `heapledger check`

use anyhow::Result;
use heapledger::{CheckOptions, Violation};

use super::context::Context;
use super::exit::Outcome;
use super::progress::Progress;
use super::render::Row;
use super::table::Head;
use super::text::{Sizes, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger check
  heapledger check --quick && echo 'the books balance'")]
pub struct Args {
    /// Only what SQL can prove; contents are not hashed
    #[arg(long)]
    quick: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let mut progress = Progress::new("checking");
    let options = CheckOptions { quick: args.quick };
    let violations = memory.check_with(options, &mut |done, total| progress.set(done, total))?;
    drop(progress);
    let mut output = context.output();
    if output.is_table() && violations.is_empty() {
        writeln!(output.text(), "the books balance")?;
        output.flush()?;
        return Ok(Outcome::Fine);
    }
    let mut list = output.list();
    for violation in &violations {
        list.row(violation)?;
    }
    list.end()?;
    Ok(if violations.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Findings
    })
}

impl Row for Violation {
    const KEYS: &'static [&'static str] = &["invariant", "table", "id", "expected", "found"];
    const HEAD: &'static [Head] = &[];

    fn cells(&self, _: Sizes) -> Vec<String> {
        vec![printable(&self.to_string()).into_owned()]
    }
}
