//! Every format gives the same answers: table, JSON, NDJSON and CSV.

use crate::support::Cli;
use serde_json::{Value, json};

/// Commands that print a list.
const LISTS: [&[&str]; 10] = [
    &["ls"],
    &["ledger"],
    &["tree"],
    &["spaces"],
    &["ls", "--long"],
    &["log"],
    &["usage"],
    &["usage", "--over-time"],
    &["replay", "--size", "1K,2K"],
    &["layout", "--at", "now"],
];
/// Commands that print a single object.
const THINGS: [&[&str]; 7] = [
    &["stats"],
    &["show", "answer"],
    &["block", "1"],
    &["gc"],
    &["diff", "@1"],
    &["history"],
    &["layout", "--digest"],
];

fn printed(cli: &Cli, args: &[&str], format: &str) -> String {
    let ran = crate::support::ran(cli.command(args).args(["--format", format]));
    assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
    ran.stdout
}

fn some() -> Cli {
    let cli = Cli::new();
    cli.ok(["set", "answer", "42"]);
    cli.ok(["set", "odd, \"name\"", "two\nlines"]);
    cli
}

#[test]
fn a_list_is_an_array_or_one_line_or_record_per_row() {
    let cli = some();
    for args in LISTS {
        let array: Vec<Value> = serde_json::from_str(&printed(&cli, args, "json")).unwrap();
        let lines = printed(&cli, args, "ndjson");
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(array, lines, "{args:?}");
        let csv = printed(&cli, args, "csv");
        let mut csv = csv::Reader::from_reader(csv.as_bytes());
        let header: Vec<_> = csv.headers().unwrap().iter().map(str::to_owned).collect();
        for (object, record) in array.iter().zip(csv.records()) {
            for (key, cell) in header.iter().zip(&record.unwrap()) {
                let text = match &object[key] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(text, cell, "{args:?} {key}");
            }
        }
    }
}

#[test]
fn a_list_without_rows_has_the_same_header() {
    let (full, empty) = (some(), Cli::new());
    empty.ok(["init"]);
    for args in [&["ls"][..], &["ledger"], &["tree"]] {
        let header = printed(&empty, args, "csv");
        assert_eq!(header.lines().count(), 1, "{args:?}");
        assert_eq!(
            printed(&full, args, "csv").lines().next(),
            header.lines().next(),
            "{args:?}"
        );
        assert_eq!(printed(&empty, args, "json"), "[]\n", "{args:?}");
        assert_eq!(printed(&empty, args, "ndjson"), "", "{args:?}");
    }
    assert_eq!(
        printed(&empty, &["check"], "csv"),
        "invariant,table,id,expected,found\n"
    );
}

#[test]
fn a_single_answer_is_one_object() {
    let cli = some();
    for args in THINGS {
        let object: Value = serde_json::from_str(&printed(&cli, args, "json")).unwrap();
        assert!(object.is_object(), "{args:?}");
        let line = printed(&cli, args, "ndjson");
        assert_eq!(line.lines().count(), 1, "{args:?}");
        let csv = printed(&cli, args, "csv");
        let mut csv = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(
            csv.headers().unwrap().len(),
            object.as_object().unwrap().len(),
            "{args:?}"
        );
        assert_eq!(csv.records().count(), 1, "{args:?}");
    }
}

#[test]
fn keys_are_the_columns_of_the_schema() {
    let cli = some();
    let keys = |args: &[&str]| printed(&cli, args, "csv").lines().next().unwrap().to_owned();
    // Only on a server are there columns for the library itself.
    let columns = |table: &str| {
        let mut columns = cli.sql().columns(table);
        columns.retain(|column| !["version", "commits", "is_empty"].contains(&column.as_str()));
        columns.join(",")
    };
    // `names` is a list in JSON, so `names_json` of the view is not needed.
    assert_eq!(keys(&["ls"]), columns("objects").replace("names_json,", ""));
    assert_eq!(keys(&["spaces"]), columns("memram"));
    assert_eq!(keys(&["spaces", "--dropped"]), columns("dropped_spaces"));
    // The cause is read out of the column `changes` of events.
    assert_eq!(keys(&["log"]), columns("log") + ",cause");
    assert_eq!(keys(&["usage"]), columns("usage"));
    assert_eq!(keys(&["add", "arena"]), columns("arenas"));
    // A repair finds by the rule and the key what it writes; people get the sentence.
    let violations = columns("violations").replace("rule,", "").replace("key,", "");
    assert_eq!(keys(&["check"]), violations);
    assert_eq!(keys(&["block", "1"]), columns("blocks") + ",pieces");
    assert_eq!(
        keys(&["ledger"]),
        "id,object_id,reservation_id,stored_object_id,seq,arena_id,pool_id,block_id,allocated_mem,names"
    );
    assert_eq!(
        keys(&["gc"]),
        "blocks,pools,arenas,bytes,file_bytes,file_size,held_bytes,expired"
    );
}

#[test]
fn names_are_a_list_and_may_contain_commas() {
    let cli = Cli::new();
    cli.ok(["set", "a, b", "1"]);
    cli.ok(["set", "b", "2"]);
    cli.ok(["name", "b", "a"]);
    let rows: Value = serde_json::from_str(&printed(&cli, &["ls"], "json")).unwrap();
    assert_eq!(rows[0]["names"], json!(["a, b"]));
    assert_eq!(rows[1]["names"], json!(["a", "b"]));
    let shown: Value = serde_json::from_str(&printed(&cli, &["show", "b"], "ndjson")).unwrap();
    assert_eq!(shown["names"], json!(["a", "b"]));
    let listed: Value =
        serde_json::from_str(printed(&cli, &["sparse", "1"], "ndjson").lines().next().unwrap()).unwrap();
    assert!(listed["names"].is_array(), "{listed}");
}

#[test]
fn options_may_come_before_or_after_the_command() {
    let cli = some();
    let db = cli.address().to_str().unwrap();
    let after = cli.ok(["ls", "--format", "json", "--db", db, "--space", "main"]);
    assert_eq!(cli.ok(["--format", "json", "--db", db, "--space", "main", "ls"]), after);
}
