//! Tags: what holds are found and counted by.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::expire::Found;
use super::expiry::Held;
use super::inspect::Objects;
use super::{admit, free};
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::{Freed, MemManager, names};
use crate::models::{StoredObjectId, Tag, text_enum};
use crate::store::queries::tags::{TagValue, TaggedHold, Tags};
use crate::store::{WriteTx, queries};
use crate::value::ObjectId;

/// Limits, in bytes.
const MOST_KEY: usize = 128;
const MOST_VALUE: usize = 1024;
/// The most tags that a hold has, so that what they take in an export is bounded.
const MOST_TAGS: usize = 256;
/// Holds given up in one transaction.
const MANY: i64 = 500;

text_enum! {
    /// What the holds of objects say about a key.
    TagBucket {
        /// They have one value for it.
        Tagged = "tagged",
        /// They have different values for it.
        Shared = "shared",
        /// None of them has it.
        Untagged = "untagged",
    }
}

/// Objects with the same value for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TagUsage {
    /// What their holds say about the key.
    pub bucket: TagBucket,
    /// The value, if they have one.
    pub value: Option<String>,
    /// Number of objects.
    pub objects: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

/// What [`MemManager::free_tagged`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FreedTagged {
    /// Names unbound and anonymous holds dropped.
    pub holds: u64,
    /// The objects that nothing else held.
    pub freed: Vec<Freed>,
}

impl MemManager {
    /// Gives a name or the anonymous hold of an object a tag, or another value for one that it has; see
    /// [`Hold::tag`](crate::Hold::tag). Makes no event. O(log n).
    ///
    /// # Errors
    /// [`Error::BadTag`] unless the key has 1 to 128 bytes without `=`, and the value at most 1,024, both without
    /// U+0000, and the hold at most 256 tags; [`Error::UnknownName`], [`Error::NotStored`];
    /// [`ExpiryError::NotHeld`](crate::ExpiryError) for an object without that hold; what
    /// [any write](MemManager#errors) fails with.
    pub fn tag<'h>(&self, held: impl Into<Held<'h>>, key: &str, value: &str) -> Result<()> {
        let held = held.into();
        self.write(|tx| tag(tx, self.space(), held, &[(key, value)]))
    }

    /// Removes a tag from a name or the anonymous hold of an object. Returns whether it had the tag. O(log n).
    ///
    /// # Errors
    /// Like [`Self::tag`].
    pub fn untag<'h>(&self, held: impl Into<Held<'h>>, key: &str) -> Result<bool> {
        let held = held.into();
        self.write(|tx| untag(tx, self.space(), held, key))
    }

    /// The tags of a name or the anonymous hold of an object: values by key.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn tags<'h>(&self, held: impl Into<Held<'h>>) -> Result<BTreeMap<String, String>> {
        let space = self.inner.space;
        match held.into() {
            Held::Anonymous(id) => self.inner.readers.snapshot(|tx| {
                let object = self.scope().find(tx, id)?;
                match object.held {
                    true => queries::tags::of_hold(tx, object.id, ""),
                    false => Ok(Tags::new()),
                }
            }),
            Held::Name(name) => self.inner.readers.snapshot(|tx| {
                let object = queries::names::resolve(tx, space, name)?;
                let object = object.ok_or_else(|| Error::unknown_name(name, self.space()))?;
                queries::tags::of_hold(tx, object.id, name)
            }),
        }
    }

    /// The objects of which a name or the anonymous hold has each of these tags: a key with this value or, for
    /// `None`, with any. The tags need not all be on the same hold. Read like [`Self::objects`].
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// # use heapledger::Hold;
    /// memory.store("a report", Hold::Name("draft").tag("owner", "ann").tag("job", "7"))?;
    /// for object in memory.tagged([("owner", Some("ann")), ("job", None)]) {
    ///     assert_eq!(object?.names, ["draft"]);
    /// }
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn tagged<'t>(&self, tags: impl IntoIterator<Item = (&'t str, Option<&'t str>)>) -> Objects {
        let owned = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        let tags: Vec<_> = tags.into_iter().map(owned).collect();
        self.pages(move |memory, after, limit| {
            let after = StoredObjectId(after);
            let page = memory
                .inner
                .readers
                .single(|tx| queries::objects::tagged_page(tx, &tags, after, limit))?;
            Ok(page.into_iter().map(|object| (object.key.0, object)).collect())
        })
    }

    /// All keys and values of tags, with the number of holds that have them, in alphabetical order. O(tags).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn tag_values(&self) -> Result<Vec<TagValue>> {
        let space = self.inner.space;
        self.inner.readers.single(|tx| queries::tags::values(tx, space))
    }

    /// Whose the objects are, by the value that their holds have for a key: a row for each value in
    /// alphabetical order and, if there are any, one for objects whose holds have different ones (`shared`)
    /// and one for those whose holds have none (`untagged`). Each object counts once, so the rows add up to
    /// all objects, and their bytes to those of `objects` in the [claims](crate::Stats::claims). What has
    /// expired is left out. O(tags of the key + expired + uploads).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn usage_by(&self, key: &str) -> Result<Vec<TagUsage>> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let mut left = queries::objects::totals(tx, space)?;
            let mut rows = Vec::new();
            let mut shared = None;
            for (value, [objects, bytes]) in queries::tags::usage(tx, space, key)? {
                left = [left[0].saturating_sub(objects), left[1].saturating_sub(bytes)];
                let bucket = if value.is_some() {
                    TagBucket::Tagged
                } else {
                    TagBucket::Shared
                };
                let row = TagUsage {
                    bucket,
                    value,
                    objects,
                    bytes,
                };
                match bucket {
                    TagBucket::Shared => shared = Some(row),
                    _ => rows.push(row),
                }
            }
            let [objects, bytes] = left;
            let untagged = TagUsage {
                bucket: TagBucket::Untagged,
                value: None,
                objects,
                bytes,
            };
            rows.extend(shared);
            rows.extend((objects > 0).then_some(untagged));
            Ok(rows)
        })
    }

    /// Gives up everything that has a tag: unbinds these names and drops these anonymous holds. Objects that
    /// nothing else holds are freed; the holds of others stay. This takes small transactions, so that others
    /// write in between; what they tag meanwhile is given up, too.
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Earlier steps stay done.
    pub fn free_tagged(&self, key: &str, value: &str) -> Result<FreedTagged> {
        let mut done = FreedTagged::default();
        let mut unbound: HashMap<_, Vec<_>> = HashMap::new();
        loop {
            let (holds, freed) = self.write_apart(|tx| give_up(tx, self.space(), [key, value]))?;
            if holds.is_empty() {
                return Ok(done);
            }
            done.holds += holds.len() as u64;
            for TaggedHold { object_id, name } in holds {
                unbound.entry(object_id).or_default().extend(name);
            }
            // An object goes with the last of its names.
            done.freed.extend(freed.into_iter().map(|freed| Freed {
                names: unbound.remove(&freed.id).unwrap_or_default(),
                ..freed
            }));
        }
    }

    /// The objects that [`Self::free_tagged`] would free: those that only holds with this tag hold.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn only_tagged(&self, key: &str, value: &str) -> Result<Vec<ObjectId>> {
        let space = self.inner.space;
        self.inner
            .readers
            .single(|tx| queries::tags::only_by(tx, space, key, value))
    }
}

/// Refuses tags that cannot be stored, before anything is changed.
pub(in crate::manager) fn validate(tags: &[(&str, &str)]) -> Result<()> {
    if let Some((key, _)) = tags.get(MOST_TAGS) {
        return Err(too_many(key));
    }
    for (key, value) in tags {
        let why = match () {
            () if key.is_empty() => "its key is empty",
            () if key.len() > MOST_KEY => "its key has more than 128 bytes",
            () if value.len() > MOST_VALUE => "its value has more than 1024 bytes",
            () if key.contains('=') => "its key contains =",
            () if key.contains('\0') || value.contains('\0') => "it contains U+0000",
            () => continue,
        };
        let key = (*key).to_owned();
        return Err(Error::BadTag { key, why });
    }
    Ok(())
}

fn too_many(key: &str) -> Error {
    let key = key.to_owned();
    let why = "a hold has at most 256 tags";
    Error::BadTag { key, why }
}

/// Gives a new hold its tags.
pub(in crate::manager) fn set_new(
    tx: &mut WriteTx<'_>,
    object: StoredObjectId,
    name: Option<&str>,
    tags: &[(&str, &str)],
) -> Result<()> {
    set(tx, object, name, tags, &Tags::new())
}

/// Adds tags to those that a hold has, if any.
pub(in crate::manager) fn add(
    tx: &mut WriteTx<'_>,
    object: StoredObjectId,
    name: Option<&str>,
    tags: &[(&str, &str)],
) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let before = tx.tags_of(object, name)?;
    let new = tags.iter().filter(|(key, _)| !before.contains_key(*key));
    if let Some((key, _)) = new.clone().next()
        && before.len() + new.count() > MOST_TAGS
    {
        return Err(too_many(key));
    }
    set(tx, object, name, tags, &before)
}

/// Gives a name exactly these tags.
pub(in crate::manager) fn replace(
    tx: &mut WriteTx<'_>,
    object: StoredObjectId,
    name: &str,
    tags: &[(&str, &str)],
) -> Result<()> {
    let before = tx.tags_of(object, Some(name))?;
    for (key, value) in &before {
        if !tags.iter().any(|(kept, _)| kept == key) {
            let name = Some(name);
            tx.apply(Change::Untagged(Tag {
                object,
                name,
                key,
                value,
            }))?;
        }
    }
    set(tx, object, Some(name), tags, &before)
}

/// Of two values for a key, the last one counts.
fn set(
    tx: &mut WriteTx<'_>,
    object: StoredObjectId,
    name: Option<&str>,
    tags: &[(&str, &str)],
    before: &Tags,
) -> Result<()> {
    let tags: BTreeMap<&str, &str> = tags.iter().copied().collect();
    for (key, value) in tags {
        let before = before.get(key).map(String::as_str);
        if before != Some(value) {
            let tag = Tag {
                object,
                name,
                key,
                value,
            };
            tx.apply(Change::Tagged { tag, before })?;
        }
    }
    Ok(())
}

pub(in crate::manager) fn tag(tx: &mut WriteTx<'_>, space: &str, held: Held<'_>, tags: &[(&str, &str)]) -> Result<()> {
    validate(tags)?;
    let found = Found::of(tx, space, held)?;
    let (object, name) = found.key();
    admit::admit_tags(tx, found.object().into(), name, tags)?;
    add(tx, object, name, tags)
}

pub(in crate::manager) fn untag(tx: &mut WriteTx<'_>, space: &str, held: Held<'_>, key: &str) -> Result<bool> {
    let found = Found::of(tx, space, held)?;
    let (object, name) = found.key();
    let Some(value) = tx.tags_of(object, name)?.remove(key) else {
        return Ok(false);
    };
    let value = &value;
    tx.apply(Change::Untagged(Tag {
        object,
        name,
        key,
        value,
    }))?;
    Ok(true)
}

/// Gives up some of the holds with a tag.
fn give_up(tx: &mut WriteTx<'_>, space: &str, tag: [&str; 2]) -> Result<(Vec<TaggedHold>, Vec<Freed>)> {
    let id = tx.space();
    let holds = tx.read_rows(|tx| queries::tags::holds(tx, id, tag, MANY))?;
    let mut all = Vec::new();
    for TaggedHold { object_id, name } in &holds {
        let freed = match name {
            Some(name) => names::unbind(tx, space, name)?,
            None => free::release(tx, space, object_id)?,
        };
        all.extend(freed);
    }
    Ok((holds, all))
}
