//! Guards against this failure: a writing process is killed (SIGKILL) at any moment, and then
//! a completed operation is missing, an incomplete one is half there, the books do not
//! balance, or the file cannot be opened or stays locked.
//!
//! A child (this test program again) writes with several threads and reports every operation
//! after it returned. The parent kills it, reopens the heap, checks it, and compares each
//! thread's part with a model: it must match the state after the last reported operation or
//! after the one in progress. The operating system survives, so writes need not have been
//! synced; for that see `power_loss`.
//!
//! `HEAPLEDGER_KILLS=n` makes n kills in total instead of 256 (64 on a server).

#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../common/mod.rs"]
mod common;
mod evicting;
#[allow(dead_code, unused_imports, reason = "this program uses only part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod large;
mod ops;
mod plans;
mod power_loss;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use common::{Place, assert_balanced, files_only, options, quick, server};
use harness::{Random, again, given, given_number, output_file, said, say};
use heapledger::{Durability, MemManager, ReservationState};
use ops::{Model, Op, found, op};

const THREADS: u64 = 3;
/// Offset between the operation numbers of two rounds; no round has this many operations.
const ROUND: u64 = 1 << 24;
/// Length of the log at which a checkpoint begins.
const LONG_LOG: u64 = 16 << 20;

#[test]
#[ignore = "the child process that the other tests kill"]
fn child() {
    let Some(path) = given("HEAPLEDGER_PATH") else {
        return;
    };
    let process = given_number("HEAPLEDGER_PROCESS");
    let first = given_number("HEAPLEDGER_FIRST");
    let durability = match given("HEAPLEDGER_FULL") {
        Some(_) => Durability::Full,
        None => Durability::Normal,
    };
    let long_log = given("HEAPLEDGER_LONG_LOG").is_some();
    let patience = Duration::from_secs(60);
    let memory = options()
        .durability(durability)
        .busy_timeout(patience)
        .open(path)
        .unwrap();
    std::thread::scope(|scope| {
        for writer in process * THREADS..(process + 1) * THREADS {
            let memory = &memory;
            scope.spawn(move || {
                for number in first..first + ROUND {
                    let op = op(writer, number);
                    // Each collection empties the log.
                    if !(long_log && matches!(op, Op::Collect | Op::Compact | Op::Plan)) {
                        ops::run(memory, writer, &op).unwrap();
                    }
                    say(&format!("done {writer} {number}"));
                }
            });
        }
    });
}

/// A heap and the model of its contents.
struct Rig {
    place: Place,
    models: Vec<Model>,
    processes: u64,
    full: bool,
    /// Whether to kill when the log is long enough for a checkpoint.
    long_log: bool,
    round: u64,
    random: Random,
    acknowledged: u64,
}

impl Rig {
    fn new(processes: u64, full: bool) -> Self {
        Self {
            place: Place::new(),
            models: vec![Model::default(); (processes * THREADS) as usize],
            processes,
            full,
            long_log: false,
            round: 0,
            random: Random(processes),
            acknowledged: 0,
        }
    }

    fn path(&self) -> &Path {
        self.place.address()
    }

    fn output(&self, process: u64) -> PathBuf {
        self.place.folder().join(format!("said by {process}"))
    }

    fn start(&self, process: u64) -> Child {
        let mut command = again("child");
        command
            .env("HEAPLEDGER_PATH", self.path())
            .env("HEAPLEDGER_PROCESS", process.to_string())
            .env("HEAPLEDGER_FIRST", (self.round * ROUND).to_string())
            .stdout(output_file(&self.output(process)));
        if self.full {
            command.env("HEAPLEDGER_FULL", "1");
        }
        if self.long_log {
            command.env("HEAPLEDGER_LONG_LOG", "1");
        }
        command.spawn().unwrap()
    }

    /// Starts all processes, and kills one after the other. Returns the number of kills.
    fn kill_all(&mut self) -> u64 {
        self.round += 1;
        let mut children: Vec<_> = (0..self.processes)
            .map(|process| (process, self.start(process)))
            .collect();
        if self.long_log {
            self.wait_for_long_log();
        } else if self.random.below(4) > 0 {
            // Kills it while it writes; otherwise during its start, opening or recovery.
            self.wait_for_more(0);
        }
        std::thread::sleep(Duration::from_millis(self.random.below(90)));
        while !children.is_empty() {
            let at = self.random.below(children.len() as u64) as usize;
            let (_, mut child) = children.swap_remove(at);
            child.kill().unwrap();
            child.wait().unwrap();
            if let Some((survivor, _)) = children.first() {
                // Dead processes must not block the living ones.
                self.wait_for_more(*survivor);
            }
        }
        self.verify();
        self.processes
    }

    /// Waits until a process reports another operation.
    fn wait_for_more(&self, process: u64) {
        let patience = Instant::now() + Duration::from_secs(60);
        let said = || acknowledged(&self.output(process)).len();
        let before = said();
        while said() == before {
            assert!(Instant::now() < patience, "process {process} does nothing");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the log is long enough for a checkpoint.
    fn wait_for_long_log(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        while std::fs::metadata(&log).map_or(0, |log| log.len()) < LONG_LOG {
            assert!(Instant::now() < patience, "the log does not grow");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn verify(&mut self) {
        self.place.wait_for_the_dead();
        if !self.place.has_heap() {
            let early = (0..self.processes).all(|process| acknowledged(&self.output(process)).is_empty());
            assert!(early, "the heap is gone");
            return;
        }
        let memory = quick().open(self.path()).unwrap();
        assert_balanced(&memory);
        let mut expected = BTreeSet::new();
        for writer in 0..self.models.len() as u64 {
            expected.extend(self.verify_writer(&memory, writer));
        }
        let stored: BTreeSet<_> = memory.objects().map(|object| object.unwrap().id.to_hex()).collect();
        assert_eq!(stored, expected, "foreign or missing objects");
    }

    /// Advances the model of a writer to the last acknowledged operation, and one further if that
    /// is what the file holds. Returns the ids of its objects.
    fn verify_writer(&mut self, memory: &MemManager, writer: u64) -> BTreeSet<String> {
        let done = acknowledged(&self.output(writer / THREADS));
        let done = done.into_iter().filter(|(by, _)| *by == writer).count() as u64;
        self.acknowledged += done;
        let first = self.round * ROUND;
        let mut model = self.models[writer as usize].clone();
        for number in first..first + done {
            model.apply(&op(writer, number));
        }
        let under_way = op(writer, first + done);
        let mut further = model.clone();
        further.apply(&under_way);
        let found = found(memory, writer);
        if let Op::Post { number, .. } = under_way {
            // Whoever comes again with the key learns whether it was done.
            let state = memory.reservation(&ops::key(writer, number)).map(|it| it.state);
            let posted = state.is_ok_and(|state| state == ReservationState::Posted);
            let expected = if posted { &further } else { &model };
            assert_eq!(found, expected.state(writer), "writer {writer}: posted {posted}");
        }
        if found != model.state(writer) {
            let what = "is neither as acknowledged nor as after";
            assert_eq!(found, further.state(writer), "writer {writer} {what} {under_way:?}");
            model = further;
        }
        self.models[writer as usize] = model;
        found
            .names
            .values()
            .chain(&found.held)
            .map(ToString::to_string)
            .collect()
    }

    fn report(&self, kills: u64) {
        println!(
            "{kills} kills, {} operations acknowledged, none lost, none half-done",
            self.acknowledged
        );
    }
}

/// Writer and number of every operation that a child reported as done.
fn acknowledged(path: &Path) -> Vec<(u64, u64)> {
    let lines = said(path);
    let done = lines
        .iter()
        .filter_map(|line| line.strip_prefix("done ")?.split_once(' '));
    done.map(|(writer, number)| (writer.parse().unwrap(), number.parse().unwrap()))
        .collect()
}

/// The number of kills for a test that makes `of` out of every 256.
fn kills(of: u64) -> u64 {
    // A server takes longer to notice that its client is gone.
    let default = if server().is_some() { 64 } else { 256 };
    let all = given("HEAPLEDGER_KILLS")
        .and_then(|all| all.parse().ok())
        .unwrap_or(default);
    (of * all).div_ceil(256)
}

fn survive(mut rig: Rig, kills: u64) {
    let mut killed = 0;
    while killed < kills {
        killed += rig.kill_all();
    }
    rig.report(killed);
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged() {
    survive(Rig::new(1, false), kills(110));
}

#[test]
fn a_killed_writer_with_full_durability_loses_nothing_acknowledged() {
    survive(Rig::new(1, true), kills(30));
}

#[test]
fn killed_processes_on_one_file_lose_nothing_and_do_not_block_each_other() {
    survive(Rig::new(3, false), kills(75));
}

#[test]
fn a_writer_killed_during_a_checkpoint_loses_nothing_acknowledged() {
    files_only!(Log);
    for full in [false, true] {
        let mut rig = Rig::new(1, full);
        rig.long_log = true;
        survive(rig, kills(8));
    }
}

#[test]
fn a_file_whose_creation_was_interrupted_is_missing_or_a_heap() {
    let kills = kills(25);
    for kill in 0..kills {
        let mut rig = Rig::new(1, kill % 5 == 0);
        rig.round = 1;
        let mut child = rig.start(0);
        std::thread::sleep(Duration::from_micros(500 * rig.random.below(60) + 700 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        rig.verify();
        // The remains do not get in the way.
        assert_balanced(&quick().open(rig.path()).unwrap());
    }
    println!("{kills} kills during the creation of the file");
}
