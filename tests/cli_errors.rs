//! Errors take one line, the exit status says what kind they are, and looking makes nothing.

#![cfg(test)]

mod cli_support;

use std::process::Stdio;

use cli_support::{Cli, HELLO, ran};

#[test]
fn looking_never_makes_a_heap() {
    let cli = Cli::new();
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
        // Nor does a change of what is not there.
        &["gc"],
        &["name", "x", "y"],
        &["unname", "x"],
        &["free", "x"],
        &["resize", "--max-mem", "1M"],
        &["add", "arena"],
    ] {
        let ran = ran(&mut cli.command(args));
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(
            ran.stderr.starts_with("heapledger: no heap at heap.db; "),
            "{args:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{args:?}");
    }
    assert!(!cli.path("heap.db").exists());
}

#[test]
fn what_is_not_there_is_1_and_everything_else_2() {
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
fn usage_errors_take_one_line_that_says_where_help_is() {
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
fn without_a_command_there_is_help() {
    let ran = Cli::new().run([]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("Usage: heapledger"), "{}", ran.stderr);
}

#[test]
fn another_file_is_left_alone() {
    let cli = Cli::new();
    cli.file("heap.db", "not a heap");
    for args in [["ls", "--bytes"], ["put", "heap.db"], ["set", "x"]] {
        assert_eq!(cli.run(args).status, 2);
    }
    assert_eq!(cli.read("heap.db"), b"not a heap");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let cli = Cli::new();
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
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("heapledger"));
        command
            .args(args)
            .current_dir(cli.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{args:?}");
    }
    // What was asked to be stored is stored, whether or not anyone reads the list.
    assert_eq!(cli.json(["stats"])["objects"], 3000);
}

#[test]
fn the_database_is_found_in_the_environment_and_in_dotenv() {
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
    assert!(!cli.path("heap.db").exists());
    let refused = db("postgres://me:secret@host/db");
    assert_eq!(refused.status, 2);
    assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
}

#[test]
fn a_heap_that_another_writer_holds_is_waited_for_no_longer_than_asked() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    let sql = cli.sql();
    sql.execute_batch("BEGIN IMMEDIATE").unwrap();
    let line = cli.fails(2, ["set", "x", "2", "--busy-timeout", "50ms"]);
    assert!(line.contains("busy"), "{line}");
    assert_eq!(cli.ok(["get", "x"]), "1");
    sql.execute_batch("ROLLBACK").unwrap();
    cli.ok(["set", "x", "2", "--durability", "normal"]);
}
