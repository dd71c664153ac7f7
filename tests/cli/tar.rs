//! `export -` and `import -`: tars on standard streams.

use crate::common::content;
use crate::support::Cli;

/// Small and large objects with names, tags and times.
fn heap() -> Cli {
    let cli = Cli::new();
    cli.file("photo.jpg", content(1, 300_000));
    cli.file("film.mp4", content(2, 9_000_000));
    cli.ok(["put", "photo.jpg", "--name", "photo", "--tag", "owner=ann"]);
    cli.ok(["put", "film.mp4", "--expires", "7d"]);
    cli.ok(["set", "answer", "42"]);
    cli
}

/// What `ls` says, without times.
fn listed(cli: &Cli, space: &str) -> Vec<(serde_json::Value, serde_json::Value, serde_json::Value)> {
    let rows = cli.json(["ls", "--space", space]);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row["object_id"].clone(), row["names"].clone(), row["kind"].clone()))
        .collect()
}

#[test]
fn a_heap_goes_through_a_pipe() {
    let cli = heap();
    let script = "set -e; heapledger export - | heapledger import - --space copy --create; \
                  heapledger export - > heap.tar; heapledger import - --space copy < heap.tar";
    let ran = cli.sh(script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.ends_with("; 3 objects stored already\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("3 objects with 2 names"), "{}", ran.stderr);
    assert_eq!(listed(&cli, "copy"), listed(&cli, "main"));
    assert!(
        cli.ok(["ls", "--tag", "owner=ann", "--space", "copy"])
            .contains("photo")
    );
    let listed = cli.sh("tar -tvf heap.tar").stdout;
    assert!(listed.lines().next().unwrap().ends_with("manifest.jsonl"), "{listed}");
    assert_eq!(listed.lines().count(), 4);
    let ran = cli.sh("mkdir files && tar -x -C files -f heap.tar && heapledger import files --space copy");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    cli.ok(["check"]);
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let cli = heap();
    let ran = cli.sh("heapledger export - | head -c 1000 | wc -c");
    assert_eq!((ran.stdout.trim(), ran.stderr.as_str()), ("1000", ""));
}

#[test]
fn what_is_not_an_export_leaves_no_heap() {
    let cli = Cli::without_heap();
    cli.file("tree/file", "x");
    for (script, said) in [
        ("heapledger import - --db new.db < /dev/null", "it is empty"),
        ("tar -cz tree | heapledger import - --db new.db", "`gzip -dc`"),
        (
            "head -c 9999 /dev/zero | tr '\\0' x | heapledger import - --db new.db",
            "not a tar",
        ),
        ("heapledger import - --db new.db <&-", "closed"),
    ] {
        let ran = cli.sh(script);
        assert_eq!(ran.status, 2, "{script}: {}", ran.stdout);
        assert!(ran.stderr.contains(said), "{script}: {}", ran.stderr);
        assert!(!cli.path("new.db").exists(), "{script}");
    }
}
