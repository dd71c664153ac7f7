//! Repairs the books: recomputes what can be derived, without losing a byte.

mod aside;
mod contents;
mod history;

use std::fmt;
use std::ops::ControlFlow;

use serde::Serialize;

use super::report::check;
use super::{MemManager, Phase};
use crate::books::fix::Fix;
use crate::books::invariants::Invariant;
use crate::books::rules::{Rule, Stage};
use crate::error::{Error, Result};
use crate::models::{MemRamId, StoredObjectId};
use crate::store::queries::audit::Violation;
use crate::store::queries::{self};
use crate::store::{Broken, Group, Lifted, Suspects, WriteTx};

/// The result of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repaired {
    /// The corrections, in order. Empty if nothing was wrong.
    pub corrections: Vec<Correction>,
    /// Violations that remain because the right value is unknown; at most 1,000.
    pub left: Vec<Violation>,
}

/// One correction: `expected` is the new state, `found` the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Correction {
    /// The invariant that was broken.
    pub invariant: Invariant,
    /// The table of the row.
    pub table: String,
    /// The row's key, if it has one.
    pub id: Option<i64>,
    /// The new state.
    pub expected: String,
    /// The old state, and what became of it.
    pub found: String,
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.invariant, self.table)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

/// Remaining violations listed at most.
const MOST_LEFT: usize = 1000;

impl MemManager {
    /// Restores, in one transaction, whatever can be derived, in all spaces of the file:
    /// totals and counters from the rows below them, parents from their children, sizes
    /// and positions from the bytes, indexes from their tables. A second repair finds
    /// nothing to do.
    ///
    /// No byte is discarded:
    /// - an object whose content does not match its id is set aside: it becomes an object of kind
    ///   `bytes` under the id of its actual content, named `damaged/<old id>`; its names become
    ///   `damaged/<old id>/<name>`, so that none leads to wrong content. If an object with that
    ///   content already exists, the names lead to it;
    /// - pieces without an object become an object named `damaged/object-<key>`;
    /// - an object with a misplaced piece (its block is missing or overfull) is placed again. If
    ///   it does not fit, the space is enlarged by the missing bytes;
    /// - an object without holds gets an anonymous one.
    ///
    /// A name without an object is removed, and in one that is not UTF-8 the invalid bytes are
    /// replaced. Every content is hashed: O(file); memory for what is wrong. Writers wait in the
    /// meantime. Readers do not, except on a server, from the first correction on: the CHECKs of the
    /// tables are dropped until the end, because rows may be partly wrong between two corrections. So
    /// only a role that owns the tables can correct anything there.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Busy`] if another process writes;
    /// [`Error::Damaged`] if pages of the file are damaged, against which only a backup
    /// helps; what [any write](MemManager#errors) fails with.
    /// Nothing has changed then.
    pub fn repair(&self) -> Result<Repaired> {
        self.repair_with(&mut |_, _, _| {})
    }

    /// Like [`Self::repair`]; `progress` gets the [`Phase`], the bytes of content hashed, and the
    /// total. It may read the heap; a write from it fails with [`Error::Reentered`].
    ///
    /// # Errors
    /// Like [`Self::repair`].
    pub fn repair_with(&self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Repaired> {
        let inner = &self.inner;
        let (writer, deadline) = self.group()?;
        // Constraints are disabled on its connection only.
        let repairer = Group::for_repair(&inner.location, inner.space, &inner.geometry)?;
        writer.pause(deadline, || {
            repairer.write_apart(deadline, |tx| Repair::new(tx).run(progress))
        })
    }
}

/// A running repair.
struct Repair<'r, 'w> {
    tx: &'r mut WriteTx<'w>,
    corrections: Vec<Correction>,
    /// Whether some entries do not have the keys that follow their object's.
    astray: bool,
    /// The rules that rows may break, and how many changes had been made when that was found out.
    suspects: Option<(u64, Suspects)>,
    /// The constraints, once they are lifted for the corrections. Then there is also a temporary index of
    /// entries by object.
    lifted: Option<Lifted>,
}

impl<'r, 'w> Repair<'r, 'w> {
    fn new(tx: &'r mut WriteTx<'w>) -> Self {
        let corrections = Vec::new();
        Self {
            tx,
            corrections,
            astray: false,
            suspects: None,
            lifted: None,
        }
    }

    fn run(mut self, progress: &mut dyn FnMut(Phase, u64, u64)) -> Result<Repaired> {
        progress(Phase::CheckingRows, 0, 0);
        self.indexes()?;
        self.garbled_names()?;
        self.follow(Stage::Levels)?;
        self.give_ids()?;
        self.follow(Stage::Pieces)?;
        self.astray = self.tx.has_stray_entries()?;
        if self.astray {
            self.prepare()?;
        }
        self.follow(Stage::Objects)?;
        self.contents(progress)?;
        progress(Phase::Repairing, 0, 0);
        self.give_keys()?;
        self.follow(Stage::Starts)?;
        let displaced = self.take_out()?;
        self.follow(Stage::Totals)?;
        self.place_again(displaced)?;
        self.follow(Stage::Holds)?;
        self.history()?;
        if self.lifted.is_some() {
            self.tx.fix(Fix::EntriesByObject(false))?;
        }
        let left = self.left()?;
        Ok(Repaired {
            corrections: self.corrections,
            left,
        })
    }

    /// Rebuilds SQLite's indexes, which follow from the tables.
    fn indexes(&mut self) -> Result<()> {
        let mut messages = Vec::new();
        let _ = self.tx.read(|tx| {
            tx.engine_checks(false, &mut |violation| {
                messages.push(violation);
                ControlFlow::Continue(())
            })
        })?;
        messages.retain(|violation| violation.invariant == Invariant::IntegrityCheck);
        let (indexes, other): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.found.contains("index"));
        if let Some(message) = other.first().filter(|message| is_page(&message.found)) {
            return Err(Error::Damaged {
                what: format!(
                    "pages of the file ({}); restore a backup, or make one now and check it: it leaves out what is not needed",
                    message.found.lines().next().unwrap_or_default()
                ),
            });
        }
        if indexes.is_empty() {
            return Ok(());
        }
        self.tx.fix(Fix::Indexes)?;
        self.corrections.extend(indexes.into_iter().map(Correction::from));
        Ok(())
    }

    /// Corrects the violations of a stage's rules, rule by rule.
    fn follow(&mut self, stage: Stage) -> Result<()> {
        for rule in Rule::of(stage) {
            for broken in self.broken(rule)? {
                let (id, key) = (broken.id, broken.key.as_deref());
                self.tx.fix(Fix::Row { rule, id, key })?;
                self.note(rule, broken);
            }
        }
        Ok(())
    }

    /// The violations of a stage's rules, for corrections in several steps.
    fn broken_in(&mut self, stage: Stage) -> Result<Vec<(&'static Rule, Broken)>> {
        let mut all = Vec::new();
        for rule in Rule::of(stage) {
            all.extend(self.broken(rule)?.into_iter().map(|broken| (rule, broken)));
        }
        Ok(all)
    }

    /// The current violations of a rule.
    fn broken(&mut self, rule: &Rule) -> Result<Vec<Broken>> {
        if !self.may_be_broken(rule)? {
            return Ok(Vec::new());
        }
        let broken = self.tx.broken(rule)?;
        if !broken.is_empty() {
            self.prepare()?;
        }
        Ok(broken)
    }

    /// Whether rows may break a rule now. A change may make a rule hold, or reveal that it does not, so
    /// after a change the rules are checked again.
    fn may_be_broken(&mut self, rule: &Rule) -> Result<bool> {
        let changes = self.tx.changes();
        let suspects = match self.suspects.take() {
            Some((asked, suspects)) if asked == changes => suspects,
            _ => self.tx.suspects()?,
        };
        let included = suspects.include(rule);
        self.suspects = Some((changes, suspects));
        Ok(included)
    }

    /// Runs before the first correction. No id of any space may be reused, and from here on entries
    /// are found by their object, whatever their keys are.
    fn prepare(&mut self) -> Result<()> {
        if self.lifted.is_none() {
            self.lifted = Some(self.tx.lift_constraints()?);
            self.tx.fix(Fix::LastIds)?;
            self.tx.fix(Fix::EntriesByObject(true))?;
        }
        Ok(())
    }

    /// Gives rows with an id of another space a new id.
    fn give_ids(&mut self) -> Result<()> {
        for (rule, broken) in self.broken_in(Stage::Numbers)? {
            let space = broken.key.as_deref().and_then(|space| space.parse().ok());
            self.enter(MemRamId(space.unwrap_or_default()))?;
            let id = match rule.table {
                "arenas" => self.tx.next_arena_id()?.0,
                "pools" => self.tx.next_pool_id()?.0,
                "blocks" => self.tx.next_block_id()?.0,
                _ => self.tx.next_event_id()?.0,
            };
            let (row, key) = (broken.id, id.to_string());
            self.tx.fix(Fix::Row {
                rule,
                id: row,
                key: Some(&key),
            })?;
            self.note(rule, broken);
        }
        Ok(())
    }

    /// Gives each object a key of its space, and its entries the keys that follow it.
    fn give_keys(&mut self) -> Result<()> {
        for (rule, broken) in self.broken_in(Stage::Keys)? {
            let object = StoredObjectId(broken.id);
            let entries = broken.key.as_deref().and_then(|count| count.parse().ok());
            let key = self.key_for(object, entries.unwrap_or_default())?;
            self.tx.fix(Fix::ObjectKey { object, key })?;
            self.note(rule, broken);
        }
        Ok(())
    }

    /// A new key for an object with `entries` entries. An object that was created for lost pieces
    /// has the key that they named, which no other object may get.
    fn key_for(&mut self, object: StoredObjectId, entries: usize) -> Result<StoredObjectId> {
        let space = self.tx.read_written(|conn| queries::objects::space(conn, object))?;
        if let Some(space) = space.filter(|&space| space != self.tx.space()) {
            self.enter(space)?;
        }
        loop {
            let key = self.tx.next_object_id(entries)?;
            let taken = self.tx.read_written(|tx| queries::objects::size(tx, key))?;
            if taken.is_none() || key == object {
                return Ok(key);
            }
        }
    }

    fn note(&mut self, rule: &Rule, broken: Broken) {
        let found = match rule.outcome {
            Some(outcome) => format!("{}; {outcome}", broken.found),
            None => broken.found,
        };
        self.corrections.push(Correction {
            invariant: rule.invariant,
            table: rule.table.to_owned(),
            id: Some(broken.id),
            expected: broken.expected,
            found,
        });
    }

    /// The remaining violations, with all constraints enabled again.
    fn left(&mut self) -> Result<Vec<Violation>> {
        let mut left = Vec::new();
        self.tx.enforce_constraints(self.lifted.as_ref())?;
        let _ = self.tx.read(|tx| {
            check::check_rows(tx, false, &mut |violation| {
                left.push(violation);
                if left.len() < MOST_LEFT {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
        })?;
        Ok(left)
    }
}

/// Whether SQLite's message is about a damaged page and not about a value in a row.
fn is_page(message: &str) -> bool {
    !(message.starts_with("CHECK constraint") || message.contains(" value in ") || message.contains("NULL"))
}

impl From<Violation> for Correction {
    fn from(violation: Violation) -> Self {
        Self {
            invariant: violation.invariant,
            table: violation.table,
            id: violation.id,
            expected: violation.expected,
            found: violation.found,
        }
    }
}
