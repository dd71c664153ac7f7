//! Conflicts over names in an import.

use serde::Serialize;

use super::folder::Folder;
use super::manifest::Item;
use crate::error::{Error, Result, TransferError};
use crate::manager::names;
use crate::models::{MemRamId, StoredObject};
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// What an import does with a name that is bound to another object here, or is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// It is an error. The default.
    #[default]
    Refuse,
    /// Skips the name, which stays with its object here. An object with only such names in the
    /// export is skipped too.
    Skip,
    /// Moves the name to the imported object. The other one is freed if nothing else holds it. An
    /// invalid name is still an error.
    Replace,
    /// Appends `~` and the first digits of the imported object's id to the name, always the same
    /// ones.
    Rename,
}

/// A name that could not be bound as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Conflict {
    /// The name in the export.
    pub name: String,
    /// The imported object.
    pub object_id: ObjectId,
    /// The object that has the name here; none if the name is invalid.
    pub bound_to: Option<ObjectId>,
    /// What was done.
    pub action: OnConflict,
    /// The name that the imported object got instead.
    pub renamed: Option<String>,
    /// Whether the object that had the name was freed, because nothing else held it.
    pub freed: bool,
}

/// The decisions about the names of a line.
pub(in crate::manager) struct Settled {
    /// The names to bind.
    pub names: Vec<String>,
    pub conflicts: Vec<Conflict>,
}

/// Refuses an object with such a name, before anything is stored.
pub(in crate::manager) fn refuse(tx: &mut ReadTx<'_>, space: MemRamId, folder: &Folder, item: &Item) -> Result<()> {
    for name in &item.line.names {
        let bound = match names::validate(name) {
            Ok(()) => queries::names::resolve(tx, space, name)?,
            Err(_) => None,
        };
        if let Some(why) = trouble(item, name, bound.as_ref()) {
            return Err(bad(folder, item, name, why));
        }
    }
    Ok(())
}

/// Why a name cannot be bound as it is.
fn trouble(item: &Item, name: &str, bound: Option<&StoredObject>) -> Option<String> {
    if let Err(error) = names::validate(name) {
        return Some(error.to_string());
    }
    let other = bound.filter(|bound| bound.object_id != item.id)?;
    Some(format!("it is bound to object {} here", other.object_id))
}

/// Decides on the names of a line.
pub(in crate::manager) fn settle(
    tx: &mut WriteTx<'_>,
    folder: &Folder,
    item: &Item,
    on_conflict: OnConflict,
) -> Result<Settled> {
    let mut settled = Settled {
        names: Vec::new(),
        conflicts: Vec::new(),
    };
    for name in &item.line.names {
        let bound = match names::validate(name) {
            Ok(()) => tx.resolve(name)?,
            Err(_) => None,
        };
        let Some(why) = trouble(item, name, bound.as_ref()) else {
            settled.names.push(name.clone());
            continue;
        };
        let renamed = match on_conflict {
            OnConflict::Skip => None,
            OnConflict::Replace if bound.is_some() => {
                settled.names.push(name.clone());
                None
            }
            OnConflict::Refuse | OnConflict::Replace => return Err(bad(folder, item, name, why)),
            OnConflict::Rename => {
                let renamed = other_name(tx, item, name)?.ok_or_else(|| bad(folder, item, name, why))?;
                settled.names.push(renamed.clone());
                Some(renamed)
            }
        };
        settled.conflicts.push(Conflict {
            name: name.clone(),
            object_id: item.id,
            bound_to: bound.map(|bound| bound.object_id),
            action: on_conflict,
            renamed,
            freed: false,
        });
    }
    Ok(settled)
}

impl Conflict {
    /// Finds out, after the name was bound, whether that freed the object that had it.
    pub(in crate::manager) fn look_after(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        if let (OnConflict::Replace, Some(before)) = (self.action, &self.bound_to) {
            self.freed = tx.find(before)?.is_none();
        }
        Ok(())
    }
}

/// Numbers of digits to append to a name. More are used if the shorter name is taken.
const DIGITS: [usize; 3] = [12, 32, 64];

/// A name that is free, or that an earlier import has given to the same object.
fn other_name(tx: &mut WriteTx<'_>, item: &Item, name: &str) -> Result<Option<String>> {
    let id = item.id.to_hex();
    let name = name.replace('\0', "\u{fffd}");
    for digits in DIGITS {
        let end = format!("~{}", id.get(..digits).unwrap_or(&id));
        let start = name.floor_char_boundary(names::MOST_BYTES - end.len());
        let renamed = format!("{}{end}", name.get(..start).unwrap_or_default());
        if names::validate(&renamed).is_err() {
            continue;
        }
        let bound = tx.resolve(&renamed)?;
        if bound.is_none_or(|bound| bound.object_id == item.id) {
            return Ok(Some(renamed));
        }
    }
    Ok(None)
}

fn bad(folder: &Folder, item: &Item, name: &str, why: String) -> Error {
    TransferError::NameRefused {
        path: folder.path(&item.file),
        name: name.to_owned(),
        why,
    }
    .into()
}
