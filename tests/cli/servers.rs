//! Which addresses of servers count, and that none shows a password.

use crate::common::on_server;
use crate::support::{Cli, Ran, noise, ran};

const SERVER: &str = "postgres://me:secret@127.0.0.1:1/db";

fn refused(ran: &Ran) -> &str {
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    &ran.stderr
}

#[test]
fn a_server_counts_only_from_the_option_and_its_own_variable() {
    let cli = Cli::new();
    // The tests may have set one.
    let unset = |args: &[&str]| {
        let mut command = cli.command(args);
        command.env_remove("HEAPLEDGER_DB");
        command
    };
    let from_variable = ran(unset(&["ls"]).env("DATABASE_URL", SERVER));
    let in_dotenv = ["DATABASE_URL", "HEAPLEDGER_DB"].map(|variable| {
        cli.file(".env", format!("{variable}={SERVER}\n"));
        (variable, ran(&mut unset(&["ls"])))
    });
    let both = "which counts only from --db or from HEAPLEDGER_DB in the environment";
    let line = refused(&from_variable);
    assert!(
        line.starts_with("heapledger: DATABASE_URL is a PostgreSQL URL, ") && line.contains(both),
        "{line}"
    );
    for (variable, ran) in &in_dotenv {
        let line = refused(ran);
        let start = format!("heapledger: {variable} in .env is a PostgreSQL URL, ");
        assert!(line.starts_with(&start) && line.contains(both), "{line}");
    }
    // Nor does one that pretends to be a file.
    std::fs::remove_file(cli.path(".env")).unwrap();
    let pretended = ran(unset(&["ls"]).env("DATABASE_URL", "sqlite:postgres://127.0.0.1:1/db"));
    assert!(
        refused(&pretended).contains("no heap at ./postgres:"),
        "{}",
        pretended.stderr
    );
    // Either of them comes first.
    cli.file(".env", format!("HEAPLEDGER_DB={SERVER}\n"));
    assert_eq!(cli.run(["--db", "a.db", "set", "x", "1"]).status, 0);
    assert_eq!(ran(cli.command(["get", "x"]).env("HEAPLEDGER_DB", "a.db")).stdout, "1");
}

#[test]
fn an_address_that_postgres_would_misread_is_refused_without_repeating_it() {
    for address in [
        "postgres:secret",
        "POSTGRES://me:se@cret:secret@host/db",
        "postgresql://me:secret/db",
        "postgres://me:secret%zz@host/db",
        "postgres://me:secret@host/db?schema=pg_temp",
        "postgres://me@host/db?secret",
    ] {
        let cli = Cli::new();
        let line = ran(cli.command(["ls"]).env("HEAPLEDGER_DB", address));
        assert!(
            refused(&line).starts_with("heapledger: HEAPLEDGER_DB"),
            "{address}: {}",
            line.stderr
        );
        assert_eq!(cli.names(), [""; 0]);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn an_option_must_not_have_a_password() {
    let cli = Cli::new();
    for address in [
        SERVER,
        "postgres://me@127.0.0.1:1/db?password=secret",
        "postgres://me@127.0.0.1:1/db?sslpassword=secret",
    ] {
        let ran = cli.run(["--db", address, "ls"]);
        let line = refused(&ran);
        for place in ["PGPASSWORD", ".pgpass", "PGSERVICEFILE", "HEAPLEDGER_DB"] {
            assert!(
                line.starts_with("heapledger: --db has a password in it") && line.contains(place),
                "{line}"
            );
        }
    }
    // The variable may.
    let ran = ran(cli.command(["ls"]).env("HEAPLEDGER_DB", SERVER));
    let line = refused(&ran);
    let start = "heapledger: postgres://me@127.0.0.1:1/db?schema=heapledger cannot be reached: ";
    assert!(line.starts_with(start) && line.contains("Connection refused"), "{line}");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_postgres_says_how_to_get_it() {
    let cli = Cli::new();
    let ran = cli.run(["--db", SERVER, "ls"]);
    let line = refused(&ran);
    assert!(
        line.contains("this build has no PostgreSQL") && line.contains("--features postgres"),
        "{line}"
    );
}

#[test]
fn every_command_works_on_a_server() {
    if !on_server() {
        return;
    }
    let cli = Cli::new();
    cli.file("photo.jpg", noise(300_000));
    cli.file("film", noise(9 << 20));
    cli.ok(["put", "photo.jpg", "film"]);
    for args in [
        &["set", "answer", "42"][..],
        &["set", "x", "1", "--space", "cache", "--create"],
        &["get", "answer"],
        &["ls", "--long"],
        &["show", "answer"],
        &["name", "answer", "again"],
        &["unname", "again"],
        &["reserve", "1MiB", "--key", "k"],
        &["ls", "--reservations"],
        &["post", "k", "photo.jpg", "--name", "posted"],
        &["reserve", "64KiB", "--key", "other"],
        &["void", "other"],
        &["ledger"],
        &["tree"],
        &["block", "1"],
        &["layout", "--at", "@3"],
        &["layout", "--digest"],
        &["log"],
        &["usage"],
        &["usage", "--over-time"],
        &["diff", "@2"],
        &["history"],
        &["history", "keep", "1MiB"],
        &["history", "off"],
        &["history", "on"],
        &["stats"],
        &["doctor"],
        &["plan", "1MiB"],
        &["put", "--dry-run", "film"],
        &["sparse"],
        &["space"],
        &["spaces"],
        &["resize", "2GiB"],
        &["add", "arena"],
        &["free", "--dry-run", "answer"],
        &["unname", "answer"],
        &["gc", "--dry-run"],
        &["gc"],
        &["check"],
        &["check", "--quick"],
        &["check", "--repair"],
        &["export", "files"],
        &["import", "files"],
        &["copy", "--to", "copy.db"],
    ] {
        let ran = cli.run_all(args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        for of_files in [
            "write-ahead log",
            "the file has",
            "of file per",
            "VACUUM",
            "pointer map",
        ] {
            assert!(!ran.stdout.contains(of_files), "{args:?}: {}", ran.stdout);
        }
    }
    let server = cli.address().to_str().unwrap();
    let diff = cli.json(["diff", "copy.db", server]);
    assert_eq!(diff["added"], serde_json::json!([]));
    let sums = || {
        let space = cli.json(["space"]);
        let trees = space["trees"].as_array().unwrap().iter();
        let bytes = trees.map(|tree| tree["bytes"].as_u64().unwrap()).sum::<u64>();
        (bytes, space["file_size"].as_u64().unwrap())
    };
    // Autovacuum may let a table grow between the two sums.
    let found: Vec<_> = (0..5).map(|_| sums()).collect();
    assert!(found.iter().any(|(trees, size)| trees == size), "{found:?}");
    assert_eq!(cli.json(["stats"])["disk"]["on_server"], true);
}

#[test]
fn what_is_about_files_says_what_to_use_on_a_server() {
    if !on_server() {
        return;
    }
    let cli = Cli::new();
    cli.ok(["set", "answer", "42"]);
    cli.ok(["copy", "--to", "copy.db"]);
    for (args, instead) in [
        (
            &["backup", "new.db"][..],
            "`heapledger copy --to FILE`, or `pg_dump --schema=SCHEMA`",
        ),
        (&["restore", "copy.db"], "`heapledger copy --to URL`, or `pg_restore`"),
        (
            &["resize", "--max-file", "8MiB"],
            "`heapledger resize SIZE` bounds each space",
        ),
        (
            &["init", "--max-file", "8MiB", "--space", "new"],
            "`heapledger resize SIZE` bounds each space",
        ),
    ] {
        let ran = cli.run_all(args);
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(
            ran.stderr.contains(" is for heaps in files; on a server, ") && ran.stderr.contains(instead),
            "{args:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(cli.ok(["get", "answer"]), "42");
    assert_eq!(cli.names(), ["copy.db"]);
}

#[test]
fn a_read_that_waits_for_a_lock_says_how_long_and_what_to_do() {
    if !on_server() {
        return;
    }
    let cli = Cli::new();
    cli.ok(["set", "a", "1"]);
    let id = cli.json(["show", "a"])["object_id"].as_str().unwrap().to_owned();
    let other = cli.sql();
    for (table, reference) in [("names", id.as_str()), ("ledger", "a")] {
        other.execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"));
        let error = cli.fails(2, ["get", reference, "--busy-timeout", "300ms"]);
        other.execute("ROLLBACK");
        let waited = error.split(" ms").next().unwrap().rsplit(' ').next().unwrap();
        assert!(waited.replace(',', "").parse::<u64>().unwrap() >= 300, "{error}");
        assert!(error.ends_with("or wait longer with --busy-timeout"), "{error}");
    }
}

#[test]
fn a_query_is_read_as_the_server_reads_it() {
    if !on_server() {
        return;
    }
    let cli = Cli::new();
    cli.ok(["set", "a", "1"]);
    for (query, expected) in [
        ("SELECT (ARRAY[?])[1] AS x", "5"),
        ("SELECT E'it\\'s; ' || ? AS x", "it's; 5"),
        ("SELECT $$a?b'$$ || ? AS x", "a?b'5"),
        ("/* a /* b */ ; */ SELECT ? || '' AS x", "5"),
    ] {
        let rows = cli.json(["sql", query, "5"]);
        let found = rows[0]["x"]
            .as_str()
            .map_or_else(|| rows[0]["x"].to_string(), str::to_owned);
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(cli.json(["sql", "SELECT $$a?1;$$ AS x"])[0]["x"], "a?1;");
    let forgotten = cli.fails(2, ["sql", "SELECT id FROM memram WHERE id > ? ORDER BY 1"]);
    assert!(
        forgotten.ends_with("the query has 1 `?`, but 0 values were given"),
        "{forgotten}"
    );
}
