//! A space as a map in memory: objects, their holds, and the counters.

use std::collections::BTreeMap;

use heapledger::{ObjectId, QuotaLimit};

use crate::order::Order;

/// The end of what never ends.
pub const NEVER: u64 = u64::MAX;

#[derive(Debug, Clone)]
pub struct Object {
    pub content: Vec<u8>,
    /// When the anonymous hold ends, if it has one.
    pub held: Option<u64>,
    pub pinned: bool,
    /// Objects are numbered as they are stored.
    pub number: u64,
    /// When it was stored: the minute, and the unit of work.
    pub stored_at: u64,
    pub unit: u64,
}

/// The outcome of a call, as far as the model can know it.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Stored {
        dedup: bool,
        freed: Option<ObjectId>,
    },
    Freed {
        names: Vec<String>,
    },
    Unbound {
        freed: Option<ObjectId>,
    },
    Bound {
        freed: Option<ObjectId>,
    },
    OutOfMemory {
        needed: u64,
        available: u64,
        max_mem: u64,
    },
    OverQuota {
        owner: [String; 2],
        limit: QuotaLimit,
        /// What it has, needs and may have.
        figures: [u64; 3],
    },
    Reserved(State),
    /// The reservation is resolved already.
    Resolved(State),
    KeyReused {
        reserved: u64,
        wanted: u64,
    },
    NothingToReserve,
    TooLarge {
        needed: u64,
        reserved: u64,
    },
    UnknownReservation,
    /// A hold ends sometime, or never.
    Lasts {
        forever: bool,
    },
    Tagged {
        /// Whether it had a tag that was removed.
        had: bool,
    },
    Pinned {
        changed: bool,
    },
    NotHeld,
    NotStored,
    Named {
        names: Vec<String>,
    },
    UnknownName,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    Name(String),
    Anonymous(ObjectId),
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Posted(ObjectId),
    Voided,
    Lapsed,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub max_mem: u64,
    pub mem: u64,
    pub peak: u64,
    pub allocations: u64,
    pub frees: u64,
    pub dedup_hits: u64,
    pub dedup_saved: u64,
    pub objects: BTreeMap<ObjectId, Object>,
    /// The object of each name, and when it expires.
    pub names: BTreeMap<String, (ObjectId, u64)>,
    /// The minutes that reads let names last.
    pub idle: BTreeMap<String, u8>,
    /// The tags of each name, or of the anonymous hold of an object.
    pub tags: BTreeMap<Hold, BTreeMap<String, String>>,
    /// Bytes and objects that owners may have.
    pub quotas: BTreeMap<[String; 2], [u64; 2]>,
    /// Minutes since the beginning.
    pub now: u64,
    /// Bytes and state by key.
    pub reservations: BTreeMap<String, (u64, State)>,
    /// What it evicts, and in which order.
    pub order: Order,
    /// Minutes for which nothing is evicted.
    pub min_age: u8,
    /// What was read since the last unit of work, and how often.
    pub noted: Vec<(ObjectId, u8)>,
    /// Units of work.
    pub unit: u64,
    pub evictions: u64,
    pub evicted_mem: u64,
}

impl Model {
    pub fn new(max_mem: u64) -> Self {
        Self {
            max_mem,
            mem: 0,
            peak: 0,
            allocations: 0,
            frees: 0,
            dedup_hits: 0,
            dedup_saved: 0,
            objects: BTreeMap::new(),
            names: BTreeMap::new(),
            idle: BTreeMap::new(),
            tags: BTreeMap::new(),
            quotas: BTreeMap::new(),
            now: 0,
            reservations: BTreeMap::new(),
            order: Order::default(),
            min_age: 0,
            noted: Vec::new(),
            unit: 0,
            evictions: 0,
            evicted_mem: 0,
        }
    }

    pub fn promised(&self) -> u64 {
        let open = self.reservations.values().filter(|(_, state)| *state == State::Open);
        open.map(|(bytes, _)| bytes).sum()
    }

    pub fn available(&self) -> u64 {
        self.max_mem - self.mem - self.promised()
    }

    pub fn reserve(&mut self, key: &str, bytes: u64) -> Outcome {
        if bytes == 0 {
            return Outcome::NothingToReserve;
        }
        match self.reservations.get(key) {
            Some(&(reserved, state)) if reserved == bytes => return Outcome::Reserved(state),
            Some(&(reserved, _)) => {
                return Outcome::KeyReused {
                    reserved,
                    wanted: bytes,
                };
            }
            None => {}
        }
        let available = self.available();
        if bytes > available && !self.make_room(bytes) {
            return Outcome::OutOfMemory {
                needed: bytes,
                available,
                max_mem: self.max_mem,
            };
        }
        self.reservations.insert(key.to_owned(), (bytes, State::Open));
        Outcome::Reserved(State::Open)
    }

    /// Never refused for want of room.
    pub fn post(&mut self, key: &str, content: &[u8]) -> Outcome {
        let (size, id) = (content.len() as u64, ObjectId::of_bytes(content));
        match self.reservations.get_mut(key) {
            None => Outcome::UnknownReservation,
            Some((bytes, state @ State::Open)) if size <= *bytes => {
                *state = State::Posted(id);
                let posted = self.allocate(content, None, None);
                assert!(matches!(posted, Outcome::Stored { .. }), "{posted:?}");
                posted
            }
            Some(&mut (reserved, State::Open)) => Outcome::TooLarge { needed: size, reserved },
            Some((_, state)) => Outcome::Resolved(*state),
        }
    }

    pub fn void(&mut self, key: &str) -> Outcome {
        match self.reservations.get_mut(key) {
            None => Outcome::UnknownReservation,
            Some((_, state @ State::Open)) => {
                *state = State::Voided;
                Outcome::Reserved(State::Voided)
            }
            Some((_, state)) => Outcome::Resolved(*state),
        }
    }

    pub fn lapse(&mut self) {
        for (_, state) in self.reservations.values_mut() {
            if *state == State::Open {
                *state = State::Lapsed;
            }
        }
    }

    /// When a hold of so many minutes ends.
    fn ends(&self, minutes: Option<u8>) -> u64 {
        minutes.map_or(NEVER, |minutes| self.now + u64::from(minutes))
    }

    /// Minutes pass, and what is over is gone.
    pub fn wait(&mut self, minutes: u8) {
        self.now += u64::from(minutes);
        let now = self.now;
        self.names.retain(|_, (_, ends)| *ends > now);
        for object in self.objects.values_mut() {
            object.held = object.held.filter(|ends| *ends > now);
        }
        for id in self.objects.keys().copied().collect::<Vec<_>>() {
            self.drop_if_unheld(&id);
        }
        self.forget_tags();
    }

    /// Tags go with their hold, and so does what reads do to it.
    pub fn forget_tags(&mut self) {
        let (names, objects) = (&self.names, &self.objects);
        self.idle.retain(|name, _| names.contains_key(name));
        self.tags.retain(|hold, _| match hold {
            Hold::Name(name) => names.contains_key(name),
            Hold::Anonymous(id) => objects.get(id).is_some_and(|object| object.held.is_some()),
        });
    }

    pub fn tag(&mut self, hold: Hold, key: &str, value: &str) -> Outcome {
        match &hold {
            Hold::Name(name) if !self.names.contains_key(name) => return Outcome::UnknownName,
            Hold::Anonymous(id) => match self.objects.get(id) {
                None => return Outcome::NotStored,
                Some(Object { held: None, .. }) => return Outcome::NotHeld,
                Some(_) => {}
            },
            Hold::Name(_) => {}
        }
        let (id, owner) = (self.object_of(&hold), [key, value]);
        let size = self.objects[&id].content.len() as u64;
        if !self.pays(&id, owner, None)
            && let Some(refused) = self.over_quota(owner, [size as i64, 1])
        {
            return refused;
        }
        self.tags
            .entry(hold)
            .or_default()
            .insert(key.to_owned(), value.to_owned());
        Outcome::Tagged { had: false }
    }

    fn object_of(&self, hold: &Hold) -> ObjectId {
        match hold {
            Hold::Name(name) => self.names[name].0,
            Hold::Anonymous(id) => *id,
        }
    }

    /// Whether a hold of an object has a tag, besides this name.
    fn pays(&self, id: &ObjectId, [key, value]: [&str; 2], besides: Option<&str>) -> bool {
        self.tags.iter().any(|(hold, tags)| {
            let is_other = !matches!(hold, Hold::Name(name) if Some(name.as_str()) == besides);
            is_other && self.object_of(hold) == *id && tags.get(key).is_some_and(|found| found == value)
        })
    }

    /// Bytes and objects that an owner pays for, and those of them that others with the same key do, too.
    pub fn used(&self, [key, value]: [&str; 2]) -> [u64; 4] {
        let mut used = [0; 4];
        for (id, object) in self.objects.iter().filter(|(id, _)| self.pays(id, [key, value], None)) {
            let values = self.tags.iter().filter(|(hold, _)| self.object_of(hold) == *id);
            let is_shared = values.filter_map(|(_, tags)| tags.get(key)).any(|other| other != value);
            let (size, shared) = (object.content.len() as u64, u64::from(is_shared));
            for (sum, more) in used.iter_mut().zip([size, 1, shared * size, shared]) {
                *sum += more;
            }
        }
        used
    }

    /// The refusal of so many more bytes and objects.
    fn over_quota(&self, [key, value]: [&str; 2], more: [i64; 2]) -> Option<Outcome> {
        let owner = [key, value].map(str::to_owned);
        let hard = self.quotas.get(&owner)?;
        let used = self.used([key, value]);
        for (limit, at) in [(QuotaLimit::Bytes, 0), (QuotaLimit::Objects, 1)] {
            if more[at] > 0 && used[at] + more[at] as u64 > hard[at] {
                let figures = [used[at], more[at] as u64, hard[at]];
                return Some(Outcome::OverQuota { owner, limit, figures });
            }
        }
        None
    }

    pub fn allocate_with(&mut self, content: &[u8], name: Option<&str>, [key, value]: [&str; 2]) -> Outcome {
        let (id, owner) = (ObjectId::of_bytes(content), [key, value]);
        if !self.pays(&id, owner, None) {
            let mut more = [content.len() as i64, 1];
            let left = name.and_then(|name| self.names.get(name)).map(|(left, _)| *left);
            if let Some(left) = left.filter(|left| self.pays(left, owner, None) && !self.pays(left, owner, name)) {
                more = [more[0] - self.objects[&left].content.len() as i64, 0];
            }
            if let Some(refused) = self.over_quota(owner, more) {
                return refused;
            }
        }
        let stored = self.allocate(content, name, None);
        if matches!(stored, Outcome::Stored { .. }) {
            let hold = name.map_or(Hold::Anonymous(id), |name| Hold::Name(name.to_owned()));
            self.tags
                .entry(hold)
                .or_default()
                .insert(key.to_owned(), value.to_owned());
        }
        stored
    }

    pub fn untag(&mut self, name: &str, key: &str) -> Outcome {
        if !self.names.contains_key(name) {
            return Outcome::UnknownName;
        }
        let tags = self.tags.entry(Hold::Name(name.to_owned())).or_default();
        Outcome::Tagged {
            had: tags.remove(key).is_some(),
        }
    }

    /// Objects and bytes by the value that their holds have for a key, `None` if they have several.
    pub fn usage_by(&self, key: &str) -> BTreeMap<Option<String>, (u64, u64)> {
        let mut values: BTreeMap<ObjectId, Vec<&String>> = BTreeMap::new();
        for (hold, tags) in &self.tags {
            let id = match hold {
                Hold::Name(name) => self.names[name].0,
                Hold::Anonymous(id) => *id,
            };
            values.entry(id).or_default().extend(tags.get(key));
        }
        let mut usage = BTreeMap::new();
        for (id, values) in values.into_iter().filter(|(_, values)| !values.is_empty()) {
            let is_one = values.iter().all(|value| *value == values[0]);
            let (objects, bytes): &mut (u64, u64) = usage.entry(is_one.then(|| values[0].clone())).or_default();
            *objects += 1;
            *bytes += self.objects[&id].content.len() as u64;
        }
        usage
    }

    pub fn expire(&mut self, name: &str, minutes: Option<u8>) -> Outcome {
        let ends = self.ends(minutes);
        match self.names.get_mut(name) {
            None => Outcome::UnknownName,
            Some((_, before)) => {
                *before = ends;
                self.idle.remove(name);
                Outcome::Lasts { forever: ends == NEVER }
            }
        }
    }

    /// A name expires so long after each read.
    pub fn expire_idle(&mut self, name: &str, minutes: u8) -> Outcome {
        let lasts = self.expire(name, Some(minutes));
        if lasts != Outcome::UnknownName {
            self.idle.insert(name.to_owned(), minutes);
        }
        lasts
    }

    /// A read by a name, which lets it last longer if it asks for that.
    pub fn get(&mut self, name: &str) -> Option<Vec<u8>> {
        let ends = self.idle.get(name).map_or(0, |minutes| self.ends(Some(*minutes)));
        let (id, before) = self.names.get_mut(name)?;
        *before = ends.max(*before);
        Some(self.objects[id].content.clone())
    }

    pub fn touch(&mut self, name: &str, minutes: u8) -> Outcome {
        let ends = self.ends(Some(minutes));
        match self.names.get_mut(name) {
            None => Outcome::UnknownName,
            Some((_, before)) => {
                *before = ends.max(*before);
                Outcome::Lasts {
                    forever: *before == NEVER,
                }
            }
        }
    }

    pub fn expire_hold(&mut self, id: &ObjectId, minutes: Option<u8>) -> Outcome {
        let ends = self.ends(minutes);
        match self.objects.get_mut(id) {
            None => Outcome::NotStored,
            Some(Object { held: None, .. }) => Outcome::NotHeld,
            Some(Object { held, .. }) => {
                *held = Some(ends);
                Outcome::Lasts { forever: ends == NEVER }
            }
        }
    }

    pub fn allocate(&mut self, content: &[u8], name: Option<&str>, minutes: Option<u8>) -> Outcome {
        let ends = self.ends(minutes);
        let id = ObjectId::of_bytes(content);
        let size = content.len() as u64;
        let dedup = self.objects.contains_key(&id);
        let available = self.available();
        let gone = self.order.clone();
        let is_recalled = !dedup && self.order.recall(id);
        if !dedup && size > available && !self.make_room(size) {
            self.order = gone;
            return Outcome::OutOfMemory {
                needed: size,
                available,
                max_mem: self.max_mem,
            };
        }
        if dedup {
            self.order.used(id, 1);
            self.dedup_hits += 1;
            self.dedup_saved += size;
        } else {
            self.allocations += 1;
            self.mem += size;
            self.peak = self.peak.max(self.mem);
            self.order.join(id, size, is_recalled);
            let object = Object {
                content: content.to_vec(),
                held: None,
                pinned: false,
                number: self.allocations,
                stored_at: self.now,
                unit: self.unit,
            };
            self.objects.insert(id, object);
        }
        let freed = match name {
            Some(name) => self.move_name(name, &id, ends),
            None => {
                let held = &mut self.objects.get_mut(&id).unwrap().held;
                *held = Some(held.unwrap_or_default().max(ends));
                None
            }
        };
        Outcome::Stored { dedup, freed }
    }

    pub fn free(&mut self, id: &ObjectId, force: bool) -> Outcome {
        let names = self.names_of(id);
        if !self.objects.contains_key(id) {
            return Outcome::NotStored;
        }
        if !force && !names.is_empty() {
            return Outcome::Named { names };
        }
        self.names.retain(|_, (named, _)| named != id);
        self.remove(id);
        self.forget_tags();
        Outcome::Freed { names }
    }

    pub fn bind(&mut self, name: &str, id: &ObjectId) -> Outcome {
        if !self.objects.contains_key(id) {
            return Outcome::NotStored;
        }
        let freed = self.move_name(name, id, NEVER);
        Outcome::Bound { freed }
    }

    /// Returns the object that this frees.
    fn move_name(&mut self, name: &str, id: &ObjectId, ends: u64) -> Option<ObjectId> {
        self.tags.remove(&Hold::Name(name.to_owned()));
        self.idle.remove(name);
        let (old, _) = self.names.insert(name.to_owned(), (*id, ends))?;
        let freed = self.drop_if_unheld(&old).then_some(old);
        self.forget_tags();
        freed
    }

    pub fn unbind(&mut self, name: &str) -> Outcome {
        let unbound = match self.names.remove(name) {
            None => Outcome::UnknownName,
            Some((id, _)) => Outcome::Unbound {
                freed: self.drop_if_unheld(&id).then_some(id),
            },
        };
        self.forget_tags();
        unbound
    }

    pub fn names_of(&self, id: &ObjectId) -> Vec<String> {
        let names = self.names.iter().filter(|(_, (named, _))| named == id);
        names.map(|(name, _)| name.clone()).collect()
    }

    fn drop_if_unheld(&mut self, id: &ObjectId) -> bool {
        let unheld = self.objects[id].held.is_none() && self.names_of(id).is_empty();
        if unheld {
            self.remove(id);
        }
        unheld
    }

    pub fn remove(&mut self, id: &ObjectId) {
        self.order.leave(*id);
        let object = self.objects.remove(id).unwrap();
        self.mem -= object.content.len() as u64;
        self.frees += 1;
    }
}
