//! A standby is read as the primary is, and writes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use heapledger::{Error, MemManager, ServerError};

use crate::own::OwnServer;
use crate::support::Cli;

#[test]
fn a_standby_reads_and_says_that_it_does_not_write() {
    let Some(primary) = OwnServer::start("") else { return };
    let (cli, address) = (Cli::new(), primary.socket());
    cli.ok(&["--db", &address, "init"], &[]);
    cli.ok(&["--db", &address, "set", "answer", "42"], &[]);
    let standby = primary.standby();
    let there = standby.socket();
    for args in [
        &["get", "answer"][..],
        &["ls"],
        &["show", "answer"],
        &["tree"],
        &["log"],
        &["check"],
        &["plan", "1KiB"],
        &["doctor"],
        &["stats"],
        &["space"],
    ] {
        cli.ok(&[&["--db", &there], args].concat(), &[]);
    }
    for args in [
        &["set", "answer", "43"][..],
        &["gc"],
        &["init"],
        &["--space", "x", "set", "y", "1", "--create"],
    ] {
        let refused = cli.fails(&[&["--db", &there], args].concat(), &[]);
        assert!(
            refused.contains("only reads") && refused.contains("target_session_attrs=read-write"),
            "{refused}"
        );
    }
    let refused = cli.fails(&["--db", &format!("{there}&schema=other"), "init"], &[]);
    assert!(refused.contains("only reads"), "{refused}");
    let memory = MemManager::options().read_only(true).open(&there).unwrap();
    assert_eq!(
        memory.snapshot().unwrap().get_by_name::<i64>("answer").unwrap(),
        Some(42)
    );
    let refused = MemManager::open(&there).map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Server(ServerError::Standby { .. })),
        "{refused}"
    );

    // With all hosts, libpq finds the one that is asked for.
    let both = format!(
        "postgres:///postgres?host={0},{1}&port={2},{3}&user=postgres",
        standby.folder(),
        primary.folder(),
        standby.port,
        primary.port
    );
    cli.ok(
        &[
            "--db",
            &format!("{both}&target_session_attrs=read-write"),
            "set",
            "answer",
            "43",
        ],
        &[],
    );
    cli.ok(
        &["--db", &format!("{both}&target_session_attrs=prefer-standby"), "ls"],
        &[],
    );
}

#[test]
fn a_database_that_only_reads_says_so() {
    let Some(server) = OwnServer::start("") else { return };
    let (cli, address) = (Cli::new(), server.socket());
    cli.ok(&["--db", &address, "init"], &[]);
    server.configure("default_transaction_read_only = on");
    server.pg_ctl(&["reload"]);
    let reads = format!("{address}&options=-c%20default_transaction_read_only%3Don");
    let refused = cli.fails(&["--db", &reads, "set", "x", "1"], &[]);
    assert!(refused.contains("only reads"), "{refused}");
}
