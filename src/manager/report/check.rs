//! Checking the books.

use std::fmt;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::books::events::Changes;
use crate::books::invariants::Invariant;
use crate::error::Result;
use crate::manager::{Inner, MemManager, Phase};
use crate::models::{HistoryMode, MemRam, StoredObject, StoredObjectId, Timestamp};
use crate::store::queries::audit::{Bucket, Claim, Found, Violation};
use crate::store::queries::names::Garbled;
use crate::store::{Fault, ReadTx, queries};
use crate::value::{Hasher, Kind, Validator};

/// Options of [`MemManager::check_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Checks only what the rows prove: skips hashing contents and SQLite's `integrity_check`.
    pub quick: bool,
}

/// Something that a check does not count as a violation, but that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "note", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckNote {
    /// An index that is not part of heapledger's schema, on one of its tables: it takes room, and
    /// slows down every write.
    ExtraIndex {
        /// Its name.
        index: String,
        /// The table that it is on.
        table: String,
    },
    /// A space without a history: I11, what events say about its balance and names, is not checked.
    HistoryOff {
        /// Its name.
        space: String,
    },
    /// A space whose drop was interrupted, or is under way.
    BeingDropped {
        /// Its name.
        space: String,
        /// Since when.
        at: Timestamp,
    },
}

impl CheckOptions {
    /// Whether to skip hashing contents and SQLite's `integrity_check`.
    #[must_use]
    pub fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }
}

impl CheckNote {
    fn of_space(space: MemRam) -> Option<Self> {
        let MemRam {
            name,
            history,
            dropped_at,
            ..
        } = space;
        match (dropped_at, history) {
            (Some(at), _) => Some(Self::BeingDropped { space: name, at }),
            (None, HistoryMode::Off) => Some(Self::HistoryOff { space: name }),
            (None, _) => None,
        }
    }

    fn extra_index(fault: &Fault) -> Self {
        Self::ExtraIndex {
            index: fault.name().to_owned(),
            table: fault.table().to_owned(),
        }
    }
}

impl fmt::Display for CheckNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExtraIndex { index, table } => write!(
                f,
                "the index {index:?} on the table {table:?} is not the heap's: it takes room, and time with every write"
            ),
            Self::HistoryOff { space } => write!(
                f,
                "the history of space {space:?} is off: what events say about its balance and its names (I11) is not checked"
            ),
            Self::BeingDropped { space, at } => {
                write!(f, "the drop of space {space:?} began at {at:.0} and is not complete")
            }
        }
    }
}

/// Objects read in one query.
const PAGE: i64 = 500;

impl MemManager {
    /// All violations in the file: those of the view `violations`, contents that do not match their
    /// id or are invalid for their kind (I8), names that are not UTF-8, missing indexes, and the
    /// results of SQLite's `integrity_check` and `foreign_key_check`, or on a server rows that break a
    /// rule of their table. Empty if the books balance.
    /// Checks one state of the heap, while writers continue. O(file).
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] if the file cannot even be searched; any other violation is not an
    /// error but an element of the result. What [any call](MemManager#errors) fails with.
    pub fn check(&self) -> Result<Vec<Violation>> {
        self.check_with(CheckOptions::default(), &mut |_, _, _| {})
    }

    /// Like [`Self::check`]; `progress` gets the [`Phase`], the bytes of content hashed, and the
    /// total of all spaces.
    ///
    /// # Errors
    /// Like [`Self::check`].
    pub fn check_with(
        &self,
        options: CheckOptions,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Vec<Violation>> {
        let mut violations = Vec::new();
        self.check_each(options, progress, &mut |violation| {
            violations.push(violation);
            ControlFlow::Continue(())
        })?;
        Ok(violations)
    }

    /// Like [`Self::check_with`], in constant memory: passes each violation to `found`, which may
    /// end the check with `Break`. Returns the number of violations found.
    ///
    /// # Errors
    /// Like [`Self::check`]. A `Break` is not an error.
    pub fn check_each(
        &self,
        options: CheckOptions,
        progress: &mut dyn FnMut(Phase, u64, u64),
        found: &mut dyn FnMut(Violation) -> ControlFlow<()>,
    ) -> Result<u64> {
        let mut count = 0;
        let mut counted = |violation| {
            count += 1;
            found(violation)
        };
        let _ = self
            .inner
            .readers
            .snapshot_once(|tx| check(tx, options, progress, &mut counted))?;
        Ok(count)
    }

    /// Notes about things that a check does not count as violations. O(spaces).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn check_notes(&self) -> Result<Vec<CheckNote>> {
        self.inner.readers.snapshot(|tx| {
            let extra = tx.schema_faults()?.into_iter().filter(Fault::is_extra_index);
            let mut notes: Vec<_> = extra.map(|fault| CheckNote::extra_index(&fault)).collect();
            let spaces = queries::spaces::all(tx)?.into_iter();
            notes.extend(spaces.filter_map(CheckNote::of_space));
            Ok(notes)
        })
    }

    /// The bucket of every byte of capacity, summed from the rows: they add up to `max_mem`.
    /// O(rows).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn trial_balance(&self) -> Result<Vec<Bucket>> {
        let Inner { space, readers, .. } = &*self.inner;
        readers.snapshot(|tx| queries::audit::trial_balance(tx, *space))
    }

    /// The second part of the balance: what each byte of capacity belongs to, summed from the rows. They
    /// add up to `max_mem` as well. O(objects); [`Self::stats`] has the same from counters.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn claims(&self) -> Result<Vec<Claim>> {
        let Inner { space, readers, .. } = &*self.inner;
        readers.snapshot(|tx| queries::audit::claims(tx, *space))
    }
}

pub(in crate::manager) fn check(
    tx: &mut ReadTx<'_>,
    options: CheckOptions,
    progress: &mut dyn FnMut(Phase, u64, u64),
    found: Found<'_>,
) -> Result<ControlFlow<()>> {
    progress(Phase::CheckingRows, 0, 0);
    let rows = check_rows(tx, options.quick, found)?;
    if rows.is_break() || options.quick {
        return Ok(rows);
    }
    check_contents(tx, progress, found)
}

/// Checks what the rows prove without the contents.
pub(in crate::manager) fn check_rows(tx: &mut ReadTx<'_>, quick: bool, found: Found<'_>) -> Result<ControlFlow<()>> {
    let faults = tx.schema_faults()?;
    for violation in Fault::violations(&faults) {
        if found(violation).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    // Do not run a view that was altered since the heap was opened.
    if !faults.iter().all(Fault::is_harmless) {
        return Ok(ControlFlow::Continue(()));
    }
    if tx.engine_checks(quick, found)?.is_break()
        || queries::names::each_garbled(tx, |name| found(garbled(&name)))?.is_break()
    {
        return Ok(ControlFlow::Break(()));
    }
    if !quick && check_texts(tx, found)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    queries::audit::violations(tx, found)
}

/// Finds text that is not UTF-8 in all tables except `names`, and events with unreadable
/// `changes`, before which no layout can be reconstructed.
fn check_texts(tx: &mut ReadTx<'_>, found: Found<'_>) -> Result<ControlFlow<()>> {
    let garbled = tx.each_garbled_row(|row| {
        found(Violation {
            invariant: Invariant::Schema,
            table: row.table.into(),
            id: row.id,
            expected: "texts in UTF-8".into(),
            found: format!("\"{}\"", shortened(&row.texts).escape_ascii()),
        })
    })?;
    if garbled.is_break() {
        return Ok(garbled);
    }
    tx.each_event_changes(|event, changes| match Changes::read(changes) {
        Ok(_) => ControlFlow::Continue(()),
        Err(why) => found(Violation {
            invariant: Invariant::I11,
            table: "events".into(),
            id: Some(event.0),
            expected: "what it did to blocks and levels".into(),
            found: format!("\"{}\" ({why})", shortened(changes.as_bytes()).escape_ascii()),
        }),
    })
}

/// The start of a text that may be very long.
fn shortened(text: &[u8]) -> &[u8] {
    text.get(..200).unwrap_or(text)
}

/// The violation of a name that is not UTF-8.
pub(in crate::manager) fn garbled(name: &Garbled) -> Violation {
    Violation {
        invariant: Invariant::Schema,
        table: "names".into(),
        id: Some(name.object.0),
        expected: "a name in UTF-8".into(),
        found: format!("\"{}\"", name.name.escape_ascii()),
    }
}

/// I8: the content hashes to `object_id`, and is valid for its kind.
fn check_contents(
    tx: &mut ReadTx<'_>,
    progress: &mut dyn FnMut(Phase, u64, u64),
    found: Found<'_>,
) -> Result<ControlFlow<()>> {
    let mut broken = ControlFlow::Continue(());
    let hashing = &mut |done, total| progress(Phase::Hashing, done, total);
    each_object(tx, hashing, |tx, object| {
        if let Some(violation) = check_content(tx, object)? {
            broken = found(violation);
        }
        Ok(broken)
    })?;
    Ok(broken)
}

/// Passes every object of the file to `visit`, in the order of keys. `progress` gets the bytes of
/// content visited, and the total.
pub(in crate::manager) fn each_object(
    tx: &mut ReadTx<'_>,
    progress: &mut dyn FnMut(u64, u64),
    mut visit: impl FnMut(&mut ReadTx<'_>, &StoredObject) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let stored: u64 = queries::spaces::all(tx)?.iter().map(|space| space.mem).sum();
    let total = stored.saturating_sub(queries::reservations::written(tx)?);
    let (mut done, mut after) = (0, StoredObjectId(i64::MIN));
    loop {
        let page = queries::objects::page_of_file(tx, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for object in page {
            if visit(tx, &object)?.is_break() {
                return Ok(());
            }
            done += object.size;
            progress(done, total);
        }
    }
}

fn check_content(tx: &mut ReadTx<'_>, object: &StoredObject) -> Result<Option<Violation>> {
    let mut hasher = Hasher::new(object.kind);
    let mut validator = Validator::new(object.kind);
    queries::entries::each_piece(tx, object.id, |data| {
        hasher.update(&data);
        validator.update(&data);
        Ok(())
    })?;
    let (id, valid) = (hasher.finish(), validator.finish());
    if id == object.object_id && valid.is_ok() {
        return Ok(None);
    }
    let (spelled, kind) = queries::objects::spelled(tx, object.id)?;
    let found = match valid {
        _ if object.kind == Kind::Unknown => format!("kind {kind:?}"),
        Err(why) if id == object.object_id => why,
        _ => format!("content of {id}"),
    };
    Ok(Some(Violation {
        invariant: Invariant::I8,
        table: "stored_objects".into(),
        id: Some(object.id.0),
        expected: format!("content of {spelled}"),
        found,
    }))
}
