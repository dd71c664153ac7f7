//! Guards against these failures: a reader that never ends lets the write-ahead log grow without
//! end; the writer that is refused for that reason does not say who it is; or readers that end soon
//! lead to a refusal.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use heapledger::{Error, LogHolder, MemManager, Options};
use tempfile::{TempDir, tempdir};

use crate::common::{MIB, assert_balanced, content, files_only, quick};
use crate::harness::{Talk, again, given, listen, possible, say};

const LIMIT: u64 = 64 * MIB;
/// Bytes of log that a put of 1 MiB takes, at most.
const PUT: u64 = MIB + MIB / 4;

fn impatient(plain: bool) -> Options {
    quick().plain_io(plain).busy_timeout(Duration::from_millis(30))
}

fn log_length(heap: &Path) -> u64 {
    let log = heap.with_file_name("heap.db-wal");
    std::fs::metadata(log).map_or(0, |file| file.len())
}

/// A heap with something in it.
fn heap(options: &Options) -> (TempDir, MemManager) {
    let dir = tempdir().unwrap();
    let memory = options.clone().open(dir.path().join("heap.db")).unwrap();
    memory.allocate("something").unwrap();
    (dir, memory)
}

/// Fills the log in one transaction, which may be larger than the limit.
pub fn fill_log(memory: &MemManager) {
    let contents = (1 << 40..).take(65);
    memory
        .batch(|batch| {
            contents
                .into_iter()
                .try_for_each(|seed| batch.allocate_bytes(&content(seed, MIB)).map(drop))
        })
        .unwrap();
    assert!(log_length(memory.path()) > LIMIT);
}

#[track_caller]
fn holders<T: std::fmt::Debug>(refused: heapledger::Result<T>) -> Vec<LogHolder> {
    match refused.unwrap_err() {
        Error::LogHeld(held) => {
            assert_eq!(held.limit, LIMIT);
            assert!(held.log >= held.limit, "{} bytes", held.log);
            held.holders
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_reader_of_this_process_is_named_and_nothing_is_written() {
    files_only!(Log);
    for plain in [false, true] {
        let (_dir, memory) = heap(&impatient(plain));
        let id = memory.allocate("to free").unwrap();
        let other = memory.clone();
        memory
            .read(|snapshot| {
                assert!(snapshot.contains(&id)?);
                fill_log(&other);
                let before = log_length(other.path());
                let held = holders(other.allocate("more"));
                if let [holder] = &held[..] {
                    assert!(holder.is_this_process() && holder.reading_for.is_some(), "{holder:?}");
                } else {
                    panic!("{held:?}");
                }
                // Freeing and collecting would lengthen the log as well.
                holders(other.free(&id));
                holders(other.batch(|batch| batch.allocate("in a batch")));
                holders(quick().space("new").busy_timeout(Duration::ZERO).open(other.path()));
                let kept = other.collect_garbage();
                assert!(matches!(kept, Err(Error::LogHeld(_))), "{kept:?}");
                assert_eq!(log_length(other.path()), before);
                assert!(snapshot.contains(&id)?);
                Ok(())
            })
            .unwrap();
        assert!(!memory.contains(&heapledger::ObjectId::of_bytes(b"more")).unwrap());
        memory.free(&id).unwrap();
        assert!(log_length(memory.path()) < LIMIT);
        assert_balanced(&memory);
    }
}

#[test]
fn every_thread_that_waits_learns_who_holds_the_log() {
    files_only!(Log);
    let (_dir, memory) = heap(&impatient(false));
    let snapshot = memory.snapshot().unwrap();
    fill_log(&memory);
    thread::scope(|scope| {
        for number in 0..8 {
            let memory = &memory;
            scope.spawn(move || {
                let held = holders(memory.allocate(&number));
                assert!(held.iter().any(LogHolder::is_this_process), "{held:?}");
            });
        }
    });
    drop(snapshot);
    memory.allocate("after").unwrap();
    assert_balanced(&memory);
}

/// The process that the next test starts: it keeps an old state until it is told to go on.
#[test]
#[ignore = "run by the test that follows"]
fn reading_child() {
    let memory = quick().read_only(true).open(given("HEAP").unwrap()).unwrap();
    let snapshot = memory.snapshot().unwrap();
    say("reading");
    listen();
    drop(snapshot);
    say("ended");
    listen();
}

#[test]
fn a_reader_of_another_process_is_named() {
    files_only!(Log);
    for plain in [false, true] {
        let (_dir, memory) = heap(&impatient(plain));
        let mut command = again("log_limit::reading_child");
        command.env("HEAP", memory.path());
        let mut child = Talk::start(command);
        child.hear("reading").unwrap();
        fill_log(&memory);
        assert_names(holders(memory.allocate("more")), child.id());
        child.say("go on");
        child.hear("ended").unwrap();
        memory.allocate("more").unwrap();
        assert!(child.end());
        assert_balanced(&memory);
    }
}

/// Only Linux tells who has a lock.
fn assert_names(holders: Vec<LogHolder>, pid: u32) {
    if cfg!(target_os = "linux") {
        let pids: Vec<_> = holders.iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [pid]);
        assert!(!holders[0].command.is_empty() && holders[0].reading_for.is_none());
    }
}

#[test]
fn a_transaction_of_the_shell_is_named() {
    files_only!(Log);
    if !possible("the sqlite3 shell", "sqlite3 --version") {
        return;
    }
    let (_dir, memory) = heap(&impatient(false));
    let mut command = Command::new("sqlite3");
    command.arg(memory.path());
    let mut shell = Talk::start(command);
    shell.say("BEGIN; SELECT 'reading' FROM memram;");
    shell.hear("reading").unwrap();
    fill_log(&memory);
    let refused = memory.allocate("more").unwrap_err();
    if cfg!(target_os = "linux") {
        let message = refused.to_string();
        assert!(
            message.contains(&format!("process {} (sqlite3)", shell.id())),
            "{message}"
        );
    }
    assert_names(holders(memory.allocate("more")), shell.id());
    shell.say("COMMIT; SELECT 'ended';");
    shell.hear("ended").unwrap();
    memory.allocate("more").unwrap();
    assert_balanced(&memory);
}

#[test]
fn a_writer_waits_for_a_reader_that_ends() {
    files_only!(Log);
    let (_dir, memory) = heap(&quick().busy_timeout(Duration::MAX));
    let snapshot = memory.snapshot().unwrap();
    fill_log(&memory);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| memory.allocate("more"));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(snapshot);
        waiting.join().unwrap().unwrap();
    });
    assert!(log_length(memory.path()) < LIMIT);
    assert_balanced(&memory);
}

/// Puts 1 MiB at a time, while `watch` is called in another thread. Returns the longest log seen.
fn watched(memory: &MemManager, puts: std::ops::Range<u64>, put: impl Fn(u64) + Sync) -> u64 {
    let (done, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                longest.fetch_max(log_length(memory.path()), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let putting = scope.spawn(|| puts.for_each(&put));
        let result = putting.join();
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    longest.into_inner()
}

#[test]
#[ignore = "run by the test that follows"]
fn busy_child() {
    let memory = quick().read_only(true).open(given("HEAP").unwrap()).unwrap();
    say("reading");
    read_until(&memory, || {
        !Path::new(&given("HEAP").unwrap()).with_file_name("go").exists()
    });
}

/// Reads again and again, in transactions that overlap those of the other readers.
fn read_until(memory: &MemManager, done: impl Fn() -> bool) {
    while !done() {
        memory
            .read(|snapshot| {
                snapshot.find("last")?;
                thread::sleep(Duration::from_millis(3));
                snapshot.get_bytes_by_name("last").map(drop)
            })
            .unwrap();
    }
}

#[test]
fn constant_readers_do_not_lead_to_a_refusal() {
    files_only!(Log);
    for plain in [false, true] {
        let (dir, memory) = heap(&quick().plain_io(plain));
        let put = |number| {
            let stored = memory.store_bytes(&content(number, MIB), heapledger::Hold::Name("last"));
            stored.unwrap();
        };
        put(0);
        std::fs::write(dir.path().join("go"), "").unwrap();
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                let mut command = again("log_limit::busy_child");
                command.env("HEAP", memory.path());
                Talk::start(command)
            })
            .collect();
        for child in &mut children {
            child.hear("reading").unwrap();
        }
        let done = AtomicBool::new(false);
        let longest = thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| read_until(&memory, || done.load(Ordering::Relaxed)));
            }
            let longest = watched(&memory, 1..if plain { 100 } else { 200 }, put);
            done.store(true, Ordering::Relaxed);
            longest
        });
        std::fs::remove_file(dir.path().join("go")).unwrap();
        assert!(children.into_iter().all(Talk::end));
        assert!(longest <= LIMIT + PUT, "{longest} bytes of log");
        assert_balanced(&memory);
    }
}

/// The process that the next test starts, with the seed of what it puts.
#[test]
#[ignore = "run by the test that follows"]
fn writing_child() {
    let memory = impatient(false).open(given("HEAP").unwrap()).unwrap();
    let mut seed = given("SEED").unwrap().parse().unwrap();
    say("writing");
    while Path::new(&given("HEAP").unwrap()).with_file_name("go").exists() {
        seed += 1;
        match memory.allocate_bytes(&content(seed, MIB)) {
            Ok(id) => drop(memory.free(&id)),
            Err(Error::LogHeld(_) | Error::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_log_is_bounded_whoever_reads_and_writes() {
    files_only!(Log);
    let (dir, memory) = heap(&impatient(false));
    std::fs::write(dir.path().join("go"), "").unwrap();
    let mut children: Vec<_> = [1 << 32, 2 << 32]
        .map(|seed: u64| {
            let mut command = again("log_limit::writing_child");
            command.env("HEAP", memory.path()).env("SEED", seed.to_string());
            Talk::start(command)
        })
        .into();
    for child in &mut children {
        child.hear("writing").unwrap();
    }
    let put = |number| match memory.allocate_bytes(&content(number, MIB)) {
        Ok(id) => {
            let _ = memory.free(&id);
            false
        }
        Err(Error::LogHeld(_)) => true,
        Err(Error::Busy { .. }) => false,
        Err(error) => panic!("{error}"),
    };
    let mut rng = fastrand::Rng::with_seed(7);
    let reads: Vec<_> = (0..60).map(|_| rng.bool()).collect();
    let held = Mutex::new(None);
    let longest = watched(&memory, 0..60, |number| {
        put(number);
        let snapshot = reads[number as usize].then(|| memory.snapshot().unwrap());
        *held.lock().unwrap() = snapshot;
    });
    // A reader that stays holds the log.
    *held.lock().unwrap() = Some(memory.snapshot().unwrap());
    let longest = longest.max(watched(&memory, 60..61, |_| {
        assert!((100..1000).any(put), "the log was never held");
    }));
    std::fs::remove_file(dir.path().join("go")).unwrap();
    assert!(children.into_iter().all(Talk::end));
    drop(held);
    assert!(longest <= LIMIT + PUT, "{longest} bytes of log");
    memory.allocate("after").unwrap();
    assert_balanced(&memory);
}
