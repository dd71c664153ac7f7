//! `heapledger check`

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;

use anyhow::Result;
use heapledger::{CheckOptions, Correction, Error, Invariant, ObjectId, Violation};

use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::progress::{self, Progress};
use crate::cli::output::render::Row;
use crate::cli::output::text::{Sizes, counted, printable};

/// Damaged objects whose names are shown.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger check
  heapledger check --quick && echo 'the books balance'
  heapledger check --repair

It reports on standard error what it ignores: indexes that are not the heap's,
and the events of spaces whose history is off.

A repair recreates views, triggers and indexes that others dropped or altered,
which no other command does, recomputes what can be derived, in one
transaction, and lists what it did. It discards no bytes: content that does not
match its id gets the id that it has, and the name damaged/<old id>. Make a
backup first.")]
pub struct Args {
    /// Check only what SQL can prove; contents are not hashed
    #[arg(long)]
    quick: bool,

    /// Repair what can be repaired
    #[arg(long, conflicts_with = "quick")]
    repair: bool,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let done = if args.repair {
        repair(context)
    } else {
        check(args.quick, context)
    };
    done.map_err(|error| match error.downcast_ref() {
        Some(Error::Damaged { .. }) => unreadable(&error, context),
        _ => error,
    })
}

/// The error for damage that prevents a check or a repair: the usual advice would ask for just that again.
fn unreadable(error: &anyhow::Error, context: &Context<'_>) -> anyhow::Error {
    let what = error.downcast_ref().map_or_else(|| error.to_string(), Error::what);
    let save = context.command("get -r -o FOLDER");
    let restore = context.command("restore --force FILE");
    anyhow::anyhow!(
        "{what}; it cannot be checked or repaired as it is: `{save}` saves the named objects that can be read, and \
         `{restore}` brings a backup back"
    )
}

/// Violations are printed as they are found, without disturbing the progress line.
fn check(quick: bool, context: &Context<'_>) -> Result<Outcome> {
    let progress = RefCell::new(Progress::new("opening"));
    let memory = match context.read() {
        Ok(memory) => memory,
        Err(error) => {
            drop(progress);
            return check_schema(error, context);
        }
    };
    let mut output = context.output();
    let for_people = output.is_table();
    let (mut broken, mut damaged) = (BTreeSet::new(), Vec::new());
    let mut list = output.list();
    let mut written: io::Result<()> = Ok(());
    let found = memory.check_each(
        CheckOptions::default().quick(quick),
        &mut |phase, done, total| progress.borrow_mut().phase(phase, done, total),
        &mut |violation| {
            written = progress.borrow().suspend(|| list.row(&violation));
            broken.insert(violation.invariant);
            damaged.extend(content_of(&violation).filter(|_| damaged.len() < NAMED));
            if written.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    )?;
    written?;
    drop(progress);
    list.end()?;
    for note in memory.check_notes()? {
        exit::note(&format!("note: {note}"));
    }
    if found > 0 {
        if for_people {
            // In a damaged file, perhaps they cannot be read.
            let names = memory.names_of(&damaged).unwrap_or_default();
            let names: Vec<_> = names.into_values().flatten().collect();
            explain(&broken, &names, output.text())?;
            advise(output.text(), context)?;
            output.flush()?;
        }
        return Ok(Outcome::Findings);
    }
    if for_people {
        writeln!(output.text(), "the books balance")?;
        output.flush()?;
    }
    Ok(Outcome::Fine)
}

/// The object whose content a violation is about.
fn content_of(violation: &Violation) -> Option<ObjectId> {
    let id = violation.expected.strip_prefix("content of ")?;
    id.parse().ok().filter(|_| violation.invariant == Invariant::I8)
}

/// Lists what is wrong with a schema that prevents the heap from opening.
fn check_schema(refused: anyhow::Error, context: &Context<'_>) -> Result<Outcome> {
    let Some(Error::AlteredSchema { can_be_restored, .. }) = refused.downcast_ref() else {
        return Err(refused);
    };
    let found = context.options().check_schema(context.db())?;
    let mut output = context.output();
    output.rows(&found)?;
    if output.is_table() {
        explain(&[Invariant::Schema].into(), &[], output.text())?;
        if *can_be_restored {
            let repair = context.command("check --repair");
            writeln!(
                output.text(),
                "recreate what is missing or altered, and repair the rest, with `{repair}`"
            )?;
        }
        output.flush()?;
    }
    exit::note("note: rows and contents were not checked, because nothing is run from an altered schema");
    if !can_be_restored {
        return Err(refused);
    }
    Ok(Outcome::Findings)
}

/// Explains the broken invariants; `names` are some names of damaged objects.
fn explain(broken: &BTreeSet<Invariant>, names: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    for invariant in broken {
        write!(out, "{invariant}: {}", invariant.sentence())?;
        if *invariant == Invariant::I8 && !names.is_empty() {
            write!(out, ", but not that of {}", printable(&names.join(", ")))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Says what to do.
fn advise(out: &mut dyn Write, context: &Context<'_>) -> io::Result<()> {
    let repair = context.command("check --repair");
    let backup = match context.is_on_server() {
        true => "pg_dump --schema=SCHEMA".to_owned(),
        false => context.command("backup FILE"),
    };
    writeln!(
        out,
        "make a copy with `{backup}`, then repair what can be repaired, without losing a byte, with `{repair}`"
    )
}

fn repair(context: &Context<'_>) -> Result<Outcome> {
    let restored = context.restore_schema()?;
    let memory = context.change()?;
    let mut repaired = progress::phases("repairing", |phase| memory.repair_with(phase))?;
    repaired.corrections.splice(0..0, restored);
    let mut output = context.output();
    output.rows(&repaired.corrections)?;
    if output.is_table() {
        match repaired.corrections.len() as u64 {
            0 => writeln!(output.text(), "nothing to repair")?,
            count => writeln!(output.text(), "{}", counted(count, "correction"))?,
        }
        output.flush()?;
    }
    for violation in &repaired.left {
        exit::warn(&format!("cannot be repaired: {}", printable(&violation.to_string())));
    }
    Ok(Outcome::findings_if(!repaired.left.is_empty()))
}

const KEYS: &str = "invariant,table,id,expected,found";

impl Row for Violation {
    const KEYS: &'static str = KEYS;

    fn cells(&self, _: Sizes) -> Vec<String> {
        vec![printable(&self.to_string()).into_owned()]
    }
}

impl Row for Correction {
    const KEYS: &'static str = KEYS;

    fn cells(&self, _: Sizes) -> Vec<String> {
        vec![printable(&self.to_string()).into_owned()]
    }
}
