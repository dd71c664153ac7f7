//! Names of an export that cannot be bound as they are.

use serde::Serialize;

use super::folder::Folder;
use super::manifest::Item;
use crate::error::{Error, Result};
use crate::manager::names;
use crate::models::{MemRamId, StoredObject};
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// What an import does with a name that is bound to another object here, or cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// It is an error. The default.
    #[default]
    Refuse,
    /// It is left out: the name stays with the object that it has here. An object that
    /// only such names hold in the export is left out too.
    Skip,
    /// It moves to the imported object. The other one is freed when nothing else holds it.
    /// What cannot be a name is still an error.
    Replace,
    /// The imported object gets it with `~` and the first digits of its id behind it: the
    /// same ones each time.
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
    /// The object that has the name here; none if it cannot be a name.
    pub bound_to: Option<ObjectId>,
    /// What was done.
    pub action: OnConflict,
    /// The name that the imported object has got in its place.
    pub renamed: Option<String>,
    /// Whether the object that had the name is gone, because nothing else held it.
    pub freed: bool,
}

/// What is done with the names of a line.
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
    /// Looks what has become of the object that had the name, once it was bound.
    pub(in crate::manager) fn look_after(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        if let (OnConflict::Replace, Some(before)) = (self.action, &self.bound_to) {
            self.freed = tx.find(before)?.is_none();
        }
        Ok(())
    }
}

/// Digits of the id behind a name. More are taken where fewer are taken.
const DIGITS: [usize; 3] = [12, 32, 64];

/// A name that is free, or that an import before this one has given.
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
    Error::NameRefused {
        path: folder.path(&item.file),
        name: name.to_owned(),
        why,
    }
}
