//! What SQL users can rely on in every file: strict tables, enforced keys, rules that no tool
//! can break, and answers in plain SQL. `readme.rs` compares the columns.

use crate::common::{Heap, MIB, assert_balanced, content, files_only, number, plan, server, texts};
use heapledger::{Geometry, Hold};

const FOREIGN_KEYS: [&str; 19] = [
    "arenas.memram_id -> memram.id",
    "blocks.arena_id -> pools.arena_id",
    "blocks.memram_id -> memram.id",
    "blocks.pool_id -> pools.id",
    "events.memram_id -> memram.id",
    "ledger.arena_id -> blocks.arena_id",
    "ledger.block_id -> blocks.id",
    "ledger.pool_id -> blocks.pool_id",
    "names.memram_id -> memram.id",
    "names.stored_object_id -> stored_objects.id",
    "other_kinds.memram_id -> memram.id",
    "pools.arena_id -> arenas.id",
    "pools.memram_id -> memram.id",
    "quotas.memram_id -> memram.id",
    "reservations.memram_id -> memram.id",
    "sequences.memram_id -> memram.id",
    "size_classes.memram_id -> memram.id",
    "stored_objects.memram_id -> memram.id",
    "tags.memram_id -> memram.id",
];

/// A heap with rows in every table and two spaces, each with an object of two pieces.
fn lived_in() -> Heap {
    let heap = Heap::of(2 * MIB, Geometry::standard());
    heap.store("a text", Hold::Name("text").tag("owner", "ann")).unwrap();
    heap.allocate(&vec![1, 2, 3]).unwrap();
    heap.allocate_bytes(&content(1, 300_000)).unwrap();
    let gone = heap.allocate_bytes(&content(2, 3000)).unwrap();
    heap.free(&gone).unwrap();
    heap.add_arena().unwrap();
    let other = crate::common::quick().space("other").open(heap.address()).unwrap();
    other.store_bytes(&content(3, 300_000), Hold::Name("bytes")).unwrap();
    heap
}

#[test]
fn every_table_is_strict() {
    files_only!(Schema);
    let heap = Heap::new();
    let sql = heap.sql();
    let loose = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
                 AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'";
    assert_eq!(texts(&sql, loose), Vec::<String>::new());
}

#[test]
fn foreign_keys_restrict_and_hold() {
    files_only!(Schema);
    let heap = lived_in();
    let sql = heap.sql();
    let declared = texts(
        &sql,
        "SELECT t.name || '.' || k.\"from\" || ' -> ' || k.\"table\" || '.' || k.\"to\"
         FROM pragma_table_list t, pragma_foreign_key_list(t.name) k WHERE t.schema = 'main' ORDER BY 1",
    );
    assert_eq!(declared, FOREIGN_KEYS);
    let acting = "SELECT t.name FROM pragma_table_list t, pragma_foreign_key_list(t.name) k
                  WHERE k.on_delete <> 'NO ACTION' OR k.on_update <> 'NO ACTION'";
    assert_eq!(texts(&sql, acting), Vec::<String>::new());
    assert_eq!(
        texts(&sql, "SELECT \"table\" FROM pragma_foreign_key_check"),
        Vec::<String>::new()
    );
    assert_eq!(texts(&sql, "PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn every_foreign_key_is_backed_by_an_index() {
    files_only!(Plans);
    let heap = Heap::new();
    let sql = heap.sql();
    let sized_by_use = [
        "blocks.pool_id",
        "ledger.block_id",
        "names.stored_object_id",
        "pools.arena_id",
    ];
    for key in sized_by_use {
        let (table, column) = key.split_once('.').unwrap();
        let plan = plan(&sql, &format!("SELECT 1 FROM {table} WHERE {column} = 1"));
        assert!(plan.contains("SEARCH"), "{key}: {plan}");
    }
}

#[test]
fn no_tool_can_write_a_row_that_violates_its_checks() {
    let heap = lived_in();
    let sql = heap.sql();
    let used = "WHERE id = (SELECT block_id FROM ledger LIMIT 1)";
    for statement in [
        &format!("UPDATE blocks SET mem = max_mem + 1, is_free = FALSE {used}"),
        &format!("UPDATE blocks SET mem = -1, is_free = TRUE {used}"),
        &format!("UPDATE blocks SET is_free = NOT is_free {used}"),
        &format!("UPDATE blocks SET max_mem = block_size + 1 {used}"),
        "UPDATE pools SET mem = max_mem + 1",
        "UPDATE pools SET reserved = max_mem + 1",
        "UPDATE pools SET reserved = -1",
        "UPDATE arenas SET mem = -1",
        "UPDATE arenas SET reserved = max_mem + 1",
        "UPDATE memram SET mem = max_mem + 1, peak_mem = max_mem + 1",
        "UPDATE memram SET reserved = max_mem + 1",
        "UPDATE memram SET peak_mem = mem - 1",
        "UPDATE memram SET frees = allocations + 1",
        "UPDATE memram SET max_mem = mem - 1 WHERE mem > 1",
        "UPDATE memram SET name = ''",
        "UPDATE ledger SET allocated_mem = allocated_mem + 1",
        "UPDATE ledger SET data = zeroblob(allocated_mem + 1)",
        "UPDATE ledger SET data = x'', allocated_mem = 0",
        "UPDATE ledger SET seq = -1",
        "UPDATE ledger SET id = id + 100",
        "UPDATE ledger SET seq = seq + 1",
        "UPDATE ledger SET start = -1",
        "UPDATE stored_objects SET kind = 'pickle'",
        "UPDATE stored_objects SET size = -1",
        "UPDATE stored_objects SET type_name = 'T' WHERE kind = 'str'",
        "UPDATE names SET name = ''",
        "UPDATE size_classes SET empty_blocks = blocks + 1",
        "UPDATE other_kinds SET kind = 'pickle'",
    ] {
        let error = sql.try_execute(statement).expect_err(statement);
        assert!(
            error.to_lowercase().contains("check constraint"),
            "{statement}: {error}"
        );
    }
    assert_balanced(&heap);
}

#[test]
fn no_tool_can_orphan_or_duplicate_a_row() {
    files_only!(Schema);
    let heap = lived_in();
    let sql = heap.sql();
    for statement in [
        "DELETE FROM memram",
        "DELETE FROM arenas WHERE id IN (SELECT arena_id FROM pools)",
        "DELETE FROM pools WHERE id IN (SELECT pool_id FROM blocks)",
        "DELETE FROM blocks WHERE id IN (SELECT block_id FROM ledger)",
        "DELETE FROM stored_objects",
        "UPDATE ledger SET block_id = 999999",
        "UPDATE ledger SET pool_id = pool_id + 1",
        "UPDATE ledger SET arena_id = arena_id + 1",
        "UPDATE blocks SET arena_id = arena_id + 1",
        "UPDATE names SET stored_object_id = 999999",
        "UPDATE ledger SET seq = 0",
        "UPDATE memram SET name = 'main'",
        "INSERT INTO stored_objects SELECT id + 100, memram_id, object_id, kind, type_name, size, held, created_at, NULL, NULL, FALSE, NULL, 1 FROM stored_objects",
        "INSERT INTO stored_objects SELECT id + 100, memram_id, object_id, kind, type_name, size, held, created_at, NULL, 5, FALSE, NULL, 1.0 FROM stored_objects",
        "INSERT INTO names SELECT * FROM names",
    ] {
        let error = sql.try_execute(statement).expect_err(statement).to_lowercase();
        let told = ["check constraint", "foreign key constraint", "unique constraint"];
        assert!(told.iter().any(|told| error.contains(told)), "{statement}: {error}");
    }
    for statement in [
        "UPDATE stored_objects SET size = 'much'",
        "UPDATE stored_objects SET held = 2",
        "UPDATE blocks SET is_free = 7",
    ] {
        sql.try_execute(statement).expect_err(statement);
    }
    assert_balanced(&heap);
}

#[test]
fn plain_sql_reads_values_names_and_places() {
    let heap = lived_in();
    let sql = heap.sql();
    let row = |query: &str| texts(&sql, query).join("\n");
    // Text is JSON to SQLite without a cast.
    let value = if server().is_some() { "value::json" } else { "value" };
    assert_eq!(row("SELECT value FROM objects WHERE names = 'text'"), "a text");
    assert_eq!(
        row(&format!("SELECT {value} ->> 1 FROM objects WHERE kind = 'json'")),
        "2"
    );
    assert_eq!(
        row("SELECT names || ' in ' || space || ': ' || pieces FROM objects WHERE space = 'other'"),
        "bytes in other: 2"
    );
    assert_eq!(
        number(
            &sql,
            "SELECT count(*) FROM objects WHERE kind = 'bytes' AND value IS NOT NULL"
        ),
        0
    );
    assert_eq!(
        number(&sql, "SELECT sum(room) FROM block_map"),
        number(
            &sql,
            "SELECT sum(bytes) FROM trial_balance WHERE bucket = 'room in blocks'"
        )
    );
    assert_eq!(
        number(&sql, "SELECT sum(entries) FROM block_map"),
        number(&sql, "SELECT count(*) FROM ledger")
    );
    assert_eq!(
        number(&sql, "SELECT sum(mem) FROM usage WHERE level = 'blocks'"),
        number(&sql, "SELECT sum(mem) FROM memram")
    );
    assert_eq!(
        number(
            &sql,
            "SELECT count(*) FROM objects WHERE created NOT LIKE '20__-__-__T__:__:__Z'"
        ),
        0
    );
}

#[test]
fn plain_sql_reads_names_that_contain_the_separator() {
    let heap = Heap::new();
    let id = heap.store("it", Hold::Name("z")).unwrap().id;
    let odd = ["a, b", "\"quoted\"", "tab\tand\nline", "back\\slash", "grüße 名"];
    for name in odd {
        heap.bind(name, &id).unwrap();
    }
    heap.allocate("without a name").unwrap();
    let sql = heap.sql();
    let listed = texts(
        &sql,
        match server() {
            None => "SELECT j.value FROM objects o, json_each(o.names_json) j ORDER BY o.id, j.key",
            Some(_) => {
                "SELECT j.value FROM objects o, json_array_elements_text(o.names_json::json)
                 WITH ORDINALITY AS j (value, key) ORDER BY o.id, j.key"
            }
        },
    );
    let mut expected = [&odd[..], &["z"]].concat();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(
        texts(&sql, "SELECT names_json FROM objects WHERE names IS NULL"),
        ["[]"]
    );
    assert_eq!(heap.object_info(&id).unwrap().names, expected);
}

#[test]
fn plain_sql_puts_an_object_back_together() {
    let heap = lived_in();
    let sql = heap.sql();
    let id = heap.store_bytes(&content(9, 300_000), Hold::Name("it")).unwrap().id;
    let pieces = texts(
        &sql,
        "SELECT hex(l.data) FROM ledger l JOIN names n USING (stored_object_id) WHERE n.name = 'it' ORDER BY l.seq",
    );
    assert!(pieces.len() > 1, "it was in one piece");
    let bytes = heap.get_bytes(&id).unwrap();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(pieces.concat() == digits);
}

#[test]
fn plain_sql_can_read_while_the_heap_is_written() {
    let heap = lived_in();
    let sql = heap.sql();
    sql.execute(if server().is_some() {
        "BEGIN ISOLATION LEVEL REPEATABLE READ"
    } else {
        "BEGIN"
    });
    let before = number(&sql, "SELECT sum(mem) FROM memram");
    heap.allocate_bytes(&content(8, 5000)).unwrap();
    assert_eq!(number(&sql, "SELECT sum(mem) FROM memram"), before);
    sql.execute("COMMIT");
    assert_eq!(number(&sql, "SELECT sum(mem) FROM memram"), before + 5000);
}
