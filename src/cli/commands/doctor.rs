//! `heapledger doctor`

use std::collections::BTreeMap;

use anyhow::Result;
use heapledger::{Figure, Finding, Remedy, Severity};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::progress;
use crate::cli::output::render::Row;
use crate::cli::output::text::{Sizes, printable};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Explains why the space is full, fragmented or large on disk, with the figures behind it, and
which command helps. Exit status 1 if something needs action. Whether the books balance
is what `heapledger check` says.

Examples:
  heapledger doctor
  heapledger doctor --format json | jq -r '.[].remedy[]'")]
pub struct Args {}

pub fn run(_: &Args, context: &Context<'_>) -> Result<Outcome> {
    // Not a snapshot, which would be one of the readers of the log that it finds.
    let memory = context.follow()?;
    let findings = progress::during("examining", || memory.doctor())?;
    let advice = |finding| Advice::new(finding, context);
    context.list(findings.iter().map(advice))?;
    let action = findings.iter().any(|finding| finding.severity == Severity::Action);
    Ok(Outcome::findings_if(action))
}

/// What helps against a finding, as shell commands.
pub fn commands(finding: &Finding, context: &Context<'_>) -> Vec<String> {
    finding
        .remedy
        .iter()
        .filter_map(|remedy| command(remedy, context))
        .collect()
}

/// The remedy as a shell command.
fn command(remedy: &Remedy, context: &Context<'_>) -> Option<String> {
    Some(match remedy {
        Remedy::PlanFree(id) => context.command(&format!("free --dry-run {id}")),
        Remedy::Resize(bytes) => context.command(&format!("resize {bytes}")),
        Remedy::SetMaxFile(bytes) => context.command(&format!("resize --max-file {bytes}")),
        Remedy::LimitHistory(bytes) => context.command(&format!("history keep {bytes}")),
        Remedy::Reservations => context.command("ls --reservations"),
        Remedy::Quotas => context.command("quota"),
        Remedy::CollectGarbage => context.command("gc"),
        Remedy::Sparse => context.command("sparse"),
        Remedy::Compact => context.command("compact"),
        Remedy::SpaceReport => context.command("space"),
        _ => return None,
    })
}

/// A finding with its remedies as commands.
#[derive(Serialize)]
struct Advice<'a> {
    code: &'static str,
    severity: Severity,
    sentence: &'a str,
    figures: &'a BTreeMap<&'static str, Figure>,
    remedy: Vec<String>,
    #[serde(skip)]
    finding: &'a Finding,
}

impl<'a> Advice<'a> {
    fn new(finding: &'a Finding, context: &Context<'_>) -> Self {
        Self {
            code: finding.code,
            severity: finding.severity,
            sentence: &finding.sentence,
            figures: &finding.figures,
            remedy: commands(finding, context),
            finding,
        }
    }
}

impl Row for Advice<'_> {
    const KEYS: &'static str = "code,severity,sentence,figures,remedy";

    fn cells(&self, _: Sizes) -> Vec<String> {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.finding.write(&mut text, "run:     ", self.remedy.iter().cloned());
        // Only path and space may contain unsafe characters.
        vec![text.lines().map(printable).collect::<Vec<_>>().join("\n")]
    }
}
