//! `check --repair`, `backup`, `export` and `import` on the command line.

#![cfg(test)]
// Helpers of tests fail as tests do; clippy.toml knows only what is marked #[test].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli_support;

use std::fs;

use cli_support::Cli;

fn heap() -> Cli {
    let cli = Cli::new();
    cli.file("photo.jpg", vec![7; 20_000]);
    cli.ok(["put", "photo.jpg", "--name", "photo"]);
    cli.ok(["set", "answer", "42"]);
    cli.ok(["set", "greeting", "hello"]);
    cli
}

#[test]
fn repair_lists_what_it_did_and_then_has_nothing_to_do() {
    let cli = heap();
    assert_eq!(cli.ok(["check", "--repair"]), "nothing to repair\n");
    cli.sql()
        .execute("UPDATE pools SET mem = mem + 1 WHERE id = 1", [])
        .unwrap();
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
        .execute(
            "UPDATE ledger SET data = CAST('jello' AS BLOB) WHERE data = CAST('hello' AS BLOB)",
            [],
        )
        .unwrap();
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
fn check_stops_when_nobody_reads_on() {
    let cli = heap();
    cli.sql()
        .execute("UPDATE blocks SET mem = mem - 1, is_free = 1", [])
        .unwrap();
    let ran = cli.run(["check", "--quick", "--format", "csv"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stdout.starts_with("invariant,table,id,expected,found\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_backup_can_be_used_at_once() {
    let cli = heap();
    let said = cli.ok(["backup", "copy.db"]);
    assert!(
        said.starts_with("copy.db: ") && said.ends_with("checked in full\n"),
        "{said}"
    );
    assert_eq!(cli.ok(["get", "answer", "--db", "copy.db"]), "42");
    assert!(cli.fails(2, ["backup", "copy.db"]).contains("copy.db exists already"));
    assert!(cli.json(["backup", "other.db"])["file_size"].as_u64().unwrap() > 0);
}

#[test]
fn a_backup_of_a_damaged_heap_is_made_and_reported() {
    let cli = heap();
    cli.sql()
        .execute("UPDATE pools SET mem = mem - 1 WHERE id = 1", [])
        .unwrap();
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
fn what_is_exported_can_be_imported() {
    let cli = heap();
    let said = cli.ok(["export", "files"]);
    assert!(said.starts_with("files: 3 objects with 3 names"), "{said}");
    assert!(cli.fails(2, ["export", "files"]).contains("files exists already"));
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
fn an_import_names_the_file_that_is_wrong() {
    let cli = heap();
    cli.ok(["export", "files"]);
    let manifest = cli.read("files/manifest.jsonl");
    let first: serde_json::Value =
        serde_json::from_slice(manifest.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    let file = format!("files/{}", first["file"].as_str().unwrap());
    fs::write(cli.path(&file), "else").unwrap();
    let error = cli.fails(2, ["import", "files", "--db", "new.db"]);
    assert!(error.contains(&file) && error.contains("cannot be imported"), "{error}");
    assert!(cli.fails(2, ["import", "nowhere"]).contains("nowhere/manifest.jsonl"));
}
