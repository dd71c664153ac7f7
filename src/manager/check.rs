//! Proving the books.

use std::ops::ControlFlow;

use super::{MemManager, Phase, unsigned};
use crate::error::Result;
use crate::models::{StoredObject, StoredObjectId};
use crate::store::queries::audit::{Bucket, Found, Violation};
use crate::store::queries::names::Garbled;
use crate::store::{Conn, queries, sqlite_checks};
use crate::value::{Hasher, Kind, Validator};

/// What [`MemManager::check_with`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Only what the rows prove: contents are not hashed, and SQLite's own
    /// `integrity_check` is left out.
    pub quick: bool,
}

/// Objects that are read at once.
const PAGE: i64 = 500;

impl MemManager {
    /// Every broken invariant of the file: the view `violations`, every content hashed
    /// against its id and looked at for being of its kind (I8), names that are not UTF-8, SQLite's `integrity_check` and
    /// `foreign_key_check`. Empty when the books balance. One state of the heap is
    /// checked; writers go on meanwhile. O(file).
    pub fn check(&self) -> Result<Vec<Violation>> {
        self.check_with(CheckOptions::default(), &mut |_, _, _| {})
    }

    /// Like [`Self::check`]; `progress` gets the [`Phase`], and the bytes of
    /// content hashed and to be hashed, of all spaces.
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

    /// Like [`Self::check_with`], in constant memory: each violation goes to `found` when
    /// it is found, and `Break` ends the check. Returns how many were found.
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
            .snapshot(|conn| check(conn, options, progress, &mut counted))?;
        Ok(count)
    }

    /// Where every byte of capacity is, summed from the rows: the buckets add up to
    /// `max_mem`. O(rows).
    pub fn trial_balance(&self) -> Result<Vec<Bucket>> {
        self.inner
            .readers
            .single(|conn| queries::audit::trial_balance(conn, self.space()))
    }
}

pub(super) fn check(
    conn: &mut Conn,
    options: CheckOptions,
    progress: &mut dyn FnMut(Phase, u64, u64),
    found: Found<'_>,
) -> Result<ControlFlow<()>> {
    progress(Phase::CheckingRows, 0, 0);
    let rows = check_rows(conn, options.quick, found)?;
    if rows.is_break() || options.quick {
        return Ok(rows);
    }
    check_contents(conn, progress, found)
}

/// What the rows prove without the contents.
pub(super) fn check_rows(conn: &mut Conn, quick: bool, found: Found<'_>) -> Result<ControlFlow<()>> {
    if sqlite_checks(conn, quick, found)?.is_break()
        || queries::names::each_garbled(conn, |name| found(garbled(&name)))?.is_break()
    {
        return Ok(ControlFlow::Break(()));
    }
    queries::audit::violations(conn, found)
}

/// What is wrong with such a name.
pub(super) fn garbled(name: &Garbled) -> Violation {
    Violation {
        invariant: "schema".into(),
        table: "names".into(),
        id: Some(name.object.0),
        expected: "a name in UTF-8".into(),
        found: format!("\"{}\"", name.name.escape_ascii()),
    }
}

/// I8: the content hashes to `object_id`, and is what its kind says.
fn check_contents(
    conn: &mut Conn,
    progress: &mut dyn FnMut(Phase, u64, u64),
    found: Found<'_>,
) -> Result<ControlFlow<()>> {
    let mut broken = ControlFlow::Continue(());
    let hashing = &mut |done, total| progress(Phase::Hashing, done, total);
    each_object(conn, hashing, |conn, object| {
        if let Some(violation) = check_content(conn, object)? {
            broken = found(violation);
        }
        Ok(broken)
    })?;
    Ok(broken)
}

/// Hands every object of the file to `visit`, in the order of their keys. `progress` gets
/// the bytes of content visited, and of all.
pub(super) fn each_object(
    conn: &mut Conn,
    progress: &mut dyn FnMut(u64, u64),
    mut visit: impl FnMut(&mut Conn, &StoredObject) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let total = queries::spaces::all(conn)?
        .iter()
        .map(|space| unsigned(space.mem))
        .sum();
    let (mut done, mut after) = (0, StoredObjectId(i64::MIN));
    loop {
        let page = queries::objects::page_of_file(conn, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for object in page {
            if visit(conn, &object)?.is_break() {
                return Ok(());
            }
            done += unsigned(object.size);
            progress(done, total);
        }
    }
}

fn check_content(conn: &mut Conn, object: &StoredObject) -> Result<Option<Violation>> {
    let violation = |found| Violation {
        invariant: "I8".into(),
        table: "stored_objects".into(),
        id: Some(object.id.0),
        expected: format!("content of {}", object.object_id),
        found,
    };
    let Some(kind) = Kind::from_name(&object.kind) else {
        return Ok(Some(violation(format!("kind {:?}", object.kind))));
    };
    let (mut hasher, mut validator) = (Hasher::new(kind), Validator::new(kind));
    queries::entries::each_piece(conn, object.id, |data| {
        hasher.update(&data);
        validator.update(&data);
        Ok(())
    })?;
    let id = hasher.finish().to_hex();
    if id != object.object_id {
        return Ok(Some(violation(format!("content of {id}"))));
    }
    Ok(validator.finish().err().map(violation))
}
