//! Operations against a model: a heap must behave like maps, stay within its bound, and balance
//! its books.

use std::collections::{BTreeMap, BTreeSet};

use heapledger::{Durability, Error, Geometry, Hold, MemManager, ObjectId, SizeClass};

#[path = "input.rs"]
mod input;
use input::Input;

/// More would only slow down a run.
const MOST_OPERATIONS: usize = 60;

#[derive(Default)]
struct Model {
    objects: BTreeMap<ObjectId, Vec<u8>>,
    held: BTreeSet<ObjectId>,
    names: BTreeMap<String, ObjectId>,
    max_mem: usize,
}

pub fn run(input: &[u8]) {
    let mut input = Input(input);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let (geometry, max_mem) = sizes(&mut input);
    let options = MemManager::options().durability(Durability::Normal);
    let mut memory = options.clone().max_mem(max_mem).geometry(geometry).open(&path).unwrap();
    let mut model = Model {
        max_mem: max_mem as usize,
        ..Model::default()
    };
    for _ in 0..MOST_OPERATIONS {
        if input.is_empty() {
            break;
        }
        if input.byte() % 16 == 15 {
            drop(memory);
            memory = options.clone().open(&path).unwrap();
        }
        model.step(&memory, &mut input);
    }
    model.compare(&memory);
}

/// A geometry and a capacity, often one with short last rows.
fn sizes(input: &mut Input<'_>) -> (Geometry, u64) {
    let max_mem = 1 + input.number() as u64;
    let geometry = match input.byte() % 4 {
        0 => Geometry::standard(),
        1 => Geometry::classic(),
        2 => Geometry::new(
            560,
            2,
            vec![SizeClass {
                block_size: 7,
                pool_size: 56,
            }],
        )
        .unwrap(),
        _ => {
            let class = |block_size| SizeClass {
                block_size,
                pool_size: 2 * block_size,
            };
            Geometry::new(1024, 3, vec![class(16), class(64), class(512)]).unwrap()
        }
    };
    (geometry, max_mem)
}

impl Model {
    fn step(&mut self, memory: &MemManager, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 | 1 => self.put(memory, input, None),
            2 => {
                let name = name(input);
                self.put(memory, input, Some(name));
            }
            3 => self.free(memory, input),
            4 => self.bind(memory, input),
            5 => self.unbind(memory, &name(input)),
            6 => drop(memory.collect_garbage().unwrap()),
            _ => self.compare(memory),
        }
    }

    fn mem(&self) -> usize {
        self.objects.values().map(Vec::len).sum()
    }

    fn put(&mut self, memory: &MemManager, input: &mut Input<'_>, name: Option<String>) {
        let size = input.number() % 5000;
        let bytes = vec![input.byte() % 4; size];
        let hold = name.as_deref().map_or(Hold::Anonymous, Hold::Name);
        let id = ObjectId::of_bytes(&bytes);
        let available = self.max_mem - self.mem();
        let stored = if size.is_multiple_of(2) {
            memory.store_bytes(&bytes, hold)
        } else {
            memory.store_from(bytes.as_slice(), hold)
        };
        let known = self.objects.contains_key(&id);
        match stored {
            Ok(stored) => assert_eq!((stored.id, stored.size, stored.dedup), (id, size as u64, known)),
            Err(Error::OutOfMemory { needed, .. }) => {
                assert!(!known && size > available && needed as usize >= available);
                return;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(known || size <= available);
        self.objects.insert(id, bytes);
        match name {
            Some(name) => self.rebind(name, id),
            None => drop(self.held.insert(id)),
        }
    }

    fn rebind(&mut self, name: String, id: ObjectId) {
        let before = self.names.insert(name, id);
        self.let_go(before);
    }

    /// An object lives while something holds it.
    fn let_go(&mut self, id: Option<ObjectId>) {
        let Some(id) = id else { return };
        if !self.held.contains(&id) && !self.names.values().any(|named| *named == id) {
            self.objects.remove(&id);
        }
    }

    fn any(&self, input: &mut Input<'_>) -> ObjectId {
        let at = input.byte() as usize % (self.objects.len() + 1);
        self.objects
            .keys()
            .nth(at)
            .copied()
            .unwrap_or(ObjectId::of_bytes(b"nothing"))
    }

    fn free(&mut self, memory: &MemManager, input: &mut Input<'_>) {
        let id = self.any(input);
        let named = self.names.values().any(|named| *named == id);
        match memory.free(&id) {
            Ok(freed) => {
                assert!(!named);
                assert_eq!(self.objects.remove(&id).unwrap().len() as u64, freed.size);
                self.held.remove(&id);
            }
            Err(Error::NotStored { .. }) => assert!(!self.objects.contains_key(&id)),
            Err(Error::Named { .. }) => assert!(named),
            Err(error) => panic!("{error}"),
        }
    }

    fn bind(&mut self, memory: &MemManager, input: &mut Input<'_>) {
        let (id, name) = (self.any(input), name(input));
        match memory.bind(&name, &id) {
            Ok(_freed) => self.rebind(name, id),
            Err(Error::NotStored { .. }) => assert!(!self.objects.contains_key(&id)),
            Err(error) => panic!("{error}"),
        }
    }

    fn unbind(&mut self, memory: &MemManager, name: &str) {
        match memory.unbind(name) {
            Ok(freed) => {
                let id = self.names.remove(name);
                assert!(id.is_some());
                self.let_go(id);
                assert_eq!(freed.is_some(), id.is_some_and(|id| !self.objects.contains_key(&id)));
            }
            Err(Error::UnknownName { .. }) => assert!(!self.names.contains_key(name)),
            Err(error) => panic!("{error}"),
        }
    }

    fn compare(&self, memory: &MemManager) {
        assert_eq!(memory.memram().unwrap().mem as usize, self.mem());
        assert_eq!(memory.objects().count(), self.objects.len());
        for (id, bytes) in &self.objects {
            assert_eq!(memory.get_bytes(id).unwrap(), *bytes);
        }
        for (name, id) in &self.names {
            assert_eq!(memory.resolve(name).unwrap(), Some(*id));
        }
        let found = memory.check().unwrap();
        assert!(found.is_empty(), "{}", found[0]);
        let balance: u64 = memory.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
        assert_eq!(balance as usize, self.max_mem);
    }
}

fn name(input: &mut Input<'_>) -> String {
    ["a", "b", "c", "name \u{1b}[2J", "ß"][input.byte() as usize % 5].into()
}
