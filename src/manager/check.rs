//! Proving the books.

use super::{MemManager, unsigned};
use crate::error::Result;
use crate::models::{MemRamId, StoredObject, StoredObjectId};
use crate::store::queries::audit::{Bucket, Violation};
use crate::store::{Conn, queries, sqlite_checks};
use crate::value::{Hasher, Kind};

/// What [`MemManager::check_with`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Only what SQL can prove: contents are not hashed, and SQLite's own
    /// `integrity_check` is left out.
    pub quick: bool,
}

/// Objects that are read at once.
const PAGE: i64 = 500;

impl MemManager {
    /// Every broken invariant of the file: the view `violations`, every content hashed
    /// against its id (I8), SQLite's `integrity_check` and `foreign_key_check`. Empty
    /// when the books balance. One state of the heap is checked; writers go on
    /// meanwhile. O(file), in constant memory.
    pub fn check(&self) -> Result<Vec<Violation>> {
        self.check_with(CheckOptions::default(), &mut |_, _| {})
    }

    /// Like [`Self::check`]; `progress` gets the bytes of content hashed and to be
    /// hashed, of all spaces.
    pub fn check_with(&self, options: CheckOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<Violation>> {
        self.inner.readers.snapshot(|conn| {
            let mut found = sqlite_checks(conn, options.quick)?;
            found.extend(queries::audit::violations(conn)?);
            if !options.quick {
                check_contents(conn, progress, &mut found)?;
            }
            Ok(found)
        })
    }

    /// Where every byte of capacity is, summed from the rows: the buckets add up to
    /// `max_mem`. O(rows).
    pub fn trial_balance(&self) -> Result<Vec<Bucket>> {
        self.inner
            .readers
            .single(|conn| queries::audit::trial_balance(conn, self.space()))
    }
}

/// I8: the content hashes to `object_id`.
fn check_contents(conn: &mut Conn, progress: &mut dyn FnMut(u64, u64), found: &mut Vec<Violation>) -> Result<()> {
    let spaces = queries::spaces::all(conn)?;
    let total = spaces.iter().map(|space| unsigned(space.mem)).sum();
    let mut done = 0;
    for space in spaces {
        let mut after = StoredObjectId(i64::MIN);
        while let Some(objects) = next_page(conn, space.id, after)? {
            for object in objects {
                after = object.id;
                found.extend(check_content(conn, &object)?);
                done += unsigned(object.size);
                progress(done, total);
            }
        }
    }
    Ok(())
}

fn next_page(conn: &mut Conn, space: MemRamId, after: StoredObjectId) -> Result<Option<Vec<StoredObject>>> {
    let page = queries::objects::page(conn, space, after, PAGE)?;
    Ok((!page.is_empty()).then_some(page))
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
    let mut hasher = Hasher::new(kind);
    queries::entries::each_piece(conn, object.id, |data| {
        hasher.update(&data);
        Ok(())
    })?;
    let id = hasher.finish().to_hex();
    Ok((id != object.object_id).then(|| violation(format!("content of {id}"))))
}
