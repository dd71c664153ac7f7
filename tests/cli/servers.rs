//! Which addresses of servers count, and that none shows a password.

use crate::support::{Cli, Ran, ran};

const SERVER: &str = "postgres://me:secret@127.0.0.1:1/db";

fn refused(ran: &Ran) -> &str {
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    &ran.stderr
}

#[test]
fn a_server_counts_only_from_the_option_and_its_own_variable() {
    let cli = Cli::new();
    let from_variable = ran(cli.command(["ls"]).env("DATABASE_URL", SERVER));
    let in_dotenv = ["DATABASE_URL", "HEAPLEDGER_DB"].map(|variable| {
        cli.file(".env", format!("{variable}={SERVER}\n"));
        (variable, cli.run(["ls"]))
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
    let pretended = ran(cli
        .command(["ls"])
        .env("DATABASE_URL", "sqlite:postgres://127.0.0.1:1/db"));
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
