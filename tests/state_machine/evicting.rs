//! Eviction, by the heap and by its model.

use heapledger::{Error, Eviction, MemManager, ObjectId, Policy};

use crate::model::{Model, Outcome};
use crate::ops::Op;
use crate::writes::{name_of, pick, refused, time};

impl Model {
    /// A unit of work begins: what was used since the last one counts.
    pub fn begin(&mut self) {
        self.unit += 1;
        for (id, times) in std::mem::take(&mut self.noted) {
            self.order.used(id, times);
        }
    }

    /// An object is read.
    pub fn read(&mut self, id: &ObjectId) {
        if !self.order.goes_by_use() {
            return;
        }
        let before = self.noted.iter().position(|(noted, _)| noted == id);
        let times = before.map_or(0, |at| self.noted.remove(at).1);
        self.noted.push((*id, (times + 1).min(3)));
    }

    /// Removes what goes for `size` bytes. Returns false, and removes nothing, if that is not enough.
    pub fn make_room(&mut self, size: u64) -> bool {
        let Some((order, victims)) = self.victims(size) else {
            return false;
        };
        self.order = order;
        for id in &victims {
            self.names.retain(|_, (named, _)| named != id);
            self.evictions += 1;
            self.evicted_mem += self.objects[id].content.len() as u64;
            self.remove(id);
        }
        self.forget_tags();
        true
    }

    /// What goes for `size` bytes, first things first, and the order after it.
    fn victims(&self, size: u64) -> Option<(crate::order::Order, Vec<ObjectId>)> {
        let policy = self.order.policy?;
        let mut order = self.order.clone();
        let by_age = self.by_age(policy == Policy::Largest);
        let mut by_age = by_age.iter().filter(|id| self.may_go(id));
        let (mut victims, mut free) = (Vec::new(), self.available());
        while free < size {
            let may_go = |id: &ObjectId| self.may_go(id);
            let victim = match self.order.goes_by_use() {
                true => order.take_next(&may_go, self.max_mem)?,
                false => *by_age.next()?,
            };
            free += self.objects[&victim].content.len() as u64;
            victims.push(victim);
        }
        Some((order, victims))
    }

    /// All objects, in the order in which they were stored, or the largest first.
    fn by_age(&self, largest_first: bool) -> Vec<ObjectId> {
        let mut ids: Vec<_> = self.objects.keys().copied().collect();
        ids.sort_by_key(|id| {
            let object = &self.objects[id];
            let size = if largest_first { object.content.len() } else { 0 };
            (std::cmp::Reverse(size), object.number)
        });
        ids
    }

    fn may_go(&self, id: &ObjectId) -> bool {
        let object = &self.objects[id];
        let is_old = object.unit < self.unit && object.stored_at + u64::from(self.min_age) <= self.now;
        !object.content.is_empty() && !object.pinned && is_old
    }

    fn evict_by(&mut self, policy: Option<Policy>, min_age: u8) {
        let objects = self.by_age(false).into_iter();
        let objects: Vec<_> = objects.map(|id| (id, self.objects[&id].content.len() as u64)).collect();
        self.order.change(policy, &objects);
        self.min_age = min_age;
    }

    fn pin(&mut self, id: &ObjectId, pinned: bool) -> Outcome {
        match self.objects.get_mut(id) {
            None => Outcome::NotStored,
            Some(object) => {
                let changed = std::mem::replace(&mut object.pinned, pinned) != pinned;
                Outcome::Pinned { changed }
            }
        }
    }
}

/// Applies `op` to both; the outcomes must be equal.
pub fn take(memory: &MemManager, model: &mut Model, op: &Op) {
    match op {
        Op::Evict(policy, minutes) => {
            let eviction = |policy| Eviction::by(policy).min_age(time(*minutes));
            memory.set_eviction(policy.map(eviction)).unwrap();
            model.evict_by(*policy, *minutes);
        }
        Op::Pin(index, pinned) => {
            let id = pick(model, index);
            let changed = match pinned {
                true => memory.pin(&id),
                false => memory.unpin(&id),
            };
            let found = changed.map_or_else(refused, |changed| Outcome::Pinned { changed });
            assert_eq!(found, model.pin(&id, *pinned), "{op:?}");
        }
        Op::Get(index) => {
            let id = pick(model, index);
            let found = memory.get_bytes(&id);
            match model.objects.get(&id) {
                Some(object) => assert_eq!(found.unwrap(), object.content),
                None => assert!(matches!(found, Err(Error::NotStored { .. }))),
            }
            if model.objects.contains_key(&id) {
                model.read(&id);
            }
        }
        Op::GetNamed(name) => {
            let name = name_of(*name);
            let (found, expected) = (memory.get_bytes_by_name(&name).unwrap(), model.get(&name));
            assert_eq!(found, expected, "{op:?}");
            if let Some(content) = &expected {
                model.read(&ObjectId::of_bytes(content));
            }
        }
        Op::PlanEviction(size) => {
            let size = size.bytes(model.max_mem, model.max_mem - model.available());
            plan(memory, model, size);
        }
        _ => unreachable!("{op:?} is not about eviction"),
    }
}

/// Plans what the model says.
fn plan(memory: &MemManager, model: &Model, size: u64) {
    let plan = match memory.plan_eviction(size) {
        Err(Error::Space(_)) => return assert_eq!(model.order.policy, None),
        plan => plan.unwrap(),
    };
    let found: Vec<_> = plan.victims.iter().map(|victim| victim.id).collect();
    let mut then = model.clone();
    then.begin();
    let expected = then.victims(size).map(|(_, victims)| victims);
    assert_eq!(plan.fits(), expected.is_some(), "{plan:?}");
    if let Some(expected) = expected {
        assert_eq!(found, expected, "{plan:?}");
    }
}

/// Checks that both have the same setting, pins and counts.
pub fn assert_same(memory: &MemManager, model: &Model) {
    let eviction = |policy| Eviction::by(policy).min_age(time(model.min_age));
    let setting = model.order.policy.map(eviction);
    assert_eq!(memory.eviction().unwrap(), setting);
    let mut pins: Vec<_> = memory.pins().unwrap().into_iter().map(|object| object.id).collect();
    pins.sort_unstable();
    let pinned = model.objects.iter().filter(|(_, object)| object.pinned);
    assert_eq!(pins, pinned.map(|(id, _)| *id).collect::<Vec<_>>());
    let space = memory.memram().unwrap();
    assert_eq!(
        [space.evictions, space.evicted_mem],
        [model.evictions, model.evicted_mem]
    );
}
