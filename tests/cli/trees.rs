//! `put --names`, `get -r` and `export --by-name`: trees of files, there and back.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::common::skip::{is_root, skip};
use crate::common::{content, files_below};
use crate::support::Cli;

fn names(cli: &Cli) -> Vec<String> {
    let memory = cli.library();
    memory.names_with_prefix("").map(|name| name.unwrap().name).collect()
}

#[test]
fn a_heap_without_names_has_no_tree() {
    let cli = Cli::new();
    cli.file("file", "x");
    cli.ok(["put", "file"]);
    let told = cli.fails(1, ["get", "-r", "-o", "out"]);
    assert!(
        told.contains("no object has a name") && told.contains("--names"),
        "{told}"
    );
    assert!(!cli.path("out").exists());
}

#[test]
fn a_tree_of_ten_thousand_files_comes_back_byte_for_byte() {
    let cli = Cli::new();
    for number in 0..10_000_u64 {
        let size = match number % 1000 {
            0 => 300_000,
            1 => 1_100_000,
            _ => number % 700,
        };
        let name = match number % 7 {
            0 => format!("tree/{}/{number}.txt", number % 50),
            1 => format!("tree/ünï %{}/a b\n{number}", number % 3),
            _ => format!("tree/x/{}/{}/{number}", number % 11, number % 90),
        };
        cli.file(&name, content(number, size));
    }
    let odd = cli.path("tree").join(OsStr::from_bytes(b"\xff%\xfe"));
    fs::write(odd, "odd").unwrap();
    cli.ok(["init", "--max-mem", "64MiB"]);
    let stored = cli.run(["put", "-r", "--names", "tree", "--durability", "normal"]);
    assert_eq!(stored.status, 0, "{}", stored.stderr);
    assert_eq!(stored.stdout.lines().count(), 10_001);
    let written = cli.json(["get", "-r", "tree", "-o", "copy"]);
    assert_eq!(
        (written["files"].as_u64(), written["skipped"].as_array().unwrap().len()),
        (Some(10_001), 0)
    );
    assert!(files_below(&cli.path("tree")) == files_below(&cli.path("copy")));
    cli.ok(["check"]);
}

#[test]
fn names_are_paths_and_the_prefix_stands_for_the_path_that_was_given() {
    let cli = Cli::new();
    for name in ["src/b/c", "src/a", "d.txt"] {
        cli.file(name, name);
    }
    cli.ok(["put", "-r", "--names", "./src/", "d.txt"]);
    assert_eq!(names(&cli), ["d.txt", "src/a", "src/b/c"]);
    let absolute = cli.path("src");
    let absolute = absolute.to_str().unwrap();
    cli.ok(["put", "-r", "--names", "--prefix", "one/two/", absolute]);
    cli.ok(["put", "--names", "--prefix", "one", "d.txt"]);
    assert_eq!(
        names(&cli),
        ["d.txt", "one/d.txt", "one/two/a", "one/two/b/c", "src/a", "src/b/c"]
    );
    cli.ok(["get", "-r", "one", "-o", "out"]);
    cli.ok(["export", "--by-name", "all"]);
    let expected = [("d.txt", "d.txt"), ("two/a", "src/a"), ("two/b/c", "src/b/c")];
    let expected = expected.map(|(path, content)| (path.into(), content.into()));
    assert_eq!(files_below(&cli.path("out")), expected.into());
    assert_eq!(files_below(&cli.path("all")).len(), 6);

    let refused = cli.fails(2, ["put", "-r", "--names", "--prefix", "p", "src", "d.txt"]);
    assert!(refused.contains("one PATH"), "{refused}");
    let refused = cli.fails(2, ["put", "--names", "-"]);
    assert!(refused.contains("--name"), "{refused}");
}

#[test]
fn a_file_without_a_possible_name_is_reported_and_the_others_are_stored() {
    let cli = Cli::new();
    let id = "a".repeat(64);
    cli.file(&format!("dir/{id}"), "x");
    cli.file("dir/b", "b");
    fs::create_dir(cli.path("below")).unwrap();
    let mut command = cli.command(["put", "-r", "--names", "."]);
    let ran = crate::support::ran(command.current_dir(cli.path("dir")).env("HEAPLEDGER_DB", cli.address()));
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("would be taken for an object id"), "{}", ran.stderr);
    assert_eq!(names(&cli), ["b"]);
    let mut command = cli.command(["put", "-r", "--names", "../dir"]);
    let ran = crate::support::ran(
        command
            .current_dir(cli.path("below"))
            .env("HEAPLEDGER_DB", cli.address()),
    );
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("give --prefix"), "{}", ran.stderr);
}

#[test]
fn the_raw_path_is_in_the_output_for_programs() {
    let cli = Cli::new();
    fs::create_dir(cli.path("t")).unwrap();
    fs::write(cli.path("t").join(OsStr::from_bytes(b"caf\xe9 100%")), "x").unwrap();
    let rows = cli.json(["put", "-r", "--names", "t"]);
    assert_eq!(rows[0]["name"], "t/caf%E9 100%25");
    assert_eq!(rows[0]["path_bytes"], "742f636166e92031303025");
    let got = cli.ok(["get", "t/caf%E9 100%25"]);
    assert_eq!(got, "x");
}

#[test]
fn a_name_moves_to_what_its_file_has_become() {
    let cli = Cli::new();
    cli.file("t/a", "one");
    cli.file("t/b", "two");
    cli.ok(["put", "-r", "--names", "t"]);
    cli.file("t/a", "three");
    let ran = cli.run(["put", "-r", "--names", "t"]);
    assert!(ran.stderr.contains("t/a was 7692c3ad3540 before"), "{}", ran.stderr);
    cli.file("t/a", "four");
    cli.file("t/b", "five");
    let ran = cli.run(["put", "-r", "--names", "t", "--tag", "owner=ann"]);
    assert!(
        ran.stderr.contains("2 freed that had their names before (8 B)"),
        "{}",
        ran.stderr
    );
    assert_eq!(cli.ok(["get", "t/a"]), "four");
    assert_eq!(cli.library().tags("t/b").unwrap()["owner"], "ann");
}

#[test]
fn what_cannot_be_written_is_reported_with_status_1() {
    let cli = Cli::new();
    for name in ["t/fine", "t/../up", "/t/abs", "t/link/x"] {
        cli.ok(["set", name, "1"]);
    }
    fs::create_dir_all(cli.path("out")).unwrap();
    symlink("..", cli.path("out/link")).unwrap();
    let ran = cli.run(["get", "-r", "t", "-o", "out"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "out: 1 file, 1 B; 2 skipped\n"));
    assert!(ran.stderr.contains("skipped t/../up: "), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("skipped t/link/x: a file or a link is where it needs a folder"),
        "{}",
        ran.stderr
    );
    assert_eq!(cli.names(), ["out"]);

    let ran = cli.run(["get", "-r", "t", "-o", "out"]);
    assert!(ran.stderr.contains("skipped t/fine: it exists"), "{}", ran.stderr);
    let ran = cli.run(["get", "-r", "t", "-o", "out", "--force"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "out: 1 file, 1 B; 2 skipped\n"));
    let ran = cli.run(["export", "--by-name", "all"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "all: 2 files, 2 B; 2 skipped\n"));
    let missing = cli.fails(1, ["get", "-r", "missing", "-o", "other"]);
    assert!(missing.contains("missing/"), "{missing}");
    assert!(!cli.path("other").exists());
}

/// The changes that were printed.
fn changes(printed: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    printed.lines().map(words).collect()
}

#[test]
fn names_follow_a_tree_and_no_others_do() {
    let cli = Cli::new();
    for name in ["t/same", "t/edited", "t/grown", "t/gone", "t/sub/gone"] {
        cli.file(name, name);
    }
    cli.file("t/large", content(1, 2_000_000));
    cli.file("t/large-edited", content(2, 2_000_000));
    cli.ok(["put", "-r", "--sync", "t", "--prefix", "p"]);
    for other in ["p", "p-q/x", "pp", "other"] {
        cli.ok(["set", other, "1"]);
    }
    cli.ok(["tag", "p/same", "owner=ann"]);
    assert_eq!(cli.run(["put", "-r", "--sync", "t", "--prefix", "p"]).stdout, "");

    cli.file("t/edited", "EDITED");
    cli.file("t/grown", "grown, too");
    cli.file("t/sub/new", "new");
    cli.file("t/large-edited", content(3, 2_000_000));
    fs::remove_file(cli.path("t/gone")).unwrap();
    fs::remove_file(cli.path("t/sub/gone")).unwrap();
    let expected = [
        "gone p/gone",
        "gone p/sub/gone",
        "changed p/edited",
        "changed p/grown",
        "changed p/large-edited",
        "new p/sub/new",
    ];
    let before = cli.json(["stats"])["mem"].clone();
    let planned = cli.run(["put", "-r", "--sync", "t", "--prefix", "p", "--dry-run"]);
    assert_eq!(changes(&planned.stdout), expected);
    let summary = "would store 4 files (1.9 MiB): 1 new, 3 changed; would remove 2 names; 2 unchanged\n";
    assert_eq!(planned.stderr, summary);
    assert_eq!(cli.json(["stats"])["mem"], before);

    let synced = cli.run(["put", "-r", "--sync", "t", "--prefix", "p"]);
    assert_eq!(synced.status, 0, "{}", synced.stderr);
    let mut done = changes(&synced.stdout);
    done.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(done, expected);
    assert!(synced.stderr.contains(", 2 gone, 2 unchanged"), "{}", synced.stderr);
    let found = [
        "other",
        "p",
        "p-q/x",
        "p/edited",
        "p/grown",
        "p/large",
        "p/large-edited",
        "p/same",
        "p/sub/new",
        "pp",
    ];
    assert_eq!(names(&cli), found);
    assert_eq!(cli.library().tags("p/same").unwrap()["owner"], "ann");
    cli.ok(["get", "-r", "p", "-o", "copy"]);
    assert!(files_below(&cli.path("t")) == files_below(&cli.path("copy")));
    cli.ok(["check"]);
}

#[test]
fn what_a_program_reads_of_a_sync_has_all_of_it() {
    let cli = Cli::new();
    cli.file("t/a", "a");
    let rows = cli.json(["put", "-r", "--sync", "t", "--dry-run"]);
    assert_eq!(
        (&rows[0]["change"], &rows[0]["name"], &rows[0]["object_id"]),
        (&"new".into(), &"t/a".into(), &serde_json::Value::Null)
    );
    assert!(cli.is_untouched());
    cli.json(["put", "-r", "--sync", "t"]);
    fs::rename(cli.path("t/a"), cli.path("t/b")).unwrap();
    let rows = cli.json(["put", "-r", "--sync", "t"]);
    let rows: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["change"].as_str(), row["path"].as_str()))
        .collect();
    assert_eq!(rows, [(Some("gone"), Some("t/a")), (Some("new"), Some("t/b"))]);
}

#[test]
fn a_source_that_is_empty_or_unread_removes_nothing() {
    let cli = Cli::new();
    cli.file("t/a", "a");
    cli.ok(["put", "-r", "--sync", "t"]);
    fs::remove_file(cli.path("t/a")).unwrap();
    let refused = cli.fails(2, ["put", "-r", "--sync", "t"]);
    assert!(
        refused.contains("has no files") && refused.contains("--force"),
        "{refused}"
    );
    let missing = cli.run(["put", "-r", "--sync", "missing", "--prefix", "t", "--force"]);
    assert_eq!(missing.status, 2, "{}", missing.stderr);
    cli.file("file", "x");
    let refused = cli.fails(2, ["put", "-r", "--sync", "file", "--prefix", "t", "--force"]);
    assert!(refused.contains("follows a folder"), "{refused}");
    assert_eq!(names(&cli), ["t/a"]);
    for (args, why) in [
        (["put", "-r", "--sync", "."], "--prefix"),
        (["put", "-r", "--sync", "../"], "--prefix"),
        (["put", "-r", "--sync", "--prefix="], "PATH"),
    ] {
        let refused = cli.fails(2, args);
        assert!(refused.contains(why), "{refused}");
    }
    let refused = cli.fails(2, ["put", "-r", "--sync", "--prefix=", "t"]);
    assert!(refused.contains("--prefix"), "{refused}");
    cli.ok(["put", "-r", "--sync", "t", "--force"]);
    assert_eq!(names(&cli), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_source_with_a_file_that_cannot_be_read_removes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    if is_root() {
        return skip("a file that this user cannot read", "root reads any file");
    }
    let cli = Cli::new();
    cli.file("t/a", "a");
    cli.file("t/b", "b");
    cli.ok(["put", "-r", "--sync", "t"]);
    let deny = |name| fs::set_permissions(cli.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    // What was moved has the only other copy of the content.
    fs::rename(cli.path("t/a"), cli.path("t/moved")).unwrap();
    deny("t/moved");
    let plan = ["put", "-r", "--sync", "t", "--dry-run"];
    for refused in [cli.fails(2, ["put", "-r", "--sync", "t"]), cli.fails(2, plan)] {
        assert!(
            refused.contains("t/moved: ") && refused.contains("--force"),
            "{refused}"
        );
    }
    assert_eq!(names(&cli), ["t/a", "t/b"]);
    // Where no name goes, the others are stored, and a plan says the same.
    cli.file("t/a", "a");
    cli.file("t/new", "new");
    let planned = cli.run(plan);
    assert_eq!(
        (planned.status, planned.stdout.as_str()),
        (2, "new      t/new\n"),
        "{}",
        planned.stderr
    );
    let synced = cli.run(["put", "-r", "--sync", "t"]);
    assert_eq!(
        (synced.status, synced.stdout.as_str()),
        (2, "new      t/new\n"),
        "{}",
        synced.stderr
    );
    assert!(synced.stderr.contains("2 unchanged, 1 failed"), "{}", synced.stderr);
    fs::remove_file(cli.path("t/a")).unwrap();
    let forced = cli.run(["put", "-r", "--sync", "--force", "t"]);
    assert_eq!(
        (forced.status, forced.stdout.as_str()),
        (2, "gone     t/a\n"),
        "{}",
        forced.stderr
    );
    assert_eq!(names(&cli), ["t/b", "t/new"]);
}

#[test]
fn what_is_gone_makes_room_for_what_is_new() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.file("t/old", content(1, 900_000));
    cli.ok(["put", "-r", "--sync", "t"]);
    fs::remove_file(cli.path("t/old")).unwrap();
    cli.file("t/new", content(2, 900_000));
    cli.ok(["put", "-r", "--sync", "t"]);
    assert_eq!(names(&cli), ["t/new"]);
}

#[test]
fn what_cannot_fit_removes_nothing() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.file("t/old", content(1, 600_000));
    cli.file("t/other", content(2, 300_000));
    cli.ok(["put", "-r", "--sync", "t"]);
    fs::remove_file(cli.path("t/old")).unwrap();
    cli.file("t/new", content(3, 900_000));
    assert_eq!(cli.run(["put", "-r", "--sync", "t", "--dry-run"]).status, 1);
    let refused = cli.fails(3, ["put", "-r", "--sync", "t"]);
    assert!(refused.contains("147.9 KiB too few"), "{refused}");
    assert_eq!(names(&cli), ["t/old", "t/other"]);
    // The same content again needs nothing.
    cli.file("t/new", content(2, 300_000));
    cli.file("t/newer", content(2, 300_000));
    cli.file("t/newest", content(2, 300_000));
    cli.file("t/another", content(2, 300_000));
    cli.ok(["put", "-r", "--sync", "t"]);
    assert_eq!(names(&cli).len(), 5);
    cli.file("t/new", content(3, 900_000));
    assert_eq!(cli.run(["put", "-r", "--sync", "--force", "t"]).status, 3);
}

#[test]
fn a_plan_reports_paths_that_cannot_be_names_as_put_does() {
    let cli = Cli::new();
    cli.file("t/fine", "x");
    let digits = "0123456789abcdef".repeat(4);
    cli.file(&format!("t/{digits}"), "y");
    cli.file("inner/file", "z");
    for prefix in ["", &"p".repeat(4095)] {
        let args = ["put", "-r", "--names", "--prefix", prefix, "t"];
        let planned = cli.run_all(&[&args[..], &["--dry-run"]].concat());
        assert!(cli.is_untouched() || !prefix.is_empty());
        let stored = cli.run_all(&args);
        assert_eq!((planned.status, stored.status), (2, 2), "{planned:?} {stored:?}");
        let failed = |ran: &crate::support::Ran| {
            let lines = ran.stderr.lines().filter(|line| line.starts_with("heapledger: t/"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(!failed(&stored).is_empty(), "{stored:?}");
        assert_eq!(failed(&planned), failed(&stored));
    }
    let planned = cli.run(["put", "-r", "--names", "inner/../t", "--dry-run"]);
    assert!(
        planned.status == 2 && planned.stderr.contains("give --prefix"),
        "{planned:?}"
    );
}

#[test]
fn a_heap_in_the_folder_is_not_stored_in_itself() {
    let cli = Cli::new();
    cli.file("t/a", "one");
    let file = cli.path("t/heap.db");
    let file = file.to_str().unwrap();
    let heap = |args: &[&str]| cli.run_all(&[&["--db", file, "put", "-r", "--sync", "t"], args].concat());
    for (round, args) in [
        (1, &[][..]),
        (2, &[]),
        (3, &["--dry-run"]),
        (4, &["--dry-run", "--space", "other"]),
    ] {
        let synced = heap(args);
        assert_eq!(synced.status, 0, "{round}: {}", synced.stderr);
        assert!(!synced.stdout.contains("heap.db"), "{round}: {}", synced.stdout);
        assert_eq!(
            synced.stderr.contains("heap.db: the heap itself"),
            round > 1,
            "{round}: {}",
            synced.stderr
        );
    }
    // Without a file, all names would go.
    fs::remove_file(cli.path("t/a")).unwrap();
    let refused = heap(&[]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("t has no files"), "{}", refused.stderr);
}
