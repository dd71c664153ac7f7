//! An error takes one line, its exit status tells its sort, and reading creates nothing.

use std::fs;
use std::process::Stdio;

use crate::common::skip::{is_root, skip};
use crate::common::{files_only, server};
use crate::support::{Cli, HELLO, noise, ran};

/// The note that a heap or a space was made.
macro_rules! made {
    ($what:literal) => {
        concat!(
            "made ",
            $what,
            " for at most 1.0 GiB; `heapledger resize` changes that\n"
        )
    };
}

#[test]
fn reading_never_creates_a_heap() {
    let cli = Cli::without_heap();
    for args in [
        &["ls"][..],
        &["get", "x"],
        &["show", "x"],
        &["ledger"],
        &["tree"],
        &["block", "1"],
        &["stats"],
        &["check"],
        &["spaces"],
        // Nor does a command that changes an existing heap.
        &["gc"],
        &["name", "x", "y"],
        &["unname", "x"],
        &["free", "x"],
        &["resize", "1M"],
        &["add", "arena"],
    ] {
        let ran = ran(&mut cli.command(args));
        assert_eq!(ran.status, 2, "{args:?}");
        let start = match server() {
            None => "heapledger: no heap at heap.db; ",
            Some(_) => "heapledger: there is no heap at heap.db; `heapledger init` creates one; ",
        };
        assert!(ran.stderr.starts_with(start), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{args:?}");
    }
    assert!(!cli.has_heap());
}

#[test]
fn missing_things_exit_with_1_and_other_errors_with_2() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    for args in [
        ["get", "nothing"],
        ["show", HELLO],
        ["free", "abcdef"],
        ["unname", "y"],
        ["block", "7"],
        ["ledger", "no"],
    ] {
        cli.fails(1, args);
    }
    for args in [
        ["get", "-x"],
        ["frob", "x"],
        ["block", "seven"],
        ["put", "nothing.txt"],
        ["--space=other", "ls"],
    ] {
        let ran = cli.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn usage_errors_take_one_line_that_points_to_help() {
    let cli = Cli::new();
    assert!(
        cli.fails(2, ["get"])
            .ends_with("<ID|NAME>; see `heapledger get --help`")
    );
    assert!(cli.fails(2, ["lss"]).contains("'ls'"));
    let line = cli.fails(2, ["init", "--max-mem", "huge"]);
    assert!(line.contains("'huge'") && line.contains("2GiB"), "{line}");
    assert!(cli.fails(2, ["ls", "--busy-timeout", "soon"]).contains("30s"));
    assert!(cli.fails(2, ["ls", "--format", "xml"]).contains("ndjson"));
}

#[test]
fn without_a_command_it_prints_help() {
    let ran = Cli::new().run([]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("Usage: heapledger"), "{}", ran.stderr);
}

#[test]
fn another_file_is_not_changed() {
    files_only!(File);
    let cli = Cli::new();
    cli.file("heap.db", "not a heap");
    for args in [["ls", "--bytes"], ["put", "heap.db"], ["set", "x"]] {
        assert_eq!(cli.run(args).status, 2);
    }
    assert_eq!(cli.read("heap.db"), b"not a heap");
}

#[test]
fn a_mistyped_space_leaves_the_file_as_it_is() {
    files_only!(File);
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    // Opening for writing would restore both.
    cli.sql()
        .execute("PRAGMA journal_mode = DELETE; DROP INDEX arenas_empty");
    let before = fs::read(cli.address()).unwrap();
    for args in [["free", "x"], ["pin", "x"], ["set", "x"]] {
        let value = if args[0] == "set" { &["2"][..] } else { &[] };
        let ran = cli.run_all(&[&args, value, &["--space", "mian"]].concat());
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(fs::read(cli.address()).unwrap() == before, "{args:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let cli = Cli::new();
    cli.ok(["init"]);
    for number in 0..3000 {
        cli.file(&format!("d/{number}"), number.to_string());
    }
    for args in [
        &["put", "-q", "-r", "d"][..],
        &["ls"],
        &["ls", "--format", "csv"],
        &["ledger", "--format", "json"],
        &["tree"],
    ] {
        let mut command = cli.program(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{args:?}");
    }
    // Everything is stored, whether or not anyone reads the list.
    assert_eq!(cli.json(["stats"])["objects"], 3000);
}

#[test]
fn the_database_is_found_in_the_environment_and_in_dotenv() {
    files_only!(File);
    let cli = Cli::new();
    let db = |url: &str| ran(cli.command(["set", "x", "1"]).env("DATABASE_URL", url));
    assert_eq!(db("sqlite://one.db").status, 0);
    assert_eq!(db("two.db").status, 0);
    cli.file(".env", "DATABASE_URL=sqlite:three.db\n");
    cli.ok(["set", "x", "1"]);
    cli.ok(["--db", "four.db", "set", "x", "1"]);
    for name in ["one.db", "two.db", "three.db", "four.db"] {
        assert!(cli.path(name).exists(), "{name}");
    }
    assert!(cli.is_untouched());
}

#[test]
fn heapledger_db_precedes_database_url_and_the_environment_precedes_dotenv() {
    files_only!(File);
    let cli = Cli::new();
    let names = ["HEAPLEDGER_DB", "DATABASE_URL"];
    cli.file(".env", "DATABASE_URL=d\nHEAPLEDGER_DB=c\n");
    let set = |args: &[&str], values: [&str; 2]| {
        let mut command = cli.command(args);
        let ran = ran(command.envs(names.into_iter().zip(values)));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stderr
    };
    assert_eq!(set(&["set", "x", "1", "--db", "a"], ["b", "b"]), made!("heap a"));
    assert_eq!(set(&["set", "x", "1"], ["b", "z"]), made!("heap b"));
    assert_eq!(set(&["set", "x", "1"], ["", "z"]), made!("heap c"));
    cli.file(".env", "DATABASE_URL=d\n");
    assert_eq!(set(&["set", "x", "1"], ["", "e"]), made!("heap e"));
    assert_eq!(set(&["set", "x", "1"], ["", ""]), made!("heap d"));
    cli.file(".env", "");
    assert_eq!(set(&["set", "x", "1"], ["", ""]), made!("heap heap.db"));
    // Other variables in .env have no effect.
    cli.file(".env", "HEAPLEDGER_ACTOR=me\nNO_COLOR=\nTMPDIR=/nowhere\n");
    cli.ok(["set", "y", "1"]);
    assert_eq!(cli.json(["log", "-n", "1"])[0]["actor"], "me");
}

#[test]
fn a_dotenv_that_cannot_be_read_in_full_is_an_error() {
    files_only!(File);
    let cli = Cli::new();
    for (text, why) in [
        (&b"TITLE=My secret\nDATABASE_URL=right.db\n"[..], "line 1 "),
        (b"A=1\nDATABASE_URL='right.db\n", "line 2 "),
        (b"A=\xff\nDATABASE_URL=right.db\n", "UTF-8"),
    ] {
        cli.file(".env", text);
        let line = cli.fails(2, ["set", "x", "1"]);
        assert!(
            line.starts_with(".env cannot be read: ") && line.contains(why),
            "{line}"
        );
        assert!(line.contains("--db") && !line.contains("secret"), "{line}");
        cli.fails(2, ["get", "x"]);
        assert_eq!(cli.names(), [".env"]);
        assert!(cli.is_untouched());
    }
    // --db still works.
    let named = cli.run(["--db", "named.db", "set", "x", "1"]);
    assert_eq!(named.status, 0, "{}", named.stderr);
    assert!(named.stderr.contains(".env cannot be read"), "{}", named.stderr);
    // A byte order mark is skipped, and a folder named .env is ignored.
    cli.file(".env", "\u{feff}DATABASE_URL=right.db\n");
    cli.ok(["set", "x", "1"]);
    assert!(cli.path("right.db").exists());
    fs::remove_file(cli.path(".env")).unwrap();
    cli.file(".env/bin/python", "");
    cli.ok(["set", "x", "1"]);
}

#[test]
fn a_relative_path_in_dotenv_starts_at_its_folder() {
    files_only!(File);
    let cli = Cli::new();
    cli.file("sub/deeper/x", "");
    for (variable, db) in [("DATABASE_URL", "sqlite:one.db"), ("HEAPLEDGER_DB", "two.db")] {
        cli.file(".env", format!("{variable}={db}\n"));
        cli.ok(["set", "x", "1"]);
        assert_eq!(cli.sh("cd sub/deeper && heapledger get x").stdout, "1");
        assert_eq!(cli.sh("cd sub/deeper && heapledger set y 2").status, 0);
        assert_eq!(cli.ok(["get", "y"]), "2");
    }
    assert_eq!(fs::read_dir(cli.path("sub/deeper")).unwrap().count(), 1);
    // In the environment, a relative path starts at the working folder.
    assert_eq!(
        cli.sh("cd sub/deeper && HEAPLEDGER_DB=two.db heapledger set z 1")
            .status,
        0
    );
    assert!(cli.path("sub/deeper/two.db").exists());
}

#[test]
fn the_dotenv_of_another_user_is_not_read() {
    files_only!(File);
    let cli = Cli::new();
    cli.file(".env", "HEAPLEDGER_DB=theirs.db\n");
    cli.file("sub/x", "");
    if std::os::unix::fs::chown(cli.path(".env"), Some(65_534), None).is_err() {
        println!("skipped: changing the owner of a file requires root");
        return;
    }
    for folder in [".", "sub"] {
        let ran = cli.sh(&format!("cd {folder} && heapledger set x 1"));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("belongs to another user"), "{}", ran.stderr);
    }
    assert!(!cli.path("theirs.db").exists() && !cli.path("sub/theirs.db").exists());
    // The owner of the folder may decide what is used in it.
    std::os::unix::fs::chown(cli.path("."), Some(65_534), None).unwrap();
    cli.ok(["set", "x", "1"]);
    assert!(cli.path("theirs.db").exists());
}

#[test]
fn a_url_is_decoded_or_refused_and_never_a_file_name() {
    files_only!(File);
    let cli = Cli::new();
    cli.file("My Data/x", "");
    cli.ok(["--db", "My Data/heap.db", "set", "answer", "42"]);
    let folder = cli.path("").to_str().unwrap().to_owned();
    for (variable, url) in [
        ("DATABASE_URL", format!("sqlite://{folder}/My%20Data/heap.db")),
        ("HEAPLEDGER_DB", "file:My%20Data/heap.db?mode=rw".to_owned()),
        ("DATABASE_URL", format!("file://{folder}/My%20Data/heap.db")),
    ] {
        let got = ran(cli.command(["get", "answer"]).env(variable, &url));
        assert_eq!(got.stdout, "42", "{url}: {}", got.stderr);
    }
    for url in [
        "postgres://me:secret@host/db",
        "mysql://me:secret@host/db",
        "postgres:secret",
        "host=there password=secret",
        "sqlite::memory:",
        ":memory:",
        "file::memory:?cache=shared",
        "sqlite:secret?mode=memory",
        "sqlite:secret%zz",
    ] {
        let refused = ran(cli.command(["set", "x", "1"]).env("DATABASE_URL", url));
        assert_eq!(refused.status, 2, "{url}");
        assert!(
            refused.stderr.starts_with("heapledger: DATABASE_URL "),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
        if !url.contains("password=") {
            let refused = ran(&mut cli.command(["--db", url, "set", "x", "1"]));
            assert!(refused.stderr.starts_with("heapledger: --db "), "{}", refused.stderr);
        }
    }
    let read_only = cli.fails(2, ["--db", "file:My%20Data/heap.db?mode=ro", "set", "x", "1"]);
    assert!(read_only.contains("mode=ro"), "{read_only}");
    cli.fails(2, ["--db", "sqlite:new.db?mode=rw", "set", "x", "1"]);
    assert_eq!(cli.names(), ["My Data"]);
}

#[test]
fn storing_reports_a_new_heap_and_creates_no_space_unasked() {
    let cli = Cli::new();
    cli.file("a", "hello");
    let refused = cli.fails(2, ["--space", "mian", "put", "a"]);
    assert!(refused.contains("heap.db") && refused.contains("--create"), "{refused}");
    cli.fails(2, ["--space", "mian", "put", "--dry-run", "a"]);
    cli.fails(2, ["--space", "mian", "set", "x", "1"]);
    assert!(cli.is_untouched());
    let made = cli.run(["put", "-q", "a"]);
    // On a server, only `init` creates a heap.
    let note = if server().is_none() { made!("heap heap.db") } else { "" };
    assert_eq!((made.status, made.stderr.as_str()), (0, note));
    assert_eq!(cli.run(["set", "x", "1"]).stderr, "");
    let refused = cli.fails(2, ["--space", "mian", "set", "x", "1"]);
    assert!(refused.contains("mian") && refused.contains("init"), "{refused}");
    assert_eq!(cli.json(["spaces"]).as_array().unwrap().len(), 1);
    let made = cli.run(["--space", "cache", "set", "--create", "x", "1"]);
    assert_eq!(
        (made.status, made.stderr.as_str()),
        (0, made!("space cache in heap.db"))
    );
    cli.ok(["--space", "cache", "put", "-q", "a"]);
    // An empty file becomes a heap, and a file without the space main gets one.
    cli.file("empty.db", "");
    assert_eq!(
        cli.run(["--db", "empty.db", "set", "x", "1"]).stderr,
        made!("heap empty.db")
    );
    cli.ok(["--db", "other.db", "--space", "other", "init"]);
    let made = cli.run(["--db", "other.db", "set", "x", "1"]);
    assert_eq!(made.stderr, made!("space main in other.db"));
}

#[test]
fn a_refusal_for_want_of_room_exits_with_3() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64K", "--arena", "64K", "--classic"]);
    cli.file("large", vec![1; 100_000]);
    cli.fails(3, ["set", "x", &"long ".repeat(20_000)]);
    assert_eq!(cli.run(["put", "large"]).status, 3);
    // Another error for another file does not hide it.
    assert_eq!(cli.run(["put", "missing", "large"]).status, 3);
    cli.ok(["add", "arena"]);
    cli.fails(3, ["add", "arena"]);
    // A plan that does not fit is an answer; an impossible size is an error.
    assert_eq!(cli.run(["plan", "1M"]).status, 1);
    assert_eq!(cli.run(["put", "--dry-run", "large"]).status, 1);
}

#[test]
fn without_a_standard_output_nothing_is_done() {
    let cli = Cli::new();
    cli.file("f", vec![b'x'; 100_000]);
    cli.ok(["put", "-q", "f", "--name", "f"]);
    for command in [
        "get f",
        "ls",
        "check",
        "log",
        "log --follow",
        "show f",
        "export x",
        "put f",
        "set y 1",
        "unname f",
        "backup b.db",
        "gc",
        "--help",
        "get --help",
        "--version",
    ] {
        for output in [">&-", ">/dev/full", "1</dev/null"] {
            let ran = cli.sh(&format!("timeout 20 heapledger {command} {output}"));
            assert_eq!(ran.status, 2, "{command} {output}: {}", ran.stderr);
            assert_eq!(
                ran.stderr
                    .lines()
                    .filter(|line| line.starts_with("heapledger: "))
                    .count(),
                1,
                "{command}"
            );
            if output == ">/dev/full" {
                // A full disk shows only when the command has done its work, so undo that.
                cli.sh("rm -rf x b.db; heapledger put -q f --name f; heapledger unname y");
            }
            let objects = cli.json(["stats"])["objects"].as_u64();
            assert_eq!((cli.names(), objects), (vec!["f".into()], Some(1)), "{command}");
        }
    }
    // The output goes to a file, or is discarded on purpose.
    assert_eq!(cli.sh("heapledger get f -o copy >&-").status, 0);
    assert_eq!(cli.read("copy"), cli.read("f"));
    for quiet in [
        "get f >/dev/null",
        "ls 2>&- >/dev/null",
        "check 2>/dev/full",
        "get f <>/dev/null >&0",
        "put -q f <&-",
    ] {
        assert_eq!(cli.sh(&format!("heapledger {quiet}")).status, 0, "{quiet}");
    }
}

#[test]
fn without_a_standard_input_nothing_is_stored() {
    let cli = Cli::new();
    for input in ["<&-", "0>/dev/null", "</"] {
        for command in ["put - --name kept", "set kept -", "put --dry-run -"] {
            assert_eq!(
                cli.sh(&format!("heapledger {command} {input}")).status,
                2,
                "{command} {input}"
            );
            if input != "</" {
                assert!(!cli.path("heap.db").exists(), "{command} {input}");
            }
        }
    }
    cli.ok(["set", "kept", "precious"]);
    for input in ["<&-", "0>/dev/null", "</"] {
        let refused = cli.sh(&format!("heapledger put -q - --name kept {input}"));
        assert_eq!(refused.status, 2, "{}", refused.stderr);
        assert_eq!(cli.ok(["get", "kept"]), "precious");
    }
    // Empty input is stored if it was given.
    assert_eq!(cli.sh("heapledger put -q - --name kept </dev/null").status, 0);
    assert_eq!(cli.ok(["get", "kept"]), "");
}

#[test]
fn waiting_for_another_writer_ends_after_the_busy_timeout() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    let sql = cli.sql();
    sql.keep_writers_out();
    let line = cli.fails(2, ["set", "x", "2", "--busy-timeout", "50ms"]);
    assert!(line.contains("busy"), "{line}");
    assert_eq!(cli.ok(["get", "x"]), "1");
    sql.execute("ROLLBACK");
    cli.ok(["set", "x", "2", "--durability", "normal"]);
}

#[test]
fn messages_are_sentences_and_advise_commands() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64K", "--arena", "64K", "--classic"]);
    cli.ok(["set", "x", "1"]);
    for (args, said) in [
        (
            &["get", "2cf24"][..],
            "the start of an id needs at least 6 digits; `heapledger ls`",
        ),
        (
            &["get", "zz"],
            "no object and no name \"zz\" in space main; `heapledger ls`",
        ),
        (&["get", &"a".repeat(65)], "an id has 64 digits"),
        (&["block", "seven"], "'seven' for '<N>': not a whole number"),
        (&["block", "1.5"], "not a whole number"),
        (&["block", "99999999999999999999"], "too large"),
        (&["sparse", "x"], "not a whole number"),
        (&["log", "-n", "x"], "not a whole number"),
        (&["tree", "--depth", "x"], "not a whole number"),
        (
            &["diff", "1h", "--fail-if", "added objects > x"],
            "not a whole number of objects",
        ),
        (&["unname", "y"], "`heapledger ls` lists the names"),
        (&["block", "7"], "`heapledger tree` shows"),
        (&["free", "x"], "`heapledger unname`, or use --force"),
        (
            &["set", "y", &"long".repeat(20_000)],
            "it is larger than the whole space, which `heapledger resize` makes larger",
        ),
        (
            &["init", "--max-mem", "1M"],
            "--space names another, and `heapledger resize`",
        ),
        (
            &["--space", "y", "ls"],
            "name it with --space, or create one with `heapledger init`",
        ),
        (
            &["--db", "none.db", "ls"],
            "`heapledger put` creates one, --db or HEAPLEDGER_DB names another",
        ),
        (&["layout", "--at", "@999"], "`heapledger log` lists the events"),
        (
            &["get", "x", "-o", "none/x"],
            ": No such file or directory (os error 2)\n",
        ),
    ] {
        let ran = ran(&mut cli.command(args));
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
        for foreign in ["MemManager", "Options::", "at path", "digit found"] {
            assert!(!ran.stderr.contains(foreign), "{args:?}: {}", ran.stderr);
        }
    }
    cli.ok(["resize", "128K"]);
    cli.ok(["history", "off"]);
    assert!(
        cli.fails(2, ["layout", "--at", "1h"])
            .ends_with("`heapledger history on` starts recording")
    );
    let sql = cli.sql();
    sql.keep_writers_out();
    let busy = cli.fails(2, ["set", "x", "2", "--busy-timeout", "50ms"]);
    assert!(
        busy.ends_with("try again, or wait longer with --busy-timeout"),
        "{busy}"
    );
}

#[test]
fn a_name_with_nul_is_refused_with_a_reason() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    cli.ok(["export", "files"]);
    let manifest = String::from_utf8(cli.read("files/manifest.jsonl")).unwrap();
    for name in ["\\u0000", "a\\u0000b"] {
        cli.file(
            "files/manifest.jsonl",
            manifest.replace("\"x\"", &format!("\"{name}\"")),
        );
        let refused = cli.fails(2, ["--db", "new.db", "import", "files"]);
        assert!(refused.contains("contains U+0000"), "{refused}");
    }
}

#[test]
fn a_reason_or_an_actor_that_is_too_long_is_refused_before_anything_is_done() {
    let cli = Cli::new();
    cli.file("a", "hello");
    let long = "r".repeat(1025);
    let line = cli.fails(2, ["put", "a", "--reason", &long]);
    assert!(line.contains("1,024") && line.len() < 200, "{line}");
    let ran = ran(cli.command(["put", "a"]).env("HEAPLEDGER_ACTOR", &long));
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("1,024"), "{ran:?}");
    assert!(cli.is_untouched());
}

/// The reader is this test, whose process id the messages give.
#[test]
fn a_log_held_by_a_reader_is_an_error_and_a_finding_that_name_it() {
    files_only!(Log);
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    let limit = cli.json(["stats"])["log_limit"].as_u64().unwrap();
    let memory = heapledger::MemManager::options()
        .read_only(true)
        .open(cli.path("heap.db"))
        .unwrap();
    let snapshot = memory.snapshot().unwrap();
    let part = 8 << 20;
    let fills = |number: u64| {
        cli.file("part", [&number.to_le_bytes()[..], &noise(part)].concat());
        cli.run(["put", "part", "--busy-timeout", "0s"]).status != 0
    };
    assert!((0..2 * limit / part as u64).any(fills));
    let line = cli.fails(2, ["set", "x", "2", "--busy-timeout", "0s"]);
    assert!(line.contains("the write-ahead log is full"), "{line}");
    assert!(line.ends_with("--busy-timeout"), "{line}");
    let doctor = ran(&mut cli.command(["doctor", "--format", "json"]));
    assert_eq!(doctor.status, 1);
    let findings: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let finding = &findings[0];
    assert_eq!(
        (&finding["code"], &finding["severity"]),
        (&"large_log".into(), &"action".into())
    );
    assert_eq!(finding["figures"]["log_limit"], limit);
    if cfg!(target_os = "linux") {
        let process = format!("process {}", std::process::id());
        assert!(line.contains(&process), "{line}");
        let held_by = finding["figures"]["log_held_by"].as_str().unwrap();
        assert!(held_by.contains(&process), "{held_by}");
    }
    drop(snapshot);
    cli.ok(["set", "x", "2"]);
}

#[cfg(unix)]
#[test]
fn whatever_is_to_be_written_a_file_that_is_read_only_is_named() {
    use std::os::unix::fs::PermissionsExt;
    files_only!(File);
    if is_root() {
        return skip("a file that this user cannot write", "root writes any file");
    }
    let cli = Cli::new();
    cli.ok(["set", "name", "1"]);
    fs::set_permissions(cli.path("heap.db"), fs::Permissions::from_mode(0o444)).unwrap();
    for args in [
        &["set", "name", "2"][..],
        &["gc"],
        &["compact"],
        &["copy", "--to-space", "other"],
        &["init", "--space", "other"],
    ] {
        let ran = cli.run_all(args);
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(
            ran.stderr.contains("heap.db cannot be written"),
            "{args:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(cli.ok(["get", "name"]), "1");
}
