//! Queries in SQL, which change nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{files_in, files_only, on_server, server};
use crate::support::{Cli, ran};

fn filled() -> Cli {
    let cli = Cli::new();
    cli.file("photo.jpg", vec![7; 5000]);
    cli.ok(["put", "-q", "photo.jpg", "--name", "photo"]);
    cli.ok(["set", "a", "a, \"text\""]);
    cli.ok(["set", "b", "7"]);
    cli
}

#[test]
fn a_query_is_printed_in_every_format() {
    let cli = filled();
    let query = "SELECT names, size, NULL AS n, 1.5 AS half FROM objects ORDER BY size DESC;";
    assert_eq!(
        cli.ok(["sql", query]),
        "names  size  n     half\nphoto  5000  NULL   1.5\na         9  NULL   1.5\nb         1  NULL   1.5\n"
    );
    let rows = cli.json(["sql", query]);
    assert_eq!(rows[0], json!({"names": "photo", "size": 5000, "n": null, "half": 1.5}));
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let lines = cli.ok(["sql", "SELECT value FROM objects WHERE size = 9", "--format", "ndjson"]);
    assert_eq!(lines, "{\"value\":\"a, \\\"text\\\"\"}\n");
    assert_eq!(
        cli.ok([
            "sql",
            "SELECT names, value FROM objects ORDER BY size",
            "--format",
            "csv"
        ]),
        "names,value\nb,7\na,\"a, \"\"text\"\"\"\nphoto,\n"
    );
    let bytes = cli.json(["sql", "SELECT data FROM ledger ORDER BY allocated_mem LIMIT 1"]);
    assert_eq!(bytes[0]["data"], "\\x37");
}

#[test]
fn an_answer_without_rows_still_has_its_columns() {
    let cli = filled();
    let none = "SELECT id, name FROM memram WHERE id < 0";
    assert_eq!(cli.ok(["sql", none]), "id  name\n");
    assert_eq!(cli.ok(["sql", none, "--format", "csv"]), "id,name\n");
    assert_eq!(cli.ok(["sql", none, "--format", "ndjson"]), "");
    assert_eq!(cli.json(["sql", none]), json!([]));
    let grouped = "SELECT kind AS k, count(*) AS n FROM objects GROUP BY kind HAVING count(*) < 0 ORDER BY 2 LIMIT 5";
    assert_eq!(cli.ok(["sql", grouped]), "k  n\n");
    assert_eq!(
        cli.ok(["sql", "WITH x(y) AS (SELECT 1) SELECT y, y FROM x WHERE y > 1"]),
        "y  y:1\n"
    );
}

#[test]
fn columns_of_the_same_name_are_told_apart() {
    let cli = filled();
    let row = cli.json(["sql", "SELECT m.id, m.id FROM memram m"]);
    let names: BTreeSet<_> = row[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, BTreeSet::from(["id".into(), "id:1".into()]));
}

#[test]
fn several_queries_come_from_standard_input() {
    let cli = filled();
    let asked = |text: &str| ran(cli.command(["sql"]).write_stdin(text));
    let told = asked("SELECT 1 AS one; -- and then;\nSELECT 'a;b' AS two");
    assert_eq!(told.stdout, "one\n  1\n\ntwo\na;b\n", "{}", told.stderr);
    assert_eq!(asked("-- nothing\n").status, 0);
    // What follows an error is not run.
    let wrong = asked("SELECT n FROM nowhere; SELECT 1;");
    assert_eq!((wrong.status, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("nowhere"), "{}", wrong.stderr);
}

#[test]
fn a_query_may_begin_with_a_comment() {
    let cli = filled();
    assert_eq!(
        cli.ok(["sql", "-- why\nSELECT 1 AS one"]),
        cli.ok(["sql", "SELECT 1 AS one"])
    );
    for option in ["--datasete", "-x"] {
        cli.fails(2, ["sql", option]);
    }
    assert!(
        cli.fails(2, ["sql", "--datasete"])
            .contains("unexpected argument '--datasete'")
    );
}

#[test]
fn values_of_a_query_are_arguments() {
    let cli = filled();
    cli.ok(["set", "it's 007; ?", "\"text\""]);
    let text = "SELECT name AS s, ? AS a, ? AS b, '?' AS c FROM names WHERE name = ? -- ?";
    let printed = cli.ok(["sql", "--format", "csv", text, "-12", "007", "it's 007; ?"]);
    assert_eq!(printed, "s,a,b,c\nit's 007; ?,-12,007,?\n");

    let last = cli.ok(["sql", "SELECT ? AS a, ? AS b", "x", "--format", "csv", "--", "--bytes"]);
    assert_eq!(last, "a,b\nx,--bytes\n");

    for (query, expected) in [
        ("SELECT ?", "the query has 1 `?`, but 2 values were given"),
        ("SELECT ?; SELECT ?", "values are for one query"),
        (".schema names", "values are for one query"),
    ] {
        let said = cli.fails(2, ["sql", query, "1", "2"]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn nothing_but_a_query_is_accepted() {
    let cli = filled();
    let before = cli.json(["stats"]);
    let files: BTreeSet<_> = cli.names().into_iter().collect();
    for text in [
        "DELETE FROM names",
        "INSERT INTO heap (id) VALUES (7)",
        "UPDATE memram SET mem = 0",
        "DROP TABLE ledger",
        "CREATE TABLE x (y INTEGER)",
        "WITH x AS (SELECT 1) DELETE FROM names",
        "SELECT 1) q; DELETE FROM names; --",
        "SELECT 1); DELETE FROM names; --",
        "SELECT * FROM (DELETE FROM names RETURNING name)",
        "WITH gone AS (DELETE FROM names RETURNING name) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM names",
        "BEGIN",
        "COMMIT",
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "VACUUM INTO 'other.db'",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_query_only(0)",
        "SELECT * FROM pragma_journal_mode('delete')",
        "SELECT load_extension('./evil')",
        "SELECT writefile('other.db', 'x')",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('x')",
        "COPY names TO STDOUT",
        "COPY names TO PROGRAM 'touch other.db'",
        "DO $$ BEGIN DELETE FROM names; END $$",
        "",
    ] {
        let ran = cli.run(["sql", text]);
        // A second statement may only be ignored.
        let is_ignored = text.starts_with("SELECT 1)");
        assert!(
            text.is_empty() || is_ignored || ran.status == 2,
            "{text}: {} {}",
            ran.status,
            ran.stdout
        );
    }
    let asked = "SELECT count(*) AS n FROM names";
    let changes = format!("SELECT set_config('search_path', 'pg_catalog', false); {asked}");
    if server().is_some() {
        assert_eq!(cli.run(["sql", &changes]).status, 0, "a query's settings end with it");
    }
    assert_eq!(cli.json(["sql", asked])[0]["n"], 3);
    let mut after = cli.json(["stats"]);
    for told in ["file_size", "wal_size", "disk"] {
        after[told] = before[told].clone();
    }
    assert_eq!(after, before);
    assert_eq!(cli.names().into_iter().collect::<BTreeSet<_>>(), files);
    cli.ok(["check"]);
}

#[test]
fn a_heap_on_a_medium_that_is_read_only_answers() {
    files_only!(File);
    let cli = filled();
    cli.ok(["gc"]);
    let before = files_in(cli.path("").as_path());
    cli.ok(["sql", "SELECT * FROM every_event", "--format", "csv"]);
    let after = files_in(cli.path("").as_path());
    assert_eq!(before["heap.db"], after["heap.db"]);
}

#[test]
fn plans_are_explained() {
    let cli = filled();
    let plan = match server() {
        None => cli.ok(["sql", "explain query plan SELECT * FROM objects WHERE id = 1"]),
        Some(_) => cli.ok(["sql", "EXPLAIN SELECT * FROM objects WHERE id = 1"]),
    };
    assert!(plan.contains("stored_objects") || plan.contains("SEARCH"), "{plan}");
}

#[test]
fn actors_are_those_who_stored_what_is_there() {
    let cli = Cli::new();
    let run = |actor: &str, args: &[&str]| {
        let ran = ran(cli.command(args).env("HEAPLEDGER_ACTOR", actor));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    };
    run("ann", &["set", "a", "forgotten"]);
    cli.ok(["history", "keep", "4KiB"]);
    let memory = cli.library();
    for number in 0..200 {
        memory.set("number", &number).unwrap();
    }
    run("bob", &["set", "b", "1234"]);
    run("ann", &["set", "c", "123456789"]);
    run("bob", &["free", "--force", "c"]);
    let who = cli.json(["sql", "@actors"]);
    let who = who.as_array().unwrap().iter().map(|row| {
        let is_forgotten = [json!(true), json!(1)].contains(&row["is_forgotten"]);
        (is_forgotten, row["actor"].as_str(), row["bytes"].as_u64())
    });
    assert_eq!(
        who.collect::<Vec<_>>(),
        [
            (true, None, Some(9)),
            (false, Some("bob"), Some(4)),
            (false, None, Some(3))
        ]
    );
}

#[test]
fn every_query_with_a_name_runs() {
    let cli = filled();
    let listed = cli.json(["sql", "--list"]);
    let listed = listed.as_array().unwrap();
    assert!(listed.len() > 10, "{listed:?}");
    for query in listed {
        let name = query["name"].as_str().unwrap();
        let answer = cli.json(["sql", &format!("@{name}")]);
        assert!(answer.is_array(), "{name}");
        let text = cli.ok(["sql", &format!(".show {name}")]);
        assert_eq!(text.trim_end(), query["sql"].as_str().unwrap());
    }
    assert_eq!(cli.json(["sql", "@largest"])[0]["names"], "photo");
    assert_eq!(cli.json(["sql", "@violations"]), json!([]));
    assert!(cli.fails(2, ["sql", "@smallest"]).contains("--list"));
    let refused = cli.fails(2, ["--space", "main", "sql", "@largest"]);
    assert!(
        refused.contains("a query is about all spaces; leave out --space"),
        "{refused}"
    );
}

#[test]
fn the_help_is_about_the_heap_that_is_there() {
    let cli = filled();
    let told = cli.json(["sql", ".tables"]);
    let told: BTreeSet<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    let sql = cli.sql();
    let there: BTreeSet<_> = sql.tables().into_iter().chain(sql.views()).collect();
    // What a server has besides is told apart on the page.
    let is_all = |told: &BTreeSet<String>, there: &BTreeSet<String>| match server() {
        None => told == there,
        Some(_) => told.is_subset(there),
    };
    assert!(is_all(&told, &there), "{told:?} {there:?}");
    for name in &told {
        let schema = cli.json(["sql", &format!(".schema {name}")]);
        let is_there = |row: &&Value| server().is_none() || !row["meaning"].as_str().unwrap().ends_with("Files only");
        let columns = schema.as_array().unwrap().iter().filter(is_there);
        let columns = columns.map(|row| row["column"].as_str().unwrap().to_owned());
        let there = sql.columns(name).into_iter().collect();
        assert!(is_all(&columns.collect(), &there), "{name}: {schema}");
    }
    assert!(cli.ok(["sql", ".help ledger"]).contains("One row per piece"));
    assert!(cli.ok(["sql", ".help"]).contains(".schema"));
    assert!(cli.fails(2, ["sql", ".schema nothing"]).contains(".tables"));
    assert!(cli.fails(2, ["sql", ".dump"]).contains(".help"));
}

#[test]
fn what_is_not_a_query_is_told_what_is() {
    let cli = filled();
    let told = cli.fails(2, ["sql", "DELETE FROM names"]);
    assert!(told.contains("only queries are accepted: SELECT"), "{told}");
    assert!(told.trim_end().ends_with("not DELETE"), "{told}");
    let told = cli.fails(2, ["sql", "/* typo */ SELEC 1"]);
    assert!(told.trim_end().ends_with("not SELEC"), "{told}");
    let told = cli.fails(2, ["sql", "(select 1 frm names)"]);
    assert!(!told.contains("only queries"), "{told}");
}

#[test]
fn errors_are_about_the_text_that_was_given() {
    let cli = filled();
    let (too_early, open) = match server() {
        None => ("incomplete input", "unrecognized token: \"'a\""),
        Some(_) => (
            "the query ends too early",
            "unterminated quoted string at or near \"'a\"",
        ),
    };
    for text in ["SELECT 1 FROM", "SELECT count(*) FROM names WHERE", "select (1"] {
        assert_eq!(
            cli.fails(2, ["sql", text]).trim_end().split(": ").last(),
            Some(too_early),
            "{text}"
        );
    }
    assert!(cli.fails(2, ["sql", "SELECT 'a"]).trim_end().ends_with(open));
    assert!(cli.fails(2, ["sql", "SELECT (1) 2)"]).contains("near \"2\""));
    assert!(cli.fails(2, ["sql", "SELECT nope FROM names"]).contains("nope"));
}

#[test]
fn a_prompt_answers_until_its_end() {
    let cli = filled();
    let seen = cli.typed(
        "SELECT size\nFROM objects WHERE names = 'photo';\n@violations\n.format csv\nwrong;\nSELECT 1 AS x;\n.quit\n",
        &["sql"],
    );
    assert!(seen.contains("size\n5000\n"), "{seen}");
    assert!(seen.contains("invariant"), "{seen}");
    assert!(seen.contains("not wrong"), "{seen}");
    assert!(seen.contains("x\n1\n"), "{seen}");
}

#[test]
fn datasette_is_told_what_everything_means() {
    files_only!(File);
    let cli = filled();
    let metadata: Value = serde_json::from_str(&cli.ok(["sql", "--datasette"])).unwrap();
    let heap = &metadata["databases"]["heap"];
    assert_eq!(heap["tables"]["ledger"]["columns"]["data"], "the bytes themselves");
    assert!(
        heap["tables"]["objects"]["description"]
            .as_str()
            .unwrap()
            .starts_with("Objects with")
    );
    assert!(
        heap["queries"]["largest"]["sql"]
            .as_str()
            .unwrap()
            .contains("ORDER BY size DESC")
    );
}

#[test]
fn datasette_does_not_read_servers() {
    if !on_server() {
        return;
    }
    assert!(Cli::new().fails(2, ["sql", "--datasette"]).contains("files"));
}
