//! Large objects: the process that stores or frees one is killed at any moment. What it reported is
//! there; of what it did not, all or nothing is seen, and after the lease every byte is given back.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use heapledger::{Hold, MemManager, ObjectId};

use crate::common::{MIB, Place, assert_balanced, assert_sql_balanced, content, number, options, quick, sql, texts};
use crate::harness::{Random, again, given, output_file, said, say};
use crate::kills;

/// More than two parts.
const SIZE: u64 = 17 * MIB + 321;
/// So large that it is freed in steps.
const IN_STEPS: u64 = 66 * MIB;
const LEASE: Duration = Duration::from_millis(30);

#[test]
#[ignore = "the child process that the other tests kill"]
fn storing() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = options().lease(LEASE).open(path).unwrap();
    say("ready");
    let source = File::open(given("HEAPLEDGER_SOURCE").unwrap()).unwrap();
    memory.store_from(source, Hold::Name("large")).unwrap();
    say("done");
    std::thread::park();
}

#[test]
#[ignore = "the child process that the other tests kill"]
fn freeing() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = options().open(path).unwrap();
    say("ready");
    memory.unbind("large").unwrap();
    say("done");
    std::thread::park();
}

struct Rig {
    place: Place,
    random: Random,
    /// How long a child runs before it is killed, on average.
    time: Duration,
}

impl Rig {
    fn new(seed: u64) -> Self {
        Self {
            place: Place::new(),
            random: Random(seed),
            time: Duration::ZERO,
        }
    }

    fn path(&self) -> &Path {
        self.place.address()
    }

    /// Starts a child and kills it: the first time when it is done, then at random moments of which half
    /// are before that. Returns whether it reported that it was done.
    fn kill(&mut self, child: &str) -> bool {
        let output = self.place.folder().join("said");
        let mut command = again(child);
        command
            .env("HEAPLEDGER_PATH", self.path())
            .env("HEAPLEDGER_SOURCE", self.place.folder().join("source"))
            .stdout(output_file(&output));
        let mut child = command.spawn().unwrap();
        wait_for(&output, "ready");
        if self.time.is_zero() {
            let since = Instant::now();
            wait_for(&output, "done");
            self.time = since.elapsed();
        } else {
            let most = 2 * self.time.as_micros() as u64;
            std::thread::sleep(Duration::from_micros(self.random.below(most)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        self.place.wait_for_the_dead();
        let is_done = said(&output).iter().any(|line| line == "done");
        let step = self.time / 16;
        self.time = if is_done { self.time - step } else { self.time + step };
        is_done
    }
}

fn wait_for(output: &Path, line: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !said(output).iter().any(|said| said == line) {
        assert!(Instant::now() < patience, "the child does not say {line:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Everything about where bytes are.
fn layout(memory: &MemManager) -> Vec<String> {
    let sql = sql(memory.path());
    let mut rows = texts(
        &sql,
        "SELECT bucket || ' ' || bytes FROM trial_balance UNION ALL SELECT bucket || ' ' || bytes FROM claims",
    );
    for (table, columns) in [
        ("arenas", "id || ' ' || mem"),
        ("pools", "id || ' ' || mem"),
        ("blocks", "id || ' ' || mem"),
        ("ledger", "id || ' ' || block_id || ' ' || start"),
    ] {
        rows.extend(texts(&sql, &format!("SELECT {columns} FROM {table} ORDER BY id")));
    }
    rows
}

/// Writes until nothing waits to be given back.
fn write_until_it_is_given_back(memory: &MemManager, stored: u64) {
    let mut writes = 0;
    while memory.memram().unwrap().mem > stored {
        memory.bind("kept", &ObjectId::of_bytes(b"kept")).unwrap();
        assert_balanced(memory);
        writes += 1;
        assert!(writes < 20, "bytes do not come back");
    }
}

#[test]
fn a_killed_process_leaves_nothing_of_a_large_object_and_loses_none() {
    std::thread::scope(|scope| {
        scope.spawn(|| large_objects_survive(7));
        large_objects_survive(8);
    });
}

fn large_objects_survive(seed: u64) {
    let mut rig = Rig::new(seed);
    let bytes = content(1, SIZE);
    std::fs::write(rig.place.folder().join("source"), &bytes).unwrap();
    let id = ObjectId::of_bytes(&bytes);
    let before = {
        let memory = quick().max_mem(64 * MIB).open(rig.path()).unwrap();
        memory.store_bytes(b"kept", Hold::Name("kept")).unwrap();
        layout(&memory)
    };
    let (kills, mut half) = (kills(100), 0);
    for kill in 0..kills {
        let is_done = rig.kill("large::storing");
        let memory = quick().open(rig.path()).unwrap();
        if kill % 4 == 0 {
            assert_balanced(&memory);
        } else {
            assert_sql_balanced(&sql(memory.path()));
        }
        let is_there = memory.contains(&id).unwrap();
        assert!(is_there || !is_done, "kill {kill}: what was reported is lost");
        assert_eq!(memory.resolve("large").unwrap(), is_there.then_some(id));
        assert_eq!(memory.objects().count(), 1 + usize::from(is_there), "kill {kill}");
        let complete = 4 + if is_there { SIZE } else { 0 };
        half += u64::from(memory.memram().unwrap().mem > complete);
        std::thread::sleep(LEASE);
        if kill % 10 == 3 {
            write_until_it_is_given_back(&memory, complete);
        }
        memory.collect_garbage().unwrap();
        assert_eq!(memory.memram().unwrap().mem, complete, "kill {kill}");
        assert_eq!(number(&sql(memory.path()), "SELECT count(*) FROM reservations"), 0);
        if is_there {
            memory.unbind("large").unwrap();
        }
        memory.collect_garbage().unwrap();
        assert_eq!(layout(&memory), before, "kill {kill}");
    }
    assert!(kills < 10 || half > 0, "no kill was in the middle");
    println!("{kills} kills, {half} of them in the middle of a large object");
}

#[test]
fn a_killed_process_frees_a_large_object_or_not() {
    let mut rig = Rig::new(7);
    let bytes = content(1, IN_STEPS);
    let memory = quick().max_mem(70 * MIB).open(rig.path()).unwrap();
    memory.store_bytes(b"kept", Hold::Name("kept")).unwrap();
    let before = layout(&memory);
    drop(memory);
    let (kills, mut half) = (kills(12), 0);
    for kill in 0..kills {
        let memory = quick().open(rig.path()).unwrap();
        memory.store_bytes(&bytes, Hold::Name("large")).unwrap();
        drop(memory);
        let is_done = rig.kill("large::freeing");
        let memory = quick().open(rig.path()).unwrap();
        assert_balanced(&memory);
        let is_there = memory.resolve("large").unwrap().is_some();
        assert!(!is_there || !is_done, "kill {kill}");
        let complete = 4 + if is_there { IN_STEPS } else { 0 };
        half += u64::from(memory.memram().unwrap().mem > complete);
        if kill % 2 == 0 {
            write_until_it_is_given_back(&memory, complete);
        }
        if is_there {
            memory.unbind("large").unwrap();
        }
        memory.collect_garbage().unwrap();
        assert_eq!(layout(&memory), before, "kill {kill}");
        assert_eq!(number(&sql(memory.path()), "SELECT count(*) FROM reservations"), 0);
    }
    println!("{kills} kills, {half} of them while bytes were given back");
}
