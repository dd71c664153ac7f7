//! docs/sql.md describes tables and views correctly, and its queries work.

use std::collections::{BTreeMap, BTreeSet};

use heapledger::{CompactOptions, EventFilter, Geometry, Hold, ObjectId, Policy, QuotaLimits};

use super::{SQL_PAGE, fenced, read};
use crate::common::{Heap, Row, content, files_only, server, texts};

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

/// The table and the columns that only a heap on a server has.
const OWN_OF_SERVERS: [&str; 4] = ["format", "version", "commits", "is_empty"];

/// The columns that only a heap in a file has.
const OWN_OF_FILES: [&str; 1] = ["endless"];

#[test]
fn what_only_servers_have_is_described_apart() {
    let apart = section("On PostgreSQL");
    for name in OWN_OF_SERVERS {
        assert!(apart.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_page_describes_exactly_the_tables_and_views() {
    let heap = Heap::new();
    let sql = heap.sql();
    let names = [sql.tables(), sql.views()].concat();
    let is_own = |name: &String| server().is_some() && OWN_OF_SERVERS.contains(&name.as_str());
    let live: BTreeMap<_, _> = names
        .into_iter()
        .filter(|name| !is_own(name))
        .map(|name| {
            let mut columns = sql.columns(&name);
            columns.retain(|column| !is_own(column));
            (name, columns)
        })
        .collect();
    let mut described = described();
    if server().is_some() {
        let columns = described.values_mut();
        columns.for_each(|columns| columns.retain(|column| !OWN_OF_FILES.contains(&column.as_str())));
    }
    assert_eq!(described, live);
}

#[test]
fn tables_are_described_as_tables_and_views_as_views() {
    let heap = Heap::new();
    let sql = heap.sql();
    for (heading, live) in [("Tables", sql.tables()), ("Views", sql.views())] {
        let text = section(heading);
        let names = text
            .split("\n### `")
            .skip(1)
            .map(|rest| rest.split('`').next().unwrap());
        for name in names {
            assert!(live.contains(&name.to_owned()), "{name}: {live:?}");
        }
    }
}

#[test]
fn the_page_lists_exactly_the_foreign_keys() {
    let heap = Heap::new();
    let sql = heap.sql();
    let query = match server() {
        None => {
            "SELECT t.name || '.' || f.\"from\", f.\"table\" || '.' || f.\"to\"
             FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'"
        }
        Some(_) => {
            "SELECT c.conrelid::regclass || '.' || a.attname, c.confrelid::regclass || '.' || b.attname
             FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) k (\"from\", \"to\")
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.\"from\"
                 JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.\"to\"
             WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace"
        }
    };
    let live: BTreeSet<_> = sql.rows(query).into_iter().collect();
    let text = section("References");
    let mut listed = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let to = row
            .trim_end_matches(" |")
            .rsplit("| ")
            .next()
            .unwrap()
            .trim_matches('`');
        listed.extend(
            first_cells(row)
                .into_iter()
                .map(|from| vec![Some(from), Some(to.to_owned())]),
        );
    }
    if server().is_some() {
        // As the section about PostgreSQL says.
        let has_none = |row: &Row| {
            ["stored_objects.", "ledger."]
                .iter()
                .any(|table| row[0].as_ref().unwrap().starts_with(table))
        };
        listed.retain(|row| !has_none(row));
    }
    assert_eq!(listed, live);
}

#[test]
fn the_page_lists_exactly_the_kinds_of_event_that_the_table_allows() {
    files_only!(Schema);
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
    let heap = Heap::of(512 << 10, Geometry::standard());
    let ids: Vec<_> = (0..16)
        .map(|seed| heap.allocate_bytes(&content(seed, 32 << 10)).unwrap())
        .collect();
    heap.allocate_bytes(&content(20, 1000)).unwrap_err();
    let gone = ids.iter().zip(0..).filter(|(_, number)| number % 8 > 0);
    gone.for_each(|(id, _)| drop(heap.free(id).unwrap()));
    heap.compact(CompactOptions::default()).unwrap();
    heap.set_eviction(Some(Policy::Oldest.into())).unwrap();
    heap.allocate_bytes(&content(21, 512 << 10)).unwrap();
    heap.set_quota("owner", "ann", QuotaLimits::none().hard_bytes(1))
        .unwrap();
    let hold = Hold::Anonymous.tag("owner", "ann");
    heap.store_bytes(&content(22, 2), hold).unwrap_err();
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
    super::assert_queries_answer(&fenced(SQL_PAGE, "sql"), 10);
}
