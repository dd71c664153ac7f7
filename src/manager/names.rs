//! Names: bind, resolve, unbind.

use std::collections::BTreeMap;

use super::objects::inspect::Pages;
use super::objects::{expire, free, sweep, tags};
use super::{Hold, HoldWith, MemManager};
use crate::books::change::Change;
use crate::books::rows::Binding;
use crate::clock;
use crate::error::{Error, Result};
use crate::manager::Freed;
use crate::models::{Lifetime, Name, StoredObject, StoredObjectId, Term, is_over};
use crate::store::queries::names::{MOST_BYTES, NameInfo, NameRange};
use crate::store::queries::placed::PlacedObject;
use crate::store::{WriteTx, queries};
use crate::value::{ObjectId, spells_id};

impl MemManager {
    /// Binds a name to an object. If the name is bound to another object it moves, and the other
    /// object is freed, and returned, if nothing else holds it. [`Self::bind_new`] refuses instead. The name
    /// never expires and has no tags, even if it did and had some before; [`Self::expire`] and [`Self::tag`]
    /// change that. O(log n).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::BadName`] unless the name has 1 to 4,096 bytes,
    /// [`Error::NameIsId`] if it is spelled like an object id, [`Error::NulInName`] if it has
    /// U+0000 in it; what [any write](MemManager#errors) fails with.
    pub fn bind(&self, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
        self.write(|tx| bind_stored(tx, self.space(), name, id))
    }

    /// Binds a name that must not be bound yet, not even to this object. O(log n).
    ///
    /// # Errors
    /// [`Error::NameTaken`]; otherwise like [`Self::bind`].
    pub fn bind_new(&self, name: &str, id: &ObjectId) -> Result<()> {
        self.write(|tx| bind_new(tx, self.space(), name, id))
    }

    /// The object that a name is bound to. O(log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. A name that is unbound or has expired is not an error.
    pub fn resolve(&self, name: &str) -> Result<Option<ObjectId>> {
        self.settle_reads();
        let space = self.inner.space;
        let object = self
            .inner
            .readers
            .single(|tx| queries::names::resolve(tx, space, name))?;
        object.map(|object| object.known_id()).transpose()
    }

    /// Unbinds a name. Returns the object if that freed it, because nothing else held it.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; what [any write](MemManager#errors) fails with.
    pub fn unbind(&self, name: &str) -> Result<Option<Freed>> {
        self.write(|tx| unbind(tx, self.space(), name))
    }

    /// Refuses a hold that cannot be taken, before reading content that may be long. The unit of
    /// work checks it again.
    pub(super) fn check_hold(&self, hold: &HoldWith<'_>) -> Result<()> {
        self.check_reason()?;
        hold.expiry.ends(clock::now())?;
        tags::validate(&hold.tags)?;
        match hold.hold {
            Hold::Anonymous => Ok(()),
            Hold::Name(name) => validate(name),
            Hold::NewName(name) => {
                validate(name)?;
                let bound = self.resolve(name)?;
                bound.map_or(Ok(()), |id| Err(taken(name, id, self.space().to_owned())))
            }
        }
    }

    /// All names that begin with `prefix`, with what they are bound to, in the order of their bytes. They are
    /// read page by page, in constant memory, and names bound in the meantime may be included; those of a
    /// [snapshot](Self::snapshot) are of one state. O(log n) for each page, and O(1) for each name.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// memory.set("settings/colour", "green")?;
    /// memory.set("settings/size", &12)?;
    /// memory.set("setting", "another")?;
    ///
    /// let names = memory.names_with_prefix("settings/").map(|name| Ok(name?.name));
    /// assert_eq!(names.collect::<heapledger::Result<Vec<_>>>()?, ["settings/colour", "settings/size"]);
    /// assert_eq!(memory.get_by_name("settings/size")?, Some(12));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    pub fn names_with_prefix(&self, prefix: &str) -> NamesWithPrefix {
        let range = NameRange::of(prefix);
        Pages::new(self, None, move |memory, after: &Option<String>, limit| {
            memory.settle_reads();
            let space = memory.inner.space;
            let page = memory
                .inner
                .readers
                .single(|tx| queries::names::page(tx, space, &range, after.as_deref(), limit))?;
            Ok(page.into_iter().map(|name| (Some(name.name.clone()), name)).collect())
        })
    }

    /// A name with what it is bound to, when it expires, and its tags. `None` if it is unbound or has expired. The
    /// call is not a read that [refreshes](HoldWith::refresh_on_get) the name. O(log n).
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    ///
    /// use heapledger::Hold;
    ///
    /// let draft = Hold::Name("draft").expires_in(Duration::from_secs(3600)).tag("job", "7");
    /// memory.store("text", draft)?;
    /// let draft = memory.name_info("draft")?.expect("it is bound");
    /// assert_eq!((draft.size, draft.tags["job"].as_str()), (4, "7"));
    /// assert!(draft.expires_at > Some(draft.bound_at));
    /// assert_eq!(memory.name_info("dra")?, None);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn name_info(&self, name: &str) -> Result<Option<NameInfo>> {
        self.settle_reads();
        let (space, range) = (self.inner.space, NameRange::of(name));
        let readers = &self.inner.readers;
        let first = readers.single(|tx| queries::names::page(tx, space, &range, None, 1))?;
        Ok(first.into_iter().find(|found| found.name == name))
    }

    /// The names of each of these objects that has any, in alphabetical order. O(ids · log n), with few
    /// statements for many objects.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. An unknown object is not an error.
    pub fn names_of(&self, ids: &[ObjectId]) -> Result<BTreeMap<ObjectId, Vec<String>>> {
        self.settle_reads();
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            let mut found = BTreeMap::<_, Vec<_>>::new();
            for ids in ids.chunks(TOGETHER) {
                for (id, name) in queries::names::of_ids(tx, space, ids)? {
                    found.entry(id).or_default().push(name);
                }
            }
            Ok(found)
        })
    }

    /// The names of an object, in alphabetical order.
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn names(&self, id: &ObjectId) -> Result<Vec<Name>> {
        let object = self.object(id)?;
        self.inner.readers.single(|tx| {
            let (mut names, now) = (queries::names::of_object(tx, object.id)?, tx.now());
            names.retain(|name| !is_over(name.expires_at, now));
            Ok(names)
        })
    }
}

/// Objects whose names are read with one statement.
const TOGETHER: usize = 500;

/// Names; see [`MemManager::names_with_prefix`].
pub type NamesWithPrefix = Pages<NameInfo, Option<String>>;

/// Refuses a name that cannot be bound, before anything is changed.
pub(super) fn validate(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MOST_BYTES {
        return Err(Error::BadName { length: name.len() });
    }
    if spells_id(name) {
        return Err(Error::NameIsId { name: name.to_owned() });
    }
    if name.contains('\0') {
        return Err(Error::NulInName { name: name.to_owned() });
    }
    Ok(())
}

/// Refuses a hold that cannot be taken, before anything is changed.
pub(super) fn validate_hold(tx: &mut WriteTx<'_>, hold: &HoldWith<'_>) -> Result<()> {
    hold.expiry.ends(tx.at())?;
    tags::validate(&hold.tags)?;
    match hold.hold {
        Hold::Anonymous => Ok(()),
        Hold::Name(name) => validate(name),
        Hold::NewName(name) => {
            validate(name)?;
            match sweep::resolve(tx, name)? {
                None => Ok(()),
                Some(bound) => Err(taken(name, bound.object.known_id()?, tx.space_name()?)),
            }
        }
    }
}

pub(super) fn taken(name: &str, id: ObjectId, space: String) -> Error {
    let name = name.to_owned();
    Error::NameTaken { name, id, space }
}

pub(super) fn bind_stored(tx: &mut WriteTx<'_>, space: &str, name: &str, id: &ObjectId) -> Result<Option<Freed>> {
    let object = free::find(tx, space, id)?;
    bind(tx, name, Kept::from(&object), Term::default(), &[])
}

pub(super) fn bind_new(tx: &mut WriteTx<'_>, space: &str, name: &str, id: &ObjectId) -> Result<()> {
    let object = free::find(tx, space, id)?;
    validate_hold(tx, &Hold::NewName(name).into())?;
    bind(tx, name, Kept::from(&object), Term::default(), &[]).map(drop)
}

/// An object and what holds it, to bind names to.
#[derive(Debug, Clone, Copy)]
pub(in crate::manager) struct Kept {
    pub id: StoredObjectId,
    pub object_id: ObjectId,
    pub lifetime: Lifetime,
}

impl From<&StoredObject> for Kept {
    fn from(object: &StoredObject) -> Self {
        Self {
            id: object.id,
            object_id: object.object_id,
            lifetime: object.lifetime(),
        }
    }
}

/// Binds the name, if the hold is one, and sets the tags. An anonymous hold is taken already.
pub(super) fn take_hold(tx: &mut WriteTx<'_>, hold: &HoldWith<'_>, object: Kept) -> Result<Option<Freed>> {
    match hold.hold {
        Hold::Anonymous => {
            tx.whole(|tx| tags::add(tx, object.id, None, &hold.tags))?;
            Ok(None)
        }
        Hold::Name(name) | Hold::NewName(name) => {
            let term = hold.expiry.term(tx.at())?;
            bind(tx, name, object, term, &hold.tags)
        }
    }
}

/// Binds a name with these tags until it expires, which may move it from another object.
pub(super) fn bind(
    tx: &mut WriteTx<'_>,
    name: &str,
    object: Kept,
    term: Term,
    tags: &[(&str, &str)],
) -> Result<Option<Freed>> {
    validate(name)?;
    let before = sweep::resolve(tx, name)?;
    if let Some(before) = before.as_ref().filter(|before| before.object.id == object.id) {
        if before.term() != term {
            expire::last_until(tx, name, before, term)?;
        }
        tags::replace(tx, object.id, name, tags)?;
        return Ok(None);
    }
    let binding = Binding {
        object: object.id,
        at: tx.at(),
        expires_at: term.ends,
        refresh: term.refresh,
    };
    let lifetime = object.lifetime.with(term.ends);
    let leaves = before.map(|before| leave(tx, before.object, name)).transpose()?;
    tx.whole(|tx| {
        if let Some(leaves) = &leaves {
            tx.apply(leaves.change(name))?;
        }
        tx.apply(Change::NameBound {
            name,
            binding,
            object_id: object.object_id,
            lifetime: (lifetime != object.lifetime).then_some(lifetime),
        })?;
        tags::set_new(tx, object.id, Some(name), tags)?;
        leaves.map_or(Ok(None), |leaves| leaves.free(tx, name))
    })
}

pub(super) fn unbind(tx: &mut WriteTx<'_>, space: &str, name: &str) -> Result<Option<Freed>> {
    let bound = sweep::resolve(tx, name)?.ok_or_else(|| Error::unknown_name(name, space))?;
    let leaves = leave(tx, bound.object, name)?;
    tx.whole(|tx| {
        tx.apply(leaves.change(name))?;
        leaves.free(tx, name)
    })
}

/// A name that leaves an object. This is read before anything changes, because otherwise what the unit
/// of work has gathered would have to be written first.
struct Leaves {
    object: StoredObjectId,
    object_id: ObjectId,
    /// The object and its pieces, if nothing else holds it.
    unheld: Option<PlacedObject>,
    /// What holds it afterwards, if that changes.
    lifetime: Option<Lifetime>,
}

fn leave(tx: &mut WriteTx<'_>, object: StoredObject, name: &str) -> Result<Leaves> {
    let object = sweep::without_ended_hold(tx, object)?;
    let mut leaves = Leaves {
        object: object.id,
        object_id: object.known_id()?,
        unheld: None,
        lifetime: None,
    };
    if object.held && object.held_until.is_none() {
        return Ok(leaves);
    }
    let placed = tx.placed(&object, Some(name))?;
    let last = placed.as_ref().and_then(|placed| placed.names);
    let names = sweep::without_ended_names(tx, &object, Some(name), last)?;
    if object.held || names.is_some() {
        leaves.lifetime = expire::changed(&object, object.lifetime().with_names(names));
    } else {
        leaves.unheld = placed;
    }
    Ok(leaves)
}

impl Leaves {
    fn change<'n>(&self, name: &'n str) -> Change<'n> {
        Change::NameUnbound {
            name,
            object: self.object,
            object_id: self.object_id,
            lifetime: self.lifetime,
        }
    }

    fn free(self, tx: &mut WriteTx<'_>, name: &str) -> Result<Option<Freed>> {
        let freed = self
            .unheld
            .map(|found| free::remove(tx, &found, self.object_id, vec![name.to_owned()]));
        freed.transpose()
    }
}
