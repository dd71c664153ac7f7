//! Guards against this failure: when a process closes any descriptor of a file, POSIX drops
//! all locks that the process has on the file. If the crate itself opened and closed the heap
//! file, another process that closes the heap would believe that it is the last one and remove
//! the write-ahead log under this process, and everything acknowledged here afterwards would
//! be lost. <https://www.sqlite.org/howtocorrupt.html> §2.2
//!
//! SQLite since 3.51, which is compiled in, detects some of this and hides the failure. So the
//! tests also use an older SQLite as the other process, and read the locks from the kernel.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::common::{MIB, assert_balanced, content, files_only, options, quick};
use crate::harness::{Talk, again, given, listen, possible, say};
use heapledger::{Error, Hold, MemManager};
use tempfile::tempdir;

#[test]
#[ignore = "the process that opens, writes, and closes"]
fn visitor() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    quick().open(path).unwrap().allocate("from another process").unwrap();
}

#[test]
fn opening_a_heap_twice_keeps_the_locks_of_the_first() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().open(&path).unwrap();
    memory.allocate("before").unwrap();
    drop(quick().open(&path).unwrap());
    drop(quick().read_only(true).open(&path).unwrap());
    assert!(
        again("locks::visitor")
            .env("HEAPLEDGER_PATH", &path)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        dir.path().join("heap.db-wal").exists(),
        "the log was removed under a process that has it open"
    );
    for number in 0..10 {
        memory.allocate_bytes(&content(number, 500)).unwrap();
    }
    // A third process must see everything acknowledged here.
    let copy = tempdir().unwrap();
    for file in ["heap.db", "heap.db-wal"] {
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let copy = quick().open(copy.path().join("heap.db")).unwrap();
    assert_eq!(copy.objects().count(), 12);
    assert_balanced(&copy);
}

/// The locks that this process has on a heap and on its `-shm`.
#[cfg(target_os = "linux")]
fn locks(heap: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let own = std::process::id().to_string();
    let shm = heap.with_file_name("heap.db-shm");
    let inodes = [heap, &shm].map(|path| fs::metadata(path).map_or(0, |file| file.ino()));
    // The kernel hands this file out in parts, and may pass over a lock where others come and go
    // between two of them.
    let all: String = (0..5).map(|_| fs::read_to_string("/proc/locks").unwrap()).collect();
    let mut found = Vec::new();
    for line in all.lines() {
        // 1: POSIX  ADVISORY  READ 4711 fe:01:1234567 1073741826 1073742335
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, kind, process, file, from, to] = words[..] else {
            continue;
        };
        let inode = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
        if process == own && inode.is_some_and(|inode| inodes.contains(&inode)) {
            found.push(format!("{kind} {file} {from} {to}"));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(target_os = "linux")]
#[test]
fn no_call_drops_the_locks_of_an_open_heap() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().max_mem(MIB).open(&path).unwrap();
    let id = memory.allocate("before").unwrap();
    let mut object = memory.reader(&id).unwrap();
    let before = locks(&path);
    assert!(before.len() >= 2, "one on the heap, one on the -shm: {before:?}");
    let still_there = |what: &str| {
        let now = locks(&path);
        assert!(
            before.iter().all(|lock| now.contains(lock)),
            "after {what}: {before:?} became {now:?}"
        );
    };
    drop(quick().open(&path).unwrap());
    still_there("a second open");
    drop(quick().read_only(true).open(&path).unwrap());
    still_there("an open for reading");
    drop(quick().space("other").max_mem(1000).open(&path).unwrap());
    still_there("an open of another space");
    let refused = quick().max_mem(2 * MIB).open(&path).unwrap_err();
    assert!(matches!(refused, Error::SpaceExists { .. }), "{refused}");
    still_there("an open that is refused for its size");
    let refused = quick().read_only(true).space("none").open(&path).unwrap_err();
    assert!(matches!(refused, Error::UnknownSpace { .. }), "{refused}");
    still_there("an open that is refused for its space");
    std::os::unix::fs::symlink(&path, dir.path().join("link.db")).unwrap();
    drop(quick().open(dir.path().join("link.db")).unwrap());
    still_there("an open through a link");
    memory.backup(dir.path().join("backup.db")).unwrap();
    assert!(memory.backup(&path).is_err());
    still_there("a backup");
    memory.export(dir.path().join("export")).unwrap();
    assert!(memory.export(&path).is_err());
    still_there("an export");
    memory.import(dir.path().join("export")).unwrap();
    still_there("an import");
    for suffix in ["", "-wal", "-shm"] {
        let path = dir.path().join(format!("heap.db{suffix}"));
        assert!(MemManager::has_open(&path), "{suffix:?}");
        // The test may only open a file whose locks do not matter.
        if suffix == "-wal" {
            let mut file = fs::File::open(&path).unwrap();
            let refused = memory.store_file(&mut file, Hold::Anonymous).unwrap_err();
            assert!(refused.to_string().contains("belongs to the heap"), "{refused}");
        }
    }
    memory.snapshot().unwrap().check().unwrap();
    memory.stats().unwrap();
    memory.space_report().unwrap();
    memory.collect_garbage().unwrap();
    std::io::Read::read_to_end(&mut object, &mut Vec::new()).unwrap();
    still_there("reports");
}

/// The same for a file that is refused as not being a heap, while another connection has it open.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_refused_keeps_its_locks() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
        .unwrap();
    let before = locks(&path);
    assert!(before.len() >= 2, "{before:?}");
    for read_only in [false, true] {
        let refused = quick().read_only(read_only).open(&path).unwrap_err();
        assert!(matches!(refused, Error::NotAHeap { .. }), "{refused}");
        assert_eq!(locks(&path), before);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_backup_opened_immediately_by_another_thread_keeps_that_threads_locks() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let memory = quick().open(dir.path().join("source.db")).unwrap();
    memory.allocate("it").unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let to = folder.join("heap.db");
    for _ in 0..5 {
        let opened = thread::scope(|scope| {
            let opening = scope.spawn(|| {
                loop {
                    match quick().read_only(true).open(&to) {
                        Ok(opened) => return opened,
                        Err(Error::NoFile { .. }) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            memory.backup(&to).unwrap();
            opening.join().unwrap()
        });
        assert!(locks(&to).len() >= 2, "{:?}", locks(&to));
        drop(opened);
        fs::remove_file(&to).unwrap();
    }
}

#[test]
#[ignore = "the process that acknowledges, and is killed"]
fn acknowledges() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = options().open(&path).unwrap();
    drop(options().open(&path).unwrap());
    drop(options().read_only(true).open(&path).unwrap());
    let refused = options().create_new_space(true).open(&path).unwrap_err();
    assert!(matches!(refused, Error::SpaceExists { .. }), "{refused}");
    memory.allocate("a").unwrap();
    say("ready");
    listen();
    for number in 0..100 {
        memory.allocate_bytes(&content(number, 500)).unwrap();
    }
    say("acknowledged");
    listen();
}

#[test]
fn acknowledged_writes_survive_an_older_sqlite_and_a_kill() {
    files_only!(Locks);
    if !possible("the sqlite3 shell", "sqlite3 --version") {
        return;
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    drop(options().open(&path).unwrap());
    let mut command = again("locks::acknowledges");
    command.env("HEAPLEDGER_PATH", &path);
    let mut writer = Talk::start(command);
    writer.hear("ready").unwrap();
    let shell = || {
        let mut shell = Command::new("sqlite3");
        let output = shell.arg(&path).arg("SELECT count(*) FROM objects").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(shell(), "1");
    assert!(dir.path().join("heap.db-wal").exists(), "the shell removed the log");
    writer.say("go");
    writer.hear("acknowledged").unwrap();
    assert_eq!(shell(), "101");
    writer.kill();
    let memory = options().open(&path).unwrap();
    assert_eq!(memory.objects().count(), 101);
    assert_balanced(&memory);
}

#[test]
fn the_files_of_an_open_heap_are_recognised_under_every_name() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let first = quick().open(&path).unwrap();
    let second = quick().read_only(true).open(&path).unwrap();
    let alias = dir.path().join("alias");
    let mut names = vec![
        path.clone(),
        dir.path().join("heap.db-shm"),
        dir.path()
            .join("../")
            .join(dir.path().file_name().unwrap())
            .join("heap.db"),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("heap.db-shm"), &alias).unwrap();
        names.push(alias);
    }
    for name in &names {
        assert!(MemManager::has_open(name), "{name:?}");
    }
    let other = dir.path().join("other.db-wal");
    fs::write(&other, b"not a log").unwrap();
    assert!(!MemManager::has_open(&other) && !MemManager::has_open(dir.path().join("none")));
    drop(first);
    assert!(MemManager::has_open(&path), "the second manager has it open");
    drop(second);
    assert!(!MemManager::has_open(&path));
}

#[cfg(unix)]
#[test]
fn an_import_reads_no_link_to_an_open_heap() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = quick().open(&path).unwrap();
    let id = memory.allocate_bytes(b"content").unwrap();
    memory.export(dir.path().join("export")).unwrap();
    let object = dir
        .path()
        .join("export/objects")
        .join(&id.to_hex()[..2])
        .join(id.to_hex());
    fs::remove_file(&object).unwrap();
    // The -shm may have a second name, but the heap may not.
    fs::hard_link(dir.path().join("heap.db-shm"), &object).unwrap();
    let refused = memory.import(dir.path().join("export")).unwrap_err();
    assert!(refused.to_string().contains("open here"), "{refused}");
}

/// However the process lost its locks, a put is refused, not acknowledged and then lost.
#[cfg(unix)]
#[test]
fn a_log_that_was_removed_under_a_writer_is_noticed() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options().open(&path).unwrap();
    memory.allocate("before").unwrap();
    // As the shell of a second SQLite does when it believes that it is the last user.
    fs::remove_file(dir.path().join("heap.db-wal")).unwrap();
    for _ in 0..2 {
        let refused = memory.allocate("lost").unwrap_err();
        assert!(
            matches!(&refused, Error::FileChanged { path } if path.ends_with("heap.db-wal")),
            "{refused}"
        );
    }
}

/// Nobody would find commits that follow a gap in the log.
#[test]
fn a_log_that_was_truncated_under_a_writer_is_noticed() {
    files_only!(Locks);
    for left in [0, 32, 5000] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("heap.db");
        let memory = options().open(&path).unwrap();
        memory.allocate("before").unwrap();
        let log = fs::File::options()
            .write(true)
            .open(dir.path().join("heap.db-wal"))
            .unwrap();
        log.set_len(left).unwrap();
        for content in [content(1, 100), content(2, 5 * MIB)] {
            let refused = memory.allocate_bytes(&content).unwrap_err();
            assert!(!matches!(refused, Error::OutOfMemory { .. }), "{refused}");
        }
    }
    // SQLite itself shortens a log only when it restarts it.
    let dir = tempdir().unwrap();
    let path = dir.path().join("heap.db");
    let memory = options().open(&path).unwrap();
    let tool = rusqlite::Connection::open(&path).unwrap();
    for number in 0..3 {
        memory.allocate(&number).unwrap();
        let _: i64 = tool
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
    }
    assert_eq!(memory.objects().count(), 3);
    assert_balanced(&memory);
}

#[cfg(unix)]
#[test]
fn a_heap_with_two_hard_links_can_be_read_but_not_written() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("heap.db"), dir.path().join("other.db"));
    let id = options().open(&path).unwrap().allocate("before").unwrap();
    fs::hard_link(&path, &other).unwrap();
    for path in [&path, &other] {
        let refused = options().open(path).unwrap_err();
        assert!(matches!(refused, Error::HardLinked { links: 2, .. }), "{refused}");
        let memory = options().read_only(true).open(path).unwrap();
        assert_eq!(memory.get::<String>(&id).unwrap(), "before");
    }
    fs::remove_file(&other).unwrap();
    let memory = options().open(&path).unwrap();
    memory.allocate("one name").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let refused = memory.allocate("two names").unwrap_err();
    assert!(matches!(refused, Error::HardLinked { .. }), "{refused}");
    assert!(!dir.path().join("other.db-wal").exists());
    fs::remove_file(&other).unwrap();
    memory.allocate("one name again").unwrap();
    assert_balanced(&memory);
}

/// The log of a heap in use is next to one of its names, and invisible under another.
#[cfg(unix)]
#[test]
fn a_heap_is_not_read_under_a_name_that_may_lack_its_log() {
    files_only!(Locks);
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("heap.db"), dir.path().join("other.db"));
    let elsewhere = dir.path().join("folder/heap.db");
    fs::create_dir(dir.path().join("folder")).unwrap();
    let read = |path: &Path| options().read_only(true).open(path);
    let refused = |path: &Path| {
        let refused = read(path).unwrap_err();
        assert!(
            matches!(refused, Error::HardLinked { links: 2, .. }),
            "{path:?}: {refused}"
        );
    };
    let memory = options().open(&path).unwrap();
    let id = memory.allocate("in the log").unwrap();
    for link in [&other, &elsewhere] {
        fs::hard_link(&path, link).unwrap();
        refused(link);
        assert!(read(&path).unwrap().contains(&id).unwrap());
        // Two readers at the same time, so that one connection is opened now.
        memory.read(|_| memory.get::<String>(&id)).unwrap();
        fs::remove_file(link).unwrap();
    }
    drop(memory);
    // Nobody has it open, and all its names are known, so there is no log.
    fs::hard_link(&path, &other).unwrap();
    assert!(read(&other).unwrap().contains(&id).unwrap());
    fs::write(dir.path().join("heap.db-wal"), "left behind").unwrap();
    refused(&other);
    fs::remove_file(dir.path().join("heap.db-wal")).unwrap();
    fs::rename(&other, &elsewhere).unwrap();
    refused(&elsewhere);
    refused(&path);
    fs::remove_file(&elsewhere).unwrap();
    assert!(read(&path).unwrap().contains(&id).unwrap());
}
