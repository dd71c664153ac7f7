//! The ceiling of the file: `--max-file`, exit status 3, and what reports say of it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::common::files_only;
use crate::support::{Cli, noise};

#[test]
fn what_does_not_fit_ends_with_status_3_and_the_figures() {
    files_only!(Ceiling);
    let cli = Cli::new();
    let made = cli.ok(["init", "--max-file", "1MiB"]);
    assert!(made.ends_with("; at most 1.0 MiB on disk\n"), "{made}");
    cli.file("large", vec![7; 600_000]);
    let ran = cli.run(["put", "large"]);
    assert_eq!(ran.status, 3);
    let line = ran.stderr;
    assert!(
        line.contains("file full: ") && line.contains("of at most 1,048,576"),
        "{line}"
    );
    assert!(
        line.ends_with("or raise the ceiling with `heapledger resize --max-file`\n"),
        "{line}"
    );
    assert_eq!(cli.json(["stats"])["objects"], 0);
    // A plan is an answer.
    let ran = cli.run(["plan", "600K"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stdout.contains("fit below the ceiling of the file"),
        "{}",
        ran.stdout
    );
    let ran = cli.run(["put", "--dry-run", "large"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.stderr
            .contains("too few below the ceiling of the file, by estimate"),
        "{}",
        ran.stderr
    );

    assert_eq!(
        cli.ok(["resize", "--max-file", "4M"]).split(',').next(),
        Some("the ceiling of the file is 4.0 MiB (was 1.0 MiB)")
    );
    cli.ok(["put", "large"]);
    let plan = cli.json(["plan", "1K"]);
    assert_eq!(
        (&plan["first_bound"], &plan["file_shortfall_estimated"]),
        (&json!("max_file"), &json!(0))
    );
    assert!(plan["file_fits_estimated"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn reports_show_the_ceiling() {
    files_only!(Ceiling);
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1M"]);
    assert!(cli.ok(["stats"]).contains(", without a ceiling"));
    assert_eq!(cli.json(["stats"])["disk"]["max_file"], json!(null));
    let text = cli.ok(["resize", "2M", "--max-file", "1MiB"]);
    assert_eq!(text.lines().count(), 2);
    let resized = cli.json(["resize", "2M", "--max-file", "1MiB"]);
    assert_eq!(
        (&resized["max_mem"], &resized["disk"]["max_file"]),
        (&json!(2 << 20), &json!(1 << 20))
    );
    cli.file("some", vec![7; 100_000]);
    cli.ok(["put", "some"]);
    let stats = cli.ok(["stats"]);
    assert!(
        stats.contains("of 1.0 MiB, 256.0 KiB of it only for freeing"),
        "{stats}"
    );
    assert!(stats.contains("the ceiling of the file is reached first"), "{stats}");
    let json = cli.json(["stats"]);
    assert_eq!(json["first_bound"], "max_file");
    let keys: BTreeSet<_> = json["disk"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "max_file",
        "on_server",
        "reserve",
        "file_size",
        "wal_size",
        "shm_size",
        "free_file_bytes",
        "file_bytes_per_stored_byte",
        "fits_estimated",
    ];
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!(cli.json(["space"])["disk"]["reserve"], 256 * 1024);
    assert!(
        cli.ok(["space"])
            .contains("of 1.0 MiB, 256.0 KiB of it only for freeing")
    );
    assert!(cli.ok(["doctor"]).contains("On disk are "));

    for number in 0..30 {
        cli.file("more", vec![number; if number < 15 { 30_000 } else { 6000 }]);
        cli.run(["put", "-q", "more"]);
    }
    let ran = cli.run(["doctor", "--format", "json"]);
    let findings: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let full = &findings[0];
    assert_eq!(
        (ran.status, &full["code"]),
        (1, &json!("nearly_full_file")),
        "{}",
        ran.stdout
    );
    assert_eq!(full["figures"]["max_file"], 1 << 20);
    assert_eq!(full["remedy"][1], "heapledger --db heap.db resize --max-file 2097152");
    assert!(
        cli.ok(["resize", "--max-file", "none"])
            .starts_with("the ceiling of the file is none (was 1.0 MiB)")
    );
}

#[test]
fn a_refused_resize_leaves_the_ceiling_as_it_was() {
    files_only!(Ceiling);
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB", "--max-file", "2MiB"]);
    cli.file("some", "content");
    cli.ok(["put", "some"]);
    for ceiling in ["none", "3MiB"] {
        let line = cli.fails(2, ["resize", "100", "--max-file", ceiling]);
        assert!(line.contains("cannot shrink"), "{line}");
        assert_eq!(cli.json(["stats"])["disk"]["max_file"], json!(2 << 20), "{ceiling}");
    }
}

#[test]
fn a_bad_ceiling_is_an_error_with_the_figures() {
    files_only!(Ceiling);
    let cli = Cli::new();
    let line = cli.fails(2, ["init", "--max-file", "1000"]);
    assert!(
        line.starts_with("max_file of 1,000 bytes: the least is 1,048,576 now"),
        "{line}"
    );
    cli.ok(["init"]);
    cli.file("large", vec![7; 3_000_000]);
    cli.ok(["put", "large"]);
    let line = cli.fails(2, ["resize", "--max-file", "2MiB"]);
    assert!(
        line.starts_with("max_file of 2,097,152 bytes: the least is 3,"),
        "{line}"
    );
    cli.fails(2, ["resize", "--max-file", "much"]);
    cli.fails(2, ["resize"]);
    assert!(
        cli.fails(2, ["init", "--max-file", "8M"])
            .contains("the ceiling of the file is none, not 8388608")
    );
}

#[test]
fn put_stores_what_fits_below_the_ceiling_only_in_parts() {
    files_only!(Ceiling);
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB", "--max-file", "2MiB"]);
    cli.file("large", noise(800_000));
    cli.ok(["put", "large"]);
    assert_eq!(cli.json(["stats"])["mem"], 800_000);

    // Together they evict more than one transaction has room for.
    let cli = Cli::new();
    cli.ok([
        "init",
        "--max-mem",
        "1MiB",
        "--max-file",
        "4800000",
        "--evict",
        "oldest",
    ]);
    cli.ok(["history", "off"]);
    cli.file("small/0", "");
    for number in 0..10_485 {
        cli.file(&format!("small/{number}"), format!("{number:0>100}"));
    }
    cli.ok(["put", "-qr", "small"]);
    assert_eq!(cli.json(["stats"])["objects"], 10_485);
    cli.file("large", noise(700_000));
    cli.ok(["put", "large"]);
    cli.ok(["check"]);
}
