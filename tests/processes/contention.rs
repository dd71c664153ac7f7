//! Guards against these failures: processes that write to one file deadlock, exceed their
//! timeout, store the same content twice, or block readers; or a reader sees books that do
//! not balance.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Place, Sql, assert_balanced, content, files_only, number, quick, server, sql, texts};
use crate::harness::{Random, Talk, again, given, given_number, listen, say};
use heapledger::{CheckOptions, Durability, Error, Hold, MemManager, ObjectId};
use rusqlite::Connection;
use tempfile::tempdir;

const PROCESSES: u64 = 8;
const THREADS: u64 = 4;
const ROUNDS: u64 = 8;
/// Contents that all of them store at the same time.
const SHARED: u64 = 6;
/// Far longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn start(test: &str, path: &std::path::Path, process: u64) -> Child {
    let mut command = again(test);
    command
        .env("HEAPLEDGER_PATH", path)
        .env("HEAPLEDGER_PROCESS", process.to_string());
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Waits until all processes have ended successfully.
fn end(children: Vec<Child>) {
    let patience = Instant::now() + PATIENCE;
    for mut child in children {
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < patience, "a process hangs");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success());
    }
}

fn shared(number: u64) -> Vec<u8> {
    content(number, 300 * (number + 1))
}

fn own(process: u64, thread: u64, round: u64) -> Vec<u8> {
    content((process << 40) + (thread << 20) + round + 1000, 100 + 700 * (round % 7))
}

#[test]
#[ignore = "one of the processes that write and read"]
fn worker() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let process = given_number("HEAPLEDGER_PROCESS");
    let memory = quick().busy_timeout(PATIENCE).open(path).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let memory = memory.clone();
            scope.spawn(move || work(&memory, process, thread));
        }
    });
}

fn work(memory: &MemManager, process: u64, thread: u64) {
    let mut random = Random((process << 8) + thread);
    for round in 0..ROUNDS {
        let id = memory.allocate_bytes(&shared(round % SHARED)).unwrap();
        assert_eq!(memory.get_bytes(&id).unwrap(), shared(round % SHARED));
        let name = format!("{process}/{thread}/{}", round % 3);
        let bytes = own(process, thread, round);
        let id = memory.store_bytes(&bytes, Hold::Name(&name)).unwrap().id;
        assert_eq!(memory.get_bytes(&id).unwrap(), bytes);
        match random.below(4) {
            0 => drop(memory.collect_garbage().unwrap()),
            1 => drop(memory.unbind(&name).unwrap()),
            2 => {
                let found = memory
                    .check_with(CheckOptions::default().quick(true), &mut |_, _, _| {})
                    .unwrap();
                assert!(found.is_empty(), "{}", found[0]);
            }
            _ => assert_eq!(memory.resolve(&name).unwrap(), Some(id)),
        }
    }
}

/// Reads the file with plain SQL until the workers are done, and checks that every state is
/// consistent.
fn watch(path: &std::path::Path, done: impl Fn() -> bool) -> u64 {
    let sql = sql(path);
    // No timeout, so a reader that has to wait for a writer fails immediately.
    #[allow(irrefutable_let_patterns, reason = "without PostgreSQL there are only files")]
    if let Sql::File(sql) = &sql {
        sql.busy_timeout(Duration::ZERO).unwrap();
    }
    let begin = match server() {
        None => "BEGIN",
        Some(_) => "SET lock_timeout = 1; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    let mut states = 0;
    while !done() {
        sql.execute(begin);
        let balance = number(&sql, "SELECT sum(bytes) FROM trial_balance WHERE space = 'main'");
        assert_eq!(balance, number(&sql, "SELECT max_mem FROM memram WHERE name = 'main'"));
        let violations = texts(
            &sql,
            "SELECT invariant || ' ' || expected || ' ' || found FROM violations",
        );
        assert!(violations.is_empty(), "{violations:?}");
        sql.execute("COMMIT");
        states += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    states
}

#[test]
fn many_processes_with_many_threads_share_one_file() {
    let place = Place::new();
    let path = place.address();
    let memory = quick().open(path).unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| start("contention::worker", path, process))
        .collect();
    let (ended, is_ended) = std::sync::mpsc::channel();
    let states = std::thread::scope(|scope| {
        scope.spawn(move || {
            end(children);
            ended.send(()).unwrap();
        });
        watch(path, || {
            !matches!(is_ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
        })
    });
    for number in 0..SHARED {
        assert_eq!(
            memory.get_bytes(&ObjectId::of_bytes(&shared(number))).unwrap(),
            shared(number)
        );
    }
    let space = memory.memram().unwrap();
    let puts = PROCESSES * THREADS * ROUNDS;
    assert_eq!(
        space.allocations + space.dedup_hits,
        2 * puts,
        "every put was counted once"
    );
    assert_eq!(space.allocations, puts + SHARED, "a content was stored twice");
    assert_balanced(&memory);
    println!(
        "{} puts of {PROCESSES} processes, {states} states seen, all in balance",
        2 * puts
    );
}

#[test]
#[ignore = "one of the processes that store the same"]
fn racer() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().busy_timeout(PATIENCE).open(path).unwrap();
    for number in 0..SHARED {
        let stored = memory.store_bytes(&shared(number), Hold::Anonymous).unwrap();
        assert_eq!(stored.id, ObjectId::of_bytes(&shared(number)));
    }
}

#[test]
fn the_same_content_from_many_processes_is_one_object() {
    let place = Place::new();
    let path = place.address();
    // The file does not exist yet, so they race to create it as well.
    end((0..PROCESSES)
        .map(|process| start("contention::racer", path, process))
        .collect());
    let memory = quick().open(path).unwrap();
    assert_eq!(memory.objects().count() as u64, SHARED);
    let space = memory.memram().unwrap();
    assert_eq!(space.allocations, SHARED);
    assert_eq!(space.dedup_hits, SHARED * (PROCESSES - 1));
    assert_balanced(&memory);
}

#[test]
#[ignore = "the process that commits in a loop"]
fn looper() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().durability(Durability::Full).open(path).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            listen();
            is_done.store(true, Ordering::Relaxed);
        });
        for number in 0.. {
            memory.allocate_bytes(&content(number, 100)).unwrap();
            if number == 0 {
                say("looping");
            }
            if is_done.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    say("done");
}

/// Between two of its commits, the lock is free for a moment only.
#[test]
fn a_process_that_commits_in_a_loop_lets_others_in() {
    let place = Place::new();
    let path = place.address();
    let memory = quick().busy_timeout(Duration::from_secs(5)).open(path).unwrap();
    let mut command = again("contention::looper");
    command.env("HEAPLEDGER_PATH", path);
    let mut looper = Talk::start(command);
    looper.hear("looping").unwrap();
    for number in 0..20 {
        memory.allocate(&number).unwrap();
        // Until it has the lock again.
        std::thread::sleep(Duration::from_millis(2));
    }
    looper.say("stop");
    looper.hear("done").unwrap();
    assert_balanced(&memory);
}

#[test]
#[ignore = "the process that holds the writer's turn"]
fn holder() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().open(path).unwrap();
    memory
        .batch(|batch| {
            batch.allocate("held up")?;
            batch.get_bytes(&ObjectId::of(&"held up")?)?;
            say("holding");
            listen();
            Ok(())
        })
        .unwrap();
    say("done");
}

#[test]
fn writers_wait_for_another_process_up_to_the_timeout_and_readers_do_not_wait() {
    let place = Place::new();
    let path = place.address();
    let timeout = Duration::from_millis(200);
    let memory = quick().busy_timeout(timeout).open(path).unwrap();
    let kept = memory.allocate("kept").unwrap();
    let mut command = again("contention::holder");
    command.env("HEAPLEDGER_PATH", path);
    let mut holder = Talk::start(command);
    holder.hear("holding").unwrap();

    let every_write: [(&str, &dyn Fn() -> heapledger::Result<()>); 6] = [
        ("allocate", &|| memory.allocate("no").map(drop)),
        ("store_from", &|| memory.allocate_from(&b"no"[..]).map(drop)),
        ("bind", &|| memory.bind("no", &kept).map(drop)),
        ("free", &|| memory.free(&kept).map(drop)),
        ("collect", &|| memory.collect_garbage().map(drop)),
        ("batch", &|| memory.batch(|batch| batch.allocate("no").map(drop))),
    ];
    for (write, run) in every_write {
        let started = Instant::now();
        let error = run().unwrap_err();
        assert!(matches!(error, Error::Busy { waited_ms: 200.. }), "{write}: {error:?}");
        assert!(error.is_retryable() && !error.is_out_of_room(), "{error:?}");
        assert!(error.to_string().contains("busy_timeout"), "{error}");
        assert!(started.elapsed() >= timeout / 2, "{write} did not wait");
        assert!(started.elapsed() < PATIENCE, "{write} waited forever");
    }
    // Reading and opening still work.
    assert_eq!(memory.get::<String>(&kept).unwrap(), "kept");
    assert_balanced(&memory);
    assert_eq!(quick().open(path).unwrap().objects().count(), 1);
    assert_eq!(quick().read_only(true).open(path).unwrap().objects().count(), 1);

    holder.say("go on");
    holder.hear("done").unwrap();
    memory.allocate("yes").unwrap();
    assert_eq!(memory.objects().count(), 3);
    assert_balanced(&memory);
}

/// They wait in parallel, not each for all before it.
#[test]
fn threads_that_wait_for_another_process_all_get_their_answer_in_time() {
    const WAITING: u32 = 16;
    let place = Place::new();
    let path = place.address();
    let timeout = Duration::from_millis(200);
    let memory = quick().busy_timeout(timeout).open(path).unwrap();
    let mut command = again("contention::holder");
    command.env("HEAPLEDGER_PATH", path);
    let mut holder = Talk::start(command);
    holder.hear("holding").unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..WAITING {
            let memory = memory.clone();
            scope.spawn(move || {
                let error = memory.allocate(&thread).unwrap_err();
                assert!(matches!(error, Error::Busy { waited_ms: 200.. }), "{error:?}");
            });
        }
    });
    assert!(started.elapsed() < timeout * WAITING / 2, "they waited one by one");
    holder.say("go on");
    holder.hear("done").unwrap();
    assert_eq!(memory.objects().count(), 1);
    assert_balanced(&memory);
}

#[test]
fn opening_waits_for_another_tools_lock_up_to_the_timeout() {
    let place = Place::new();
    let path = place.address();
    drop(quick().open(path).unwrap());
    // A server has no such modes.
    for journal in ["wal", "delete"] {
        let tool = sql(path);
        if server().is_none() {
            assert_eq!(texts(&tool, &format!("PRAGMA journal_mode = {journal}")), [journal]);
        }
        tool.keep_everybody_out();
        let timeout = Duration::from_millis(300);
        for read_only in [false, true] {
            let started = Instant::now();
            let opened = quick().busy_timeout(timeout).read_only(read_only).open(path);
            let error = opened.unwrap_err();
            let Error::Busy { waited_ms } = error else {
                panic!("{journal}, read only {read_only}: {error:?}")
            };
            assert!(waited_ms >= 300, "{journal}: {waited_ms}");
            assert!(started.elapsed() < timeout * 10, "{journal}: waited forever");
        }
        tool.execute("ROLLBACK");
    }
    assert_balanced(&quick().open(path).unwrap());
}

/// One call opens several connections, but their waits do not add up.
#[test]
fn opening_waits_once_even_if_it_must_create_an_index_and_a_space() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let lacking = dir.path().join("lacking.db");
    drop(quick().open(&lacking).unwrap());
    sql(&lacking).execute("DROP INDEX blocks_empty");
    let new = dir.path().join("new.db");
    drop(quick().open(&new).unwrap());
    let timeout = Duration::from_millis(300);
    for (path, space) in [(&lacking, "main"), (&new, "other")] {
        let tool = Connection::open(path).unwrap();
        tool.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let opened = quick().busy_timeout(timeout).space(space).open(path);
        let error = opened.unwrap_err();
        let Error::Busy { waited_ms } = error else {
            panic!("{}: {error:?}", path.display())
        };
        assert!((300..3000).contains(&waited_ms), "{waited_ms}");
        tool.execute_batch("ROLLBACK").unwrap();
        drop(tool);
        let memory = quick().busy_timeout(timeout).space(space).open(path).unwrap();
        assert_balanced(&memory);
    }
}
