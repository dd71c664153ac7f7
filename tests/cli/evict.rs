//! `init --evict`, `evict`, `pin`, `unpin`, `pins` and `plan --evict`.

use serde_json::json;

use crate::support::{Cli, noise};

/// A cache of 64 KiB with the objects `a` and `b`, of 30,000 bytes each.
fn cache(evict: &str) -> Cli {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64KiB", "--evict", evict]);
    for name in ["a", "b"] {
        cli.file(name, [name.as_bytes(), &noise(29_999)].concat());
        cli.ok(["put", "-q", "--name", name, name]);
    }
    cli.file("c", noise(20_000));
    cli
}

#[test]
fn a_put_evicts_what_the_plan_has_named() {
    let cli = cache("oldest");
    let a = cli.json(["show", "a"])["object_id"].clone();
    let plan = cli.json(["plan", "20000", "--evict"]);
    assert_eq!(plan["victims"][0]["object_id"], a);
    assert_eq!(plan["victims"][0]["names"], json!(["a"]));
    assert_eq!((&plan["evicted"], &plan["shortfall"]), (&json!(30_000), &json!(0)));
    let shown = cli.ok(["plan", "20000", "--evict"]);
    assert!(shown.contains("evicted    1 object with"), "{shown}");
    cli.ok(["put", "-q", "--name", "c", "c"]);
    cli.fails(1, ["show", "a"]);
    cli.ok(["show", "b"]);
    let events = cli.json(["log", "--kind", "evict"]);
    assert_eq!((&events[0]["object_id"], &events[0]["bytes"]), (&a, &json!(30_000)));
    cli.ok(["check"]);
}

#[test]
fn a_dry_run_tells_that_a_put_would_evict() {
    let cli = cache("oldest");
    let planned = cli.run(["put", "--dry-run", "c"]);
    assert_eq!(planned.status, 0, "{}", planned.stderr);
    assert!(
        planned.stderr.contains("would store 1 object: 1 new (19.5 KiB)"),
        "{}",
        planned.stderr
    );
    assert!(
        planned.stderr.contains("would evict 1 object (29.3 KiB) to make room"),
        "{}",
        planned.stderr
    );
    assert!(planned.stdout.contains(" evicts "), "{}", planned.stdout);
    // What is stored already needs no room.
    let planned = cli.run(["put", "--dry-run", "a"]);
    assert!(!planned.stderr.contains("evict"), "{}", planned.stderr);
    cli.ok(["pin", "a", "b"]);
    let planned = cli.run(["put", "--dry-run", "c"]);
    assert_eq!(planned.status, 1);
    assert!(planned.stderr.contains("too few for all of it"), "{}", planned.stderr);
}

#[test]
fn a_get_counts_where_eviction_goes_by_use() {
    for policy in ["lru", "sieve", "s3-fifo"] {
        let cli = cache(policy);
        cli.ok(["get", "a", "-o", "again"]);
        // A trial is passed by the second use.
        cli.ok(["get", "a", "-o", "twice"]);
        let plan = cli.json(["plan", "20000", "--evict"]);
        assert_eq!(plan["victims"][0]["names"], json!(["b"]), "{policy}");
        cli.ok(["put", "-q", "--name", "c", "c"]);
        cli.ok(["show", "a"]);
        cli.fails(1, ["show", "b"]);
        let shown = cli.ok(["stats"]);
        assert!(shown.contains("evicted   1 object, "), "{shown}");
        assert!(shown.contains(&format!("policy {policy}")), "{shown}");
    }
}

#[test]
fn pinned_objects_stay_and_are_listed() {
    let cli = cache("oldest");
    let pinned = cli.json(["pin", "a"]);
    assert_eq!(
        (&pinned[0]["pinned"], &pinned[0]["changed"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(cli.json(["pins"])[0]["names"], json!(["a"]));
    cli.ok(["put", "-q", "--name", "c", "c"]);
    cli.ok(["show", "a"]);
    cli.fails(1, ["show", "b"]);
    assert_eq!(cli.run(["plan", "60000", "--evict"]).status, 1);
    cli.fails(1, ["pin", "nobody"]);
    cli.ok(["pin", "c"]);
    let full = cli.fails(3, ["set", "d", &"d".repeat(50_000)]);
    assert!(
        full.contains("it is pinned, too young") && full.contains("`heapledger unpin`"),
        "{full}"
    );
    cli.ok(["unpin", "c"]);
    cli.ok(["unpin", "a"]);
    assert_eq!(cli.json(["pins"]), json!([]));
}

#[test]
fn it_can_be_changed_and_ended() {
    let cli = cache("largest");
    let shown = cli.ok(["evict"]);
    assert!(shown.contains("the largest objects go if there is no room"), "{shown}");
    let set = cli.json(["evict", "oldest", "--min-age", "1h"]);
    assert_eq!(
        set,
        json!({"space": "main", "evict": "oldest", "evict_min_age": 3_600_000_000_u64})
    );
    // Both are too young.
    assert_eq!(cli.run(["put", "c"]).status, 3);
    cli.ok(["evict", "off"]);
    assert_eq!(cli.json(["spaces"])[0]["evict"], json!(null));
    assert_eq!(cli.run(["put", "c"]).status, 3);
    cli.fails(2, ["plan", "20000", "--evict"]);
    let shown = cli.ok(["evict", "lru"]);
    assert!(
        shown.contains("the objects that were not used for longest go if"),
        "{shown}"
    );
    cli.ok(["evict", "off"]);
    cli.fails(2, ["evict", "off", "--min-age", "1h"]);
    // What is not given stays as it is.
    cli.ok(["evict", "oldest", "--min-age", "1h"]);
    let age = |args: [&str; 3]| cli.json(args)["evict_min_age"].clone();
    assert_eq!(cli.json(["evict", "largest"])["evict_min_age"], 3_600_000_000_u64);
    assert_eq!(age(["evict", "--min-age", "2h"]), 7_200_000_000_u64);
    assert_eq!(cli.json(["evict"])["evict"], "largest");
    assert_eq!(age(["evict", "--min-age", "0s"]), 0);
    cli.ok(["evict", "off"]);
    let refused = cli.fails(2, ["evict", "--min-age", "1h"]);
    assert!(refused.contains("give a POLICY, too"), "{refused}");
}

#[test]
fn doctor_tells_what_went_and_does_not_call_a_cache_full() {
    let cli = cache("oldest");
    for _ in 0..3 {
        cli.ok(["put", "-q", "c", "a", "b"]);
    }
    let findings = cli.json(["doctor"]);
    let codes: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert!(codes.contains(&&json!("evicting")), "{codes:?}");
    assert!(!codes.contains(&&json!("nearly_full")), "{codes:?}");
}

#[test]
fn what_a_dry_run_names_goes_at_once_or_by_a_plan() {
    let cli = cache("oldest");
    let a = cli.json(["show", "a"])["object_id"].clone();
    let named = cli.json(["evict", "--free", "20000", "--dry-run"]);
    assert_eq!(named, cli.json(["plan", "20000", "--evict"]));
    assert_eq!(named["victims"][0]["object_id"], a);
    let said = cli.ok(["evict", "--free", "20000", "--plan", "p.json"]);
    assert!(said.contains("would free 1 object of 29.3 KiB"), "{said}");
    cli.ok(["show", "a"]);
    let said = cli.ok(["apply", "p.json"]);
    assert!(said.contains("freed 1 object of 29.3 KiB"), "{said}");
    assert_eq!(cli.json(["log", "--kind", "evict"])[0]["object_id"], a);
    cli.fails(1, ["show", "a"]);
    let said = cli.ok(["evict", "--free", "60000", "--policy", "largest"]);
    assert!(said.starts_with("evicted 1 object of 29.3 KiB"), "{said}");
    assert!(said.contains("largest first; 64.0 KiB"), "{said}");
    assert_eq!(cli.json(["spaces"])[0]["evict"], json!("oldest"));
    assert_eq!(cli.json(["evict", "--free", "60000"])["objects"], json!(0));
    cli.fails(3, ["evict", "--free", "70000"]);
    cli.ok(["check"]);
}

#[test]
fn evict_says_what_it_needs() {
    let cli = cache("oldest");
    cli.ok(["evict", "off"]);
    let line = cli.fails(2, ["evict", "--free", "20000"]);
    assert!(line.contains("--policy names one"), "{line}");
    let line = cli.fails(2, ["evict", "--free", "20000", "--policy", "lru"]);
    assert!(line.contains("does not evict by lru"), "{line}");
    cli.fails(2, ["evict", "--plan", "p.json"]);
    cli.fails(2, ["evict", "--dry-run"]);
    cli.fails(2, ["evict", "lru", "--free", "20000"]);
    for other in [&["--dry-run"][..], &["--policy", "oldest"]] {
        let line = cli.run_all(&[&["evict", "lru"], other].concat());
        assert_eq!((line.status, line.stdout.as_str()), (2, ""), "{other:?}");
    }
    assert!(cli.ok(["evict"]).contains("nothing is evicted"));
    cli.ok(["evict", "--free", "20000", "--policy", "oldest", "--plan", "p.json"]);
    cli.ok(["apply", "p.json"]);
    cli.fails(1, ["show", "a"]);
}
