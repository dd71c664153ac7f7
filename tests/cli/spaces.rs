//! `drop-space` and `rename-space`.

use std::process::Stdio;
use std::time::Duration;

use crate::common::server;
use crate::support::{Cli, noise};
use serde_json::json;

/// Runs a command, and kills it after some milliseconds. Whether it had ended by itself.
fn ends_within(cli: &Cli, args: &[&str], milliseconds: u64) -> bool {
    let mut program = cli.program(args);
    let program = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = program.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds));
    // It may be over already.
    let _ = child.kill();
    let has_ended = child.wait().unwrap().success();
    cli.wait_for_the_dead();
    has_ended
}

/// A heap with the spaces `main` and `cache`.
fn heap() -> Cli {
    let cli = Cli::new();
    cli.ok(["set", "mine", "stays"]);
    cli.file("photo.jpg", noise(20_000));
    cli.ok([
        "--space",
        "cache",
        "put",
        "--create",
        "-q",
        "photo.jpg",
        "--name",
        "photo",
    ]);
    cli.ok(["--space", "cache", "set", "x", "1"]);
    cli.ok(["--space", "cache", "reserve", "1KiB", "--key", "report"]);
    cli
}

#[test]
fn a_space_is_dropped_with_everything_in_it() {
    let cli = heap();
    let history = cli.json(["spaces"])[1]["history_bytes"].as_u64().unwrap();
    let contents = format!("2 objects with 2 names, 19.5 KiB; 1 reservation; {history} B of history\n");
    assert_eq!(
        cli.ok(["drop-space", "cache", "--dry-run"]),
        format!("would drop space cache: {contents}")
    );
    assert_eq!(cli.json(["drop-space", "cache", "--dry-run"])["gone_at"], json!(null));
    assert_eq!(cli.json(["spaces"])[1]["name"], "cache");
    assert_eq!(
        cli.ok(["drop-space", "cache", "--force", "--reason", "too old"]),
        format!("dropped space cache: {contents}")
    );
    assert_eq!(cli.json(["spaces"]).as_array().unwrap().len(), 1);
    let sql = cli.sql();
    let told = sql.rows("SELECT name, objects, reason, gone_at IS NULL FROM dropped_spaces");
    assert_eq!(
        told[0][..3],
        ["cache", "2", "too old"].map(|text| Some(text.to_owned()))
    );
    let listed = cli.ok(["spaces", "--dropped"]);
    assert!(listed.contains("cache") && listed.contains("too old"), "{listed}");
    assert_eq!(cli.json(["spaces", "--dropped"])[0]["objects"], 2);
    assert_eq!(cli.ok(["get", "mine"]), "stays");
    assert_eq!(cli.ok(["check"]), "the books balance\n");
    assert!(
        cli.fails(2, ["drop-space", "cache"])
            .starts_with("no space \"cache\" in heap.db; it has \"main\"")
    );
}

#[test]
fn any_space_can_be_dropped_whichever_is_selected() {
    let cli = heap();
    let refused = cli.fails(2, ["drop-space", "main"]);
    assert!(
        refused.starts_with("space main has ") && refused.ends_with("; drop them, too, with --force"),
        "{refused}"
    );
    cli.ok(["drop-space", "main", "--force"]);
    assert_eq!(cli.ok(["--space", "cache", "get", "x"]), "1");
    cli.ok(["drop-space", "cache", "--force"]);
    assert_eq!(cli.json(["spaces"]), json!([]));
    let error = cli.fails(2, ["drop-space", "cache"]);
    assert!(error.ends_with("heap.db has no space"), "{error}");
    let error = cli.fails(2, ["stats"]);
    assert!(error.ends_with("it has none; `heapledger init` creates one"), "{error}");
    // The heap is still there, and can have spaces again.
    cli.ok(["init"]);
    assert_eq!(cli.json(["spaces"])[0]["id"], 3);
}

#[test]
fn a_space_is_renamed() {
    let cli = heap();
    assert_eq!(
        cli.ok(["rename-space", "cache", "photos"]),
        "space cache is photos now\n"
    );
    assert_eq!(cli.ok(["--space", "photos", "get", "x"]), "1");
    assert!(
        cli.fails(2, ["--space", "cache", "get", "x"])
            .contains("no space \"cache\"")
    );
    let log = cli.json(["--space", "photos", "log"]);
    let last = log.as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["name"]), (&json!("rename"), &json!("cache")));
    let line = cli.fails(2, ["rename-space", "photos", "main"]);
    assert!(line.starts_with("space main already exists in heap.db"), "{line}");
    assert_eq!(cli.json(["rename-space", "main", "old"])["name"], "old");
    // Without `main` any command that is about all spaces still works.
    assert_eq!(cli.ok(["rename-space", "old", "main"]), "space old is main now\n");
    assert!(cli.fails(2, ["rename-space", "main", ""]).contains("1 to 255"));
}

#[test]
fn a_drop_that_was_killed_is_visible_and_continues() {
    let cli = Cli::new();
    for number in 0..4000 {
        cli.file(&format!("many/{number}"), format!("object {number}"));
    }
    cli.file("big", noise(24 << 20));
    cli.ok(["--space", "cache", "put", "--create", "-q", "-r", "many"]);
    cli.ok(["--space", "cache", "put", "-q", "big", "--name", "big"]);
    cli.ok(["set", "mine", "0"]);
    let objects = || {
        cli.library()
            .spaces()
            .unwrap()
            .iter()
            .find(|it| it.name == "cache")
            .map(|it| it.objects())
    };
    let (mut began, mut after, mut left) = (0, 5, 4001);
    while !ends_within(&cli, &["drop-space", "cache", "--force"], after) {
        after = after * 5 / 4 + 3;
        assert_eq!(cli.ok(["check"]), "the books balance\n");
        let Some(now) = objects() else { break };
        assert!(now <= left, "{left} and then {now}");
        left = now;
        let listed = cli.run(["spaces"]);
        if listed.stderr.is_empty() {
            // It was killed before it began.
            continue;
        }
        began += 1;
        assert!(cli.ok(["spaces", "--dropped"]).contains("not yet"));
        assert!(
            listed.stderr.contains("the drop of space cache began at "),
            "{}",
            listed.stderr
        );
        let refused = cli.fails(2, ["--space", "cache", "set", "x", "1"]);
        assert!(
            refused.ends_with("`heapledger drop-space` removes the rest"),
            "{refused}"
        );
        cli.ok(["set", "mine", &began.to_string()]);
    }
    assert!(began > 0, "it was too fast to be killed");
    assert_eq!(cli.json(["spaces"]).as_array().unwrap().len(), 1);
    assert_eq!(cli.ok(["get", "mine"]), began.to_string());
    assert_eq!(cli.ok(["check"]), "the books balance\n");
    let told = cli.sql().rows("SELECT objects, gone_at FROM dropped_spaces");
    assert_eq!((told.len(), told[0][0].as_deref()), (1, Some("4001")));
    assert!(told[0][1].is_some());
    if server().is_none() {
        cli.ok(["gc"]);
    }
}

#[test]
fn the_only_space_can_be_dropped_after_an_interruption() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    // As after the first step.
    let sql = cli.sql();
    sql.change("UPDATE memram SET dropped_at = created_at");
    sql.change(
        "INSERT INTO dropped_spaces (id, name, max_mem, mem, objects, names, reservations, history_bytes, created_at, dropped_at)
         SELECT id, name, max_mem, mem, 1, 1, 0, history_bytes, created_at, dropped_at FROM memram",
    );
    assert!(cli.ok(["ls"]).contains('x'));
    let refused = cli.fails(2, ["rename-space", "main", "y"]);
    assert!(
        refused.ends_with("heap.db has no space that can be renamed"),
        "{refused}"
    );
    let dropped = cli.ok(["drop-space", "main", "--force"]);
    assert!(
        dropped.starts_with("dropped space main: 1 object with 1 name"),
        "{dropped}"
    );
    assert_eq!(cli.json(["spaces"]), json!([]));
}

#[test]
fn a_space_is_copied_into_another_one_of_the_heap() {
    let cli = heap();
    assert_eq!(
        cli.ok(["--space", "cache", "copy", "--to-space", "archive"]),
        "archive: 2 objects with 2 names, 19.5 KiB\n\
         compared with heap.db: the same objects, names and holds are in both, and both balance\n"
    );
    assert_eq!(cli.ok(["--space", "archive", "get", "x"]), "1");
    assert_eq!(
        cli.ok(["--space", "archive", "layout", "--digest"]),
        cli.ok(["--space", "cache", "layout", "--digest"])
    );
    // Without --space, it is main; with --to, the other heap.
    cli.ok(["copy", "--to-space", "saved", "--to", "other.db"]);
    if server().is_none() {
        // The file itself is this heap, too.
        cli.ok(["copy", "--to-space", "named", "--to", "heap.db"]);
        assert_eq!(cli.ok(["--space", "named", "get", "mine"]), "stays");
    }
    assert_eq!(cli.ok(["--db", "other.db", "--space", "saved", "get", "mine"]), "stays");
    assert_eq!(cli.json(["--db", "other.db", "spaces"]).as_array().unwrap().len(), 1);
    let taken = cli.fails(2, ["copy", "--to-space", "archive"]);
    assert!(
        taken.ends_with("--on-conflict skip, replace or rename adds to it"),
        "{taken}"
    );
    cli.ok(["copy", "--to-space", "archive", "--on-conflict", "skip"]);
    assert_eq!(cli.ok(["--space", "archive", "get", "mine"]), "stays");
    let own = cli.fails(2, ["copy", "--to-space", "main"]);
    assert!(own.contains("the target is this space itself"), "{own}");
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn a_copy_within_a_heap_that_was_killed_continues() {
    let cli = Cli::new();
    for number in 0..3000 {
        cli.file(&format!("many/{number}"), format!("object {number}"));
    }
    cli.file("big", noise(24 << 20));
    cli.ok(["put", "-q", "-r", "many"]);
    cli.ok(["put", "-q", "big", "--name", "big"]);
    let (mut killed, mut after) = (0, 10);
    while !ends_within(&cli, &["copy", "--to-space", "archive"], after) {
        killed += 1;
        after = after * 5 / 4 + 3;
        assert_eq!(cli.ok(["check", "--quick"]), "the books balance\n");
    }
    assert!(killed > 0, "it was too fast to be killed");
    let copied = cli.json(["copy", "--to-space", "archive"]);
    assert_eq!(copied["spaces"][0]["already"], 3001);
    assert_eq!(cli.ok(["check"]), "the books balance\n");
    cli.ok(["--space", "archive", "get", "big", "-o", "again"]);
    assert!(cli.read("again") == cli.read("big"));
}
