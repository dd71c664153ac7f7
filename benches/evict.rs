//! A full cache: each put of 4 KiB makes another object go. And a batch of small puts that expire.
//!
//! `cargo bench --bench evict -- [COUNT] [--full]` fills caches of 4 × COUNT values (COUNT is 10,000 by default),
//! and prints how many puts each does in a second of the steady state: heapledger by each policy, redb with an
//! LRU list of its own tables, and diskcache-community, or else python-diskcache, with the defaults, if Python has
//! it (`pip install diskcache-community`). Commits are those of `Durability::Normal`, and with `--full` of `Full`;
//! redb has nothing like `Normal`, so there it is `None`, which promises less. Last come batches of 1,000 puts of
//! 200 B, without and with an expiry on each. The files are made in the folder that `HEAPLEDGER_BENCH_DIR` names,
//! or in a temporary one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use heapledger::{Durability, Hold, MemManager, Policy};
use redb::{Database, ReadableTable, TableDefinition};
use sha2::{Digest, Sha256};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const VALUE: usize = 4096;
const SMALL: usize = 200;
const BATCH: usize = 1000;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/diskcache_evict.py");

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let full = args.iter().any(|arg| arg == "--full");
    let count = args.iter().find(|arg| *arg != "--full");
    let count: usize = count.map_or(Ok(10_000), |text| text.parse())?;
    let folder = match std::env::var_os("HEAPLEDGER_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let durability = if full { Durability::Full } else { Durability::Normal };
    println!("{count} puts of {VALUE} B, each of which makes one object go, {durability:?}");
    for policy in Policy::ALL {
        let dir = folder.path().join(policy.as_str());
        let took = heap(&dir, policy, count, durability)?;
        tell(&format!("heapledger {policy}"), count, took);
    }
    let took = Lru::open(&folder.path().join("redb"), 4 * count, full)?.run(count)?;
    tell("redb + LRU", count, took);
    match diskcache(&folder.path().join("diskcache"), count, full)? {
        Some(took) => tell("diskcache", count, took),
        None => println!("diskcache is not installed"),
    }
    println!("{count} puts of {SMALL} B in batches of {BATCH}");
    let plain = batches(&folder.path().join("plain"), count, None, durability)?;
    tell("never expire", count, plain);
    let hour = Some(Duration::from_secs(3600));
    let expiring = batches(&folder.path().join("expiring"), count, hour, durability)?;
    tell("expire", count, expiring);
    println!("ratio {:.2}", plain.as_secs_f64() / expiring.as_secs_f64());
    Ok(())
}

fn tell(who: &str, count: usize, took: Duration) {
    println!("{who:<20} {:>9.0} puts/s", count as f64 / took.as_secs_f64());
}

fn content(random: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    random.fill(&mut content);
    content
}

fn heap(dir: &Path, policy: Policy, count: usize, durability: Durability) -> Outcome<Duration> {
    std::fs::create_dir_all(dir)?;
    let capacity = 4 * count;
    let memory = MemManager::options()
        .max_mem((capacity * VALUE) as u64)
        .evict(policy)
        .durability(durability)
        .open(dir.join("heap.db"))?;
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..capacity.div_ceil(BATCH) {
        memory
            .batch(|batch| (0..BATCH).try_for_each(|_| batch.allocate_bytes(&content(&mut random, VALUE)).map(drop)))?;
    }
    let contents: Vec<_> = (0..count).map(|_| content(&mut random, VALUE)).collect();
    let before = memory.memram()?.evictions;
    let started = Instant::now();
    for content in &contents {
        memory.allocate_bytes(content)?;
    }
    let took = started.elapsed();
    assert_eq!(memory.memram()?.evictions - before, count as u64);
    Ok(took)
}

fn batches(dir: &Path, count: usize, lasts: Option<Duration>, durability: Durability) -> Outcome<Duration> {
    std::fs::create_dir_all(dir)?;
    let options = MemManager::options().max_mem((2 * count * SMALL) as u64);
    let memory = options.durability(durability).open(dir.join("heap.db"))?;
    let mut random = fastrand::Rng::with_seed(2);
    let contents: Vec<_> = (0..count).map(|_| content(&mut random, SMALL)).collect();
    let started = Instant::now();
    for contents in contents.chunks(BATCH) {
        memory.batch(|batch| {
            contents.iter().try_for_each(|content| {
                let stored = match lasts {
                    Some(time) => batch.store_bytes(content, Hold::Anonymous.expires_in(time)),
                    None => batch.store_bytes(content, Hold::Anonymous),
                };
                stored.map(drop)
            })
        })?;
    }
    Ok(started.elapsed())
}

/// What a program would write on redb: values, their order of use, and their places in it.
struct Lru {
    database: Database,
    durability: redb::Durability,
    capacity: u64,
    clock: u64,
}

type Id = [u8; 32];

const VALUES: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("values");
const ORDER: TableDefinition<'_, u64, Id> = TableDefinition::new("order");
const PLACES: TableDefinition<'_, Id, u64> = TableDefinition::new("places");

impl Lru {
    fn open(dir: &Path, capacity: usize, full: bool) -> Outcome<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self {
            database: Database::create(dir.join("cache.redb"))?,
            durability: if full {
                redb::Durability::Immediate
            } else {
                redb::Durability::None
            },
            capacity: capacity as u64,
            clock: 0,
        })
    }

    fn put(&mut self, contents: &[Vec<u8>]) -> Outcome<()> {
        let mut tx = self.database.begin_write()?;
        tx.set_durability(self.durability)?;
        {
            let mut values = tx.open_table(VALUES)?;
            let mut order = tx.open_table(ORDER)?;
            let mut places = tx.open_table(PLACES)?;
            for content in contents {
                let id = Id::from(Sha256::digest(content));
                self.clock += 1;
                let before = places.insert(id, self.clock)?.map(|place| place.value());
                if let Some(before) = before {
                    order.remove(before)?;
                } else {
                    values.insert(id, content.as_slice())?;
                }
                order.insert(self.clock, id)?;
                while self.clock - order.first()?.map_or(self.clock, |(first, _)| first.value()) >= self.capacity {
                    let Some(oldest) = order.pop_first()?.map(|(_, id)| id.value()) else {
                        break;
                    };
                    values.remove(oldest)?;
                    places.remove(oldest)?;
                }
            }
        }
        tx.commit()?;
        Ok(())
    }

    fn run(&mut self, count: usize) -> Outcome<Duration> {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..(self.capacity as usize).div_ceil(BATCH) {
            let contents: Vec<_> = (0..BATCH).map(|_| content(&mut random, VALUE)).collect();
            self.put(&contents)?;
        }
        let contents: Vec<_> = (0..count).map(|_| [content(&mut random, VALUE)]).collect();
        let started = Instant::now();
        for content in &contents {
            self.put(content)?;
        }
        Ok(started.elapsed())
    }
}

/// It times itself, so that starting Python is not measured.
fn diskcache(dir: &Path, count: usize, full: bool) -> Outcome<Option<Duration>> {
    let has = |module: &str| {
        let import = Command::new("python3")
            .args(["-c", &format!("import {module}")])
            .output();
        import.is_ok_and(|import| import.status.success())
    };
    if !["diskcache_community", "diskcache"].into_iter().any(has) {
        return Ok(None);
    }
    let synchronous = if full { "2" } else { "1" };
    let output = Command::new("python3")
        .arg(SCRIPT)
        .arg(dir)
        .args([&VALUE.to_string(), &count.to_string(), synchronous])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Some(Duration::from_secs_f64(seconds)))
}
