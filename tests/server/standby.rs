//! A standby is read as the primary is, and writes nothing.

use std::thread;
use std::time::Duration;

use heapledger::{Error, MemManager, ServerError};

use crate::common::{assert_balanced, options};
use crate::own::OwnServer;
use crate::support::Cli;
use crate::writers::{assert_stored_once, write_meanwhile};

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

#[test]
fn a_standby_that_is_promoted_goes_on_reading_and_then_writes() {
    let Some(primary) = OwnServer::start("") else { return };
    options().open(primary.socket()).unwrap().set("answer", &42).unwrap();
    let standby = primary.standby();
    let reading = MemManager::options().read_only(true).open(standby.socket()).unwrap();
    let then = reading.snapshot().unwrap();
    assert_eq!(then.get_by_name::<i64>("answer").unwrap(), Some(42));
    standby.pg_ctl(&["promote", "-w"]);
    let writing = MemManager::open(standby.socket()).unwrap();
    writing.set("answer", &43).unwrap();
    assert_eq!(then.get_by_name::<i64>("answer").unwrap(), Some(42));
    assert_eq!(reading.get_by_name::<i64>("answer").unwrap(), Some(43));
    assert!(matches!(reading.set("answer", &44), Err(Error::ReadOnly)));
    assert_balanced(&writing);
}

#[test]
fn writers_follow_to_the_standby_that_is_promoted() {
    let Some(primary) = OwnServer::start("") else { return };
    options().open(primary.socket()).unwrap();
    let standby = primary.standby();
    // What is acknowledged is on both.
    primary.configure("synchronous_standby_names = '*'");
    primary.pg_ctl(&["reload"]);
    let both = format!(
        "postgres:///postgres?host={},{}&port={},{}&user=postgres&target_session_attrs=read-write",
        primary.folder(),
        standby.folder(),
        primary.port,
        standby.port
    );
    let open = || options().busy_timeout(Duration::from_secs(60)).open(&both).unwrap();
    let heap = open();
    let count = write_meanwhile(3, 300, open, |_| {
        thread::sleep(Duration::from_millis(300));
        primary.pg_ctl(&["stop", "-m", "immediate"]);
        standby.pg_ctl(&["promote", "-w"]);
        thread::sleep(Duration::from_millis(300));
    });
    assert_stored_once(&heap, count);
}
