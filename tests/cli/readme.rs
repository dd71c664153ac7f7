//! Tests that README and docs/ describe the code and the file correctly.

mod docs;
mod invariants;
mod sql;
#[cfg(unix)]
mod transcripts;

use std::fs;
use std::path::Path;

use crate::common::{Heap, content, quick};
use crate::harness::{again, given};
use heapledger::{Hold, Policy, QuotaLimits};

const README: &str = "README.md";
const SQL_PAGE: &str = "docs/sql.md";

/// A page of the documentation.
fn read(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// The blocks of a page between ```` ```kind ```` and ```` ``` ````.
fn fenced(page: &str, kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    let text = read(page);
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
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
    let shown = fenced(README, "rust,no_run").concat();
    assert!(example.ends_with(&shown), "README shows a different example:\n{shown}");
    assert!(!shown.lines().any(|line| line.starts_with('#')), "README hides nothing");
    let folder = tempfile::tempdir().unwrap();
    // The second time the heap exists.
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
#[ignore = "the child process that makes a heap in its working folder"]
fn example() {
    if given("HEAPLEDGER_EXAMPLE").is_some() {
        library::run();
    }
}

#[test]
fn every_query_in_readme_works() {
    assert_queries_answer(&fenced(README, "sql"), 3);
}

/// Runs the queries on a heap with objects. All must return rows, except those documented to
/// return none.
fn assert_queries_answer(queries: &[String], least: usize) {
    let heap = Heap::new();
    for number in 0..20 {
        heap.allocate_bytes(&content(number, 3000)).unwrap();
    }
    heap.set("a name", "text").unwrap();
    heap.set("a name of the same", "text").unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    heap.store(
        "gone tomorrow",
        Hold::Name("another").expires_in(day).tag("owner", "ann"),
    )
    .unwrap();
    let limits = QuotaLimits::none().hard_bytes(100);
    heap.set_quota("owner", "ann", limits).unwrap();
    heap.reserve(1000).key("k").make().unwrap();
    let cache = quick().space("cache").max_mem(64 * 1024).evict(Policy::Oldest);
    let cache = cache.open(heap.address()).unwrap();
    for number in 0..2 {
        cache.allocate_bytes(&content(number, 40_000)).unwrap();
    }
    cache.allocate_bytes(&content(2, 100_000)).unwrap_err();
    quick().space("other").open(heap.address()).unwrap();
    heap.drop_space("other").unwrap();
    assert!(queries.len() >= least);
    for query in queries {
        let rows = heap.sql().rows(query);
        let wants_none = query.contains("No row means yes");
        assert_eq!(rows.is_empty(), wants_none, "{query}");
    }
}
