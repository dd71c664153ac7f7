//! The heap together with its model.

use std::collections::BTreeMap;

use heapledger::{
    ClaimName, CompactOptions, Error, EventFilter, History, MemManager, ObjectId, PlanError, QuotaLimits, TagBucket,
    Work, WorkPlan,
};
use proptest::sample::Index;

use crate::common::{MIB, Place, Sql, assert_sql_balanced, number, quick, server, sql};
use crate::evicting;
use crate::model::{Hold, Model};
use crate::ops::{Op, Resize, Setup, Step};
use crate::reservations;
use crate::writes::{missing, time, write};

const SPACES: [&str; 2] = ["main", "other"];

pub struct System {
    spaces: [(MemManager, Model); 2],
    sql: Sql,
    place: Place,
    /// Whether parts of contents that are refused or stored already count in the peak.
    has_large_objects: bool,
    /// A plan for each space.
    plans: [Option<WorkPlan>; 2],
}

impl System {
    pub fn new(Setup { spaces, in_parts }: Setup) -> Self {
        let place = Place::emptied();
        // A server stores and frees content in parts from 8 MiB.
        let in_parts = in_parts && server().is_none();
        let mut names = SPACES.iter();
        let spaces = spaces.map(|(max_mem, geometry)| {
            let options = quick()
                .space(*names.next().unwrap())
                .max_mem(max_mem)
                .geometry(geometry);
            let options = if in_parts { options.max_file(8 * MIB) } else { options };
            (options.open(place.address()).unwrap(), Model::new(max_mem))
        });
        place.has_opened();
        Self {
            spaces,
            sql: place.sql(),
            place,
            has_large_objects: in_parts,
            plans: [None, None],
        }
    }

    pub fn with_large_objects(setup: Setup) -> Self {
        Self {
            has_large_objects: true,
            ..Self::new(setup)
        }
    }

    pub fn take(&mut self, Step { space, op }: &Step) {
        if let Op::Reopen = op {
            for ((memory, model), name) in self.spaces.iter_mut().zip(SPACES) {
                // So that what was used is written: at the end it is only if nobody else writes.
                memory.batch(|_| Ok(())).unwrap();
                model.begin();
                *memory = quick().space(name).open(self.place.address()).unwrap();
            }
            return;
        }
        if let Op::Wait(minutes) = op {
            heapledger::advance_clock(time(*minutes));
            for (_, model) in &mut self.spaces {
                model.wait(*minutes);
            }
            return;
        }
        let (memory, model) = &mut self.spaces[*space];
        if !matches!(op, Op::Get(_) | Op::GetNamed(_) | Op::PlanEviction(_)) {
            model.begin();
        }
        match op {
            // A part of a content makes room for itself, whether the others come or not.
            Op::Evict(..) if self.has_large_objects => {}
            Op::Evict(..) | Op::Pin(..) | Op::Get(_) | Op::GetNamed(_) | Op::PlanEviction(_) => {
                evicting::take(memory, model, op);
            }
            Op::CollectGarbage => collect_garbage(memory),
            Op::Compact(under, join) => compact(memory, CompactOptions::default().under(*under).join(*join)),
            Op::Plan(under) => plan(memory, &mut self.plans[*space], *under),
            Op::AddArena => add_arena(memory),
            Op::AddPool(arena, class) => add_pool(memory, arena, class),
            Op::AddBlock(pool) => add_block(memory, pool),
            Op::Resize(to) => resize(memory, model, to),
            Op::History(None) => memory.set_history(History::On).unwrap(),
            Op::History(Some(bytes)) => memory.set_history(History::keep_bytes(*bytes)).unwrap(),
            Op::Quota(key, value, limits) => quota(memory, model, [key, value].map(u8::to_string), *limits),
            Op::Reserve(..) | Op::Post(..) | Op::PostAgain(..) | Op::Void(_) | Op::Lapse => {
                reservations::take(memory, model, op, &self.sql);
            }
            Op::Batch(ops, kept) => batch(memory, model, ops, *kept),
            _ => write(&mut &*memory, model, op),
        }
    }

    /// Checks that totals and rows match the model, and that the books balance.
    pub fn assert_same(&self) {
        for (memory, model) in &self.spaces {
            let space = memory.memram().unwrap();
            let stats = memory.stats().unwrap();
            let claim = |name| stats.claims.iter().find(|claim| claim.claim == name).unwrap().bytes;
            // Its bytes are given back sooner or later.
            let expired = claim(ClaimName::Expired);
            if self.has_large_objects || model.now > 0 {
                assert!(space.peak_mem >= model.peak);
            } else {
                assert_eq!(space.peak_mem, model.peak);
            }
            assert_eq!(claim(ClaimName::Objects), model.mem);
            assert_eq!(stats.claims.iter().map(|claim| claim.bytes).sum::<u64>(), model.max_mem);
            assert_eq!(stats.objects, model.objects.len() as u64);
            let found = [
                space.max_mem,
                space.mem - expired,
                space.promised,
                space.allocations,
                space.frees + stats.expired,
                space.dedup_hits,
                space.dedup_saved,
            ];
            let expected = [
                model.max_mem,
                model.mem,
                model.promised(),
                model.allocations,
                model.frees,
                model.dedup_hits,
                model.dedup_saved,
            ];
            assert_eq!(found.map(|count| count), expected);
            reservations::assert_same(memory, model);
            evicting::assert_same(memory, model);
            assert_eq!(objects_of(memory), objects_of_model(model));
            assert_same_tags(memory, model);
            assert_same_quotas(memory, model);
            assert_eq!(
                memory
                    .check()
                    .unwrap()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
                Vec::<String>::new()
            );
            let total: u64 = memory.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
            assert_eq!(total, model.max_mem);
        }
        assert_sql_balanced(&self.sql);
        self.assert_history();
    }

    /// Checks that the postings sum to zero for each event, and to the totals overall.
    fn assert_history(&self) {
        let unbalanced =
            "SELECT count(*) FROM (SELECT 1 FROM postings GROUP BY event_id HAVING sum(bytes) <> 0) AS unbalanced";
        assert_eq!(number(&self.sql, unbalanced), 0);
        assert_eq!(
            number(&self.sql, "SELECT count(*) FROM history_balance WHERE booked <> found"),
            0
        );
        for ((memory, _), name) in self.spaces.iter().zip(SPACES) {
            let last = memory.newest_events(&EventFilter::default(), 1).unwrap();
            let space = memory.memram().unwrap();
            assert_eq!(last[0].mem, space.mem, "{name}");
            let most = space.history_max_bytes.unwrap_or(u64::MAX);
            assert!(space.history_bytes <= most, "{name}: {}", space.history_bytes);
        }
    }

    /// Checks that every object reads back, and that nothing else is stored.
    pub fn assert_same_contents(&self) {
        for (memory, model) in &self.spaces {
            for (id, object) in &model.objects {
                assert_eq!(memory.get_bytes(id).unwrap(), object.content);
            }
            for (name, (id, _)) in &model.names {
                assert_eq!(memory.resolve(name).unwrap(), Some(*id));
            }
        }
        for (memory, model) in &self.spaces {
            memory.collect_garbage().unwrap();
            assert_eq!(memory.memram().unwrap().mem, model.mem);
        }
        let names: usize = self.spaces.iter().map(|(_, model)| model.names.len()).sum();
        assert_eq!(number(&self.sql, "SELECT count(*) FROM names") as usize, names);
    }
}

/// An object's size, whether it is held, and its names.
type Known = (u64, bool, Vec<String>);

fn objects_of(memory: &MemManager) -> BTreeMap<ObjectId, Known> {
    let known = |info: heapledger::ObjectInfo| {
        let id = info.id;
        let names = memory.names(&id).unwrap().into_iter().map(|name| name.name).collect();
        // The view goes by the clock of the engine.
        let held = memory.object(&id).unwrap().held;
        (id, (info.size, held, names))
    };
    memory.objects().map(|info| known(info.unwrap())).collect()
}

fn assert_same_tags(memory: &MemManager, model: &Model) {
    let mut found = BTreeMap::new();
    for name in model.names.keys() {
        found.insert(Hold::Name(name.clone()), memory.tags(name).unwrap());
    }
    for id in model.objects.keys() {
        found.insert(Hold::Anonymous(*id), memory.tags(id).unwrap());
    }
    found.retain(|_, tags| !tags.is_empty());
    let mut expected = model.tags.clone();
    expected.retain(|_, tags| !tags.is_empty());
    assert_eq!(found, expected);
    for key in ["0", "1"] {
        let rows = memory.usage_by(key).unwrap();
        assert_eq!(rows.iter().map(|row| row.bytes).sum::<u64>(), model.mem);
        assert_eq!(
            rows.iter().map(|row| row.objects).sum::<u64>(),
            model.objects.len() as u64
        );
        let tagged = rows.into_iter().filter(|row| row.bucket != TagBucket::Untagged);
        let tagged: BTreeMap<_, _> = tagged.map(|row| (row.value, (row.objects, row.bytes))).collect();
        assert_eq!(tagged, model.usage_by(key));
    }
}

/// The quotas, and whose the bytes of the objects are.
fn assert_same_quotas(memory: &MemManager, model: &Model) {
    let found = memory.quotas().unwrap().into_iter().map(|usage| {
        let quota = usage.quota;
        let used = [
            quota.used_bytes - usage.expired_bytes,
            quota.used_objects - usage.expired_objects,
        ];
        let hard = [quota.limits.hard_bytes.unwrap(), quota.limits.hard_objects.unwrap()];
        let owner = [quota.key, quota.value];
        (
            owner,
            hard,
            [used[0], used[1], usage.shared_bytes, usage.shared_objects],
        )
    });
    let expected = model.quotas.iter().map(|(owner, hard)| {
        let used = model.used([&owner[0], &owner[1]]);
        (owner.clone(), *hard, used)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

fn quota(memory: &MemManager, model: &mut Model, owner: [String; 2], limits: Option<(u64, u64)>) {
    let [key, value] = &owner;
    let Some((share, objects)) = limits else {
        let had = model.quotas.remove(&owner).is_some();
        assert_eq!(memory.remove_quota(key, value).unwrap(), had);
        return;
    };
    let bytes = model.max_mem * share / 100;
    let limits = QuotaLimits::none().hard_bytes(bytes).hard_objects(objects);
    memory.set_quota(key, value, limits).unwrap();
    model.quotas.insert(owner, [bytes, objects]);
}

fn objects_of_model(model: &Model) -> BTreeMap<ObjectId, Known> {
    let known = |id| {
        (
            model.objects[id].content.len() as u64,
            model.objects[id].held.is_some(),
            model.names_of(id),
        )
    };
    model.objects.keys().map(|id| (*id, known(id))).collect()
}

/// Runs `ops` in one transaction. If it is rolled back, nothing must change.
fn batch(memory: &MemManager, model: &mut Model, ops: &[Op], kept: bool) {
    let before = model.clone();
    let result = memory.batch(|batch| {
        for op in ops {
            write(batch, model, op);
        }
        if kept { Ok(()) } else { batch.free(&missing()).map(drop) }
    });
    assert_eq!(result.is_ok(), kept);
    if !kept {
        // What was read was read.
        let noted = std::mem::take(&mut model.noted);
        *model = before;
        model.noted = noted;
    }
}

fn collect_garbage(memory: &MemManager) {
    // What has expired would come back, too.
    memory.collect_expired().unwrap();
    let sql = sql(memory.path());
    let space = memory.memram().unwrap();
    let rows = |table: &str, more: &str| {
        number(
            &sql,
            &format!("SELECT count(*) FROM {table} WHERE memram_id = {}{more}", space.id),
        ) as u64
    };
    let empty = ["blocks", "pools", "arenas"].map(|table| rows(table, " AND mem = 0"));
    let used = ["blocks", "pools", "arenas"].map(|table| rows(table, " AND mem > 0"));
    let collected = memory.collect_garbage().unwrap();
    assert_eq!([collected.blocks, collected.pools, collected.arenas], empty);
    assert_eq!(["blocks", "pools", "arenas"].map(|table| rows(table, "")), used);
    let given_back = space.reserved - memory.memram().unwrap().reserved;
    assert_eq!(collected.bytes, given_back);
}

fn compact(memory: &MemManager, options: CompactOptions) {
    let before = memory.memram().unwrap();
    let ids: Vec<_> = memory.objects().map(|object| object.unwrap().key).collect();
    let done = match memory.compact(options) {
        Ok(compacted) => compacted,
        Err(Error::FileFull { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(done.stale, 0);
    assert_eq!(before.reserved - memory.memram().unwrap().reserved, done.totals.bytes);
    let after: Vec<_> = memory.objects().map(|object| object.unwrap().key).collect();
    assert_eq!(after, ids);
}

/// Applies the last plan, whatever has happened since, and makes another.
fn plan(memory: &MemManager, last: &mut Option<WorkPlan>, under: Option<u8>) {
    if let Some(plan) = last.take() {
        let before = memory.memram().unwrap();
        match memory.apply(&plan) {
            Ok(applied) => {
                let after = memory.memram().unwrap();
                assert_eq!(before.reserved - after.reserved, applied.totals.bytes);
                assert!(applied.done_before > 0 || applied.totals.moves == plan.totals.moves);
            }
            Err(Error::Plan(PlanError::Stale { .. }) | Error::FileFull { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let work = under.map_or(Work::Gc, |under| Work::Compact(CompactOptions::default().under(under)));
    match memory.plan_work(&work) {
        Ok(plan) => *last = Some(WorkPlan::from_json(plan.to_json().as_bytes()).unwrap()),
        Err(Error::FileFull { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

fn add_arena(memory: &MemManager) {
    let space = memory.memram().unwrap();
    let room = space.max_mem - space.reserved;
    match memory.add_arena() {
        Ok(arena) => assert_eq!(
            (arena.max_mem, arena.mem, arena.reserved),
            (space.arena_size.min(room), 0, 0)
        ),
        Err(Error::NoRoom { child: "arena", .. }) => assert_eq!(room, 0),
        Err(other) => panic!("{other}"),
    }
}

fn add_pool(memory: &MemManager, arena: &Index, class: &Index) {
    let arenas = memory.arenas().unwrap();
    if arenas.is_empty() {
        return;
    }
    let arena = arena.get(&arenas);
    let class = class.get(memory.geometry().classes());
    let room = arena.max_mem - arena.reserved;
    match memory.add_pool(arena.id, class.block_size) {
        Ok(pool) => assert_eq!((pool.max_mem, pool.reserved), ((class.pool_size).min(room), 0)),
        Err(Error::NoRoom { child: "pool", .. }) => assert_eq!(room, 0),
        Err(other) => panic!("{other}"),
    }
}

fn add_block(memory: &MemManager, pool: &Index) {
    let arenas = memory.arenas().unwrap();
    let pools: Vec<_> = arenas
        .iter()
        .flat_map(|arena| memory.pools(arena.id).unwrap())
        .collect();
    if pools.is_empty() {
        return;
    }
    let pool = pool.get(&pools);
    let room = pool.max_mem - pool.reserved;
    match memory.add_block(pool.id) {
        Ok(block) => assert_eq!(
            (block.max_mem, block.mem, block.is_free),
            (pool.block_size.min(room), 0, true)
        ),
        Err(Error::NoRoom { child: "block", .. }) => assert_eq!(room, 0),
        Err(other) => panic!("{other}"),
    }
}

fn resize(memory: &MemManager, model: &mut Model, to: &Resize) {
    let reserved = memory.memram().unwrap().reserved;
    let least = reserved.max(model.mem + model.promised());
    let wanted = to.bytes(model.max_mem, reserved);
    match memory.resize(wanted) {
        Ok(space) => {
            assert!(
                wanted > 0 && wanted >= least,
                "{wanted} bytes for {least} reserved, used or promised"
            );
            assert_eq!(space.max_mem, wanted);
            model.max_mem = wanted;
        }
        Err(Error::BadMaxMem { max_mem }) => assert_eq!((max_mem, wanted), (0, 0)),
        Err(Error::CannotShrink { max_mem, .. }) => assert!(max_mem == wanted && wanted < least),
        Err(other) => panic!("{other}"),
    }
}
