//! Random calls against a model that knows what has to go.

use heapledger::{Error, Hold, MemManager, ObjectId, Policy};
use proptest::prelude::*;

use super::{cache, planned};
use crate::common::{KIB, assert_balanced, cases, content};

const CAPACITY: u64 = 64 * KIB;

#[derive(Debug, Clone)]
enum Op {
    Store { seed: u64, size: u64, name: Option<u8> },
    Pin(usize),
    Unpin(usize),
    Free(usize),
    Policy(Option<Policy>),
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![3 => 1..5_000_u64, 3 => 4_000..20_000_u64, 1 => 20_000..CAPACITY + 1_000, 1 => Just(0)];
    let policy = prop_oneof![Just(None), Just(Some(Policy::Oldest)), Just(Some(Policy::Largest))];
    prop_oneof![
        20 => (0..40_u64, size, proptest::option::of(0..6_u8)).prop_map(|(seed, size, name)| Op::Store { seed, size, name }),
        3 => any::<usize>().prop_map(Op::Pin),
        1 => any::<usize>().prop_map(Op::Unpin),
        1 => any::<usize>().prop_map(Op::Free),
        1 => policy.prop_map(Op::Policy),
    ]
}

#[derive(Debug, Clone)]
struct Object {
    id: ObjectId,
    size: u64,
    pinned: bool,
    names: Vec<String>,
    held: bool,
}

/// The objects in the order in which they were stored.
#[derive(Debug, Default)]
struct Model {
    objects: Vec<Object>,
    policy: Option<Policy>,
}

impl Model {
    fn used(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }

    /// What has to go for this many bytes, in this order; `None` if that is not possible.
    fn victims(&self, size: u64) -> Option<Vec<ObjectId>> {
        let mut free = CAPACITY - self.used();
        let mut order: Vec<_> = self
            .objects
            .iter()
            .filter(|object| !object.pinned && object.size > 0)
            .collect();
        if self.policy == Some(Policy::Largest) {
            order.sort_by_key(|object| std::cmp::Reverse(object.size));
        }
        let mut order = order.into_iter().filter(|_| self.policy.is_some());
        let mut victims = Vec::new();
        while free < size {
            let object = order.next()?;
            free += object.size;
            victims.push(object.id);
        }
        Some(victims)
    }

    fn unname(&mut self, name: &str) {
        for object in &mut self.objects {
            object.names.retain(|other| other != name);
        }
        self.objects.retain(|object| object.held || !object.names.is_empty());
    }
}

fn run(heap: &MemManager, model: &mut Model, op: Op) {
    let at = |index: usize| (!model.objects.is_empty()).then(|| index % model.objects.len());
    match op {
        Op::Store { seed, size, name } => store(heap, model, &content(seed, size), name),
        Op::Pin(index) | Op::Unpin(index) => {
            let Some(index) = at(index) else { return };
            let pinned = matches!(op, Op::Pin(_));
            let object = &mut model.objects[index];
            let changed = if pinned {
                heap.pin(&object.id)
            } else {
                heap.unpin(&object.id)
            };
            assert_eq!(changed.unwrap(), object.pinned != pinned);
            object.pinned = pinned;
        }
        Op::Free(index) => {
            let Some(index) = at(index) else { return };
            heap.force_free(&model.objects.remove(index).id).unwrap();
        }
        Op::Policy(policy) => {
            heap.set_eviction(policy.map(Into::into)).unwrap();
            model.policy = policy;
        }
    }
}

fn store(heap: &MemManager, model: &mut Model, content: &[u8], name: Option<u8>) {
    let id = ObjectId::of_bytes(content);
    let size = content.len() as u64;
    let name = name.map(|name| format!("name {name}"));
    let hold = name.as_deref().map_or(Hold::Anonymous, Hold::Name);
    if !model.objects.iter().any(|object| object.id == id) {
        let victims = model.victims(size);
        if model.policy.is_some() {
            let plan = heap.plan_eviction(size).unwrap();
            assert_eq!(plan.fits(), victims.is_some());
            assert_eq!(planned(heap, size), victims.clone().unwrap_or_default());
        }
        let Some(victims) = victims else {
            let refused = heap.store_bytes(content, hold);
            assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
            return;
        };
        model.objects.retain(|object| !victims.contains(&object.id));
        model.objects.push(Object {
            id,
            size,
            pinned: false,
            names: Vec::new(),
            held: false,
        });
    }
    heap.store_bytes(content, hold).unwrap();
    let object = model.objects.iter_mut().find(|object| object.id == id).unwrap();
    match name {
        None => object.held = true,
        Some(name) if object.names.contains(&name) => {}
        Some(name) => {
            object.names.push(name.clone());
            let own = object.names.clone();
            for other in model.objects.iter_mut().filter(|other| other.id != id) {
                other.names.retain(|theirs| *theirs != name || !own.contains(theirs));
            }
            model.unname("");
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn exactly_what_has_to_go_goes(ops in proptest::collection::vec(op(), 1..60), largest in any::<bool>()) {
        let policy = if largest { Policy::Largest } else { Policy::Oldest };
        let heap = cache(policy);
        let mut model = Model { policy: Some(policy), ..Model::default() };
        for op in ops {
            run(&heap, &mut model, op);
            let stored: Vec<_> = heap.objects().map(|object| object.unwrap().id).collect();
            let expected: Vec<_> = model.objects.iter().map(|object| object.id).collect();
            prop_assert_eq!(stored, expected);
            let pinned: Vec<_> = heap.pins().unwrap().into_iter().map(|object| object.id).collect();
            let expected: Vec<_> = model.objects.iter().filter(|object| object.pinned).map(|object| object.id).collect();
            prop_assert_eq!(pinned, expected);
        }
        assert_balanced(&heap);
    }
}
