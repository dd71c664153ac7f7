//! Output on a terminal: no line is wider than it, and the most important columns stay.

use std::thread;
use std::time::Duration;

use crate::common::server;
use crate::support::{Cli, noise};
use textwrap::core::display_width;

/// Long, wide, many, and missing names and values.
fn busy() -> Cli {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "2MiB"]);
    cli.file("some/folder/with a rather long name/and a file", noise(300_000));
    cli.file("b", "hello");
    cli.ok(["put", "-q", "-r", "some", "b"]);
    cli.ok(["set", "short", "1"]);
    cli.ok(["set", &"名前".repeat(60), "wide"]);
    cli.ok([
        "set",
        &"a name with many words ".repeat(10),
        &"a value with many words ".repeat(40),
    ]);
    cli.ok(["name", "short", "a second name of the same object"]);
    cli.ok([
        "unname",
        "short",
        "--reason",
        "because it was no longer wanted by anybody at all",
    ]);
    cli.run(["put", "-q", "none"]);
    cli
}

/// Commands that inspect, and some that fail.
const COMMANDS: &[&[&str]] = &[
    &["ls"],
    &["ls", "--long"],
    &["ls", "--bytes"],
    &["show", "b6e6ad"],
    &["show", "a second name of the same object"],
    &["ledger"],
    &["tree"],
    &["tree", "--bytes", "--depth", "2"],
    &["layout", "--at", "now"],
    &["log"],
    &["log", "-n", "2"],
    &["usage"],
    &["usage", "--over-time"],
    &["diff", "@2"],
    &["history"],
    &["stats"],
    &["stats", "--bytes"],
    &["spaces"],
    &["space"],
    &["plan", "5000"],
    &["plan", "5GiB"],
    &["sparse"],
    &["check"],
    &["doctor"],
    &["block", "1"],
    &["map"],
    &["map", "--by", "object"],
    &["map", "short"],
    &["explain", "short"],
    &["explain", "2cf24d"],
    &["top", "--once", "--interval", "1ms"],
    &["sql", "SELECT kind, size, names FROM objects"],
    &["sql", ".tables"],
    &["sql", ".schema ledger"],
    &["put", "-r", "--dry-run", "some", "b"],
    &["put", "-r", "some", "b"],
    &["free", "--dry-run", "2cf24d"],
    &["gc", "--dry-run"],
    &["name", "2cf24d", "another one"],
    &["get", "what is not there at all"],
    &["frobnicate"],
    &["--help"],
    &["gc", "--help"],
];

#[test]
fn nothing_is_wider_than_the_terminal() {
    let cli = busy();
    let mut wrong = String::new();
    for columns in [40, 80, 200] {
        for args in COMMANDS {
            let seen = cli.on_terminal(columns, args);
            assert!(!seen.is_empty(), "{args:?}");
            for line in seen.lines() {
                let one_word = !line.trim().contains(' ');
                if display_width(line) > columns.into() && !one_word {
                    wrong.push_str(&format!("{columns} {args:?}: {line}\n"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ids_names_and_sizes_stay_when_columns_do_not_fit() {
    let cli = busy();
    let header = |columns, args: &[&str]| cli.on_terminal(columns, args).lines().next().unwrap().to_owned();
    assert_eq!(header(40, &["ls"]), "OBJECT             SIZE  NAMES");
    let titles = |columns, args: &[&str]| {
        header(columns, args)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(80, &["ls"]), ["OBJECT", "KIND", "SIZE", "NAMES", "VALUE"]);
    assert_eq!(titles(80, &["ls", "--long"]), ["OBJECT", "NAMES"]);
    assert!(header(200, &["ls"]).starts_with("OBJECT        KIND        SIZE  PIECES  CREATED               NAMES"));
    assert_eq!(header(40, &["ledger"]), "ENTRY  OBJECT        BLOCK       SIZE");
    let seen = cli.on_terminal(80, &["ls"]);
    assert!(seen.contains("a second name of the same obj…  1\n"), "{seen}");
    assert!(seen.contains("  名前名前名前名前名前名前名前…   wide\n"), "{seen}");
    // A heap without names has no such column.
    let cli = Cli::new();
    cli.file("a", noise(1000));
    cli.ok(["put", "a"]);
    assert_eq!(
        cli.ok(["ls"]).lines().next(),
        Some("OBJECT        KIND      SIZE  PIECES  CREATED")
    );
    assert!(cli.ok(["ls"]).contains("  1.0 KiB  "));
}

#[test]
fn nothing_is_truncated_without_a_terminal() {
    let cli = busy();
    let text = cli.ok(["ls"]);
    assert!(text.contains(&"a name with many words ".repeat(10)), "{text}");
    assert!(text.contains(&"a value with many words ".repeat(39)), "{text}");
    assert!(text.contains(&"名前".repeat(60)), "{text}");
    assert!(
        cli.ok(["log"])
            .contains("because it was no longer wanted by anybody at all")
    );
    assert!(!text.contains('…') && !cli.ok(["log"]).contains('…'));
}

#[test]
fn printed_statistics_add_up() {
    let cli = busy();
    let text = cli.ok(["stats"]);
    for part in [
        "space main of 2.0 MiB\n",
        "payload ",
        "unreserved ",
        "dedup hits",
        "the buckets add up to 2.0 MiB\n",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(
        cli.ok(["stats", "--bytes"])
            .contains("the buckets add up to 2097152 bytes\n")
    );
    let text = cli.ok(["space"]);
    let of_engine = match server() {
        None => &["+ row headers", "+ free pages", "= file", "write-ahead log", "VACUUM"][..],
        Some(_) => &["+ the rest of the ledger", "= on the server"],
    };
    for part in [&["stored ", "ledger_by_block", "PER STORED BYTE"], of_engine].concat() {
        assert!(text.contains(part), "{part}: {text}");
    }
    let empty = Cli::new();
    empty.ok(["init"]);
    assert!(!empty.ok(["space"]).contains("PER STORED BYTE"));
    assert!(!empty.ok(["stats"]).contains("KIND"));
}

/// Locks the heap for longer than a command waits before it shows its progress.
fn locked<R>(cli: &Cli, work: impl FnOnce() -> R) -> R {
    let sql = cli.sql();
    sql.keep_everybody_out();
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2500));
        drop(sql);
    });
    let result = work();
    release.join().unwrap();
    result
}

#[test]
fn a_wait_of_over_a_second_shows_what_it_waits_for() {
    let cli = busy();
    for (args, shown) in [
        (&["check"][..], "opening"),
        (&["gc"], "opening"),
        (&["space"], "reading every page"),
    ] {
        let seen = locked(&cli, || cli.on_terminal(60, args));
        assert!(seen.contains(shown), "{args:?}: {seen:?}");
        // In the end the answer replaces it.
        let last = seen.rsplit("\x1b[").next().unwrap();
        assert!(!last.contains(shown) && last.trim().contains(' '), "{args:?}: {seen:?}");
        let ran = locked(&cli, || cli.run_all(args));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{args:?}");
    }
    // Another program writes while the command waits for its turn.
    cli.file("large", noise(1_500_000));
    let sql = cli.sql();
    sql.keep_writers_out();
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2500));
        drop(sql);
    });
    let seen = cli.on_terminal(60, &["put", "large"]);
    release.join().unwrap();
    assert!(seen.contains("waiting for its turn"), "{seen:?}");
    let seen = cli.on_terminal(60, &["gc"]);
    assert!(!seen.contains("opening"), "{seen:?}");
}
