//! What compaction costs and gains, by the share of an arena below which it is emptied: for a cache whose
//! load has fallen, so that a quarter of what it had is left, scattered over all its arenas.
//!
//! `cargo run --example compact`, or with the requests of a trace of block I/O, as `cloudPhysicsIO.csv` of
//! libCacheSim (`version,time,op,size,lbn`): `cargo run --release --example compact -- TRACE.csv`

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use heapledger::{Batch, CompactOptions, Durability, MemManager, ObjectId, Work};

/// The most content that the cache has.
const BUDGET: u64 = 64 << 20;
/// What is left of it in the end.
const LEFT: u64 = BUDGET / 4;

fn main() -> Result<(), Box<dyn Error>> {
    let requests = match std::env::args().nth(1) {
        Some(trace) => read(&std::fs::read_to_string(trace)?)?,
        None => made_up(),
    };
    let folder = tempfile::tempdir()?;
    let memory = MemManager::options()
        .max_mem(2 * BUDGET)
        .durability(Durability::Normal)
        .open(folder.path().join("heap.db"))?;
    let mut cache = Cache::default();
    for requests in requests.chunks(1_000) {
        memory.batch(|batch| requests.iter().try_for_each(|&request| cache.serve(batch, request)))?;
    }
    memory.batch(|batch| cache.evict(batch, LEFT))?;
    memory.collect_garbage()?;
    let space = memory.memram()?;
    println!(
        "{} requests; {:.1} MiB in {} objects are left, in {} arenas",
        requests.len(),
        mib(space.mem),
        cache.entries.len(),
        space.arenas
    );

    println!("under   arenas back   MiB back   MiB moved   bytes back for each moved");
    for under in [10, 25, 50, 75, 100] {
        let plan = memory.plan_work(&Work::Compact(CompactOptions::default().under(under)))?;
        let totals = plan.totals;
        let ratio = totals.bytes as f64 / totals.moved_bytes.max(1) as f64;
        println!(
            "{under:>4} % {:>13} {:>10.1} {:>11.1} {ratio:>27.1}",
            totals.arenas,
            mib(totals.bytes),
            mib(totals.moved_bytes)
        );
    }

    // The plans have changed nothing; this does.
    let compacted = memory.compact(CompactOptions::default())?;
    assert_eq!(memory.memram()?.arenas, space.arenas - compacted.totals.arenas);
    for (id, object) in &cache.entries {
        assert_eq!(memory.get_bytes(&object.id)?, content(*id, object.size));
    }
    assert!(memory.check()?.is_empty());
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What is asked for, and its bytes.
type Request = (u64, u64);

/// A cache that evicts what was not used for longest.
#[derive(Default)]
struct Cache {
    entries: HashMap<u64, Entry>,
    by_use: BTreeMap<u64, u64>,
    clock: u64,
    used: u64,
}

struct Entry {
    id: ObjectId,
    size: u64,
    last_use: u64,
}

impl Cache {
    fn serve(&mut self, batch: &mut Batch<'_, '_>, (key, size): Request) -> heapledger::Result<()> {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(&key) {
            self.by_use.remove(&entry.last_use);
            entry.last_use = self.clock;
        } else {
            self.evict(batch, BUDGET.saturating_sub(size))?;
            let id = batch.allocate_bytes(&content(key, size))?;
            let last_use = self.clock;
            self.entries.insert(key, Entry { id, size, last_use });
            self.used += size;
        }
        self.by_use.insert(self.clock, key);
        Ok(())
    }

    fn evict(&mut self, batch: &mut Batch<'_, '_>, most: u64) -> heapledger::Result<()> {
        while self.used > most
            && let Some((_, key)) = self.by_use.pop_first()
        {
            if let Some(entry) = self.entries.remove(&key) {
                batch.free(&entry.id)?;
                self.used -= entry.size;
            }
        }
        Ok(())
    }
}

/// Bytes that no other key has.
fn content(key: u64, size: u64) -> Vec<u8> {
    key.to_le_bytes().into_iter().cycle().take(size as usize).collect()
}

/// The requests of a trace, with the size in its fourth column and the block in its fifth. A block has the
/// size of the first request for it.
fn read(trace: &str) -> Result<Vec<Request>, Box<dyn Error>> {
    let mut requests = Vec::new();
    let mut sizes = HashMap::new();
    for line in trace.lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        let [_, _, _, size, block] = columns.as_slice() else {
            return Err(format!("five columns were expected: {line}").into());
        };
        let (size, block): (u64, u64) = (size.parse()?, block.parse()?);
        requests.push((block, *sizes.entry(block).or_insert(size.max(8))));
    }
    Ok(requests)
}

/// 10,000 requests for 20,000 objects of 512 B to 64 KiB, some of which are asked for often.
fn made_up() -> Vec<Request> {
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    let mut key = move || (random() % 20_000) * (random() % 20_000) / 20_000;
    let size = |key: u64| 512 << (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61);
    (0..10_000).map(|_| key()).map(|key| (key, size(key))).collect()
}
