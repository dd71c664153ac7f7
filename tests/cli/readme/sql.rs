//! docs/sql.md describes tables and views correctly, and its queries work.

use std::collections::{BTreeMap, BTreeSet};

use heapledger::{EventFilter, Geometry, ObjectId};

use super::{SQL_PAGE, fenced, read};
use crate::common::{Heap, content, files_only, server, texts};

/// The sections of the page that describe a table or a view: `### `name``.
fn described() -> BTreeMap<String, Vec<String>> {
    let page = read(SQL_PAGE);
    let mut described = BTreeMap::new();
    for section in page.split("\n### `").skip(1) {
        let (name, text) = section.split_once('`').unwrap();
        let text = text.split("\n## ").next().unwrap();
        described.insert(name.to_owned(), first_cells(text));
    }
    described
}

/// The texts in backticks in the first cells of a table.
fn first_cells(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" |").next().unwrap());
    cells
        .flat_map(|cell| cell.split(", `"))
        .map(|word| word.trim_matches('`').to_owned())
        .collect()
}

/// The section under a heading.
fn section(heading: &str) -> String {
    let page = read(SQL_PAGE);
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn the_page_describes_exactly_the_tables_and_views_of_a_file() {
    files_only!(Transcripts);
    let heap = Heap::new();
    let sql = heap.sql();
    let mut live = BTreeMap::new();
    let mut query = sql
        .file()
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') \
             AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
        )
        .unwrap();
    let names = query.query_map([], |row| row.get::<_, String>(0));
    for name in names.unwrap().map(Result::unwrap) {
        let columns = sql.file().prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = columns.column_names().into_iter().map(str::to_owned);
        live.insert(name, columns.collect::<Vec<_>>());
    }
    assert_eq!(described(), live);
}

#[test]
fn tables_are_described_as_tables_and_views_as_views() {
    files_only!(Transcripts);
    let heap = Heap::new();
    let sql = heap.sql();
    for (heading, kind) in [("Tables", "table"), ("Views", "view")] {
        let text = section(heading);
        let names = text
            .split("\n### `")
            .skip(1)
            .map(|rest| rest.split('`').next().unwrap());
        for name in names {
            let found = texts(&sql, &format!("SELECT type FROM sqlite_schema WHERE name = '{name}'"));
            assert_eq!(found, [kind], "{name}");
        }
    }
}

#[test]
fn the_page_lists_exactly_the_foreign_keys() {
    files_only!(Transcripts);
    let heap = Heap::new();
    let sql = heap.sql();
    let mut query = sql
        .file()
        .prepare(
            "SELECT t.name || '.' || f.\"from\", f.\"table\" || '.' || f.\"to\" \
             FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
        )
        .unwrap();
    let live: BTreeSet<(String, String)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let text = section("References");
    let mut listed = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let to = row
            .trim_end_matches(" |")
            .rsplit("| ")
            .next()
            .unwrap()
            .trim_matches('`');
        listed.extend(first_cells(row).into_iter().map(|from| (from, to.to_owned())));
    }
    assert_eq!(listed, live);
}

#[test]
fn the_page_lists_exactly_the_kinds_of_event_that_the_table_allows() {
    files_only!(Transcripts);
    let heap = Heap::new();
    let rule = texts(&heap.sql(), "SELECT sql FROM sqlite_schema WHERE name = 'events'").remove(0);
    let allowed = rule.split("kind = '").skip(1);
    let allowed: BTreeSet<_> = allowed
        .map(|rest| rest.split('\'').next().unwrap().to_owned())
        .collect();
    let described: BTreeSet<_> = first_cells(&section("Kinds of events")).into_iter().collect();
    assert_eq!(described, allowed);
}

#[test]
fn the_example_of_changes_is_what_the_library_writes() {
    let heap = Heap::of(1 << 30, Geometry::classic());
    heap.allocate_bytes(&content(1, 600)).unwrap();
    let event = heap.events(EventFilter::default()).last().unwrap().unwrap();
    assert_eq!(fenced(SQL_PAGE, "json").concat().trim_end(), event.changes.unwrap());
}

#[test]
fn the_page_lists_exactly_the_members_of_changes() {
    let heap = Heap::of(1024, Geometry::standard());
    heap.allocate_bytes(&content(1, 1000)).unwrap();
    heap.allocate_bytes(&content(2, 1000)).unwrap_err();
    heap.free(&heap.find_ever(&ObjectId::of_bytes(&content(1, 1000)).to_hex()).unwrap())
        .unwrap();
    heap.collect_garbage().unwrap();
    let keys = match server() {
        None => "SELECT DISTINCT j.key FROM events e, json_each(e.changes) j",
        Some(_) => "SELECT DISTINCT j.key FROM events e, json_each(e.changes::json) j",
    };
    let written = BTreeSet::from_iter(texts(&heap.sql(), keys));
    let described: BTreeSet<_> = first_cells(&section("The column `changes`")).into_iter().collect();
    assert_eq!(described, written);
}

#[test]
fn the_page_prints_the_text_of_the_layout_digest() {
    let heap = Heap::new();
    for number in 0..20 {
        heap.allocate_bytes(&content(number, 1000 * number)).unwrap();
    }
    heap.free(&heap.objects().nth(5).unwrap().unwrap().id).unwrap();
    heap.add_arena().unwrap();
    let queries = fenced(SQL_PAGE, "sql");
    let query = queries.iter().find(|query| query.contains("layout --digest")).unwrap();
    let text: String = texts(&heap.sql(), query)
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    let digest = heap.layout_digest().unwrap();
    assert_eq!(ObjectId::of_bytes(text.as_bytes()).as_bytes(), digest.as_bytes());
}

#[test]
fn every_query_in_the_page_works() {
    files_only!(Transcripts);
    super::assert_queries_answer(&fenced(SQL_PAGE, "sql"), 10);
}
