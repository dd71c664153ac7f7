//! The report counts every byte of the file exactly once.

use std::fs;

use crate::common::{Heap, KIB, MIB, content, files_only, number, texts};
use heapledger::{Geometry, SpaceReport, TreeKind};

fn filled() -> Heap {
    let heap = Heap::of(32 * MIB, Geometry::standard());
    heap.batch(|batch| {
        for seed in 0..600 {
            batch.allocate_bytes(&content(seed, 200 + 13 * seed))?;
        }
        let id = batch.allocate_bytes(&content(9999, 3 * MIB))?;
        batch.bind("large", &id)
    })
    .unwrap();
    heap
}

fn assert_adds_up(report: &SpaceReport) {
    let in_trees: u64 = report.trees.iter().map(|tree| tree.bytes).sum();
    assert_eq!(
        in_trees + report.free_file_bytes + report.pointer_map_bytes,
        report.file_size
    );
    // https://www.sqlite.org/fileformat.html#pointer_map_or_ptrmap_pages: the first is page 2,
    // and each maps as many pages as it has entries of five bytes.
    let pages = report.file_size / report.page_size;
    let maps = (pages - 1).div_ceil(report.page_size / 5 + 1);
    assert_eq!(report.pointer_map_bytes, maps * report.page_size);
    for tree in &report.trees {
        assert_eq!(tree.bytes, tree.pages * report.page_size);
        assert!(tree.payload + tree.unused <= tree.bytes, "{tree:?}");
        assert!(tree.unused_in_trees <= tree.unused, "{tree:?}");
    }
}

#[test]
fn every_page_belongs_to_one_tree_or_is_free_or_a_pointer_map() {
    files_only!(File);
    let heap = filled();
    let report = heap.space_report().unwrap();
    assert_adds_up(&report);
    let stats = heap.stats().unwrap();
    assert_eq!(
        (report.mem, report.objects, report.entries),
        (stats.mem, stats.objects, stats.entries)
    );
    assert_eq!((report.file_size, report.wal_size), (stats.file_size, stats.wal_size));
    heap.collect_garbage().unwrap();
    let report = heap.space_report().unwrap();
    assert_adds_up(&report);
    assert_eq!(report.file_size, fs::metadata(heap.address()).unwrap().len());
}

#[test]
fn every_table_and_index_has_its_rows() {
    files_only!(File);
    let heap = filled();
    let report = heap.space_report().unwrap();
    let sql = heap.sql();
    let names = texts(
        &sql,
        "SELECT name FROM sqlite_schema WHERE rootpage > 0 UNION ALL SELECT 'sqlite_schema'",
    );
    assert_eq!(report.trees.len(), names.len());
    for tree in report.trees.iter().filter(|tree| tree.kind == TreeKind::Table) {
        assert!(names.contains(&tree.name));
        let rows = number(&sql, &format!("SELECT count(*) FROM \"{}\"", tree.name));
        assert_eq!(tree.rows as i64, rows, "{}", tree.name);
    }
    let index = report.trees.iter().find(|tree| tree.name == "ledger_by_block").unwrap();
    assert_eq!((index.kind.as_str(), index.table.as_str()), ("index", "ledger"));
    assert_eq!(index.rows, report.entries);
    assert!(report.trees.is_sorted_by(|a, b| a.bytes >= b.bytes));
    assert!(report.ledger_payload > report.mem);
}

#[test]
fn all_spaces_of_the_file_are_counted() {
    files_only!(File);
    let heap = filled();
    let other = crate::common::quick()
        .space("other")
        .max_mem(MIB)
        .open(heap.address())
        .unwrap();
    other.allocate_bytes(&content(1, 5000)).unwrap();
    let report = other.space_report().unwrap();
    assert_eq!(report.mem, heap.stats().unwrap().mem + 5000);
    assert_adds_up(&report);
}

#[test]
fn garbage_collection_gives_back_at_least_what_is_promised() {
    files_only!(File);
    let heap = filled();
    heap.force_free(&heap.resolve("large").unwrap().unwrap()).unwrap();
    let report = heap.space_report().unwrap();
    assert_adds_up(&report);
    assert!(
        report.gc_bytes >= 3 * MIB - 64 * KIB && report.empty_blocks > 0,
        "{report:?}"
    );
    assert!(heap.collect_garbage().unwrap().file_bytes >= report.gc_bytes);
}

#[test]
fn a_vacuum_gives_back_about_the_estimate() {
    files_only!(File);
    let heap = filled();
    let ids: Vec<_> = heap.objects().map(|object| object.unwrap()).collect();
    heap.batch(|batch| {
        for object in ids.iter().step_by(2) {
            batch.force_free(&object.id)?;
        }
        Ok(())
    })
    .unwrap();
    let report = heap.space_report().unwrap();
    heap.sql().execute("VACUUM");
    let after = heap.space_report().unwrap();
    let given = report.file_size - after.file_size;
    assert!(
        given <= report.vacuum_bytes_estimated,
        "{given} of {}",
        report.vacuum_bytes_estimated
    );
    assert!(
        given * 2 >= report.vacuum_bytes_estimated,
        "{given} of {}",
        report.vacuum_bytes_estimated
    );
    assert_adds_up(&after);
}
