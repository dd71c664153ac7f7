//! `init`, `spaces`, `resize`, `add`, `gc` and `check`.

use crate::common::server;
use crate::support::{Cli, noise};

#[test]
fn init_creates_a_space_and_never_changes_one() {
    let cli = Cli::new();
    assert_eq!(
        cli.ok(["init", "--max-mem", "1M"]),
        "made space main in heap.db: 1.0 MiB in arenas of 256.0 KiB, blocks of 512 B, 4.0 KiB, 32.0 KiB, 256.0 KiB\n"
    );
    let line = cli.fails(2, ["init", "--max-mem", "2M"]);
    assert!(line.starts_with("space main already exists in heap.db"), "{line}");
    let made = cli.json(["--space", "old", "init", "--classic", "--arena", "64KiB"]);
    assert_eq!(
        (&made["max_mem"], &made["arena_size"]),
        (&(1 << 30).into(), &65_536.into())
    );
    let names: Vec<_> = cli
        .json(["spaces"])
        .as_array()
        .unwrap()
        .iter()
        .map(|space| space["name"].clone())
        .collect();
    assert_eq!(names, ["main", "old"]);
    assert!(
        cli.fails(2, ["--space", "odd", "init", "--arena", "3"])
            .starts_with("bad geometry")
    );
}

/// A heap, or a place for one, in which no space is called main.
fn without_main() -> Cli {
    let cli = Cli::new();
    // On a server, only `init` creates a heap.
    if server().is_some() {
        cli.ok(["--space", "a", "init"]);
    }
    cli
}

#[test]
fn spaces_share_a_file_and_nothing_else() {
    let cli = without_main();
    cli.ok(["--space", "a", "set", "--create", "x", "1"]);
    cli.ok(["--space", "b", "set", "--create", "x", "2"]);
    assert_eq!(cli.ok(["--space", "a", "get", "x"]), "1");
    assert_eq!(cli.ok(["--space", "b", "get", "x"]), "2");
    assert!(
        cli.fails(2, ["ls"])
            .starts_with("no space \"main\" in heap.db; it has \"a\", \"b\"")
    );
    // `spaces` lists all of them, whichever is selected.
    assert_eq!(cli.ok(["spaces"]).lines().count(), 3);
}

/// People see the number in the space, programs the id; commands take either.
#[test]
fn rows_of_each_space_are_numbered_from_1() {
    let cli = without_main();
    for space in ["a", "b"] {
        cli.ok(["--space", space, "set", "--create", "x", "1"]);
    }
    for table in [["tree"], ["ledger"], ["log"]] {
        let of = |space| cli.run_all(&[&["--space", space], &table[..]].concat()).stdout;
        let numbers = |space| {
            let text = of(space);
            let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() > 9);
            numbers.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(numbers("b"), [""; 0], "{}", of("b"));
    }
    let id = (1_i64 << 40) + 1;
    let entries = cli.json(["--space", "b", "ledger"]);
    for key in ["id", "stored_object_id", "arena_id", "pool_id", "block_id"] {
        assert_eq!(entries[0][key], id, "{key}");
    }
    let by_number = cli.ok(["--space", "b", "block", "1"]);
    assert!(by_number.starts_with("block 1 of pool 1 in arena 1\n"), "{by_number}");
    let whole = id.to_string();
    assert_eq!(cli.ok(["--space", "b", "block", &whole]), by_number);
    assert_eq!(
        cli.ok(["--space", "b", "sparse", "1"]),
        cli.ok(["--space", "b", "sparse", &whole])
    );
    assert!(
        cli.fails(1, ["--space", "a", "block", &whole])
            .starts_with(&format!("no block {whole} in space a"))
    );
    assert!(
        cli.fails(1, ["--space", "b", "block", "9"])
            .starts_with("no block 9 in space b")
    );
    assert!(
        cli.ok(["--space", "b", "add", "pool", "1", "--class", "512"])
            .starts_with("pool 2 in arena 1:")
    );
    assert!(
        cli.ok(["--space", "b", "add", "block", "2"])
            .starts_with("block 2 in pool 2:")
    );
    assert_eq!(
        cli.ok(["--space", "b", "layout", "--at", "@2"]),
        cli.ok(["--space", "b", "layout", "--at", &(id + 1).to_string()])
    );
    let history = cli.ok(["--space", "b", "history"]);
    assert!(history.contains("there are events 1 ("), "{history}");
}

#[test]
fn resize_changes_the_capacity_but_not_below_the_reserved_bytes() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1M"]);
    cli.ok(["set", "x", "1"]);
    assert_eq!(
        cli.ok(["resize", "2MiB"]),
        "space main has 2.0 MiB (was 1.0 MiB), 2.0 MiB free\n"
    );
    assert!(
        cli.ok(["resize", "256K", "--bytes"])
            .contains("262144 bytes (was 2097152 bytes)")
    );
    assert!(cli.fails(2, ["resize", "100"]).contains("cannot shrink to 100 bytes"));
    assert_eq!(cli.json(["spaces"])[0]["max_mem"], 262_144);
}

#[test]
fn arenas_pools_and_blocks_can_be_carved_ahead() {
    let cli = Cli::new();
    cli.ok(["init"]);
    assert_eq!(cli.ok(["add", "arena"]), "arena 1: 256.0 KiB\n");
    assert_eq!(
        cli.ok(["add", "pool", "1", "--class", "4K"]),
        "pool 1 in arena 1: 32.0 KiB for blocks of 4.0 KiB\n"
    );
    assert_eq!(cli.ok(["add", "block", "1"]), "block 1 in pool 1: 4.0 KiB\n");
    assert_eq!(cli.json(["add", "block", "1"])["max_mem"], 4096);
    cli.fails(1, ["add", "block", "9"]);
    assert!(
        cli.fails(2, ["add", "pool", "1", "--class", "5K"])
            .contains("512, 4,096, 32,768, 262,144")
    );
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn gc_gives_back_unused_levels() {
    let cli = Cli::new();
    // Small blocks, so that there are more blocks than pools and more pools than arenas.
    cli.ok(["init", "--classic"]);
    cli.file("large", noise(2_000_000));
    let stored = cli.json(["put", "large"]);
    cli.ok(["free", stored[0]["object_id"].as_str().unwrap()]);
    let text = cli.ok(["gc"]);
    assert!(
        text.starts_with("removed 3907 blocks, 489 pools and 8 arenas; the space got 2.0 MiB back\n"),
        "{text}"
    );
    assert_eq!(text.contains("the file is "), server().is_none(), "{text}");
    let nothing = match server() {
        None => "nothing to give back; the file has ",
        Some(_) => "nothing to give back\n",
    };
    assert!(cli.ok(["gc"]).starts_with(nothing));
    let again = cli.json(["gc"]);
    assert_eq!((&again["blocks"], &again["bytes"]), (&0.into(), &0.into()));
}

#[test]
fn check_reports_each_violation_on_a_line() {
    let cli = Cli::new();
    cli.ok(["set", "x", "hello"]);
    assert_eq!(cli.json(["check"]), serde_json::json!([]));
    let sql = cli.sql();
    sql.change("UPDATE ledger SET data = CAST('jello' AS BLOB)");
    // Only hashing finds changed content.
    assert_eq!(cli.ok(["check", "--quick"]), "the books balance\n");
    let found = cli.run(["check"]);
    assert_eq!(
        (found.status, found.stdout.lines().count(), found.stderr.as_str()),
        (1, 4, "")
    );
    // One line per violation, then what they mean and what to do.
    let lines: Vec<_> = found.stdout.lines().collect();
    assert!(
        lines[0].starts_with("I8 ") && lines[2].starts_with("I8: the content ") && lines[2].ends_with(" of x"),
        "{lines:?}"
    );
    assert!(
        lines[3].ends_with("`heapledger --db heap.db check --repair`"),
        "{lines:?}"
    );

    sql.change("UPDATE pools SET mem = mem + 1");
    let found = cli.run(["check", "--quick", "--format", "ndjson"]);
    assert_eq!(found.status, 1);
    let invariants = found
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let invariants: Vec<_> = invariants.map(|violation| violation["invariant"].clone()).collect();
    assert!(invariants.contains(&"I3".into()), "{invariants:?}");
}
