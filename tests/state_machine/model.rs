//! A space as a map in memory: objects, their holds, and the counters.

use std::collections::BTreeMap;

use heapledger::ObjectId;

#[derive(Debug, Clone)]
pub struct Object {
    pub content: Vec<u8>,
    pub held: bool,
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
    NotStored,
    Named {
        names: Vec<String>,
    },
    UnknownName,
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
    pub names: BTreeMap<String, ObjectId>,
    /// Bytes and state by key.
    pub reservations: BTreeMap<String, (u64, State)>,
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
            reservations: BTreeMap::new(),
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
        if bytes > available {
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
                let posted = self.allocate(content, None);
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

    pub fn allocate(&mut self, content: &[u8], name: Option<&str>) -> Outcome {
        let id = ObjectId::of_bytes(content);
        let size = content.len() as u64;
        let dedup = self.objects.contains_key(&id);
        let available = self.available();
        if !dedup && size > available {
            return Outcome::OutOfMemory {
                needed: size,
                available,
                max_mem: self.max_mem,
            };
        }
        if dedup {
            self.dedup_hits += 1;
            self.dedup_saved += size;
        } else {
            self.allocations += 1;
            self.mem += size;
            self.peak = self.peak.max(self.mem);
            let content = content.to_vec();
            self.objects.insert(id, Object { content, held: false });
        }
        let freed = match name {
            Some(name) => self.move_name(name, &id),
            None => {
                self.objects.get_mut(&id).unwrap().held = true;
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
        self.names.retain(|_, named| named != id);
        self.remove(id);
        Outcome::Freed { names }
    }

    pub fn bind(&mut self, name: &str, id: &ObjectId) -> Outcome {
        if !self.objects.contains_key(id) {
            return Outcome::NotStored;
        }
        let freed = self.move_name(name, id);
        Outcome::Bound { freed }
    }

    /// Returns the object that this frees.
    fn move_name(&mut self, name: &str, id: &ObjectId) -> Option<ObjectId> {
        let old = self.names.insert(name.to_owned(), *id)?;
        self.drop_if_unheld(&old).then_some(old)
    }

    pub fn unbind(&mut self, name: &str) -> Outcome {
        match self.names.remove(name) {
            None => Outcome::UnknownName,
            Some(id) => Outcome::Unbound {
                freed: self.drop_if_unheld(&id).then_some(id),
            },
        }
    }

    pub fn names_of(&self, id: &ObjectId) -> Vec<String> {
        let names = self.names.iter().filter(|(_, named)| *named == id);
        names.map(|(name, _)| name.clone()).collect()
    }

    fn drop_if_unheld(&mut self, id: &ObjectId) -> bool {
        let unheld = !self.objects[id].held && self.names_of(id).is_empty();
        if unheld {
            self.remove(id);
        }
        unheld
    }

    fn remove(&mut self, id: &ObjectId) {
        let object = self.objects.remove(id).unwrap();
        self.mem -= object.content.len() as u64;
        self.frees += 1;
    }
}
