//! `--tag`, `tag`, `untag`, `tags` and `usage --by`.

use serde_json::json;

use crate::support::{Cli, HELLO};

/// Objects of ann, of bob, of both, and of nobody.
fn tagged() -> Cli {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.file("b", "b of ann");
    cli.ok(["put", "--tag", "owner=ann", "--tag", "job=7", "a", "b"]);
    cli.ok(["set", "--tag", "owner=bob", "x", "a text of bob"]);
    cli.ok(["name", "--tag", "owner=bob", HELLO, "shared"]);
    cli.ok(["set", "y", "nobody's"]);
    cli
}

#[test]
fn objects_are_listed_and_counted_by_tag() {
    let cli = tagged();
    let count = |tag| cli.json(["ls", "--tag", tag]).as_array().unwrap().len();
    assert_eq!((count("owner=ann"), count("owner=bob"), count("owner")), (2, 2, 3));
    assert_eq!((count("owner="), count("other")), (0, 0));
    let both = cli.json(["ls", "--tag", "owner=bob", "--tag", "job"]);
    assert_eq!(both[0]["object_id"], HELLO);
    let usage = json!([
        {"bucket": "tagged", "value": "ann", "objects": 1, "bytes": 8},
        {"bucket": "tagged", "value": "bob", "objects": 1, "bytes": 13},
        {"bucket": "shared", "value": null, "objects": 1, "bytes": 5},
        {"bucket": "untagged", "value": null, "objects": 1, "bytes": 8},
    ]);
    assert_eq!(cli.json(["usage", "--by", "owner"]), usage);
    assert!(cli.ok(["usage", "--by", "owner"]).contains("38.2 %"));
    let tags = json!([
        {"key": "job", "value": "7", "holds": 2},
        {"key": "owner", "value": "ann", "holds": 2},
        {"key": "owner", "value": "bob", "holds": 2},
    ]);
    assert_eq!(cli.json(["tags"]), tags);
}

#[test]
fn tags_are_changed_and_shown() {
    let cli = tagged();
    assert_eq!(
        cli.ok(["tag", "x", "owner=ann", "note=a = b"]),
        "x: note=a = b, owner=ann\n"
    );
    assert_eq!(cli.ok(["untag", "x", "owner", "missing"]), "x: note=a = b\n");
    assert_eq!(cli.ok(["untag", "x", "note"]), "x: no tags\n");
    let held = cli.json(["tag", HELLO, "job=8"]);
    assert_eq!(held["tags"], json!({"job": "8", "owner": "ann"}));
    let shown = cli.json(["show", "shared"]);
    assert_eq!(shown["held_tags"], json!({"job": "8", "owner": "ann"}));
    assert_eq!(shown["bindings"][0]["tags"], json!({"owner": "bob"}));
    let shown = cli.ok(["show", "shared"]);
    assert!(
        shown.contains("by an allocation without a name, job=8, owner=ann\n"),
        "{shown}"
    );
    assert!(cli.fails(2, ["tag", "x", "=v"]).contains("its key is empty"));
    assert!(cli.fails(2, ["tag", "x", "owner"]).contains("KEY=VALUE"));
    cli.fails(1, ["tag", "nothing", "owner=ann"]);
}

#[test]
fn free_gives_up_what_has_a_tag() {
    let cli = tagged();
    let planned = cli.ok(["free", "--dry-run", "--tag", "owner=ann"]);
    assert!(
        planned.starts_with("would free ") && planned.contains("8 B"),
        "{planned}"
    );
    assert!(!planned.contains("--force"), "{planned}");
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 4, "nothing was freed");
    let freed = cli.json(["free", "--tag", "owner=ann"]);
    assert_eq!(freed.as_array().unwrap().len(), 1);
    assert_eq!(cli.ok(["get", "shared"]), "hello");
    assert_eq!(cli.json(["free", "--tag", "owner=ann"]), json!([]));
    assert!(
        cli.fails(2, ["free", "--tag", "owner=ann", "x"])
            .contains("cannot be used")
    );
    assert!(cli.ok(["check"]).contains("balance"));
}
