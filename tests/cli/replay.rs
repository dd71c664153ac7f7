//! `replay`: traces and histories through caches.

use crate::common::content;
use crate::support::{Cli, ran};
use serde_json::Value;

/// Three objects of 100 bytes in turn, ten times.
fn in_turn() -> String {
    (0..30).map(|n| format!("{n},{},100\n", n % 3)).collect()
}

fn hits(rows: &Value, policy: &str) -> Vec<u64> {
    let rows = rows.as_array().unwrap().iter().filter(|row| row["policy"] == policy);
    rows.map(|row| row["hits"].as_u64().unwrap()).collect()
}

#[test]
fn a_trace_is_replayed_without_a_heap() {
    let cli = Cli::without_heap();
    cli.file("trace.csv", in_turn());
    let rows = cli.json(["replay", "trace.csv", "--size", "200,300"]);
    // LRU always drops what comes next; who knows the future keeps one of the others.
    assert_eq!(hits(&rows, "lru"), [0, 27]);
    assert_eq!(hits(&rows, "oldest"), [0, 27]);
    assert_eq!(hits(&rows, "belady"), [14, 27]);
    assert!(hits(&rows, "belady-size").is_empty());
    assert_eq!(rows.as_array().unwrap().len(), 12);
    assert_eq!(rows[0]["hit_ratio"], 0.0);
    assert_eq!(rows[11]["byte_hit_ratio"], 0.9);
    assert_eq!((&rows[0]["requests"], &rows[0]["bytes"]), (&30.into(), &3000.into()));
    assert!(!cli.has_heap());
}

#[test]
fn the_table_is_for_people() {
    let cli = Cli::without_heap();
    cli.file("trace.csv", in_turn() + "31,9,5000\n");
    let ran = cli.run(["replay", "trace.csv", "--size", "100..300", "--policy", "lru,s3-fifo"]);
    assert_eq!(
        ran.stderr,
        "31 requests for 7.8 KiB, of 4 objects with 5.2 KiB: at most 87.10 % can be hits\n"
    );
    let lines: Vec<_> = ran.stdout.lines().collect();
    let heads: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(
        heads.join(" "),
        "SIZE POLICY HITS BYTES EVICTED EVICTED BYTES TOO LARGE"
    );
    // Three sizes, with two policies and both marks for what is best.
    assert_eq!(lines.len(), 1 + 3 * 4, "{}", ran.stdout);
    let last = lines[9].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(last, "300 B lru 87.10 % 33.75 % 0 0 B 1");
}

#[test]
fn the_formats_of_a_trace_give_the_same() {
    let cli = Cli::without_heap();
    let sizes = ["--size", "250,10K", "--policy", "lru"];
    let requests = [
        (7_u64, 100_u32),
        (1 << 40, 120),
        (7, 100),
        (3, 90),
        (1 << 40, 120),
        (7, 100),
    ];
    let record = |&(object, size): &(u64, u32)| {
        let (time, next) = (0_u32.to_le_bytes(), 0_i64.to_le_bytes());
        [&time[..], &object.to_le_bytes(), &size.to_le_bytes(), &next].concat()
    };
    cli.file(
        "t.oracleGeneral.bin",
        requests.iter().flat_map(record).collect::<Vec<_>>(),
    );
    let line = |&(object, size): &(u64, u32)| format!("{size}\tx\t{object}\n");
    let lines: String = requests.iter().map(line).collect();
    cli.file("t.txt", format!("bytes\tnothing\tid\n{lines}"));
    let printed = |args: &[&str]| {
        let ran = cli.run_all(&[&["replay"], args, &sizes].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout
    };
    let expected = printed(&["t.oracleGeneral.bin"]);
    assert_eq!(printed(&["t.txt", "-t", "obj-id-col=3, obj-size-col=1"]), expected);
    let piped = ran(cli
        .command([
            "replay",
            "-",
            "--trace-type",
            "csv",
            "-t",
            "obj-id-col=3, obj-size-col=1",
        ])
        .args(sizes)
        .write_stdin(lines));
    assert_eq!(piped.stdout, expected, "{}", piped.stderr);
}

#[test]
fn what_is_wrong_with_a_trace_is_said() {
    let cli = Cli::without_heap();
    cli.file("bad.csv", "time,id,size\n1,7,100\n2,8,huge\n");
    cli.file("short.csv", "1,7,100\n2,8\n");
    cli.file("cut.oracleGeneral", [0; 30]);
    cli.file("packed.csv", [0x28, 0xb5, 0x2f, 0xfd, 0, 0]);
    cli.file("trace", in_turn());
    for (trace, why) in [
        (
            "bad.csv",
            "bad.csv: line 3: \"huge\" in column 3 is not a size in bytes",
        ),
        (
            "short.csv",
            "short.csv: line 2: there is nothing in column 3 of 2, where the size should be",
        ),
        (
            "cut.oracleGeneral",
            "cut.oracleGeneral: record 2 has 6 bytes: an oracleGeneral trace consists of records of 24 bytes",
        ),
        (
            "packed.csv",
            "packed.csv: it is compressed; use `zstd -dc TRACE | heapledger replay - --trace-type TYPE`",
        ),
        (
            "trace",
            "trace: its name does not say what it is; use --trace-type csv or --trace-type oracleGeneral",
        ),
        ("missing.csv", "missing.csv: No such file or directory (os error 2)"),
    ] {
        assert_eq!(cli.fails(2, ["replay", trace, "--size", "1K"]), why);
    }
    let missing = cli.fails(2, ["replay", "bad.csv"]);
    assert!(missing.starts_with("--size is missing"), "{missing}");
    for (args, why) in [
        (["--policy", "clock"], "clock"),
        (["--size", "4K..1K"], "larger than the last"),
        (["--size", "0"], "at least 1 byte"),
        (["--columns", "color=2"], "\"color\" is not known"),
    ] {
        let error = cli.fails(2, ["replay", "bad.csv", args[0], args[1]]);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_history_is_a_trace() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "1MiB"]);
    for (name, seed) in [("a", 1), ("b", 2), ("a", 1), ("c", 3), ("a", 1)] {
        cli.file(name, content(seed, 1000));
        cli.ok(["put", "-q", name]);
    }
    let id = cli.json(["ls"])[0]["object_id"].as_str().unwrap().to_owned();
    cli.ok(["free", &id]);
    cli.ok(["put", "-q", "a"]);
    let rows = cli.json(["replay", "--policy", "lru"]);
    assert_eq!(rows[0]["size"], 1 << 20);
    assert_eq!(rows[0]["requests"], 6);
    // What was freed is gone.
    assert_eq!(hits(&rows, "lru"), [2]);
    let rows = cli.json([
        "replay",
        "--policy",
        "lru",
        "--size",
        "1000..2000",
        "--ignore-frees",
        "--no-best",
    ]);
    assert_eq!(hits(&rows, "lru"), [1, 3]);
    assert!(hits(&rows, "belady").is_empty());
    assert_eq!(cli.run(["replay", "--no-best"]).stderr, "6 requests for 5.9 KiB\n");
}

#[test]
fn a_history_without_requests_has_no_ratios_and_none_is_an_error() {
    let cli = Cli::new();
    cli.ok(["init"]);
    let rows = cli.json(["replay", "--policy", "lru"]);
    assert_eq!(rows[0]["hit_ratio"], Value::Null);
    let ran = cli.run(["replay", "--policy", "lru"]);
    assert_eq!(ran.stderr, "0 requests for 0 B\n");
    cli.ok(["history", "off"]);
    let error = cli.fails(2, ["replay"]);
    assert!(error.ends_with("`heapledger history on` starts recording"), "{error}");
}
