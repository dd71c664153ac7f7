//! A full cache: each put of 4 KiB makes another object go. And a batch of small puts that expire.
//!
//! `cargo bench --bench evict -- [COUNT] [--full]` fills caches of 4 × COUNT values (COUNT is 10,000 by default),
//! and prints how many puts each does in a second of the steady state: one after the other, each in its own
//! transaction; by 8 threads that share the cache; and in batches of 100, each in one transaction. The caches are
//! heapledger by each policy, redb with an LRU list of its own tables, and diskcache-community, or else
//! python-diskcache, with the defaults, if Python has it (`pip install diskcache-community`). Commits are those of
//! `Durability::Normal`, and with `--full` of `Full`; redb has nothing like `Normal`, so there it is `None`, which
//! promises less. Threads that share redb take turns, because its list is kept by the program. Last come batches of
//! 1,000 puts of 200 B, without and with an expiry on each. The files are made in the folder that
//! `HEAPLEDGER_BENCH_DIR` names, or in a temporary one. `--only NAME` measures one cache, for a profiler, and
//! `--way one|threads|batches` one way.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use heapledger::{Durability, Hold, MemManager, Policy};
use redb::{Database, ReadableTable, TableDefinition};
use sha2::{Digest, Sha256};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const VALUE: usize = 4096;
const SMALL: usize = 200;
const BATCH: usize = 1000;

/// Puts of a transaction.
const TOGETHER: usize = 100;
const THREADS: usize = 8;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/diskcache_evict.py");

/// How the puts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    One,
    Threads,
    Batches,
}

impl Way {
    const ALL: [Self; 3] = [Self::One, Self::Threads, Self::Batches];

    fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Threads => "threads",
            Self::Batches => "batches",
        }
    }
}

/// The command line.
struct Settings {
    count: usize,
    full: bool,
    only: Option<String>,
    ways: Vec<Way>,
}

impl Settings {
    fn read() -> Outcome<Self> {
        let mut settings = Self {
            count: 10_000,
            full: false,
            only: None,
            ways: Way::ALL.into(),
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--full" => settings.full = true,
                "--only" => settings.only = Some(args.next().ok_or("--only needs the name of a cache")?),
                "--way" => {
                    let way = args.next().unwrap_or_default();
                    settings.ways.retain(|known| known.as_str() == way);
                    if settings.ways.is_empty() {
                        return Err("--way is one, threads or batches".into());
                    }
                }
                count => settings.count = count.parse()?,
            }
        }
        Ok(settings)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    fn durability(&self) -> Durability {
        if self.full {
            Durability::Full
        } else {
            Durability::Normal
        }
    }
}

fn main() -> Outcome<()> {
    let settings = &Settings::read()?;
    let folder = match std::env::var_os("HEAPLEDGER_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let (count, durability) = (settings.count, settings.durability());
    println!("puts/s of {VALUE} B, each of which makes one object go, {durability:?}, {count} puts");
    print!("{:<20}", "");
    settings.ways.iter().for_each(|way| print!(" {:>9}", way.as_str()));
    println!();
    for policy in Policy::ALL.into_iter().filter(|policy| settings.wants(policy.as_str())) {
        let heap = Heap::open(&folder.path().join(policy.as_str()), policy, settings)?;
        tell(&format!("heapledger {policy}"), count, &measure(&heap, settings)?);
    }
    if settings.wants("redb") {
        let lru = Mutex::new(Lru::open(&folder.path().join("redb"), 4 * count, settings.full)?);
        tell("redb + LRU", count, &measure(&lru, settings)?);
    }
    if settings.wants("diskcache") {
        match diskcache(&folder.path().join("diskcache"), settings)? {
            Some(took) => tell("diskcache", count, &took),
            None => println!("diskcache is not installed"),
        }
    }
    if !settings.wants("expire") {
        return Ok(());
    }
    println!("puts/s of {SMALL} B in batches of {BATCH}");
    let plain = batches(&folder.path().join("plain"), count, None, durability)?;
    tell("never expire", count, &[plain]);
    let hour = Some(Duration::from_secs(3600));
    let expiring = batches(&folder.path().join("expiring"), count, hour, durability)?;
    tell("expire", count, &[expiring]);
    println!("ratio {:.2}", plain.as_secs_f64() / expiring.as_secs_f64());
    Ok(())
}

fn tell(who: &str, count: usize, took: &[Duration]) {
    print!("{who:<20}");
    took.iter()
        .for_each(|took| print!(" {:>9.0}", count as f64 / took.as_secs_f64()));
    println!();
}

fn content(random: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    random.fill(&mut content);
    content
}

fn contents(random: &mut fastrand::Rng, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| content(random, VALUE)).collect()
}

trait Cache: Sync {
    /// Puts values in one transaction.
    fn put(&self, contents: &[Vec<u8>]) -> Outcome<()>;

    /// How many values have gone, if it counts them.
    fn gone(&self) -> Outcome<Option<u64>>;
}

/// Fills a cache, and takes the time of puts into it, in each way.
fn measure(cache: &impl Cache, settings: &Settings) -> Outcome<Vec<Duration>> {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..(4 * settings.count).div_ceil(BATCH) {
        cache.put(&contents(&mut random, BATCH))?;
    }
    settings
        .ways
        .iter()
        .map(|&way| {
            let contents = contents(&mut random, settings.count);
            let before = cache.gone()?;
            let started = Instant::now();
            match way {
                Way::One => contents.chunks(1).try_for_each(|one| cache.put(one))?,
                Way::Batches => contents.chunks(TOGETHER).try_for_each(|some| cache.put(some))?,
                Way::Threads => by_threads(cache, &contents)?,
            }
            let took = started.elapsed();
            if let (Some(before), Some(after)) = (before, cache.gone()?) {
                assert_eq!(after - before, settings.count as u64);
            }
            Ok(took)
        })
        .collect()
}

fn by_threads(cache: &impl Cache, contents: &[Vec<u8>]) -> Outcome<()> {
    std::thread::scope(|scope| {
        let part = contents.len().div_ceil(THREADS);
        let put = |contents: &[Vec<u8>]| contents.chunks(1).try_for_each(|one| cache.put(one));
        let threads: Vec<_> = contents
            .chunks(part)
            .map(|contents| scope.spawn(move || put(contents).map_err(|error| error.to_string())))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

struct Heap(MemManager);

impl Heap {
    fn open(dir: &Path, policy: Policy, settings: &Settings) -> Outcome<Self> {
        std::fs::create_dir_all(dir)?;
        let memory = MemManager::options()
            .max_mem((4 * settings.count * VALUE) as u64)
            .evict(policy)
            .durability(settings.durability())
            .open(dir.join("heap.db"))?;
        Ok(Self(memory))
    }
}

impl Cache for Heap {
    fn put(&self, contents: &[Vec<u8>]) -> Outcome<()> {
        if let [content] = contents {
            self.0.allocate_bytes(content)?;
            return Ok(());
        }
        self.0.batch(|batch| {
            contents
                .iter()
                .try_for_each(|content| batch.allocate_bytes(content).map(drop))
        })?;
        Ok(())
    }

    fn gone(&self) -> Outcome<Option<u64>> {
        Ok(Some(self.0.memram()?.evictions))
    }
}

impl Cache for Mutex<Lru> {
    fn put(&self, contents: &[Vec<u8>]) -> Outcome<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).put(contents)
    }

    fn gone(&self) -> Outcome<Option<u64>> {
        Ok(None)
    }
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
}

/// It times itself, so that starting Python is not measured.
fn diskcache(dir: &Path, settings: &Settings) -> Outcome<Option<Vec<Duration>>> {
    let has = |module: &str| {
        let import = Command::new("python3")
            .args(["-c", &format!("import {module}")])
            .output();
        import.is_ok_and(|import| import.status.success())
    };
    if !["diskcache_community", "diskcache"].into_iter().any(has) {
        return Ok(None);
    }
    let synchronous = if settings.full { "2" } else { "1" };
    let sizes = [VALUE, settings.count, THREADS, TOGETHER].map(|size| size.to_string());
    let output = Command::new("python3")
        .arg(SCRIPT)
        .arg(dir)
        .args(sizes)
        .arg(synchronous)
        .args(settings.ways.iter().map(|way| way.as_str()))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let seconds = String::from_utf8(output.stdout)?;
    let took = seconds
        .split_whitespace()
        .map(|seconds| Ok(Duration::from_secs_f64(seconds.parse()?)));
    took.collect::<Outcome<_>>().map(Some)
}
