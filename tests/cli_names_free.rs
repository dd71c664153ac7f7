//! `name`, `unname` and `free`: what holds an object, and what lets it go.

#![cfg(test)]

mod cli_support;

use cli_support::{Cli, HELLO};

/// A heap with the bytes `hello` in it, held without a name.
fn hello() -> Cli {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["put", "a"]);
    cli
}

#[test]
fn an_object_may_have_several_names() {
    let cli = hello();
    assert_eq!(cli.ok(["name", HELLO, "one"]), "2cf24dba5fb0 is named one\n");
    let named = cli.json(["name", "one", "two"]);
    assert_eq!(named, serde_json::json!({"object_id": HELLO, "name": "two"}));
    assert_eq!(cli.json(["ls"])[0]["names"], "one, two");
}

#[test]
fn unname_frees_what_nothing_else_holds() {
    let cli = Cli::new();
    cli.ok(["set", "x", "hello"]);
    cli.ok(["name", "x", "y"]);
    assert!(cli.ok(["unname", "x"]).contains("it stays"));
    let gone = cli.json(["unname", "y"]);
    assert_eq!(
        (&gone["freed"], &gone["size"], &gone["pieces"]),
        (&true.into(), &5.into(), &1.into())
    );
    assert_eq!(cli.json(["ls"]), serde_json::json!([]));
    assert_eq!(cli.fails(1, ["unname", "y"]), "no name \"y\" in space main");
}

#[test]
fn a_named_object_is_freed_only_by_force() {
    let cli = hello();
    cli.ok(["name", HELLO, "greeting"]);
    let line = cli.fails(2, ["free", "greeting"]);
    assert!(
        line.contains("is named \"greeting\"") && line.contains("--force"),
        "{line}"
    );
    assert_eq!(
        cli.ok(["free", "--force", "greeting"]),
        "freed 2cf24dba5fb0 (greeting): 5 B in 1 piece\n"
    );
    assert_eq!(cli.json(["ls"]), serde_json::json!([]));
}

#[test]
fn free_is_all_or_nothing() {
    let cli = hello();
    cli.file("b", "world");
    let stored = cli.json(["put", "b"]);
    let world = stored[0]["object_id"].as_str().unwrap();
    cli.ok(["name", world, "w"]);
    cli.fails(2, ["free", HELLO, world]);
    cli.fails(1, ["free", HELLO, "missing"]);
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 2);

    cli.ok(["unname", "w"]);
    // Once is enough, however often it is asked for.
    let freed = cli.json(["free", HELLO, world, HELLO]);
    let row = |id: &str| serde_json::json!({"object_id": id, "size": 5, "pieces": 1});
    assert_eq!(freed, serde_json::json!([row(HELLO), row(world)]));
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}
