//! Files and folders without read or write permission. Root ignores permissions, so under
//! root the visitor in these tests runs as nobody; other users lock themselves out.

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{assert_balanced, content, files_only, options, quick, sql};
use crate::harness::{
    Talk, again, again_through, again_with_mounts, given, is_root, listen, possible, possible_mounts, say, skip,
};
use heapledger::{Error, Hold, Result};
use tempfile::{TempDir, tempdir};

/// Runs its arguments as nobody if this is root. The program is passed as an open descriptor,
/// because nobody may lack access to root's folders.
const AS_NOBODY: &str = "exec 9<\"$1\"; shift; \
    [ \"$(id -u)\" != 0 ] || as_nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'; \
    exec $as_nobody /proc/self/fd/9 \"$@\"";

const READ: u32 = 4;
const ENTER: u32 = 5;
const WRITE: u32 = 6;

/// Sets the visitor's permissions on `path`.
fn allow(path: &Path, bits: u32) {
    let mode = if is_root() { 0o700 | bits } else { bits << 6 };
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A temporary folder that can be removed whatever its permissions are.
struct Folder(TempDir);

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::set_permissions(self.0.path(), PermissionsExt::from_mode(0o700));
    }
}

/// A heap in a folder that the visitor may enter but not change.
fn heap() -> (Folder, PathBuf) {
    let dir = Folder(tempdir().unwrap());
    let path = dir.join("heap.db");
    quick()
        .open(&path)
        .unwrap()
        .store_bytes(&content(1, 9000), Hold::Name("kept"))
        .unwrap();
    (dir, path)
}

/// The outcome of the visitor's opening the file, reading `kept`, and storing.
fn visited(path: &Path, read_only: bool) -> Option<String> {
    let program = std::env::current_exe().unwrap();
    let try_out = format!("set -- '{}' --list; {AS_NOBODY}", program.display());
    if !possible("another user", &try_out) {
        return None;
    }
    let mut command = again_through(AS_NOBODY, "shut::visitor");
    command
        .env("HEAPLEDGER_PATH", path)
        .env("HEAPLEDGER_READ_ONLY", if read_only { "1" } else { "0" });
    Some(Talk::start(command).hear("found").expect("the visitor failed"))
}

#[test]
#[ignore = "the child process that runs as the visitor"]
fn visitor() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let read_only = given("HEAPLEDGER_READ_ONLY").as_deref() == Some("1");
    say(&format!(
        "found {}",
        visit(Path::new(&path), read_only).unwrap_or_else(|error| format!("{error:?} | {error}"))
    ));
}

fn visit(path: &Path, read_only: bool) -> Result<String> {
    let memory = quick().read_only(read_only).open(path)?;
    if let Some(id) = memory.resolve("kept")? {
        assert_eq!(memory.get_bytes(&id)?, content(1, 9000));
    }
    assert!(memory.check()?.is_empty());
    let objects = memory.objects().count();
    let stored = memory
        .allocate("from nobody")
        .map_or_else(|error| error.to_string(), |_| "stored".into());
    Ok(format!("{objects} objects, then {stored}"))
}

#[test]
fn an_unreadable_file_is_refused_with_the_reason() {
    files_only!(File);
    let (dir, path) = heap();
    allow(&dir, ENTER);
    allow(&path, 0);
    for read_only in [true, false] {
        let Some(found) = visited(&path, read_only) else {
            return;
        };
        assert!(
            found.starts_with("Io") && found.contains("cannot be read: Permission denied"),
            "{found}"
        );
    }
    allow(&path, READ);
    allow(&dir, 0);
    let found = visited(&path, true).unwrap();
    assert!(
        found.starts_with("Io") && found.contains("Permission denied"),
        "{found}"
    );
}

#[test]
fn an_unwritable_file_can_be_read_and_writing_is_refused_with_the_reason() {
    files_only!(File);
    let (dir, path) = heap();
    allow(&path, READ);
    allow(&dir, ENTER);
    let Some(found) = visited(&path, true) else { return };
    assert_eq!(found, format!("1 objects, then {}", Error::ReadOnly));
    let found = visited(&path, false).unwrap();
    let refused = found.starts_with("LogUnreadable") || found.contains("cannot be written");
    assert!(refused, "{found}");
    allow(&dir, ENTER | WRITE);
    allow(&path, WRITE);
    assert_balanced(&quick().open(&path).unwrap());
}

#[test]
fn no_heap_is_created_in_an_unwritable_folder() {
    files_only!(File);
    let (dir, _) = heap();
    allow(&dir, ENTER);
    let Some(found) = visited(&dir.join("new.db"), false) else {
        return;
    };
    assert!(
        found.starts_with("Io") && found.contains("cannot be created: Permission denied"),
        "{found}"
    );
    assert_eq!(std::fs::read_dir(&*dir).unwrap().count(), 1);
}

#[test]
#[ignore = "the process that dies with its log unwritten"]
fn dies() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().open(path).unwrap();
    memory.allocate("only in the log").unwrap();
    say("done");
    listen();
}

fn crash(path: &Path) {
    let mut command = again("shut::dies");
    command.env("HEAPLEDGER_PATH", path);
    let mut child = Talk::start(command);
    child.hear("done").unwrap();
    child.kill();
}

#[test]
fn the_log_of_a_crash_is_read_even_if_not_writable() {
    files_only!(File);
    let (dir, path) = heap();
    crash(&path);
    for file in ["heap.db", "heap.db-wal", "heap.db-shm"] {
        allow(&dir.join(file), READ);
    }
    allow(&dir, ENTER);
    let Some(found) = visited(&path, true) else { return };
    assert!(found.starts_with("2 objects"), "{found}");
    // Without the -shm nobody can tell which part of the log is valid.
    allow(&dir, ENTER | WRITE);
    std::fs::remove_file(dir.join("heap.db-shm")).unwrap();
    allow(&dir, ENTER);
    let found = visited(&path, true).unwrap();
    assert!(
        found.starts_with("2 objects") || found.starts_with("LogUnreadable"),
        "{found}"
    );
    // A user with write permission recovers it.
    allow(&dir, ENTER | WRITE);
    for file in ["heap.db", "heap.db-wal"] {
        allow(&dir.join(file), WRITE);
    }
    let memory = quick().open(&path).unwrap();
    assert_eq!(memory.objects().count(), 2);
    assert_balanced(&memory);
}

#[test]
fn the_log_of_a_crash_is_read_by_a_reader_with_write_permission() {
    files_only!(File);
    let (_dir, path) = heap();
    crash(&path);
    let memory = quick().read_only(true).open(&path).unwrap();
    assert_eq!(memory.objects().count(), 2);
    assert_balanced(&memory);
}

#[test]
#[ignore = "the child process, on a read-only file system"]
fn on_read_only_disk() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    for read_only in [true, false] {
        let found = visit(Path::new(&path), read_only).unwrap_or_else(|error| format!("{error:?} | {error}"));
        say(&format!("found {found}"));
    }
}

#[test]
fn a_heap_on_a_read_only_disk_is_read() {
    files_only!(File);
    for crashed in [false, true] {
        let (dir, path) = heap();
        if crashed {
            crash(&path);
        }
        let dir = dir.display();
        let mount = format!("mount --bind '{dir}' '{dir}'; mount -o remount,bind,ro '{dir}'");
        if !possible_mounts("a read-only mount", &mount) {
            return;
        }
        let mut command = again_with_mounts(&mount, "shut::on_read_only_disk");
        command.env("HEAPLEDGER_PATH", &path);
        let mut child = Talk::start(command);
        let found = child.hear("found").unwrap();
        assert_eq!(
            found,
            format!("{} objects, then {}", 1 + u8::from(crashed), Error::ReadOnly)
        );
        let found = child.hear("found").unwrap();
        let refused = found.starts_with("LogUnreadable") || found.contains("cannot be written");
        assert!(refused, "{found}");
    }
}

/// The visitor reads a heap while its owner writes, and sees a complete state each time.
#[test]
fn a_reader_without_write_permission_sees_complete_states_of_a_heap_in_use() {
    files_only!(File);
    if !is_root() {
        return skip("another user", "only root may become one");
    }
    let (dir, path) = heap();
    allow(&dir, ENTER);
    allow(&path, READ);
    let mut command = again_through(AS_NOBODY, "shut::watcher");
    command.env("HEAPLEDGER_PATH", &path);
    let mut watcher = Talk::start(command);
    watcher.hear("open").unwrap();
    for round in 0..30 {
        let memory = quick().open(&path).unwrap();
        memory
            .batch(|batch| (0..50).try_for_each(|i| batch.allocate_bytes(&content(round * 50 + i, 500)).map(drop)))
            .unwrap();
        sql(&path).execute("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(memory);
        watcher.say("look");
        let found = watcher.hear("found").unwrap();
        assert!(!found.contains("DAMAGED"), "after round {round}: {found}");
    }
}

#[test]
#[ignore = "the child process that runs as the visitor"]
fn watcher() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = options().read_only(true).open(path).unwrap();
    memory.check().unwrap();
    say("open");
    while listen().is_some() {
        let seen = match memory.check() {
            Ok(found) if found.is_empty() => format!("{} objects", memory.objects().count()),
            Ok(found) => format!("DAMAGED {}", found[0]),
            Err(error @ Error::Damaged { .. }) => format!("DAMAGED {error}"),
            Err(error) => format!("{error:?}"),
        };
        say(&format!("found {seen}"));
    }
}

#[test]
fn an_immutable_file_is_read() {
    files_only!(File);
    let (dir, path) = heap();
    let quoted = format!("'{}'", path.display());
    if !possible("chattr +i", &format!("chattr +i {quoted}")) {
        return;
    }
    let read = quick()
        .read_only(true)
        .open(&path)
        .map(|memory| memory.objects().count());
    let write = quick().open(&path).and_then(|memory| memory.allocate("more"));
    assert!(Command::new("chattr").arg("-i").arg(&path).status().unwrap().success());
    assert_eq!(read.unwrap(), 1);
    assert!(matches!(write, Err(Error::NotWritable { .. })), "{write:?}");
    drop(dir);
}

/// Executes reads that the parent requests line by line, without write permission on the
/// heap or its folder.
#[test]
#[ignore = "the child process that reads as the visitor while others write"]
fn follower() {
    let Some(path) = given("HEAPLEDGER_PATH") else { return };
    let memory = quick().read_only(true).open(path).unwrap();
    say("ready");
    while let Some(order) = listen() {
        let answer = match order.as_str() {
            "count" => Ok(memory.objects().filter(Result::is_ok).count()),
            "check" => memory.check().map(|found| found.len()),
            // Begins, lets others write, and continues in the same transaction.
            _ => memory.snapshot().and_then(|then| {
                let first = then.objects().filter(Result::is_ok).count();
                say("begun");
                listen();
                assert_eq!(then.check()?.len(), 0, "a mix of states");
                assert_eq!(then.objects().filter(Result::is_ok).count(), first);
                Ok(first)
            }),
        };
        say(&answer.map_or_else(|error| format!("answer {error:?}"), |answer| format!("answer {answer}")));
    }
}

/// The heap of [`heap`], readable for the visitor, and a follower that has it open.
fn followed() -> Option<(Folder, PathBuf, Talk)> {
    let (dir, path) = heap();
    allow(&path, READ);
    allow(&dir, ENTER);
    visited(&path, true)?;
    let mut command = again_through(AS_NOBODY, "shut::follower");
    command.env("HEAPLEDGER_PATH", &path);
    let mut follower = Talk::start(command);
    follower.hear("ready").unwrap();
    Some((dir, path, follower))
}

/// The same for the heap and its side files, because a reader may leave a log there.
fn allow_files(dir: &Path, mode: u32) {
    for file in dir.read_dir().unwrap() {
        allow(&file.unwrap().path(), mode);
    }
}

/// Runs `work` with the owner's permissions, which a user other than root has to restore first.
fn as_owner<R>(dir: &Path, work: impl FnOnce() -> R) -> R {
    if !is_root() {
        allow(dir, ENTER | WRITE);
        allow_files(dir, READ | WRITE);
    }
    let result = work();
    if !is_root() {
        allow_files(dir, READ);
        allow(dir, ENTER);
    }
    result
}

#[test]
fn a_reader_that_opened_without_a_log_sees_later_commits() {
    files_only!(File);
    let Some((dir, path, mut follower)) = followed() else {
        return;
    };
    let mut ask = |order: &str| {
        follower.say(order);
        follower.hear("answer").unwrap()
    };
    assert_eq!(ask("count"), "1");
    for number in 0..3 {
        as_owner(&dir, || quick().open(&path).unwrap().allocate(&number).unwrap());
        assert_eq!(ask("count"), (number + 2).to_string());
        assert_eq!(ask("check"), "0");
    }
    let memory = as_owner(&dir, || quick().open(&path).unwrap());
    as_owner(&dir, || memory.allocate("while it is open").unwrap());
    assert_eq!(ask("count"), "5");
}

/// Everything is rewritten and checkpointed while the reader reads.
#[test]
fn a_reader_that_opened_without_a_log_sees_complete_states() {
    files_only!(File);
    let Some((dir, path, mut follower)) = followed() else {
        return;
    };
    follower.say("snapshot");
    follower.hear("begun").unwrap();
    as_owner(&dir, || {
        let memory = quick().open(&path).unwrap();
        for number in 0..200 {
            memory.allocate_bytes(&content(number, 5000)).unwrap();
        }
        memory.force_free(&memory.resolve("kept").unwrap().unwrap()).unwrap();
        drop(memory);
        // As another tool does, which waits for no snapshot.
        sql(&path).execute("PRAGMA wal_checkpoint(PASSIVE)");
    });
    follower.say("go on");
    let answer = follower.hear("answer").unwrap();
    assert!(answer == "1" || answer == "ChangedWhileRead", "{answer}");
    follower.say("check");
    assert_eq!(follower.hear("answer").unwrap(), "0");
    follower.say("count");
    assert_eq!(follower.hear("answer").unwrap(), "200");
}
