//! What README says of the file is true of the file.

#[cfg(unix)]
mod transcripts;

use std::collections::BTreeMap;
use std::fs;

use crate::common::{Heap, content};
use crate::harness::{again, given};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

fn readme() -> String {
    fs::read_to_string(README).unwrap()
}

/// The blocks between ```` ```kind ```` and ```` ``` ````.
fn fenced(kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    let text = readme();
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_schema_that_readme_shows_is_the_schema_of_a_file() {
    let heap = Heap::new();
    let sql = heap.sql();
    let mut live = BTreeMap::new();
    let mut query = sql
        .prepare("SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    for (kind, name) in rows.unwrap().map(Result::unwrap) {
        let columns = sql.prepare(&format!("SELECT * FROM {name}")).unwrap();
        live.insert(format!("{kind} {name}"), columns.column_names().join(", "));
    }
    let text = fenced("schema").concat();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: BTreeMap<_, _> = text
        .split_terminator(')')
        .map(|entry| entry.trim().split_once(" (").unwrap())
        .map(|(name, columns)| (name.to_owned(), columns.to_owned()))
        .collect();
    assert_eq!(told, live);
}

mod library {
    include!("readme/library.rs");

    pub fn run() {
        main().unwrap();
    }
}

#[test]
fn the_example_that_readme_shows_runs() {
    let example = include_str!("readme/library.rs");
    let shown = fenced("rust,no_run").concat();
    assert!(example.ends_with(&shown), "README shows another example:\n{shown}");
    assert!(!shown.lines().any(|line| line.starts_with('#')), "README hides nothing");
    let folder = tempfile::tempdir().unwrap();
    // The second time on the heap that is there now.
    for _ in 0..2 {
        let mut example = again("readme::example");
        let output = example
            .env("HEAPLEDGER_EXAMPLE", "1")
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert!(folder.path().join("heap.db").exists());
}

#[test]
#[ignore = "the process whose working folder gets a heap"]
fn example() {
    if given("HEAPLEDGER_EXAMPLE").is_some() {
        library::run();
    }
}

#[test]
fn every_query_that_readme_gives_answers() {
    let heap = Heap::new();
    for number in 0..20 {
        heap.allocate_bytes(&content(number, 3000)).unwrap();
    }
    heap.allocate("text").unwrap();
    let queries = fenced("sql");
    assert!(queries.len() >= 5);
    for query in queries {
        let sql = heap.sql();
        let mut statement = sql.prepare(&query).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        let wants_none = query.contains("No row means yes");
        assert_eq!(count == 0, wants_none, "{query}");
    }
}
