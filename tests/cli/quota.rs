//! `quota`, and what it refuses and warns of.

use serde_json::json;

use crate::support::Cli;

#[test]
fn a_full_owner_is_refused_with_exit_status_3() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.file("b", "some more");
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["quota", "owner=ann", "--hard", "10", "--objects", "3"]);
    cli.ok(["put", "--tag", "owner=ann", "a"]);
    let refused = cli.run(["put", "--tag", "owner=ann", "b"]);
    assert_eq!(refused.status, 3);
    assert!(
        refused.stderr.contains(
            "quota exceeded: owner=ann has 5 of 10 bytes, and needs 9 more; free some of its objects, or allow it more \
             with `heapledger quota`"
        ),
        "{}",
        refused.stderr
    );
    assert_eq!(cli.run(["set", "--tag", "owner=ann", "x", "some text"]).status, 3);
    cli.ok(["set", "x", "some text"]);
    assert_eq!(cli.run(["tag", "x", "owner=ann"]).status, 3);
    cli.ok(["tag", "x", "owner=bob"]);
    let log = cli.json(["log", "--kind", "refusal"]);
    let log = log.as_array().unwrap();
    assert!(
        !log.is_empty() && log.iter().all(|event| event["bytes"] == 9),
        "{log:?}"
    );
    let codes = cli.run(["doctor", "--format", "json"]);
    assert_eq!(codes.status, 0, "it could have more");
}

#[test]
fn beyond_a_soft_limit_there_is_a_warning() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["quota", "owner=ann", "--soft", "4"]);
    let stored = cli.run(["put", "--tag", "owner=ann", "a"]);
    assert_eq!(stored.status, 0);
    let warning = "owner=ann has 5 B, more than its soft limit of 4 B";
    assert!(stored.stderr.contains(warning), "{}", stored.stderr);
    let tagged = cli.run(["set", "--tag", "owner=ann", "x", "1"]);
    assert!(tagged.stderr.contains("more than its soft limit"), "{}", tagged.stderr);
    cli.ok(["quota", "owner=ann", "--soft", "none", "--soft-objects", "1"]);
    let tagged = cli.run(["tag", "x", "owner=ann"]);
    assert!(
        tagged
            .stderr
            .contains("owner=ann has 2 objects, more than its soft limit of 1"),
        "{}",
        tagged.stderr
    );
    let other = cli.run(["set", "y", "1"]);
    assert_eq!(other.stderr, "");
}

#[test]
fn quotas_are_listed_changed_and_removed() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    assert_eq!(cli.json(["quota"]), json!([]));
    cli.fails(1, ["quota", "owner=ann"]);
    cli.file("a", "hello");
    cli.ok(["put", "--tag", "owner=ann", "a"]);
    cli.ok(["put", "--tag", "owner=bob", "--name", "y", "a"]);
    let set = cli.ok(["quota", "owner=ann", "--hard", "1KiB", "--objects", "1"]);
    assert_eq!(
        set,
        "owner=ann: full\n\
         bytes    5 B used, hard limit 1.0 KiB, soft limit none\n\
         objects  1 used, hard limit 1, soft limit none\n"
    );
    let quota = json!([{
        "key": "owner", "value": "ann", "hard_bytes": 1024, "soft_bytes": null, "hard_objects": 1, "soft_objects": null,
        "used_bytes": 5, "used_objects": 1, "state": "full", "shared_bytes": 5, "shared_objects": 1,
        "expired_bytes": 0, "expired_objects": 0,
    }]);
    assert_eq!(cli.json(["quota"]), quota);
    assert!(cli.ok(["quota"]).contains("owner=ann"));
    cli.ok(["quota", "owner=ann", "--objects", "none"]);
    let shown = cli.json(["quota", "owner=ann"]);
    assert_eq!(
        (&shown["hard_bytes"], &shown["hard_objects"]),
        (&json!(1024), &json!(null)),
        "others stay"
    );
    assert_eq!(
        cli.ok(["quota", "owner=ann", "--remove"]),
        "owner=ann has no quota any more\n"
    );
    assert_eq!(cli.ok(["quota", "owner=ann", "--remove"]), "owner=ann has no quota\n");
    assert_eq!(cli.json(["quota"]), json!([]));
    cli.fails(2, ["quota", "owner"]);
    cli.fails(2, ["quota", "owner=ann", "--objects", "many"]);
}

#[test]
fn a_dry_run_says_what_a_quota_refuses_and_what_is_left() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.file("b", "some more");
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["quota", "owner=ann", "--hard", "10", "--objects", "3"]);
    let dry = |paths: &[&str]| {
        let put = ["put", "--dry-run", "--tag", "owner=ann"];
        cli.run_all(&put.iter().chain(paths).copied().collect::<Vec<_>>())
    };
    let fits = dry(&["a"]);
    assert_eq!(fits.status, 0);
    assert!(
        fits.stderr
            .contains("would leave owner=ann 5 B of 10 B, 2 of 3 objects"),
        "{}",
        fits.stderr
    );
    let refused = dry(&["a", "b"]);
    assert_eq!(refused.status, 1);
    let why = "owner=ann has 5 of 10 bytes, and needs 9 more: nothing from b on would be stored";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    assert!(refused.stderr.contains("would store 1 object"), "{}", refused.stderr);
    assert!(refused.stdout.contains("over quota"), "{}", refused.stdout);
    let rows = cli.run(["put", "--dry-run", "--tag", "owner=ann", "--format", "json", "a", "b"]);
    let rows: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!(rows[0]["over_quota"], json!(null));
    assert_eq!(
        rows[1]["over_quota"],
        json!({"key": "owner", "value": "ann", "limit": "bytes", "used": 5, "needed": 9, "hard": 10})
    );
    assert_eq!(dry(&["b"]).status, 0);
    // Others, and nobody, have no quota.
    cli.ok(["put", "--dry-run", "--tag", "owner=bob", "a", "b"]);
    cli.ok(["put", "--dry-run", "a", "b"]);
    // As the put itself, which names the files by their paths.
    cli.ok(["put", "--names", "--tag", "owner=ann", "b"]);
    cli.file("b", "some less");
    assert_eq!(
        dry(&["--names", "b"]).status,
        0,
        "it takes the place of what it replaces"
    );
    assert_eq!(dry(&["b"]).status, 1);
    cli.ok(["put", "--names", "--tag", "owner=ann", "b"]);
}

#[test]
fn a_plan_looks_at_the_quotas_of_its_tags() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["quota", "owner=ann", "--hard", "1KiB"]);
    let fits = cli.ok(["plan", "1000", "--tag", "owner=ann"]);
    assert!(fits.contains("left       owner=ann 24 B of 1.0 KiB\n"), "{fits}");
    let refused = cli.run(["plan", "1025", "--tag", "owner=ann"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused
            .stdout
            .contains("refused    owner=ann has 0 of 1,024 bytes, and needs 1,025 more\n"),
        "{}",
        refused.stdout
    );
    cli.ok(["plan", "1025", "--tag", "owner=bob"]);
    cli.ok(["plan", "1025"]);
    let refused = cli.run(["plan", "1025", "--tag", "owner=ann", "--format", "json"]);
    let refused: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(refused["over_quota"]["needed"], 1025);
    cli.fails(2, ["plan", "1025", "--tag", "owner"]);
    cli.fails(2, ["plan", "1025", "--tag", "owner=ann", "--at", "+1d"]);
}
