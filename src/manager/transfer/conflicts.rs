//! The names and the hold of an object that comes from elsewhere, and conflicts over its names.

use std::borrow::Cow;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::manager::names::{self, Kept};
use crate::manager::objects::{admit, expire, free, sweep, tags};
use crate::manager::{Expiry, Hold, HoldWith};
use crate::models::{Ends, MemRamId, StoredObject, Timestamp, is_over};
use crate::store::queries::names::{KeptName, MOST_BYTES};
use crate::store::queries::tags::Tags;
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// What an import or a copy does with a name that is bound to another object here, or is invalid.
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

/// An object that comes from elsewhere, with what holds it there.
pub(in crate::manager) struct Incoming<'a> {
    pub id: ObjectId,
    pub names: Cow<'a, [KeptName]>,
    /// Its anonymous hold, if it is to have one.
    pub hold: Option<Ends>,
    /// The tags of that hold.
    pub hold_tags: &'a Tags,
    /// The error for a name that cannot be bound, and why.
    pub bad: &'a dyn Fn(&str, String) -> Error,
}

/// Finds the object that a name is bound to here.
type Resolve<'r> = &'r mut dyn FnMut(&str) -> Result<Option<StoredObject>>;

impl Incoming<'_> {
    /// Leaves out what has expired at a time. Returns whether anything still holds the object then, or
    /// nothing ever did.
    pub fn without_ended(&mut self, at: Timestamp) -> bool {
        let was_held = self.hold.is_some() || !self.names.is_empty();
        if self.names.iter().any(|name| name.is_over(at)) {
            self.names.to_mut().retain(|name| !name.is_over(at));
        }
        self.hold = self.hold.filter(|hold| !is_over(hold.0, at));
        !was_held || self.hold.is_some() || !self.names.is_empty()
    }

    /// Refuses an object with a name that is taken or invalid, before anything is stored.
    pub fn refuse(&self, tx: &mut ReadTx<'_>, space: MemRamId) -> Result<()> {
        let resolve = &mut |name: &str| queries::names::resolve(tx, space, name);
        self.settle(resolve, OnConflict::Refuse).map(drop)
    }

    /// Decides on its names.
    pub fn settle(&self, resolve: Resolve<'_>, on_conflict: OnConflict) -> Result<Settled> {
        let mut settled = Settled {
            names: Vec::new(),
            conflicts: Vec::new(),
        };
        for kept in self.names.iter() {
            let name = &kept.name;
            let bound = match names::validate(name) {
                Ok(()) => resolve(name)?,
                Err(_) => None,
            };
            let Some(why) = self.trouble(name, bound.as_ref()) else {
                settled.names.push(kept.clone());
                continue;
            };
            let bad = |why| (self.bad)(name, why);
            let renamed = match on_conflict {
                OnConflict::Skip => None,
                OnConflict::Replace if bound.is_some() => {
                    settled.names.push(kept.clone());
                    None
                }
                OnConflict::Refuse | OnConflict::Replace => return Err(bad(why)),
                OnConflict::Rename => {
                    let renamed = self.other_name(name, resolve)?.ok_or_else(|| bad(why))?;
                    settled.names.push(KeptName {
                        name: renamed.clone(),
                        ..kept.clone()
                    });
                    Some(renamed)
                }
            };
            settled.conflicts.push(Conflict {
                name: name.clone(),
                object_id: self.id,
                bound_to: bound.map(|bound| bound.object_id),
                action: on_conflict,
                renamed,
                freed: false,
            });
        }
        Ok(settled)
    }

    /// Why a name cannot be bound as it is.
    fn trouble(&self, name: &str, bound: Option<&StoredObject>) -> Option<String> {
        if let Err(error) = names::validate(name) {
            return Some(error.to_string());
        }
        let other = bound.filter(|bound| bound.object_id != self.id)?;
        Some(format!("it is bound to object {} here", other.object_id))
    }

    /// A name that is free, or that an earlier import has given to the same object.
    fn other_name(&self, name: &str, resolve: Resolve<'_>) -> Result<Option<String>> {
        let id = self.id.to_hex();
        let name = name.replace('\0', "\u{fffd}");
        for digits in DIGITS {
            let end = format!("~{}", id.get(..digits).unwrap_or(&id));
            let start = name.floor_char_boundary(MOST_BYTES - end.len());
            let renamed = format!("{}{end}", name.get(..start).unwrap_or_default());
            if names::validate(&renamed).is_err() {
                continue;
            }
            let bound = resolve(&renamed)?;
            if bound.is_none_or(|bound| bound.object_id == self.id) {
                return Ok(Some(renamed));
            }
        }
        Ok(None)
    }
}

/// Numbers of digits to append to a name. More are used if the shorter name is taken.
const DIGITS: [usize; 3] = [12, 32, 64];

/// The decisions about the names of an object.
pub(in crate::manager) struct Settled {
    /// The names to bind.
    pub names: Vec<KeptName>,
    pub conflicts: Vec<Conflict>,
}

impl Settled {
    /// Whether anything is to hold the object here. An object that nothing holds in the original is held, too.
    pub fn is_wanted(&self, incoming: &Incoming<'_>) -> bool {
        !self.names.is_empty() || incoming.hold.is_some() || incoming.names.is_empty()
    }

    /// The hold to store the object with.
    pub fn first_hold<'s>(&'s self, incoming: &Incoming<'s>) -> HoldWith<'s> {
        let (hold, ends, tags) = match self.names.first() {
            Some(kept) => (Hold::Name(&kept.name), kept.expires_at, &kept.tags),
            None => (
                Hold::Anonymous,
                incoming.hold.and_then(|ends| ends.0),
                incoming.hold_tags,
            ),
        };
        hold.expires(ends.map_or(Expiry::Never, Expiry::At)).tags(pairs(tags))
    }

    /// Gives the object, if it is stored, its other names and its hold; it has the first `bound` names
    /// already. Returns the conflicts.
    pub fn complete(self, tx: &mut WriteTx<'_>, incoming: &Incoming<'_>, bound: usize) -> Result<Vec<Conflict>> {
        if self.is_wanted(incoming) {
            let space = tx.space_name()?;
            let object = free::find(tx, &space, &incoming.id)?;
            let mut kept = Kept::from(&object);
            for KeptName { name, expires_at, tags } in self.names.iter().skip(bound) {
                let tags: Vec<_> = pairs(tags).collect();
                admit::admit_tags(tx, (&object).into(), Some(name), &tags)?;
                names::bind(tx, name, kept, (*expires_at).into(), &tags)?;
                if expires_at.is_some() || kept.lifetime.expires_at.is_some() {
                    kept = Kept::from(&free::find(tx, &space, &incoming.id)?);
                }
            }
            if let Some(ends) = incoming.hold {
                let object = free::find(tx, &space, &incoming.id)?;
                expire::hold(tx, &object, ends.0.into())?;
                let tags: Vec<_> = pairs(incoming.hold_tags).collect();
                admit::admit_tags(tx, (&object).into(), None, &tags)?;
                tags::add(tx, object.id, None, &tags)?;
            }
        }
        let mut conflicts = self.conflicts;
        for conflict in &mut conflicts {
            conflict.look_after(tx)?;
        }
        Ok(conflicts)
    }
}

fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

impl Conflict {
    /// Finds out, after the name was bound, whether that freed the object that had it.
    fn look_after(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        if let (OnConflict::Replace, Some(before)) = (self.action, &self.bound_to) {
            self.freed = sweep::find(tx, before)?.is_none();
        }
        Ok(())
    }
}
