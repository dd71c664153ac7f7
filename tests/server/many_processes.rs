//! Guards against these failures: processes write to the same spaces at the same time, and something
//! acknowledged is lost, something is done twice, or a reader in between sees books that do not balance.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::{Error, Hold, MemManager, ObjectId};

use crate::common::{Place, assert_balanced, content, on_server, options};
use crate::harness::{Random, again, given, given_number, say};

const PROCESSES: u64 = 8;
const THREADS: u64 = 4;
/// Units of work of each thread.
const UNITS: u64 = 30;
const CAPACITY: u64 = 64 << 20;
/// Contents that all processes store and free.
const SHARED: u64 = 6;

/// What a thread was told about a space, and what it keeps there.
#[derive(Default)]
struct Told {
    allocations: u64,
    frees: u64,
    dedup_hits: u64,
    kept: Vec<(u64, ObjectId)>,
    named: Option<ObjectId>,
}

fn own(seed: u64) -> Vec<u8> {
    content(seed, 100 + seed % 1500)
}

fn open(space: u64) -> MemManager {
    options()
        .busy_timeout(Duration::from_secs(60))
        .space(space.to_string())
        .max_mem(CAPACITY)
        .open(given("HEAPLEDGER_MANY_AT").unwrap())
        .unwrap()
}

/// Works at random. `thread` is a number that no other thread of any process has.
fn work(memory: &MemManager, thread: u64) -> Told {
    let mut told = Told::default();
    let mut random = Random(thread);
    let name = format!("thread {thread}");
    for unit in 0..UNITS {
        let seed = (thread << 32) + (unit << 8);
        match random.below(8) {
            0 => {
                let seeds: Vec<_> = (seed..seed + 1 + random.below(20)).collect();
                let old = told.kept.pop();
                let ids = memory.batch(|batch| {
                    if let Some((_, old)) = &old {
                        batch.free(old)?;
                    }
                    seeds.iter().map(|&seed| batch.allocate_bytes(&own(seed))).collect()
                });
                let ids: Vec<ObjectId> = ids.unwrap();
                told.frees += u64::from(old.is_some());
                told.allocations += ids.len() as u64;
                told.kept.extend(seeds.into_iter().zip(ids));
            }
            1 => {
                let stored = memory.store_bytes(&own(seed), Hold::Name(&name)).unwrap();
                assert!(!stored.dedup, "done twice");
                assert_eq!(stored.freed.map(|freed| freed.id), told.named);
                told.frees += u64::from(told.named.is_some());
                told.allocations += 1;
                told.named = Some(stored.id);
                assert_eq!(memory.resolve(&name).unwrap(), told.named);
            }
            2 if !told.kept.is_empty() => {
                let place = random.below(told.kept.len() as u64) as usize;
                let (_, id) = told.kept.swap_remove(place);
                memory.free(&id).unwrap();
                assert!(!memory.contains(&id).unwrap());
                told.frees += 1;
            }
            3 if !told.kept.is_empty() => {
                let (seed, id) = told.kept[random.below(told.kept.len() as u64) as usize];
                assert_eq!(memory.get_bytes(&id).unwrap(), own(seed));
            }
            4 => {
                let stored = memory.store_bytes(&own(random.below(SHARED)), Hold::Anonymous).unwrap();
                *(if stored.dedup {
                    &mut told.dedup_hits
                } else {
                    &mut told.allocations
                }) += 1;
            }
            5 => match memory.free(&ObjectId::of_bytes(&own(random.below(SHARED)))) {
                Ok(_) => told.frees += 1,
                Err(Error::NotStored { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            _ => {
                let stored = memory.store_bytes(&own(seed), Hold::Anonymous).unwrap();
                assert!(!stored.dedup, "done twice");
                told.allocations += 1;
                told.kept.push((seed, stored.id));
            }
        }
    }
    told
}

#[test]
#[ignore = "one of the processes"]
fn process() {
    let Some(spaces) = given("HEAPLEDGER_MANY_SPACES") else {
        return;
    };
    let spaces: Vec<u64> = spaces.split(',').map(|space| space.parse().unwrap()).collect();
    let first = given_number("HEAPLEDGER_MANY_FIRST");
    let memories: Vec<_> = spaces.iter().map(|&space| open(space)).collect();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let at = number as usize % spaces.len();
            let (space, memory) = (spaces[at], memories[at].clone());
            scope.spawn(move || {
                let thread = first + number;
                let told = work(&memory, thread);
                let [allocations, frees, dedup_hits] = [told.allocations, told.frees, told.dedup_hits];
                let mut lines = vec![format!("told {space} {allocations} {frees} {dedup_hits}")];
                lines.extend(told.kept.iter().map(|(seed, id)| format!("kept {space} {seed} {id}")));
                lines.extend(told.named.map(|id| format!("named {space} {thread} {id}")));
                say(&lines.join("\n"));
            });
        }
    });
}

/// One state has balanced books, whoever writes.
fn assert_reads_balance(memory: &MemManager) {
    let then = memory.snapshot().unwrap();
    let stats = then.stats().unwrap();
    let buckets: u64 = then.trial_balance().unwrap().iter().map(|bucket| bucket.bytes).sum();
    let claims: u64 = then.claims().unwrap().iter().map(|claim| claim.bytes).sum();
    assert_eq!([buckets, claims], [CAPACITY; 2]);
    assert_eq!(stats.allocations - stats.frees, stats.objects);
}

/// Processes that each write to the `each` spaces from its own number on, of `spaces`.
fn many_processes(spaces: u64, each: u64) {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let memories: Vec<_> = (0..spaces)
        .map(|space| {
            let options = options().space(space.to_string()).max_mem(CAPACITY);
            options.open(place.address()).unwrap()
        })
        .collect();
    let children = (0..PROCESSES).map(|number| {
        let of = (number..number + each).map(|space| (space % spaces).to_string());
        again("many_processes::process")
            .env("HEAPLEDGER_MANY_AT", place.address())
            .env("HEAPLEDGER_MANY_SPACES", of.collect::<Vec<_>>().join(","))
            .env("HEAPLEDGER_MANY_FIRST", (1 + number * THREADS).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let children: Vec<_> = children.collect();
    let done = AtomicBool::new(false);
    let said: Vec<String> = thread::scope(|scope| {
        for reader in 0..2 {
            let (memories, done) = (&memories, &done);
            scope.spawn(move || {
                let mut random = Random(reader);
                while !done.load(Ordering::SeqCst) {
                    assert_reads_balance(&memories[random.below(spaces) as usize]);
                }
            });
        }
        let ended: Vec<_> = children
            .into_iter()
            .map(|child| child.wait_with_output().unwrap())
            .collect();
        done.store(true, Ordering::SeqCst);
        let said = ended.into_iter().map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        });
        said.collect()
    });

    let mut expected = vec![[0; 3]; spaces as usize];
    let mut threads = 0;
    for line in said.iter().flat_map(|said| said.lines()) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "told" => {
                threads += 1;
                let sums = &mut expected[number(1) as usize];
                sums.iter_mut().zip(2..).for_each(|(sum, at)| *sum += number(at));
            }
            "kept" => {
                let id = words[3].parse().unwrap();
                let found = memories[number(1) as usize].get_bytes(&id);
                assert_eq!(found.unwrap(), own(number(2)), "{line}");
            }
            "named" => {
                let name = format!("thread {}", words[2]);
                let found = memories[number(1) as usize].resolve(&name).unwrap();
                assert_eq!(found.unwrap().to_string(), words[3], "{line}");
            }
            _ => {}
        }
    }
    assert_eq!(threads, PROCESSES * THREADS);
    for (memory, expected) in memories.iter().zip(expected) {
        let stats = memory.stats().unwrap();
        assert_eq!([stats.allocations, stats.frees, stats.dedup_hits], expected);
        assert_eq!(stats.objects, stats.allocations - stats.frees);
        assert!(memory.check().unwrap().is_empty());
    }
    assert_balanced(&memories[0]);
}

#[test]
fn processes_on_one_space_lose_and_repeat_nothing() {
    many_processes(1, 1);
}

#[test]
fn processes_on_eight_spaces_lose_and_repeat_nothing() {
    many_processes(8, 2);
}
