//! `check --repair`, `backup`, `restore`, `export` and `import`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{files_only, number, server};
use crate::support::Cli;
use rustix::process::{Pid, Signal, kill_process};

fn heap() -> Cli {
    let cli = Cli::new();
    cli.file("photo.jpg", vec![7; 20_000]);
    cli.ok(["put", "photo.jpg", "--name", "photo"]);
    cli.ok(["set", "answer", "42"]);
    cli.ok(["set", "greeting", "hello"]);
    cli
}

#[test]
fn repair_lists_its_corrections_and_then_finds_nothing() {
    let cli = heap();
    assert_eq!(cli.ok(["check", "--repair"]), "nothing to repair\n");
    cli.sql().change("UPDATE pools SET mem = mem + 1 WHERE id = 1");
    let done = cli.ok(["check", "--repair"]);
    let lines: Vec<_> = done.lines().collect();
    assert!(lines[0].starts_with("I3 pools 1: expected mem "), "{done}");
    assert_eq!(lines.last(), Some(&"1 correction"));
    assert_eq!(cli.ok(["check"]), "the books balance\n");
    assert_eq!(cli.json(["check", "--repair"]), serde_json::json!([]));
}

#[test]
fn repair_sets_damaged_content_aside() {
    let cli = heap();
    cli.sql()
        .change("UPDATE ledger SET data = CAST('jello' AS BLOB) WHERE data = CAST('hello' AS BLOB)");
    let done = cli.json(["check", "--repair"]);
    assert_eq!(done[0]["invariant"], "I8");
    assert!(done[0]["found"].as_str().unwrap().contains("set aside as"), "{done}");
    assert!(cli.fails(1, ["get", "greeting"]).contains("greeting"));
    let names = cli.ok(["ls"]);
    assert!(names.contains("damaged/"), "{names}");
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn repair_is_never_quick() {
    let error = heap().fails(2, ["check", "--repair", "--quick"]);
    assert!(error.contains("cannot be used with"), "{error}");
}

#[test]
fn check_stops_when_its_reader_leaves() {
    let cli = heap();
    cli.sql().change("UPDATE blocks SET mem = mem - 1, is_free = TRUE");
    let ran = cli.run(["check", "--quick", "--format", "csv"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stdout.starts_with("invariant,table,id,expected,found\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_backup_can_be_used_immediately() {
    files_only!(Backup);
    let cli = heap();
    let said = cli.ok(["backup", "copy.db"]);
    assert!(
        said.starts_with("copy.db: ") && said.ends_with("checked in full\n"),
        "{said}"
    );
    assert_eq!(cli.ok(["get", "answer", "--db", "copy.db"]), "42");
    assert!(cli.fails(2, ["backup", "copy.db"]).contains("copy.db already exists"));
    assert!(cli.json(["backup", "other.db"])["file_size"].as_u64().unwrap() > 0);
}

#[test]
fn a_file_that_must_have_a_name_is_no_stream() {
    let cli = heap();
    for args in [
        &["backup", "-"][..],
        &["restore", "-"],
        &["copy", "--to", "-"],
        &["gc", "--plan", "-"],
        &["man", "-o", "-"],
    ] {
        let ran = cli.run_all(args);
        let refused = ran.stderr;
        assert_eq!(ran.status, 2, "{args:?}: {refused}");
        assert!(
            refused.contains("write ./- for a file of that name"),
            "{args:?}: {refused}"
        );
        assert!(!cli.path("-").exists(), "{args:?}");
    }
}

#[test]
fn a_backup_is_restored() {
    files_only!(Backup);
    let cli = Cli::new();
    cli.ok(["set", "state", "old"]);
    cli.ok(["backup", "copy.db"]);
    cli.ok(["set", "state", "new"]);
    let refused = cli.fails(2, ["restore", "copy.db"]);
    assert!(
        refused.starts_with("heap.db exists; replace all its contents with --force"),
        "{refused}"
    );
    assert_eq!(cli.ok(["get", "state"]), "new");
    let said = cli.ok(["restore", "copy.db", "--force"]);
    assert!(said.starts_with("heap.db: restored from copy.db, "), "{said}");
    assert_eq!(cli.ok(["get", "state"]), "old");
    assert!(
        cli.json(["restore", "copy.db", "--db", "new.db"])["file_size"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert_eq!(cli.ok(["get", "state", "--db", "new.db"]), "old");
    assert!(cli.fails(2, ["restore", "nothing.db"]).contains("nothing.db"));
    // The heap is in order, so nobody has to move it away.
    cli.file("junk", "no heap at all");
    let refused = cli.fails(2, ["restore", "--force", "junk"]);
    assert!(
        refused.contains("not replaced") && !refused.contains("move it away"),
        "{refused}"
    );
    assert!(
        cli.fails(2, ["restore", "heap.db"])
            .contains("the backup is this file itself")
    );
}

#[test]
fn a_backup_of_a_damaged_heap_is_made_and_reported() {
    files_only!(Backup);
    let cli = heap();
    cli.sql().change("UPDATE pools SET mem = mem - 1 WHERE id = 1");
    let ran = cli.run(["backup", "copy.db"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stderr.contains("the heap is damaged, and so is its backup") && ran.stderr.contains("I3"),
        "{}",
        ran.stderr
    );
    assert!(cli.path("copy.db").exists());
}

#[test]
fn an_export_can_be_imported() {
    let cli = heap();
    let said = cli.ok(["export", "files"]);
    assert!(said.starts_with("files: 3 objects with 3 names"), "{said}");
    assert!(cli.fails(2, ["export", "files"]).contains("files already exists"));
    let said = cli.ok(["import", "files", "--db", "new.db"]);
    assert!(said.starts_with("3 objects with 3 names"), "{said}");
    assert_eq!(cli.ok(["get", "greeting", "--db", "new.db"]), "hello");
    assert!(
        cli.ok(["import", "files", "--db", "new.db"])
            .ends_with("; 3 objects stored already\n")
    );
    let done = cli.json(["import", "files", "--space", "other", "--create"]);
    assert_eq!((&done["objects"], &done["dedup_hits"]), (&3.into(), &0.into()));
    assert_eq!(cli.ok(["check", "--db", "new.db"]), "the books balance\n");
}

#[test]
fn an_import_names_the_faulty_file() {
    let cli = heap();
    cli.ok(["export", "files"]);
    let manifest = cli.read("files/manifest.jsonl");
    let first: serde_json::Value =
        serde_json::from_slice(manifest.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    let file = format!("files/{}", first["file"].as_str().unwrap());
    fs::write(cli.path(&file), "else").unwrap();
    let error = cli.fails(2, ["import", "files", "--db", "new.db"]);
    assert!(error.contains(&file) && error.contains("cannot be imported"), "{error}");
    assert!(
        cli.fails(2, ["import", "nowhere", "--db", "none.db"])
            .contains("nowhere")
    );
    fs::create_dir(cli.path("empty")).unwrap();
    let error = cli.fails(2, ["import", "empty", "--db", "none.db"]);
    assert!(error.contains("empty/manifest.jsonl"), "{error}");
    assert!(!cli.path("none.db").exists(), "no heap is left behind");
}

/// Starts a command that can be interrupted.
fn start(cli: &Cli, args: &[&str]) -> Child {
    cli.program(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Temporary folders in a folder.
fn unfinished(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".heapledger-")).collect()
}

/// Signals the command while it writes; false if it finished first.
fn signalled(cli: &Cli, args: &[&str], signal: Signal) -> bool {
    let mut child = start(cli, args);
    while unfinished(&cli.path("")).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    // As `timeout` does: first to the process, then to its group.
    for _ in 0..2 {
        send(&child, signal);
    }
    let status = child.wait().unwrap();
    assert!(
        status.success() || status.signal() == Some(signal.as_raw()),
        "{args:?}: {status}"
    );
    !status.success()
}

/// 48 MiB, which takes a few tenths of a second to process.
fn large_heap() -> Cli {
    let cli = Cli::new();
    cli.file("big", vec![7; 48 << 20]);
    cli.ok(["put", "-q", "big", "--name", "big"]);
    fs::create_dir(cli.path("out")).unwrap();
    cli
}

#[test]
fn a_signal_ends_the_command_without_leftovers() {
    let cli = large_heap();
    let mut interrupted = 0;
    for (args, signal) in [
        (["get", "big", "-o", "out/copy"].as_slice(), Signal::INT),
        (&["export", "out/files"], Signal::TERM),
        (&["backup", "out/copy.db"], Signal::HUP),
    ] {
        if args[0] == "backup" && server().is_some() {
            continue;
        }
        interrupted += u8::from(signalled(&cli, args, signal));
        assert_eq!(unfinished(&cli.path("")), Vec::<String>::new(), "{args:?}");
    }
    assert!(interrupted > 0, "all commands finished before the signal");
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn an_interrupted_put_leaves_no_long_log() {
    let cli = large_heap();
    // So large that it cannot be stored before the signal, even if this process is held up.
    File::create(cli.path("other")).unwrap().set_len(900 << 20).unwrap();
    let log = || fs::metadata(cli.path("heap.db-wal")).map_or(0, |log| log.len());
    let sql = cli.sql();
    let is_stored = || match server() {
        // A part is in the log, which may start again after each.
        None => log() >= 4 << 20,
        Some(_) => number(&sql, "SELECT mem FROM memram") > 60 << 20,
    };
    let interrupted = || {
        let mut child = start(&cli, &["put", "-q", "other", "--name", "other"]);
        while !is_stored() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Not SIGINT, which a shell lets its jobs in the background ignore.
        send(&child, Signal::TERM);
        let status = child.wait().unwrap();
        if status.success() {
            // This process was held up.
            cli.ok(["unname", "other"]);
        }
        status
    };
    let status = (0..5).map(|_| interrupted()).find(|status| !status.success()).unwrap();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}");
    assert_eq!(log(), 0);
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 1);
    // Its parts are given back.
    assert_eq!(cli.json(["stats"])["mem"], 48 << 20);
    assert_eq!(number(&cli.sql(), "SELECT count(*) FROM reservations"), 0);
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn a_put_that_waits_for_input_can_be_interrupted() {
    let cli = heap();
    cli.file("big", vec![7; 20 << 20]);
    let log = || fs::metadata(cli.path("heap.db-wal")).map_or(0, |log| log.len());
    // It waits for the first part, for another one, and for content of another pipe.
    for sent in [0, 5, 9 << 20] {
        let mut child = start(&cli, &["put", "-q", "big", "-"]);
        // It stays open, or the program could reach the end of its input before the signal.
        let mut input = child.stdin.take().unwrap();
        input.write_all(&vec![1; sent]).unwrap();
        // The file comes first.
        while number(&cli.sql(), "SELECT count(*) FROM objects WHERE size >= 20 << 20") == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(500));
        let before = Instant::now();
        send(&child, Signal::TERM);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}");
        assert!(before.elapsed() < Duration::from_secs(60));
        assert!(log() < 4096, "{sent} bytes sent: {} in the log", log());
        assert_eq!(number(&cli.sql(), "SELECT count(*) FROM reservations"), 0);
    }
    cli.ok(["check"]);
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let cli = heap();
    let script = "trap '' HUP; exec \"$0\" put -q - --name late";
    let mut child = cli
        .script(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    send(&child, Signal::HUP);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(cli.ok(["get", "late"]), "");
}

#[test]
fn the_next_command_removes_what_a_killed_process_left() {
    let cli = large_heap();
    for (args, next) in [
        (
            ["get", "big", "-o", "out/copy"].as_slice(),
            ["get", "big", "-o", "out/other"].as_slice(),
        ),
        (&["export", "out/files"], &["export", "out/files2"]),
        (&["backup", "out/copy.db"], &["backup", "out/other.db"]),
        (&["init", "--db", "out/new.db"], &["init", "--db", "out/new2.db"]),
    ] {
        if args[0] == "backup" && server().is_some() {
            continue;
        }
        signalled(&cli, args, Signal::KILL);
        assert!(start(&cli, next).wait().unwrap().success(), "{next:?}");
        assert_eq!(unfinished(&cli.path("")), Vec::<String>::new(), "{args:?}");
    }
    if server().is_some() {
        return;
    }
    // Any command that may write also cleans up next to the heap.
    let left = cli.path(&left_behind());
    fs::create_dir(&left).unwrap();
    cli.ok(["set", "a", "1"]);
    assert!(!left.exists());
}

/// The name of a temporary folder that a dead process of this system would have left.
fn left_behind() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    format!(".heapledger-{}-abcDE1", &boot[..8])
}

#[test]
fn temporary_folders_of_live_processes_stay() {
    let cli = heap();
    let living = cli.path(&left_behind());
    fs::create_dir(&living).unwrap();
    let lock = File::open(&living).unwrap();
    lock.lock().unwrap();
    let copies = if server().is_none() { "backup" } else { "export" };
    cli.ok([copies, "copy.db"]);
    assert!(living.exists());
    drop(lock);
    cli.ok([copies, "copy2.db"]);
    assert!(!living.exists());
}

#[test]
fn reaching_the_file_size_limit_is_a_clear_error() {
    let cli = heap();
    cli.file("big", crate::support::noise(3_000_000));
    let said = |args: &str| {
        let script = format!("ulimit -c 0; ulimit -f 1000; \"$0\" {args}");
        let ran = cli.script(&script).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{args}: {ran:?}");
        String::from_utf8(ran.stderr).unwrap()
    };
    let (puts, copies) = (
        ["put big", "put - <big"],
        ["get big -o copy", "export files", "backup copy.db"],
    );
    // On a server, neither a put nor a backup writes files.
    let (puts, copies) = match server() {
        None => (&puts[..], &copies[..]),
        Some(_) => (&[][..], &copies[..2]),
    };
    for args in puts {
        let error = said(args);
        assert!(
            error.contains("the file-size limit of this process is 1,024,000 bytes"),
            "{error}"
        );
    }
    cli.ok(["put", "big", "--name", "big"]);
    for args in copies {
        let error = said(args);
        assert!(
            error.contains("the file-size limit of this process is 1,024,000 bytes"),
            "{error}"
        );
    }
    assert_eq!(cli.names(), ["big", "photo.jpg"]);
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn an_export_into_an_empty_folder_does_not_replace_it() {
    use std::os::unix::fs::MetadataExt;
    let cli = heap();
    fs::create_dir_all(cli.path("disk/lost+found")).unwrap();
    let before = fs::metadata(cli.path("disk")).unwrap();
    cli.ok(["export", "disk"]);
    let after = fs::metadata(cli.path("disk")).unwrap();
    assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    let mut names: Vec<_> = fs::read_dir(cli.path("disk"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["lost+found", "manifest.jsonl", "objects"]);
    assert!(cli.fails(2, ["export", "disk"]).contains("disk already exists"));
    cli.ok(["import", "disk", "--db", "new.db"]);
    // The remains of a killed export are not an export, and do not get in the way.
    fs::create_dir_all(cli.path("half").join(left_behind()).join("objects")).unwrap();
    assert!(cli.fails(2, ["import", "half"]).contains("manifest.jsonl"));
    cli.ok(["export", "half"]);
    assert_eq!(unfinished(&cli.path("half")), Vec::<String>::new());
}

#[test]
fn an_import_continues_past_taken_names() {
    let cli = heap();
    cli.ok(["export", "files"]);
    cli.ok(["set", "answer", "43", "--db", "new.db"]);
    let error = cli.fails(2, ["import", "files", "--db", "new.db"]);
    assert!(
        error.ends_with("--on-conflict skip, replace or rename imports the rest"),
        "{error}"
    );
    let ran = cli.run(["import", "files", "--db", "new.db", "--on-conflict", "skip"]);
    assert!(ran.stderr.starts_with("skipped answer: it is bound to "), "{ran:?}");
    assert!(
        ran.stdout.starts_with("2 objects with 2 names") && ran.stdout.ends_with("; 1 object left out\n"),
        "{ran:?}"
    );
    assert_eq!(cli.ok(["get", "answer", "--db", "new.db"]), "43");
    let ran = cli.run(["import", "files", "--db", "new.db", "--on-conflict", "rename"]);
    assert!(ran.stderr.starts_with("renamed answer to answer~"), "{ran:?}");
    let ran = cli.run(["import", "files", "--db", "new.db", "--on-conflict", "replace"]);
    assert!(ran.stderr.starts_with("replaced answer, and freed "), "{ran:?}");
    assert_eq!(cli.ok(["get", "answer", "--db", "new.db"]), "42");
    assert_eq!(cli.ok(["check", "--db", "new.db"]), "the books balance\n");
}
