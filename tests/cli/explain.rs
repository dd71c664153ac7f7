//! Commands that explain: what would happen, and why the heap is as it is.

use std::fs;

use crate::common::{self, number, server};
use crate::support::{Cli, HELLO, noise};
use serde_json::{Value, json};

fn dump(cli: &Cli) -> (Vec<u8>, i64) {
    let sql = cli.sql();
    let rows = number(&sql, "SELECT count(*) FROM ledger");
    if server().is_some() {
        return (common::dump(&sql).into_bytes(), rows);
    }
    // Readers may checkpoint the log, so do that first; nothing else may change.
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    (fs::read(cli.path("heap.db")).unwrap(), rows)
}

#[test]
fn put_dry_run_predicts_what_put_does() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.file("in/a", noise(5000));
    cli.file("in/b", noise(60));
    cli.file("in/c", noise(5000));
    cli.file("in/d", "hello");
    cli.ok(["put", "-q", "in/d"]);
    let before = dump(&cli);
    let plan = cli.json(["put", "--dry-run", "-r", "in"]);
    assert_eq!(dump(&cli), before);
    let of = |rows: &Value, key: &str| {
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&plan, "path"), ["in/a", "in/b", "in/c", "in/d"]);
    assert_eq!(of(&plan, "dedup"), [false, false, true, true]);
    assert_eq!(of(&plan, "block_size")[..2], [json!(262_144), json!(512)]);
    assert_eq!(of(&plan, "blocks_reused")[..2], [json!(0), json!(1)]);
    assert_eq!(plan[3]["object_id"], HELLO);

    let stats = |cli: &Cli| cli.json(["stats"]);
    let (before, stored, after) = (stats(&cli), cli.json(["put", "-r", "in"]), stats(&cli));
    assert_eq!(of(&stored, "object_id"), of(&plan, "object_id"));
    assert_eq!(of(&stored, "dedup"), of(&plan, "dedup"));
    assert_eq!(of(&stored, "pieces")[..2], of(&plan, "pieces")[..2]);
    let sum = |key: &str| of(&plan, key).iter().map(|value| value.as_i64().unwrap()).sum::<i64>();
    assert_eq!(
        after["arenas"].as_i64().unwrap() - before["arenas"].as_i64().unwrap(),
        sum("new_arenas")
    );
    let blocks = |stats: &Value| {
        of(&stats["classes"], "blocks")
            .iter()
            .map(|value| value.as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(blocks(&after) - blocks(&before), sum("new_blocks"));
}

#[test]
fn put_dry_run_prints_a_summary() {
    let cli = Cli::new();
    cli.ok(["init"]);
    cli.file("a", "hello");
    cli.file("b", "hello");
    let ran = cli.run(["put", "--dry-run", "a", "b", "missing"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stdout.contains("already known"), "{}", ran.stdout);
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
    let summary = "would store 2 objects: 1 new (5 B) in 1 piece: 0 blocks reused, 1 new block, 1 new pool, 1 new arena; 1 already known (5 B)";
    assert!(ran.stderr.contains(summary), "{}", ran.stderr);
    assert_eq!(cli.ok(["ls", "--format", "csv"]).lines().count(), 1);
}

#[test]
fn put_dry_run_names_the_first_file_that_does_not_fit() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "8K"]);
    cli.file("a", noise(5000));
    cli.file("b", &noise(9000)[..4000]);
    cli.file("c", "c");
    let ran = cli.run(["put", "--dry-run", "--bytes", "a", "b", "c"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("809 bytes too few: nothing from b on would be stored"),
        "{}",
        ran.stderr
    );
    cli.fails(3, ["put", "-q", "a", "b", "c"]);
    assert_eq!(cli.json(["stats"])["mem"], 5000);
}

#[test]
fn put_dry_run_creates_no_heap() {
    let cli = Cli::new();
    cli.file("a", "hello");
    let ran = cli.run(["put", "--dry-run", "a"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    // On a server, only `init` creates a heap.
    let creates = ran.stderr.contains("put would create it");
    assert_eq!(creates, server().is_none(), "{}", ran.stderr);
    assert!(cli.is_untouched());
    cli.ok(["put", "a"]);
    cli.ok(["put", "--dry-run", "--space", "new", "--create", "a"]);
    assert_eq!(cli.json(["spaces"]).as_array().unwrap().len(), 1);
}

#[test]
fn plan_tells_where_an_object_of_a_size_goes() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "512K"]);
    let plan = cli.json(["plan", "300000"]);
    assert_eq!(
        (&plan["block_size"], &plan["pieces"], &plan["new_blocks"]),
        (&json!(262_144), &json!(2), &json!(2))
    );
    // With several blocks per pool and several pools per arena, the figures differ.
    cli.ok(["--space", "classic", "init", "--classic", "--max-mem", "512K"]);
    let text = cli.ok(["--space", "classic", "plan", "300000"]);
    assert!(
        text.contains("586 pieces: 0 blocks reused, 586 new blocks, 74 new pools, 2 new arenas"),
        "{text}"
    );
    // Any size is fast: pieces are counted, not simulated one by one.
    cli.ok(["--space", "vast", "init", "--max-mem", "4EiB"]);
    let plan = cli.json(["--space", "vast", "plan", "1EiB"]);
    assert_eq!(
        (&plan["pieces"], &plan["new_arenas"]),
        (&json!(1_u64 << 42), &json!(1_u64 << 42))
    );
    let ran = cli.run(["plan", "513K"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("1.0 KiB too few"), "{}", ran.stdout);
}

#[test]
fn free_dry_run_predicts_what_free_and_gc_do() {
    let cli = Cli::new();
    cli.file("a", noise(600_000));
    cli.file("b", &noise(30_000)[7..]);
    let id = cli.ok(["put", "-q", "a"])[..64].to_owned();
    cli.ok(["put", "-q", "b", "--name", "small"]);
    let before = dump(&cli);
    let plan = cli.json(["free", "--dry-run", &id]);
    assert_eq!(dump(&cli), before);
    assert_eq!(plan["objects"][0]["object_id"], *id);
    assert_eq!(plan["sparse"][0]["names"], serde_json::json!(["small"]));
    let text = cli.ok(["free", "--dry-run", &id, "small"]);
    assert!(text.contains("(small), with --force"), "{text}");
    cli.ok(["free", &id]);
    let waiting = cli.json(["gc", "--dry-run"]);
    let collected = cli.json(["gc"]);
    for key in ["blocks", "pools", "arenas", "bytes", "file_bytes", "file_size"] {
        assert_eq!(plan[key], collected[key], "{key}");
        assert_eq!(waiting[key], collected[key], "{key}");
    }
    assert_eq!(
        cli.fails(1, ["free", "--dry-run", "missing"])
            .matches("missing")
            .count(),
        1
    );
}

#[test]
fn sparse_lists_the_objects_that_occupy_an_arena() {
    let cli = Cli::new();
    cli.ok(["init"]);
    assert_eq!(cli.ok(["sparse"]), "no arena with objects is less than 25 % used\n");
    cli.file("a", noise(3000));
    cli.ok(["put", "-q", "a", "--name", "a\u{1b}[31m"]);
    let text = cli.ok(["sparse"]);
    assert!(text.contains("ARENA") && text.contains("a\\u{1b}[31m"), "{text}");
    let listed = cli.json(["sparse", "1"]);
    assert_eq!(
        (&listed[0]["allocated_mem"], &listed[0]["arena_id"]),
        (&json!(3000), &json!(1))
    );
    assert_eq!(cli.json(["sparse", "--under", "1"]), json!([]));
    assert_eq!(cli.json(["sparse", "--limit", "0"]), json!([]));
    cli.fails(1, ["sparse", "99"]);
    cli.fails(2, ["sparse", "--under", "0"]);
}

#[test]
fn doctor_ends_with_1_only_when_something_asks_for_action() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64K"]);
    let text = cli.ok(["doctor"]);
    assert!(text.starts_with("healthy: Nothing needs action: 0.0 %"), "{text}");
    cli.file("a", noise(60_000));
    cli.ok(["put", "-q", "a"]);
    let ran = cli.run(["doctor"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stdout.contains("nearly_full: 91.6 % of the space is used"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("run:     heapledger --db heap.db free --dry-run"),
        "{}",
        ran.stdout
    );
    let ran = cli.run(["doctor", "--format", "csv"]);
    assert!(
        ran.stdout.starts_with("code,severity,sentence,figures,remedy\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn space_accounts_for_the_file() {
    // Where another test has been, a table may have more room than rows.
    let cli = Cli::without_heap();
    cli.ok(["init"]);
    cli.file("a", noise(100_000));
    cli.ok(["put", "-q", "a"]);
    let report = cli.json(["space"]);
    assert_eq!(report["mem"], 100_000);
    assert_eq!(report["trees"][0]["name"], "ledger");
    let text = cli.ok(["space"]);
    let sum = if server().is_none() {
        "= file"
    } else {
        "= on the server"
    };
    assert!(text.contains(sum) && text.contains("ledger_by_block"), "{text}");
}

#[test]
fn put_dry_run_refuses_the_names_that_put_refuses() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.file("b", "other");
    let (long, digits) = ("n".repeat(4097), "0".repeat(64));
    let refused = [vec!["--name", ""], vec!["--name", &long], vec!["--name", &digits]];
    let both = |args: &[&str]| {
        let put = |dry: &[&str]| cli.run_all(&[&["put", "-q", "a"], dry, args].concat());
        let (planned, done) = (put(&["--dry-run"]), put(&[]));
        assert_eq!(planned.status, done.status, "{args:?}");
        if done.status != 0 {
            assert_eq!(planned.stderr, done.stderr, "{args:?}");
        }
        planned
    };
    // Without a heap, and with one.
    for name in &refused {
        assert_ne!(cli.run_all(&[&["put", "--dry-run", "a"], &name[..]].concat()).status, 0);
    }
    assert!(cli.is_untouched());
    cli.ok(["put", "-q", "b", "--name", "taken"]);
    for name in &refused {
        assert_ne!(both(name).status, 0);
    }
    assert!(both(&["--name", "taken", "--keep"]).stderr.contains("would move"));
    assert_eq!(both(&["--name", "free", "--keep"]).status, 0);
    assert_eq!(both(&["--name", "taken"]).status, 0);
}
