//! `compact`, plans as files, and `apply`.

use crate::support::Cli;
use heapledger::ObjectId;
use serde_json::Value;

/// A heap with two arenas of which an eighth is used, and the object in the first.
fn sparse() -> (Cli, ObjectId) {
    let cli = Cli::new();
    let memory = cli.library();
    let ids: Vec<_> = (0..16u8)
        .map(|seed| memory.allocate_bytes(&[seed; 32 << 10]).unwrap())
        .collect();
    let gone = ids.iter().enumerate().filter(|(number, _)| number % 8 > 0);
    gone.for_each(|(_, id)| drop(memory.free(id).unwrap()));
    (cli, ids[0])
}

/// How many arenas there are.
fn arenas(cli: &Cli) -> u64 {
    cli.json(["stats"])["arenas"].as_u64().unwrap()
}

#[test]
fn compact_moves_and_gives_back_what_it_says_before() {
    let (cli, _) = sparse();
    let would = cli.ok(["compact", "--dry-run"]);
    assert!(
        would.starts_with("would move 1 piece, 32.0 KiB\nwould remove 1 block, 1 pool and 1 arena; "),
        "{would}"
    );
    assert_eq!(arenas(&cli), 2);
    let planned = cli.json(["compact", "--dry-run"]);
    let done = cli.json(["compact"]);
    for key in ["moves", "moved_bytes", "joined", "blocks", "pools", "arenas", "bytes"] {
        assert_eq!(done[key], planned[key], "{key}");
    }
    assert_eq!((&done["arenas"], &done["stale"]), (&1.into(), &0.into()));
    assert_eq!(arenas(&cli), 1);
    assert!(
        cli.ok(["compact"])
            .starts_with("removed 0 blocks, 0 pools and 0 arenas; the space got 0 B back\n")
    );
    assert!(cli.ok(["log", "--kind", "move"]).contains("move"));
    cli.ok(["check"]);
}

#[test]
fn the_limits_of_compact_are_options() {
    let (cli, _) = sparse();
    assert_eq!(cli.json(["compact", "--under", "12"])["moves"], 0);
    assert_eq!(cli.json(["compact", "--most", "1KiB"])["moves"], 0);
    assert_eq!(
        cli.json(["compact", "--under", "13", "--most", "32KiB", "--join"])["moves"],
        1
    );
    cli.fails(2, ["compact", "--under", "101"]);
}

#[test]
fn a_plan_is_written_applied_and_recognised() {
    let (cli, _) = sparse();
    let written = cli.json(["compact", "--plan", "p.json"]);
    assert_eq!(arenas(&cli), 2);
    let plan: Value = serde_json::from_slice(&cli.read("p.json")).unwrap();
    assert_eq!(
        (&plan["format"], &plan["version"]),
        (&"heapledger plan".into(), &1.into())
    );
    assert_eq!(plan["totals"]["moves"], written["moves"]);
    // A plan that somebody may want to apply is not replaced.
    assert!(
        cli.fails(2, ["compact", "--plan", "p.json"])
            .contains("p.json cannot be written")
    );
    let applied = cli.json(["apply", "p.json"]);
    for key in ["plan", "slices", "moves", "arenas", "bytes", "file_bytes", "file_size"] {
        assert_eq!(applied[key], written[key], "{key}");
    }
    assert_eq!(arenas(&cli), 1);
    let again = cli.json(["apply", "p.json"]);
    assert_eq!(
        (&again["slices"], &again["done_before"]),
        (&0.into(), &written["slices"])
    );
    assert!(
        cli.sh("heapledger apply - < p.json")
            .stdout
            .contains("applied before: ")
    );
    let receipts = cli.json(["log", "--kind", "apply"]);
    assert_eq!(receipts[0]["name"], applied["plan"]);
    cli.ok(["check"]);
}

#[test]
fn gc_and_free_write_plans_too() {
    let (cli, id) = sparse();
    let id = id.to_string();
    cli.ok(["name", &id, "named"]);
    assert!(
        cli.fails(2, ["free", "--plan", "f.json", &id])
            .contains("planned nothing")
    );
    assert!(!cli.path("f.json").exists());
    let said = cli.ok(["free", "--force", "--plan", "f.json", &id]);
    assert!(said.contains("would free 1 object of 32.0 KiB"), "{said}");
    let said = cli.ok(["apply", "f.json"]);
    assert!(said.contains("freed 1 object of 32.0 KiB"), "{said}");
    cli.fails(1, ["get", "named"]);
    let collected = cli.json(["gc", "--plan", "g.json"]);
    assert_eq!(collected["arenas"], 0);
    cli.ok(["apply", "--exact", "g.json"]);
    cli.fails(2, ["gc", "--plan", "h.json", "--dry-run"]);
    cli.ok(["check"]);
}

#[test]
fn a_stale_plan_is_refused_with_a_status_of_its_own() {
    let (cli, id) = sparse();
    let id = id.to_string();
    cli.ok(["free", "--plan", "p.json", &id]);
    cli.ok(["name", &id, "taken"]);
    let line = cli.fails(4, ["apply", "p.json"]);
    assert!(line.starts_with("the plan is stale: slice 1 of "), "{line}");
    assert!(line.ends_with("nothing was changed; make another plan"), "{line}");
    cli.ok(["get", "taken"]);
    cli.fails(4, ["apply", "--exact", "p.json"]);
}

#[test]
fn what_is_no_plan_is_refused() {
    let (cli, _) = sparse();
    cli.file("bad.json", "{}");
    assert!(
        cli.fails(2, ["apply", "bad.json"])
            .starts_with("bad.json: this is not a plan: ")
    );
    cli.file("new.json", "{\"format\": \"heapledger plan\", \"version\": 7}");
    assert!(cli.fails(2, ["apply", "new.json"]).contains("the plan has version 7"));
    assert!(
        cli.fails(2, ["apply", "none.json"])
            .contains("none.json cannot be read")
    );
    cli.ok(["gc", "--plan", "p.json"]);
    cli.ok(["init", "--space", "other"]);
    assert!(
        cli.fails(2, ["apply", "--space", "other", "p.json"])
            .contains("the plan is for space \"main\"")
    );
}
