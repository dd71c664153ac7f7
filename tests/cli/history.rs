//! `log`, `usage`, `layout`, `diff` and `history`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::common::server;
use crate::support::{Cli, noise, ran};
use serde_json::Value;

/// A heap in which something was stored, replaced, freed, collected and refused.
fn some() -> Cli {
    let cli = Cli::new();
    cli.file("large", noise(300_000));
    cli.ok(["init", "--max-mem", "1MiB"]);
    cli.ok(["set", "answer", "42"]);
    cli.ok(["put", "large", "--name", "large"]);
    cli.ok(["set", "answer", "43"]);
    cli.ok(["unname", "large"]);
    cli.ok(["gc"]);
    cli.file("huge", noise(2_000_000));
    assert_eq!(cli.run(["put", "huge"]).status, 3);
    cli
}

fn kinds(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap().iter();
    events.map(|event| event["kind"].as_str().unwrap()).collect()
}

#[test]
fn the_log_shows_what_was_done_for_a_reason() {
    let cli = some();
    cli.ok(["set", "note", "x", "--reason", "spring cleaning"]);
    let log = cli.json(["log", "--reason", "spring cleaning"]);
    assert_eq!(kinds(&log), ["allocate", "bind"]);
    assert_eq!(cli.json(["log", "--reason", "spring"]), Value::Array(Vec::new()));
}

fn last_of(cli: &Cli, kind: &str) -> String {
    let events = cli.json(["log", "--kind", kind]);
    events.as_array().unwrap().last().unwrap()["id"].to_string()
}

#[test]
fn the_log_lists_events_in_order() {
    let cli = some();
    let log = cli.json(["log"]);
    let mut told = kinds(&log);
    told.dedup();
    let expected = [
        "opening", "allocate", "bind", "allocate", "bind", "allocate", "unbind", "bind", "free", "unbind", "free",
        "gc", "refusal",
    ];
    assert_eq!(told, expected);
    let refusal = log.as_array().unwrap().last().unwrap();
    assert_eq!((&refusal["bytes"], &refusal["mem"]), (&2_000_000.into(), &2.into()));
    let table = cli.ok(["log"]);
    assert!(table.starts_with("EVENT  TIME "), "{table}");
    assert!(table.contains("bind "), "{table}");
    assert_eq!(table.lines().count(), log.as_array().unwrap().len() + 1);
}

#[test]
fn the_log_can_be_filtered() {
    let cli = some();
    assert_eq!(
        kinds(&cli.json(["log", "--kind", "free,refusal"])),
        ["free", "free", "refusal"]
    );
    assert_eq!(
        kinds(&cli.json(["log", "--kind", "free", "--kind", "refusal", "-n", "2"])),
        ["free", "refusal"]
    );
    assert_eq!(kinds(&cli.json(["log", "--object", "answer"])), ["allocate", "bind"]);
    // The name and its object no longer exist; the history still has them.
    let gone = cli.json(["log", "--object", "large"]);
    assert_eq!(kinds(&gone), ["allocate", "bind", "unbind", "free"]);
    let id = gone[0]["object_id"].as_str().unwrap();
    assert_eq!(cli.json(["log", "--object", &id[..8]]), gone);
    assert_eq!(cli.json(["log", "--since", "1h"]), cli.json(["log"]));
    assert_eq!(cli.json(["log", "--until", "1h"]), Value::Array(Vec::new()));
    let time = gone[0]["time"].as_str().unwrap();
    assert_eq!(
        cli.json(["log", "--since", time, "--until", time])[0]["object_id"],
        gone[0]["object_id"]
    );
    assert!(
        cli.fails(1, ["log", "--object", "never"])
            .contains("no object and no name")
    );
    assert!(cli.fails(2, ["log", "--since", "someday"]).contains("not a time"));
    assert!(cli.fails(2, ["log", "--kind", "explosion"]).contains("explosion"));
}

#[test]
fn an_event_shows_actor_and_reason_without_escape_sequences() {
    let cli = Cli::new();
    let mut command = cli.command(["set", "x", "1", "--reason", "\u{1b}[2Jtidy\u{202e}"]);
    let set = ran(command.env("HEAPLEDGER_ACTOR", "\u{1b}]0;evil\u{7}"));
    assert_eq!(set.status, 0, "{}", set.stderr);
    let event = &cli.json(["log", "--kind", "bind"])[0];
    assert_eq!(event["actor"], "\u{1b}]0;evil\u{7}");
    assert_eq!(event["reason"], "\u{1b}[2Jtidy\u{202e}");
    let table = cli.ok(["log"]);
    assert!(table.contains("tidy") && table.contains("evil"), "{table}");
    assert!(!table.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{table:?}");
    assert_eq!(
        cli.json(["log", "--actor", "\u{1b}]0;evil\u{7}"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(cli.json(["log", "--actor", "nobody"]), Value::Array(Vec::new()));
}

/// Starts the built command in the background.
fn start(cli: &Cli, args: &[&str]) -> std::process::Child {
    let mut started = cli.program(args);
    started.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn following_shows_what_happens_from_now_on() {
    let cli = some();
    let mut child = start(&cli, &["log", "--follow", "-n", "1", "--format", "ndjson"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["kind"], "refusal");
    cli.ok(["set", "later", "1"]);
    let (stored, bound) = (next(), next());
    assert_eq!((&stored["kind"], &bound["kind"]), (&"allocate".into(), &"bind".into()));
    assert_eq!(bound["name"], "later");
    cli.ok(["unname", "later"]);
    assert_eq!(next()["kind"], "unbind");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_does_not_fit_among_others_is_refused_once_and_as_it_was() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "100KiB"]);
    for (name, size) in [("a", 60_000), ("b", 60_001), ("c", 1000)] {
        cli.file(name, vec![name.as_bytes()[0]; size]);
    }
    let put = cli.run(["put", "a", "b", "c"]);
    assert_eq!(put.status, 3);
    assert!(put.stderr.contains("stopped at b: out of memory"), "{}", put.stderr);
    let log = cli.json(["log"]);
    let events = log.as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["opening", "allocate", "refusal"], "{log}");
    assert_eq!(
        (&events[2]["mem"], &events[2]["count"]),
        (&60_000.into(), &1.into()),
        "{log}"
    );
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 1);
}

#[test]
fn refusals_of_a_retry_loop_are_one_event() {
    let cli = some();
    // A server keeps an old row until its next VACUUM, so tables grow there.
    let size = |cli: &Cli| match server() {
        None => fs::metadata(cli.path("heap.db")).unwrap().len(),
        Some(_) => 0,
    };
    let (events, before) = (cli.json(["log"]).as_array().unwrap().len(), size(&cli));
    let mut child = start(&cli, &["log", "--follow", "-n", "1", "--format", "ndjson"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["count"], 1);
    for _ in 0..20 {
        assert_eq!(cli.run(["put", "huge"]).status, 3);
    }
    let log = cli.json(["log"]);
    let refusal = log.as_array().unwrap().last().unwrap();
    assert_eq!((log.as_array().unwrap().len(), &refusal["count"]), (events, &21.into()));
    assert!(refusal["last_time"].as_str() > refusal["time"].as_str(), "{refusal}");
    assert_eq!(size(&cli), before);
    let mut followed = next();
    while followed["count"] != 21 {
        followed = next();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let table = cli.ok(["log"]);
    assert!(table.lines().next().unwrap().contains("TIMES  LAST TIME"), "{table}");
    let stats = cli.json(["stats"]);
    assert_eq!(stats["refused"]["count"], 21);
    assert!(cli.ok(["stats"]).contains("refused   21 times since "));
}

#[test]
fn what_lies_before_the_opening_is_said_to_be_gone() {
    let cli = some();
    cli.ok(["history", "keep", "4K"]);
    for round in 0..40 {
        cli.ok(["set", "answer", &round.to_string()]);
    }
    let first = &cli.json(["log"])[0];
    assert_eq!(first["kind"], "opening");
    let note = "the history begins with event ";
    for args in [&["log", "--since", "1h"][..], &["log", "--object", "answer"]] {
        let said = cli.run_all(args);
        assert!(
            said.status == 0 && said.stderr.contains(note),
            "{args:?}: {}",
            said.stderr
        );
    }
    assert_eq!(cli.run(["log"]).stderr, "");
    for args in [&["layout", "--at", "@2"][..], &["diff", "@2"]] {
        let said = cli.run_all(args);
        assert!(
            said.status == 2 && said.stderr.contains("begins later, with event"),
            "{}",
            said.stderr
        );
    }
    let stats = cli.json(["stats"]);
    assert_eq!(stats["history_max_bytes"], 4096);
    assert!(stats["history_bytes"].as_u64().unwrap() <= 4096);
    assert!(cli.ok(["stats"]).contains(" of at most 4.0 KiB\n"));
}

#[test]
fn following_succeeds_when_its_reader_leaves() {
    let cli = some();
    let mut child = start(&cli, &["log", "--follow", "--kind", "bind"]);
    drop(child.stdout.take());
    let ended = (0..100).find_map(|round| {
        cli.ok(["set", "later", &round.to_string()]);
        child.try_wait().unwrap()
    });
    let ended = ended.expect("it ends when it writes to a closed pipe");
    assert!(ended.success(), "{ended}");
    assert!(cli.fails(2, ["log", "--follow", "--format", "json"]).contains("ndjson"));
}

#[test]
fn usage_shows_levels_and_classes() {
    let cli = some();
    let usage = cli.json(["usage"]);
    let levels: Vec<_> = usage
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["level"].as_str().unwrap())
        .collect();
    assert_eq!(
        levels,
        [
            "space", "arenas", "pools", "pools", "pools", "pools", "blocks", "blocks", "blocks", "blocks"
        ]
    );
    assert_eq!(usage[0]["mem"], 2);
    let table = cli.ok(["usage"]);
    assert!(table.contains("\npools        512 B     1    4.0 KiB "), "{table}");
}

#[test]
fn usage_over_time_is_drawn_and_can_be_plotted() {
    let cli = some();
    let chart = cli.ok(["usage", "--over-time"]);
    for part in [
        "293.0 KiB ┤",
        "0 B ┤",
        "└@1",
        "█",
        "used  2 B of 1.0 MiB, at most 293.0 KiB",
    ] {
        assert!(chart.contains(part), "{part} is not in {chart}");
    }
    let points = cli.json(["usage", "--over-time"]);
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), cli.json(["log"]).as_array().unwrap().len());
    for point in points {
        let accounts = [
            "mem",
            "room_in_blocks",
            "uncarved_in_pools",
            "uncarved_in_arenas",
            "unreserved",
        ];
        let sum: i64 = accounts.iter().map(|account| point[account].as_i64().unwrap()).sum();
        assert_eq!(point["capacity"], sum);
    }
    assert_eq!(
        cli.json(["usage", "--over-time", "--points", "3"])
            .as_array()
            .unwrap()
            .len(),
        3
    );
    cli.fails(2, ["usage", "--points", "3"]);
    cli.fails(2, ["usage", "--over-time", "--points", "0"]);
}

#[test]
fn the_current_layout_is_the_tree() {
    let cli = some();
    for depth in ["1", "2", "3"] {
        assert_eq!(
            cli.json(["layout", "--at", "now", "--depth", depth]),
            cli.json(["tree", "--depth", depth])
        );
    }
    let drawn = cli.ok(["layout", "--at", "now"]);
    assert_eq!(drawn.split_once('\n').unwrap().1, cli.ok(["tree"]));
}

#[test]
fn a_past_layout_is_the_tree_at_that_time() {
    let cli = Cli::new();
    cli.ok(["set", "a", "1"]);
    let tree = cli.json(["tree"]);
    let event = cli.json(["log", "-n", "1"])[0].clone();
    cli.file("large", noise(300_000));
    cli.ok(["put", "large"]);
    cli.ok(["free", "a", "--force"]);
    cli.ok(["gc"]);
    assert_ne!(cli.json(["tree"]), tree);
    let (id, time) = (event["id"].to_string(), event["time"].as_str().unwrap());
    for at in [id.as_str(), &format!("@{id}"), time] {
        assert_eq!(cli.json(["layout", "--at", at]), tree, "{at}");
    }
    assert!(
        cli.ok(["layout", "--at", &id])
            .starts_with(&format!("after event {id} at 20"))
    );
    assert!(
        cli.fails(2, ["layout", "--at", "@99"])
            .contains("no such event has happened yet")
    );
    assert!(cli.fails(2, ["layout", "--at", "whenever"]).contains("not a moment"));
}

#[test]
fn the_digest_of_the_layout_is_printed() {
    let cli = Cli::new();
    cli.file("photo.jpg", noise(20_000));
    let do_it = |db: &str, value: &str| {
        cli.ok(["put", "photo.jpg", "--db", db]);
        cli.ok(["set", "answer", value, "--db", db]);
        cli.ok(["layout", "--digest", "--db", db])
    };
    let digest = do_it(cli.address().to_str().unwrap(), "42");
    assert!(
        digest.len() == 65 && digest.trim_end().bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{digest}"
    );
    assert_eq!(do_it("other.db", "43"), digest);
    let answer = cli.json(["layout", "--digest"]);
    assert_eq!(
        answer,
        serde_json::json!({"space": "main", "digest": digest.trim_end()})
    );
    cli.ok(["set", "answer", "123"]);
    assert_ne!(cli.ok(["layout", "--digest"]), digest);
    for (args, part) in [
        (&["layout"][..], "--at"),
        (&["layout", "--digest", "--at", "now"], "cannot be used with"),
        (&["layout", "--digest", "--depth", "1"], "cannot be used with"),
    ] {
        let ran = cli.run_all(args);
        assert!(ran.status == 2 && ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_diff_of_two_moments_counts_added_and_freed_objects() {
    let cli = some();
    let freed = last_of(&cli, "unbind");
    let diff = cli.json(["diff", "@1", &format!("@{freed}")]);
    assert_eq!((&diff["added_objects"], &diff["freed_objects"]), (&2.into(), &0.into()));
    assert_eq!(diff["growth_bytes"], 300_002);
    assert_eq!(diff["added"][0]["size"], 300_000);
    assert_eq!(diff["classes"][3]["entries_after"], 2);
    let back = cli.json(["diff", &format!("@{freed}"), "now"]);
    assert_eq!(
        (&back["freed_bytes"], &back["growth_bytes"]),
        (&300_000.into(), &(-300_000).into())
    );
    let table = cli.ok(["diff", &format!("@{freed}")]);
    for part in [
        "freed          1 object  293.0 KiB\n",
        "growth                   -293.0 KiB\n",
        "PIECES BEFORE",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
}

#[test]
fn a_diff_of_two_files_lists_their_differences() {
    let cli = some();
    cli.ok(["copy", "--to", "old.db"]);
    cli.ok(["set", "more", "hello"]);
    let diff = cli.json(["diff", "old.db", cli.address().to_str().unwrap()]);
    assert_eq!((&diff["added_bytes"], &diff["freed_objects"]), (&5.into(), &0.into()));
    assert!(
        cli.fails(2, ["diff", "old.db", "@1"])
            .contains("old.db is a file and @1 a moment")
    );
    assert!(cli.fails(2, ["diff", "old.db"]).contains("compared with another file"));
    assert!(
        cli.fails(2, ["diff", "old.db", "none.db"])
            .contains("none.db is neither a moment")
    );
}

#[test]
fn crossing_a_threshold_fails_the_diff() {
    let cli = some();
    let freed = format!("@{}", last_of(&cli, "unbind"));
    cli.ok(["diff", &freed, "--fail-if", "added > 0", "--fail-if", "freed > 1MiB"]);
    let ran = cli.run([
        "diff",
        &freed,
        "--fail-if",
        "freed > 50KiB",
        "--fail-if",
        "growth objects < 0",
    ]);
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("freed "), "the diff is still shown: {}", ran.stdout);
    let expected = "heapledger: threshold crossed: freed > 50KiB (freed 293.0 KiB)\n\
                    heapledger: threshold crossed: growth objects < 0 (growth -1 object)\n";
    assert_eq!(ran.stderr, expected);
    let json = cli.run(["diff", &freed, "--fail-if", "freed > 50KiB", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["crossed"][0]["threshold"], "freed > 50KiB");
    assert_eq!(json["crossed"][0]["found"], 300_000);
    for (threshold, why) in [
        ("lots", "no comparison"),
        ("mem > 1", "added, freed, moved and growth can"),
        ("added > much", "not a size"),
    ] {
        let error = cli.fails(2, ["diff", &freed, "--fail-if", threshold]);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn history_is_switched_and_shown() {
    let cli = some();
    let default = "space main: the newest events are kept, up to 1.0 MiB; there are events 1 (";
    assert!(cli.ok(["history"]).contains(default));
    assert!(cli.ok(["history", "keep", "30d"]).contains("events are kept for 30 d;"));
    let kept = cli.json(["history"]);
    assert_eq!(kept["history_keep"], 30 * 86_400_000_000_i64);
    assert_eq!(kept["history_max_bytes"], Value::Null);
    let both = cli.ok(["history", "keep", "64M", "2h"]);
    assert!(
        both.contains("the newest events are kept, for 2 h and up to 64.0 MiB;"),
        "{both}"
    );
    let kept = cli.json(["history"]);
    let limits = (&kept["history_keep"], &kept["history_max_bytes"]);
    assert_eq!(limits, (&(7_200_000_000_i64).into(), &(64 << 20).into()));
    assert!(kept["history_bytes"].as_u64().unwrap() > 0);
    for (limits, why) in [
        (["1h", "2h"], "one duration, one size, or one of each"),
        (["1K", "1h"], "the limit is at least"),
        (["1h", "soon"], "neither a span of time"),
    ] {
        let error = cli.fails(2, ["history", "keep", limits[0], limits[1]]);
        assert!(error.contains(why), "{error}");
    }
    assert!(
        cli.ok(["history", "on"])
            .contains("every event is kept; there are events 1 (")
    );
    assert!(cli.ok(["history", "off"]).contains("nothing is recorded;"));
    let before = cli.json(["log"]);
    cli.ok(["set", "silent", "1"]);
    assert_eq!(cli.json(["log"]), before);
    for command in [
        &["layout", "--at", "@2"][..],
        &["usage", "--over-time"],
        &["diff", "@2"],
    ] {
        let refused = ran(&mut cli.command(command));
        assert_eq!(refused.status, 2);
        assert!(
            refused.stderr.contains("has no history; `heapledger history on`"),
            "{}",
            refused.stderr
        );
    }
    cli.ok(["history", "on"]);
    let opening = &cli.json(["log", "-n", "1"])[0];
    assert_eq!((&opening["kind"], &opening["mem"]), (&"opening".into(), &3.into()));
    cli.ok(["check"]);
    assert!(
        cli.fails(2, ["history", "keep", "forever"])
            .contains("neither a span of time")
    );
}

#[test]
fn a_heap_is_empty_before_its_creation() {
    let cli = some();
    let since = cli.json(["diff", "2h"]);
    assert_eq!(since, cli.json(["diff", "@1"]));
    assert_eq!(
        (&since["added_objects"], &since["freed_objects"]),
        (&1.into(), &0.into())
    );
    let then = cli.ok(["layout", "--at", "2h"]);
    assert!(then.starts_with("empty: the space was created later, at "), "{then}");
    assert!(!then.contains("arena"), "{then}");
    assert_eq!(cli.json(["layout", "--at", "2h"]), serde_json::json!([]));
    assert_eq!(cli.json(["diff", "2h", "1h"])["added_objects"], 0);
    // The same for a space that was added to the file later.
    cli.ok(["--space", "late", "set", "--create", "x", "1"]);
    assert_eq!(cli.json(["--space", "late", "diff", "@1"])["added_objects"], 1);
    // After a new opening, the state before it is unknown.
    cli.ok(["history", "off"]);
    cli.ok(["history", "on"]);
    assert!(cli.fails(2, ["diff", "2h"]).contains("begins later"));
}

#[test]
fn following_does_not_change_column_widths() {
    let cli = Cli::new();
    cli.ok(["set", "x", "1"]);
    let mut child = start(&cli, &["log", "--follow", "-n", "2"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let head = next();
    let place = head.find("ACTOR").unwrap();
    next();
    next();
    for name in ["y", "a name that is far longer than the column of names", "z"] {
        let mut set = cli.command(["set", name, "1"]);
        assert_eq!(ran(set.env("HEAPLEDGER_ACTOR", "me")).status, 0);
        // An allocation or dedup hit, then the binding.
        let (_, bound) = (next(), next());
        let before: String = bound.chars().take(place).collect();
        let there: String = bound.chars().skip(place).collect();
        assert!(there.starts_with("me") && before.ends_with("  "), "{bound}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
