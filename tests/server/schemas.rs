//! A schema that has no heap, another version's, or more than a heap is refused before anything of it runs.

use std::time::Duration;

use heapledger::{Error, MemManager, ServerError};

use crate::common::{Place, on_server, server, texts};
use crate::roles::{Role, schema, text};
use crate::support::Cli;

fn refusal(place: &Place) -> Error {
    let reading = MemManager::options()
        .read_only(true)
        .open(place.address())
        .map(drop)
        .unwrap_err();
    let writing = MemManager::open(place.address()).map(drop).unwrap_err();
    assert_eq!(reading.to_string(), writing.to_string());
    writing
}

#[test]
fn only_a_heap_is_opened() {
    if !on_server() {
        return;
    }
    let (place, cli) = (Place::new(), Cli::new());
    let db = [("HEAPLEDGER_DB", text(&place))];
    for args in [
        &["ls"][..],
        &["set", "x", "1"],
        &["--space", "x", "set", "x", "1", "--create"],
        &["put", "--dry-run", "."],
    ] {
        let refused = cli.fails(args, &db);
        assert!(
            refused.contains("there is no heap at") && refused.contains("`heapledger init`"),
            "{refused}"
        );
    }
    assert!(matches!(refusal(&place), Error::Server(ServerError::NoHeap { .. })));

    let sql = place.sql();
    sql.execute(&format!("CREATE SCHEMA {}", schema(&place)));
    assert!(matches!(refusal(&place), Error::Server(ServerError::NoHeap { .. })));
    sql.execute("CREATE TABLE users (id bigint); INSERT INTO users VALUES (1)");
    for args in [&["ls"][..], &["init"]] {
        let refused = cli.fails(args, &db);
        assert!(
            refused.contains("\"users\"") && refused.contains("schema=NAME"),
            "{refused}"
        );
    }
    // Nor for one that only looks like it.
    sql.execute("CREATE TABLE memram (id bigint); CREATE TABLE format (version text)");
    assert!(matches!(refusal(&place), Error::Server(ServerError::Foreign { .. })));
    assert_eq!(sql.tables(), ["format", "memram", "users"]);
}

#[test]
fn a_heap_of_another_format_is_left_alone() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    MemManager::options()
        .create(true)
        .open(place.address())
        .unwrap()
        .set("x", &1)
        .unwrap();
    for (found, what) in [(102, "knows only 101"), (100, "old format 100")] {
        place.sql().change(&format!("UPDATE format SET version = {found}"));
        let error = refusal(&place);
        assert!(matches!(&error, Error::Server(ServerError::Format { .. })), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        // Also by init.
        let refused = Cli::new().fails(&["init"], &[("HEAPLEDGER_DB", text(&place))]);
        assert!(refused.contains(what), "{refused}");
    }
    place.sql().change("UPDATE format SET version = 101");
    MemManager::open(place.address()).unwrap();
}

#[test]
fn what_would_run_in_a_heap_that_somebody_altered_never_does() {
    if !on_server() {
        return;
    }
    // Whoever runs one of these is noticed. Functions in the schema itself are a case of their own.
    const TRAPS: &str = "CREATE TABLE ran (what text); CREATE SCHEMA TRAPS;
        CREATE FUNCTION TRAPS.ours(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
        CREATE FUNCTION TRAPS.trap() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO ran VALUES ('trigger'); RETURN NEW; END $$;";
    for (what, part) in [
        (
            "CREATE OR REPLACE VIEW violations AS SELECT * FROM row_violations",
            "the view \"violations\"",
        ),
        ("DROP VIEW history_balance CASCADE", "the view \"history_balance\""),
        (
            "CREATE TRIGGER planted BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION TRAPS.trap()",
            "the trigger \"planted\"",
        ),
        (
            "CREATE RULE planted AS ON UPDATE TO memram DO ALSO INSERT INTO ran VALUES ('rule')",
            "the rule \"planted\"",
        ),
        (
            "CREATE POLICY planted ON names USING (set_config('a.b', 'c', TRUE) IS NOT NULL); ALTER TABLE names ENABLE ROW LEVEL SECURITY",
            "the row security \"names\"",
        ),
        (
            "ALTER TABLE names ADD COLUMN planted text DEFAULT set_config('a.b', 'c', TRUE)",
            "the table \"names\"",
        ),
        (
            "ALTER TABLE names ADD CONSTRAINT planted CHECK (set_config('a.b', 'c', TRUE) IS NOT NULL)",
            "the table \"names\"",
        ),
        (
            "ALTER TABLE stored_objects DROP COLUMN held CASCADE",
            "the table \"stored_objects\"",
        ),
        (
            "CREATE FUNCTION octet_length(varchar) RETURNS bigint LANGUAGE sql AS 'INSERT INTO ran VALUES (''length''); SELECT 0::bigint'",
            "octet_length",
        ),
        (
            "CREATE FUNCTION quote_ident(name) RETURNS text LANGUAGE sql AS 'INSERT INTO ran VALUES (''quote''); SELECT ''''::text'",
            "quote_ident",
        ),
        (
            "CREATE FUNCTION less(varchar, text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO ran VALUES (''less''); SELECT TRUE'; \
          CREATE OPERATOR < (LEFTARG = varchar, RIGHTARG = text, FUNCTION = less)",
            "less",
        ),
        ("CREATE INDEX planted ON names ((TRAPS.ours(name)))", "planted"),
    ] {
        let place = Place::new();
        MemManager::options()
            .create(true)
            .open(place.address())
            .unwrap()
            .set("x", &1)
            .unwrap();
        let sql = place.sql();
        let traps = format!("{}_traps", schema(&place));
        sql.execute(&[TRAPS, what].concat().replace("TRAPS", &traps));
        let error = refusal(&place);
        assert!(matches!(&error, Error::AlteredSchema { .. }), "{what}: {error}");
        assert!(error.to_string().contains(part), "{what}: {error}");
        // What is wrong can be listed, and that runs nothing, either.
        let found = MemManager::options().check_schema(place.address()).unwrap();
        assert!(!found.is_empty(), "{what}");
        assert_eq!(sql.values("SELECT what FROM ran"), [], "{what}");
        sql.execute(&format!("DROP SCHEMA {traps} CASCADE"));
    }
}

#[test]
fn no_heap_is_created_where_something_would_run() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let sql = place.sql();
    sql.execute(&format!("CREATE SCHEMA {}", schema(&place)));
    sql.execute("CREATE FUNCTION planted() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    let create = || MemManager::options().create(true).open(place.address()).map(drop);
    let error = create().unwrap_err();
    assert!(matches!(&error, Error::AlteredSchema { .. }), "{error}");
    assert_eq!(sql.tables(), Vec::<String>::new());
    sql.execute("DROP FUNCTION planted");
    create().unwrap();
}

#[test]
fn tables_of_others_in_the_schema_are_left_alone() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    MemManager::options()
        .create(true)
        .open(place.address())
        .unwrap()
        .set("x", &1)
        .unwrap();
    place.sql().execute(
        "CREATE TABLE notes (id bigint PRIMARY KEY, text text DEFAULT upper('x')); CREATE VIEW noted AS SELECT * FROM notes; \
         CREATE INDEX mine ON stored_objects (kind)",
    );
    let memory = MemManager::open(place.address()).unwrap();
    memory.set("y", &2).unwrap();
    assert!(memory.check().unwrap().is_empty());
}

/// Of every relation; an index has a map of its free pages once a vacuum has found any.
#[test]
fn the_sizes_of_tables_and_indexes_add_up() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let options = MemManager::options().create(true);
    let memory = options.open(place.address()).unwrap();
    let sql = place.sql();
    sql.execute("CREATE TABLE notes (id bigint PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 20000)");
    sql.execute("DELETE FROM notes WHERE id < 19000");
    // The first one deletes pages, which another gives back when no transaction can read them any more.
    let map = "SELECT pg_relation_size('notes_pkey', 'fsm') > 0";
    while texts(&sql, map) != ["true"] {
        sql.execute("VACUUM notes");
    }
    let sums = || {
        let space = memory.space_report().unwrap();
        (space.trees.iter().map(|tree| tree.bytes).sum::<u64>(), space.file_size)
    };
    // Autovacuum may let a table grow between the two sums.
    let found: Vec<_> = (0..5).map(|_| sums()).collect();
    assert!(found.iter().any(|(trees, size)| trees == size), "{found:?}");
}

/// One that has found nothing is remembered, as long as nothing changes.
#[test]
fn a_check_finds_what_was_altered_after_the_last_one() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let memory = MemManager::options().create(true).open(place.address()).unwrap();
    let reader = MemManager::options().read_only(true).open(place.address()).unwrap();
    let sql = place.sql();
    let check = || {
        let found = reader.check().unwrap();
        assert_eq!(memory.check().unwrap(), found);
        found
    };
    for (alter, undo) in [
        (
            "ALTER TABLE names ADD CONSTRAINT planted CHECK (length(name) < 99)",
            "ALTER TABLE names DROP CONSTRAINT planted",
        ),
        (
            "ALTER TABLE names ALTER COLUMN name SET DEFAULT 'x'",
            "ALTER TABLE names ALTER COLUMN name DROP DEFAULT",
        ),
        (
            "CREATE TRIGGER planted BEFORE UPDATE ON names FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "DROP TRIGGER planted ON names",
        ),
        (
            "CREATE FUNCTION octet_length(varchar) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
            "DROP FUNCTION octet_length(varchar)",
        ),
        (
            "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
            "DROP OPERATOR === (text, text)",
        ),
        (
            "ALTER INDEX blocks_by_pool RENAME TO blocks_of_pool",
            "ALTER INDEX blocks_of_pool RENAME TO blocks_by_pool",
        ),
        ("ALTER VIEW kinds RENAME TO sorts", "ALTER VIEW sorts RENAME TO kinds"),
    ] {
        assert_eq!(check(), [], "before {alter}");
        sql.execute(alter);
        assert_ne!(check(), [], "{alter}");
        sql.execute(undo);
    }
    assert_eq!(check(), []);
}

/// They are large in a database of many heaps.
#[test]
fn tables_of_the_catalog_are_read_by_their_indexes() {
    const TIMES: i64 = 20;
    let Some(url) = server() else { return };
    let shared = Place::new().sql();
    let database = format!("catalog_{}", std::process::id());
    shared.execute(&format!("CREATE DATABASE {database}"));
    // Otherwise small tables are read whole.
    let url = url.to_str().unwrap();
    let next = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{next}dbname={database}&options=-c%20enable_seqscan%3Doff");
    let place = Place::on(&url);
    MemManager::options().create(true).open(place.address()).unwrap();
    let sql = place.sql();
    // A connection tells what it has read when it ends. The rows of `pg_am` are the few kinds of indexes.
    let open = format!(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = '{}'",
        schema(&place)
    );
    let scans = || {
        while !sql.values(&open).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let scans = "SELECT relname || ' ' || seq_scan FROM pg_stat_sys_tables WHERE schemaname = 'pg_catalog' AND relname <> 'pg_am' ORDER BY relname";
        texts(&sql, scans)
    };
    let number = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap();
    let whole = || {
        let before = scans();
        for _ in 0..TIMES {
            let memory = MemManager::options().read_only(true).open(place.address()).unwrap();
            memory.stats().unwrap();
            memory.space_report().unwrap();
            assert_eq!(MemManager::options().check_schema(place.address()).unwrap(), []);
        }
        let read = before.into_iter().zip(scans());
        let whole = read.filter(|(before, after)| number(after) - number(before) >= TIMES);
        whole.collect::<Vec<_>>()
    };
    // Now and then connections learn the catalog from its tables.
    let found: Vec<_> = (0..5).map(|_| whole()).take_while(|whole| !whole.is_empty()).collect();
    assert!(found.len() < 5, "{found:?}");
    drop(place);
    shared.execute(&format!("DROP DATABASE {database} WITH (FORCE)"));
}

/// After an upgrade, a server may describe the same schema in other words.
#[test]
fn a_schema_that_the_server_describes_otherwise_is_compared_and_recorded_again() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let options = || MemManager::options().create(true);
    options().open(place.address()).unwrap().set("x", &1).unwrap();
    let fingerprint = || texts(&place.sql(), "SELECT fingerprint FROM format").swap_remove(0);
    let recorded = fingerprint();
    // Its catalog is a new one as well.
    let upgrade = || {
        place
            .sql()
            .change("UPDATE format SET fingerprint = 'of another version', stamp = 'of another catalog'")
    };
    upgrade();
    let reader = options().read_only(true).open(place.address()).unwrap();
    assert!(reader.check().unwrap().is_empty());
    assert_eq!(fingerprint(), "of another version");
    assert!(options().open(place.address()).unwrap().check().unwrap().is_empty());
    assert_eq!(fingerprint(), recorded);
    // What is not as it should be is not recorded.
    place.sql().execute("DROP INDEX blocks_by_pool");
    upgrade();
    let memory = options().open(place.address()).unwrap();
    assert_eq!(memory.check().unwrap().len(), 1);
    assert_eq!(fingerprint(), "of another version");
    options().restore_schema(place.address()).unwrap();
    assert_eq!(fingerprint(), recorded);
    assert!(memory.check().unwrap().is_empty());
}

#[test]
fn parts_of_another_role_are_refused() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    MemManager::options()
        .create(true)
        .open(place.address())
        .unwrap()
        .set("x", &1)
        .unwrap();
    let role = Role::new(&place, "other");
    // It could replace the view after the check.
    place.sql().execute(&format!(
        "GRANT CREATE ON SCHEMA {} TO {1}; ALTER VIEW violations OWNER TO {1}",
        schema(&place),
        role.name
    ));
    let error = refusal(&place);
    assert!(matches!(&error, Error::AlteredSchema { .. }), "{error}");
    place.sql().execute("ALTER VIEW violations OWNER TO CURRENT_USER");
    MemManager::open(place.address()).unwrap();
}

#[test]
fn a_heap_that_cannot_tell_whether_it_was_altered_is_refused() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    drop(MemManager::options().create(true).open(place.address()).unwrap());
    place.sql().execute("ALTER TABLE format DROP COLUMN stamp");
    let error = refusal(&place);
    assert!(matches!(&error, Error::AlteredSchema { .. }), "{error}");
}

#[test]
fn a_database_that_cannot_store_every_text_is_refused() {
    if !on_server() {
        return;
    }
    let (place, cli) = (Place::new(), Cli::new());
    let sql = place.sql();
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let database = format!("{}_{}", schema(&place), encoding.to_lowercase());
        sql.execute(&format!("DROP DATABASE IF EXISTS {database}"));
        sql.execute(&format!(
            "CREATE DATABASE {database} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'"
        ));
        let there = format!("{}&dbname={database}", text(&place));
        let refused = cli.fails(&["init"], &[("HEAPLEDGER_DB", &there)]);
        let created = MemManager::options().create(true).open(&there).map(drop).unwrap_err();
        sql.execute(&format!("DROP DATABASE {database}"));
        assert!(
            refused.contains(&format!("is {encoding} and not UTF8")) && refused.contains("CREATE DATABASE"),
            "{refused}"
        );
        assert!(
            matches!(created, Error::Server(ServerError::Encoding { .. })),
            "{created}"
        );
    }
}

/// Citus creates the views of its nodes from their descriptions, as does whoever restores a dump.
#[test]
fn views_that_are_created_from_their_descriptions_have_the_same_ones() {
    if !on_server() {
        return;
    }
    let place = Place::new();
    let options = MemManager::options().create(true);
    drop(options.open(place.address()).unwrap());
    let sql = place.sql();
    for view in sql.views() {
        let description = || texts(&sql, &format!("SELECT pg_get_viewdef('{view}'::regclass)")).remove(0);
        let created = description();
        sql.execute(&format!("CREATE OR REPLACE VIEW {view} AS {created}"));
        assert_eq!(description(), created, "{view}");
    }
    drop(MemManager::open(place.address()).unwrap());
}
