//! What a plan says of quotas is what a put does.

use heapledger::{Allocation, Error, Hold, HoldWith, MemManager, OverQuota, Plan, QuotaLimits};
use proptest::prelude::*;

use super::{ann, content, limit};
use crate::common::{Heap, cases};
use crate::{Clock, HOUR};

/// An object with its hold.
#[derive(Debug, Clone)]
struct Store {
    name: Option<u8>,
    number: u8,
    owner: Option<&'static str>,
    has_job: bool,
}

fn store() -> impl Strategy<Value = Store> {
    let owner = prop::option::weighted(0.9, prop::sample::select(vec!["ann", "bob"]));
    let parts = (prop::option::weighted(0.6, 0u8..3), 1u8..7, owner, any::<bool>());
    parts.prop_map(|(name, number, owner, has_job)| Store {
        name,
        number,
        owner,
        has_job,
    })
}

impl Store {
    fn content(&self) -> Vec<u8> {
        content(self.number, 10 * usize::from(self.number))
    }

    fn hold<'n>(&self, name: &'n str) -> HoldWith<'n> {
        let hold = HoldWith::from(self.name.map_or(Hold::Anonymous, |_| Hold::Name(name)));
        let owner = self.owner.map(|owner| ("owner", owner));
        hold.tags(owner).tags(self.has_job.then_some(("job", "7")))
    }

    fn name(&self) -> String {
        format!("name {}", self.name.unwrap_or_default())
    }

    fn run(&self, memory: &MemManager) -> Result<Allocation, Error> {
        memory.store_bytes(&self.content(), self.hold(&self.name()))
    }
}

/// What each owner of the quotas has.
type Used = Vec<(String, u64, u64)>;

/// The plans, each with what the owners of its tags would have then.
fn planned(heap: &MemManager, stores: &[Store]) -> Vec<(Plan, Used)> {
    let plans = heap.plan_batch(|planner| {
        let mut plans = Vec::new();
        for store in stores {
            planner.hold(store.hold(&store.name()))?;
            let plan = planner.allocate_bytes(&store.content())?;
            let quotas = planner.quotas()?.into_iter();
            plans.push((
                plan,
                quotas
                    .map(|quota| (quota.value, quota.used_bytes, quota.used_objects))
                    .collect(),
            ));
        }
        Ok(plans)
    });
    plans.unwrap()
}

/// The refusal of a put.
fn over(refused: Error) -> OverQuota {
    match refused {
        Error::QuotaExceeded(over) => over,
        other => panic!("{other}"),
    }
}

fn figures(over: Option<&OverQuota>) -> Option<[u64; 3]> {
    over.map(|over| [over.used, over.needed, over.hard])
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_plan_says_what_quotas_refuse_and_what_is_used_then(
        before in prop::collection::vec(store(), 0..8),
        stores in prop::collection::vec(store(), 1..10),
        limits in prop::collection::vec((20u64..160, 1u64..6), 3),
    ) {
        let heap = Heap::new();
        for store in &before {
            store.run(&heap).unwrap();
        }
        let owners = [("owner", "ann"), ("owner", "bob"), ("job", "7")];
        for ((key, value), (bytes, objects)) in owners.into_iter().zip(limits) {
            let limits = QuotaLimits::none().hard_bytes(bytes).hard_objects(objects);
            heap.set_quota(key, value, limits).unwrap();
        }
        for (store, (plan, used)) in stores.iter().zip(planned(&heap, &stores)) {
            match store.run(&heap) {
                Ok(_) => prop_assert!(plan.fits(), "{store:?}: {plan:?}"),
                Err(refused) => {
                    prop_assert!(!plan.fits());
                    prop_assert_eq!(plan.over_quota, Some(over(refused)), "{:?}", store);
                }
            }
            for (owner, bytes, objects) in used {
                let key = if owner == "7" { "job" } else { "owner" };
                let quota = heap.quota(key, &owner).unwrap().unwrap();
                prop_assert_eq!((bytes, objects), (quota.used_bytes, quota.used_objects), "{:?}", store);
            }
        }
    }
}

#[test]
fn what_is_over_counts_as_given_back() {
    let clock = Clock::take();
    let heap = Heap::new();
    limit(&heap, "ann", 50);
    let passing = ann(Hold::Name("passing")).expires_in(HOUR);
    heap.store_bytes(&content(1, 40), passing).unwrap();
    let plan = |size| {
        let plan = heap.plan_batch(|planner| {
            planner.hold(ann(Hold::Anonymous))?;
            planner.allocate_size(size)
        });
        plan.unwrap().over_quota
    };
    assert_eq!(figures(plan(11).as_ref()), Some([40, 11, 50]));
    clock.advance(HOUR);
    assert_eq!(plan(50), None);
    assert_eq!(figures(plan(51).as_ref()), Some([0, 51, 50]));
    heap.store_bytes(&content(2, 50), ann(Hold::Anonymous)).unwrap();
    assert_eq!(plan(0), None, "an empty object");
}
