//! `name`, `unname`, `release` and `free`: holding objects and freeing them.

use crate::support::{Cli, HELLO};

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
    assert_eq!(
        named,
        serde_json::json!({"object_id": HELLO, "name": "two", "freed": null})
    );
    assert_eq!(cli.json(["ls"])[0]["names"], serde_json::json!(["one", "two"]));
}

#[test]
fn unname_frees_an_object_without_other_holds() {
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
    assert!(
        cli.fails(1, ["unname", "y"])
            .starts_with("no name \"y\" in space main; ")
    );
}

#[test]
fn an_object_freed_by_a_moving_name_is_reported() {
    let cli = hello();
    cli.ok(["set", "doc", "one"]);
    let said = cli.ok(["name", HELLO, "doc"]);
    assert_eq!(
        said,
        "2cf24dba5fb0 is named doc\ndoc was 17518a6d10c1 before; nothing else held it, so it is freed (3 B)\n"
    );
    // The anonymous hold remains: nothing is freed or reported.
    assert_eq!(cli.ok(["set", "doc", "one"]).lines().count(), 1);
    let said = cli.ok(["set", "doc", "two"]);
    assert!(
        said.ends_with("\ndoc was 17518a6d10c1 before; nothing else held it, so it is freed (3 B)\n"),
        "{said}"
    );
    cli.file("c", "three");
    let put = cli.run(["put", "c", "--name", "doc"]);
    assert!(
        put.stderr
            .contains(" before; nothing else held it, so it is freed (3 B)\n"),
        "{put:?}"
    );
    assert_eq!(put.stdout.lines().count(), 1, "only what sha256sum prints");

    let old = cli.json(["ls"])[1]["object_id"].clone();
    let freed = serde_json::json!({"object_id": old, "size": 5, "pieces": 1, "names": ["doc"]});
    assert_eq!(cli.json(["set", "doc", "4"])["freed"], freed);
    assert_eq!(cli.json(["name", HELLO, "doc"])["freed"]["size"], 1);
    cli.file("d", "five!");
    cli.ok(["set", "doc", "4"]);
    assert_eq!(cli.json(["put", "d", "--name", "doc"])[0]["freed"]["size"], 1);
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn no_command_moves_a_name_with_keep() {
    let cli = hello();
    cli.ok(["set", "--keep", "doc", "one"]);
    cli.file("c", "new");
    let before = cli.json(["ls"]);
    for refused in [
        cli.fails(2, ["set", "--keep", "doc", "two"]),
        cli.fails(2, ["set", "--keep", "doc", "one"]),
        cli.fails(2, ["name", "--keep", HELLO, "doc"]),
    ] {
        assert!(
            refused.contains("\"doc\" is taken") && refused.contains("--keep"),
            "{refused}"
        );
    }
    let put = cli.run(["put", "--keep", "c", "--name", "doc"]);
    assert_eq!(put.status, 2);
    assert!(put.stderr.contains("\"doc\" is taken"), "{put:?}");
    assert_eq!(cli.json(["ls"]), before);
    cli.ok(["put", "--keep", "c", "--name", "new"]);
    cli.ok(["name", "--keep", "new", "newer"]);
    let usage = cli.fails(2, ["put", "--keep", "c"]);
    assert!(usage.contains("--name"), "{usage}");
}

#[test]
fn a_whole_id_is_never_taken_for_a_name() {
    let cli = hello();
    cli.ok(["set", "x", "world"]);
    for args in [["name", "x", HELLO], ["set", HELLO, "5"]] {
        let line = cli.fails(2, args);
        assert!(line.contains("object id"), "{line}");
    }
    let put = cli.run(["put", "a", "--name", HELLO]);
    assert!(put.status == 2 && put.stderr.contains("object id"), "{put:?}");
    // Another tool may have bound such a name.
    cli.sql().change(&format!("UPDATE names SET name = '{HELLO}'"));
    assert_eq!(cli.ok(["get", HELLO]), "hello");
    assert_eq!(cli.json(["show", HELLO])["size"], 5);
    assert!(cli.ok(["ledger", HELLO]).contains("2cf24dba5fb0"));
    assert!(cli.ok(["unname", HELLO]).contains("is no longer named"));
    assert!(cli.ok(["free", HELLO]).starts_with("freed 2cf24dba5fb0"));
}

#[test]
fn an_object_put_without_a_name_can_be_left_to_its_names() {
    let cli = hello();
    cli.ok(["name", HELLO, "greeting"]);
    assert_eq!(
        cli.ok(["release", "greeting"]),
        "2cf24dba5fb0 is released: its names hold it\n"
    );
    assert_eq!(cli.json(["log", "--kind", "release"])[0]["object_id"], HELLO);
    assert!(cli.ok(["unname", "greeting"]).contains("nothing else held it"));
    cli.ok(["put", "a"]);
    let gone = cli.json(["release", HELLO]);
    assert_eq!((&gone["object_id"], &gone["freed"]["size"]), (&HELLO.into(), &5.into()));
    assert_eq!(cli.json(["ls"]), serde_json::json!([]));
    cli.fails(1, ["release", HELLO]);
    assert_eq!(cli.ok(["check"]), "the books balance\n");
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
    // An id given twice counts once.
    let freed = cli.json(["free", HELLO, world, HELLO]);
    let row = |id: &str| serde_json::json!({"object_id": id, "size": 5, "pieces": 1, "names": []});
    assert_eq!(freed, serde_json::json!([row(HELLO), row(world)]));
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

/// A name is resolved in the transaction that changes it: here the name moves between the
/// start of the command and its turn to write.
#[test]
fn a_name_is_resolved_when_it_is_changed() {
    for command in [
        &["free", "--force", "it"][..],
        &["unname", "it"],
        &["release", "it"],
        &["name", "it", "other"],
    ] {
        let cli = Cli::new();
        let memory = cli.library();
        let old = memory.allocate("old").unwrap();
        memory.bind("it", &old).unwrap();
        let mut running = None;
        let new = memory
            .batch(|batch| {
                let new = batch.allocate("new")?;
                batch.bind("it", &new)?;
                let mut started = cli.program(command);
                running = Some(started.stdout(std::process::Stdio::piped()).spawn().unwrap());
                // Long enough for a premature lookup.
                std::thread::sleep(std::time::Duration::from_millis(500));
                Ok(new)
            })
            .unwrap();
        let ended = running.unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success(), "{command:?}: {said}");
        assert!(said.contains(&new.to_hex()[..12]), "{command:?}: {said}");
        assert!(memory.object(&old).unwrap().held, "{command:?}: {said}");
    }
}
