//! `copy`: from heap to heap.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::Place;
use crate::support::{Cli, noise};
use rustix::process::{Pid, Signal, kill_process};

fn heap() -> Cli {
    let cli = Cli::new();
    cli.file("photo.jpg", noise(20_000));
    cli.ok(["put", "photo.jpg", "--name", "photo"]);
    cli.ok(["set", "answer", "42"]);
    cli.ok(["set", "x", "1", "--space", "cache", "--create"]);
    cli
}

#[test]
fn a_heap_is_copied_and_compared() {
    let cli = heap();
    assert_eq!(
        cli.ok(["copy", "--to", "new.db"]),
        "main: 2 objects with 2 names, 19.5 KiB\n\
         cache: 1 object with 1 name, 1 B\n\
         compared with new.db: the same objects, names and holds are in both, and both balance\n"
    );
    assert_eq!(cli.ok(["get", "answer", "--db", "new.db"]), "42");
    assert_eq!(cli.ok(["get", "x", "--db", "new.db", "--space", "cache"]), "1");
    assert_eq!(cli.ok(["check", "--db", "new.db"]), "the books balance\n");
    let digest = cli.ok(["layout", "--digest"]);
    assert_eq!(cli.ok(["layout", "--digest", "--db", "new.db"]), digest);
    let again = cli.ok(["copy", "--to", "sqlite:new.db"]);
    assert!(
        again.starts_with("main: 0 objects with 0 names, 0 B; 2 objects there already\n"),
        "{again}"
    );
    let spaces = cli.json(["copy", "--to", "new.db"])["spaces"].clone();
    assert_eq!(
        (&spaces[0]["space"], &spaces[0]["already"]),
        (&"main".into(), &2.into())
    );
    assert_eq!(
        (&spaces[1]["space"], &spaces[1]["objects"]),
        (&"cache".into(), &0.into())
    );
}

/// From the engine of the tests to a file, and back: everything but the history stays as it was.
#[test]
fn a_heap_moves_to_another_engine_and_back() {
    let (cli, back) = (heap(), Place::new());
    cli.file("film", noise(10 << 20));
    cli.ok(["put", "film", "--name", "film"]);
    for number in 0..1200 {
        cli.file(&format!("many/{number}"), format!("object {number}"));
    }
    cli.ok(["put", "-q", "-r", "many"]);
    cli.ok(["name", "film", "the film"]);
    let back = back.address().to_str().unwrap();
    cli.ok(["copy", "--to", "file.db"]);
    cli.ok(["copy", "--db", "file.db", "--to", back]);
    let described = |db: &str| {
        let objects = cli.json(["ls", "--long", "--db", db]);
        let keys = ["object_id", "kind", "type_name", "size", "names", "held", "pieces"];
        let objects = objects.as_array().unwrap().iter();
        let objects: Vec<_> = objects.map(|object| keys.map(|key| object[key].clone())).collect();
        (objects, cli.ok(["layout", "--digest", "--db", db]))
    };
    let here = described(cli.address().to_str().unwrap());
    assert_eq!(here.0.len(), 1203);
    for db in ["file.db", back] {
        assert_eq!(described(db), here, "{db}");
        assert_eq!(cli.ok(["check", "--db", db]), "the books balance\n");
        assert_eq!(cli.ok(["get", "x", "--db", db, "--space", "cache"]), "1");
    }
    cli.ok(["get", "film", "-o", "again", "--db", back]);
    assert!(cli.read("again") == cli.read("film"));
}

#[test]
fn a_space_that_is_named_is_copied_alone() {
    let cli = heap();
    let said = cli.ok(["copy", "--to", "new.db", "--space", "cache"]);
    assert!(said.starts_with("cache: 1 object with 1 name"), "{said}");
    assert_eq!(cli.json(["spaces", "--db", "new.db"]).as_array().unwrap().len(), 1);
    // A heap without the space main is copied like any other.
    let said = cli.ok(["copy", "--db", "new.db", "--to", "third.db"]);
    assert!(said.starts_with("cache: 1 object with 1 name"), "{said}");
    let error = cli.fails(2, ["copy", "--db", "new.db", "--to", "fourth.db", "--space", "main"]);
    assert!(error.contains("no space \"main\""), "{error}");
    assert!(!cli.path("fourth.db").exists());
    let error = cli.fails(2, ["copy", "--db", "none.db", "--to", "fourth.db"]);
    assert!(error.contains("no heap at none.db"), "{error}");
}

#[test]
fn a_target_with_something_of_its_own_needs_to_be_told() {
    let cli = heap();
    cli.ok(["set", "answer", "43", "--db", "other.db"]);
    let error = cli.fails(2, ["copy", "--to", "other.db"]);
    assert!(
        error.starts_with("space \"main\" of other.db is neither empty nor a part of a copy of this one: object ")
            && error.ends_with(" is only there; --on-conflict skip, replace or rename adds to it"),
        "{error}"
    );
    let ran = cli.run(["copy", "--to", "other.db", "--on-conflict", "rename"]);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.starts_with("renamed answer to answer~"), "{ran:?}");
    assert!(
        ran.stdout
            .ends_with("compared with other.db: all of it is there, and both balance\n"),
        "{ran:?}"
    );
    assert_eq!(cli.ok(["get", "answer", "--db", "other.db"]), "43");
    let ran = cli.run(["copy", "--to", "other.db", "--on-conflict", "replace"]);
    assert!(ran.stderr.starts_with("replaced answer, "), "{ran:?}");
    assert_eq!(cli.ok(["get", "answer", "--db", "other.db"]), "42");
}

#[test]
fn a_target_that_may_not_be_written_is_refused() {
    let cli = heap();
    for (to, why) in [
        (cli.address().to_str().unwrap(), "the target is this heap itself"),
        ("sqlite:new.db?mode=ro", "--to has mode=ro, so it is read-only"),
        ("mysql://me:secret@host/db", "--to is a URL of the kind mysql:"),
        ("postgres://me:secret@host/db", "--to "),
        ("none/new.db", "none/new.db"),
    ] {
        let error = cli.fails(2, ["copy", "--to", to]);
        assert!(error.contains(why) && !error.contains("secret"), "{to}: {error}");
    }
    assert!(!cli.path("new.db").exists());
    assert!(cli.fails(2, ["copy"]).contains("--to"));
}

/// Many small objects, a large one, and more small ones.
fn large_heap() -> Cli {
    let cli = Cli::new();
    for number in 0..3000 {
        cli.file(&format!("many/{number}"), format!("object {number}"));
    }
    cli.file("big", noise(24 << 20));
    cli.file("more", noise(6 << 20));
    cli.ok(["put", "-q", "-r", "many"]);
    cli.ok(["put", "-q", "big", "--name", "big"]);
    cli.ok(["put", "-q", "more", "--name", "more"]);
    cli
}

fn start(cli: &Cli) -> Child {
    cli.program(["copy", "--to", "new.db"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends the copy after `milliseconds`, unless it has ended by itself.
fn ended_after(cli: &Cli, milliseconds: u64, signal: Signal) -> bool {
    let mut child = start(cli);
    std::thread::sleep(Duration::from_millis(milliseconds));
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    // It may be over already.
    let _ = kill_process(pid, signal);
    let status = child.wait().unwrap();
    assert!(
        status.success() || status.signal() == Some(signal.as_raw()),
        "{signal:?}: {status}"
    );
    !status.success()
}

#[test]
fn a_copy_that_was_killed_continues() {
    let cli = large_heap();
    let (mut killed, mut there) = (0, 0);
    let mut after = 5;
    // Each time a little later, until it is done.
    while ended_after(&cli, after, if after % 2 == 0 { Signal::INT } else { Signal::KILL }) {
        killed += 1;
        after = after * 5 / 4 + 3;
        if cli.run(["check", "--db", "new.db", "--quick"]).status != 2 {
            assert_eq!(cli.ok(["check", "--db", "new.db"]), "the books balance\n");
            let objects = cli.json(["stats", "--db", "new.db"])["objects"].as_u64().unwrap();
            assert!(objects >= there, "{there} and then {objects}");
            there = objects;
        }
    }
    assert!(killed > 0, "it was too fast to be killed");
    let copied = cli.json(["copy", "--to", "new.db"]);
    assert_eq!(copied["spaces"][0]["already"], 3002);
    assert_eq!(cli.ok(["check", "--db", "new.db"]), "the books balance\n");
    cli.ok(["get", "big", "-o", "again", "--db", "new.db"]);
    assert!(fs::read(cli.path("again")).unwrap() == fs::read(cli.path("big")).unwrap());
}
