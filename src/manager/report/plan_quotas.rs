//! What the quotas of owners have to say about planned allocations.

use std::collections::{BTreeMap, HashMap};

use crate::error::Result;
use crate::manager::{Hold, HoldWith};
use crate::models::{MemRamId, OverQuota, Owner, Quota, signed};
use crate::store::queries::tags::Tags;
use crate::store::{ReadTx, queries};
use crate::value::ObjectId;

/// What the owners have after the planned allocations, as `admit` and the books would count it.
pub(super) struct Owners {
    space: MemRamId,
    /// Without quotas nothing is looked up.
    has_quotas: bool,
    /// The name of the hold that allocations are planned with; empty for the anonymous one.
    name: String,
    tags: Tags,
    quotas: BTreeMap<Owner, Option<Counted>>,
    /// What planned names are bound to.
    names: HashMap<String, Bound>,
    /// The tags that anonymous holds get.
    anonymous: HashMap<ObjectId, Tags>,
    /// What the owners have that has not expired, without what is planned; `None` until it is needed.
    living: Option<BTreeMap<Owner, [u64; 4]>>,
}

/// A quota with what is planned, and what it had before.
struct Counted {
    quota: Quota,
    before: [u64; 2],
}

#[derive(Clone)]
struct Bound {
    /// `None` for a planned object of unknown content.
    object: Option<ObjectId>,
    size: u64,
    tags: Tags,
}

/// Whether what has expired counts as used, as it does until it is given back.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    All,
    Living,
}

impl Owners {
    pub fn new(space: MemRamId, has_quotas: bool) -> Self {
        Self {
            space,
            has_quotas,
            name: String::new(),
            tags: Tags::new(),
            quotas: BTreeMap::new(),
            names: HashMap::new(),
            anonymous: HashMap::new(),
            living: None,
        }
    }

    /// The following allocations have this hold.
    pub fn hold(&mut self, hold: &HoldWith<'_>) {
        self.name = match hold.hold {
            Hold::Anonymous => String::new(),
            Hold::Name(name) | Hold::NewName(name) => name.to_owned(),
        };
        let tags = hold.tags.iter();
        self.tags = tags.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    }

    /// The quotas of the tags of the current hold.
    pub fn quotas(&mut self, tx: &mut ReadTx<'_>) -> Result<Vec<Quota>> {
        let mut quotas = Vec::new();
        for owner in owners(&self.tags) {
            quotas.extend(self.counted(tx, &owner)?.map(|counted| counted.quota.clone()));
        }
        Ok(quotas)
    }

    /// The first quota that refuses an object, even after what has expired was given back. The id of the
    /// object is known if its content is.
    pub fn exceeded(&mut self, tx: &mut ReadTx<'_>, object: Option<ObjectId>, size: u64) -> Result<Option<OverQuota>> {
        for owner in owners(&self.tags) {
            let Some(quota) = self.counted(tx, &owner)?.map(|counted| counted.quota.clone()) else {
                continue;
            };
            // If the quota has room for all of it, nothing is given back for it.
            if quota.refusal(signed(size), 1).is_none() {
                continue;
            }
            let living = self.living(tx, &owner)?;
            let (bytes, objects) = self.growth(tx, object, size, &owner)?;
            if let Some(over) = living.and_then(|quota| quota.refusal(bytes, objects)) {
                return Ok(Some(over));
            }
        }
        Ok(None)
    }

    /// Counts an object that is allocated.
    pub fn take(&mut self, tx: &mut ReadTx<'_>, object: Option<ObjectId>, size: u64) -> Result<()> {
        if !self.has_quotas {
            return Ok(());
        }
        let name = self.name.clone();
        let mut tags = self.tags.clone();
        if name.is_empty() {
            // The anonymous hold keeps its other tags.
            let before = self.anonymous_tags(tx, object)?;
            let changed = |(key, value): &(&String, &String)| tags.get(*key).is_some_and(|new| new != *value);
            let lost: Tags = before
                .iter()
                .filter(changed)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            self.lose(tx, object, size, &lost)?;
            tags = before.into_iter().chain(tags).collect();
        } else if let Some(left) = self.bound(tx, &name)? {
            self.lose(tx, left.object, left.size, &left.tags)?;
        }
        // A name has only its new tags.
        let besides = (!name.is_empty()).then_some(name.as_str());
        for owner in owners(&self.tags) {
            let pays = self.pays(tx, object, &owner, besides, Counts::All)?;
            if let Some(counted) = self.counted(tx, &owner)?.filter(|_| !pays) {
                counted.quota.add(signed(size), 1);
            }
        }
        match (name.is_empty(), object) {
            (false, _) => drop(self.names.insert(name, Bound { object, size, tags })),
            (true, Some(object)) => drop(self.anonymous.insert(object, tags)),
            (true, None) => {}
        }
        Ok(())
    }

    /// The owners of these tags, which a hold loses, no longer pay for its object, unless they do for another hold.
    fn lose(&mut self, tx: &mut ReadTx<'_>, object: Option<ObjectId>, size: u64, tags: &Tags) -> Result<()> {
        let name = self.name.clone();
        for owner in owners(tags) {
            let pays = self.pays(tx, object, &owner, Some(&name), Counts::All)?;
            if let Some(counted) = self.counted(tx, &owner)?.filter(|_| !pays) {
                counted.quota.add(-signed(size), -1);
            }
        }
        Ok(())
    }

    fn counted(&mut self, tx: &mut ReadTx<'_>, owner: &Owner) -> Result<Option<&mut Counted>> {
        if self.has_quotas && !self.quotas.contains_key(owner) {
            let found = queries::quotas::of_owner(tx, self.space, owner)?;
            let counted = found.map(|quota| Counted {
                before: [quota.used_objects, quota.used_bytes],
                quota,
            });
            self.quotas.insert(owner.clone(), counted);
        }
        Ok(self.quotas.get_mut(owner).and_then(Option::as_mut))
    }

    /// The quota of an owner without what has expired.
    fn living(&mut self, tx: &mut ReadTx<'_>, owner: &Owner) -> Result<Option<Quota>> {
        let living = match self.living.take() {
            Some(living) => living,
            None => queries::quotas::living(tx, self.space)?,
        };
        let [objects, bytes, ..] = living.get(owner).copied().unwrap_or_default();
        self.living = Some(living);
        Ok(self.counted(tx, owner)?.map(|counted| {
            let [objects_before, bytes_before] = counted.before;
            let mut quota = counted.quota.clone();
            quota.add(
                signed(bytes) - signed(bytes_before),
                signed(objects) - signed(objects_before),
            );
            quota
        }))
    }

    /// Bytes and objects that an owner gains once what has expired was given back; see `admit`.
    fn growth(
        &mut self,
        tx: &mut ReadTx<'_>,
        object: Option<ObjectId>,
        size: u64,
        owner: &Owner,
    ) -> Result<(i64, i64)> {
        if self.pays(tx, object, owner, None, Counts::Living)? {
            return Ok((0, 0));
        }
        let gained = (signed(size), 1);
        let name = self.name.clone();
        let Some(left) = (!name.is_empty()).then(|| self.bound(tx, &name)).transpose()?.flatten() else {
            return Ok(gained);
        };
        let by_it = left.tags.get(&owner.key) == Some(&owner.value);
        if by_it && !self.pays(tx, left.object, owner, Some(&name), Counts::Living)? {
            return Ok((gained.0.saturating_sub(signed(left.size)), 0));
        }
        Ok(gained)
    }

    /// Whether a hold of an object, other than the one named `besides`, has the tag of an owner.
    fn pays(
        &self,
        tx: &mut ReadTx<'_>,
        object: Option<ObjectId>,
        owner: &Owner,
        besides: Option<&str>,
        counts: Counts,
    ) -> Result<bool> {
        let Some(id) = object else { return Ok(false) };
        let has = |tags: &Tags| tags.get(&owner.key) == Some(&owner.value);
        let planned = self.anonymous.get(&id);
        let by_name = self.names.iter();
        let mut by_name = by_name.filter(|(name, bound)| bound.object == object && besides != Some(name));
        if by_name.any(|(_, bound)| has(&bound.tags)) || besides != Some("") && planned.is_some_and(has) {
            return Ok(true);
        }
        let Some(stored) = queries::objects::find(tx, self.space, &id)? else {
            return Ok(false);
        };
        let holds = queries::quotas::holds(tx, stored.id, owner)?;
        let is_left = |name: &str| match name {
            "" => planned.is_some(),
            name => self.names.contains_key(name),
        };
        Ok(holds.iter().any(|(name, is_over)| {
            let counts = counts == Counts::All || !is_over;
            counts && besides != Some(name) && !is_left(name)
        }))
    }

    /// What a name is bound to.
    fn bound(&self, tx: &mut ReadTx<'_>, name: &str) -> Result<Option<Bound>> {
        if let Some(bound) = self.names.get(name) {
            return Ok(Some(bound.clone()));
        }
        let Some(object) = queries::names::resolve(tx, self.space, name)? else {
            return Ok(None);
        };
        Ok(Some(Bound {
            object: Some(object.known_id()?),
            size: object.size,
            tags: queries::tags::of_hold(tx, object.id, name)?,
        }))
    }

    fn anonymous_tags(&self, tx: &mut ReadTx<'_>, object: Option<ObjectId>) -> Result<Tags> {
        let Some(id) = object else { return Ok(Tags::new()) };
        if let Some(tags) = self.anonymous.get(&id) {
            return Ok(tags.clone());
        }
        match queries::objects::find(tx, self.space, &id)? {
            Some(stored) => queries::tags::of_hold(tx, stored.id, ""),
            None => Ok(Tags::new()),
        }
    }
}

fn owners(tags: &Tags) -> Vec<Owner> {
    tags.iter().map(|(key, value)| Owner::of(key, value)).collect()
}
