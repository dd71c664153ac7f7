//! Reaching a server: passwords, TLS, the variables of libpq, and what is said if it cannot be reached.

use std::net::TcpListener;

use diesel::{Connection, PgConnection};

use crate::own::{OwnServer, PASSWORD, certificate};
use crate::support::Cli;

/// [`PASSWORD`] in a URI.
const ENCODED: &str = "pass%20word%2F%40%3A%25";

#[test]
fn passwords_and_places_come_from_where_libpq_looks() {
    let Some(server) = OwnServer::start("") else { return };
    let cli = Cli::new();
    let port = server.port.to_string();
    let address = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let with_password = [("PGPASSWORD", PASSWORD)];
    cli.ok(&["--db", &address, "init"], &with_password);
    cli.ok(&["--db", &address, "set", "answer", "42"], &with_password);
    let answer = |args: &[&str], variables: &[(&str, &str)]| {
        assert_eq!(
            cli.ok(&[args, &["get", "answer"]].concat(), variables),
            "42",
            "{variables:?}"
        );
    };

    let escaped = PASSWORD.replace(':', "\\:");
    cli.file("passwords", &format!("127.0.0.1:{port}:*:postgres:{escaped}\n"), 0o600);
    let passwords = cli.path("passwords");
    answer(&["--db", &address], &[("PGPASSFILE", &passwords)]);
    answer(&["--db", &format!("{address}?passfile={passwords}")], &[]);
    cli.file(".pgpass", &format!("*:*:*:*:{escaped}\n"), 0o600);
    answer(&["--db", &address], &[("HOME", &cli.path(""))]);

    let service =
        format!("[heaps]\nhost=127.0.0.1\nport={port}\nuser=postgres\ndbname=postgres\npassword={PASSWORD}\n");
    cli.file("services", &service, 0o600);
    let services = cli.path("services");
    answer(&["--db", "postgres:///?service=heaps"], &[("PGSERVICEFILE", &services)]);
    answer(
        &["--db", "postgres://"],
        &[("PGSERVICEFILE", &services), ("PGSERVICE", "heaps")],
    );

    let whole = format!("postgres://postgres:{ENCODED}@127.0.0.1:{port}/postgres");
    answer(&[], &[("HEAPLEDGER_DB", &whole)]);
    let variables = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGUSER", "postgres"),
        ("PGPASSWORD", PASSWORD),
    ];
    answer(&["--db", "postgres:///postgres"], &variables);

    // The first host that answers.
    let several = format!("postgres://postgres:{ENCODED}@127.0.0.1:1,127.0.0.1:{port}/postgres?connect_timeout=5");
    answer(&[], &[("HEAPLEDGER_DB", &several)]);
}

#[test]
fn tls_encrypts_and_knows_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(folder.path()) else {
        crate::common::skip::skip("openssl", "to make a certificate");
        return;
    };
    let Some(server) = OwnServer::start("") else { return };
    server.take(&certificate, "data/server.crt");
    server.take(&key, "data/server.key");
    server.configure("ssl = on");
    server.pg_ctl(&["restart", "-w"]);

    let cli = Cli::new();
    let port = server.port;
    let address = |host: &str, parameters: &str| {
        let certificate = certificate.display();
        format!("postgres://postgres:{ENCODED}@{host}:{port}/postgres?{parameters}&sslrootcert={certificate}")
    };
    for parameters in ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"] {
        let address = address("localhost", parameters);
        if parameters == "sslmode=require" {
            cli.ok(&["init"], &[("HEAPLEDGER_DB", &address)]);
        }
        cli.ok(&["ls"], &[("HEAPLEDGER_DB", &address)]);
    }
    let refused = cli.fails(
        &["ls"],
        &[("HEAPLEDGER_DB", &address("127.0.0.1", "sslmode=verify-full"))],
    );
    assert!(refused.contains("does not match host name"), "{refused}");
    let unknown = address("localhost", "sslmode=verify-full").replace("sslrootcert=", "sslrootcert=/nowhere");
    assert!(
        cli.fails(&["ls"], &[("HEAPLEDGER_DB", &unknown)])
            .contains("root certificate file")
    );
}

#[test]
fn what_keeps_a_program_out_is_said_without_a_password() {
    let Some(server) = OwnServer::start("max_connections = 5\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0")
    else {
        return;
    };
    let cli = Cli::new();
    let (port, socket) = (server.port, server.socket());
    let login = |user: &str, database: &str| format!("postgres://{user}@127.0.0.1:{port}/{database}");
    for (address, why, advice) in [
        (
            login("postgres:secret", "postgres"),
            "password authentication failed",
            "PGPASSWORD",
        ),
        (login("postgres", "postgres"), "no password supplied", "PGPASSWORD"),
        (
            login(&format!("postgres:{ENCODED}"), "nowhere"),
            "database \"nowhere\" does not exist",
            "CREATE DATABASE",
        ),
        (
            format!("{socket}&user=nobody&password=secret"),
            "role \"nobody\" does not exist",
            "CREATE ROLE",
        ),
        (
            "postgres://me:secret@127.0.0.1:1/db".into(),
            "Connection refused",
            "Is the server running",
        ),
        (
            "postgres://me:secret@nowhere.invalid/db".into(),
            "could not translate host name",
            "nowhere.invalid",
        ),
        (
            "postgres://me:secret@127.0.0.1:1/db?no_such=1".into(),
            "invalid URI query parameter: \"no_such\"",
            "",
        ),
        (
            format!("{socket}&password=secret&sslmode=secret"),
            "invalid sslmode value: \"***\"",
            "",
        ),
        (
            format!("{socket}&password=secret"),
            "there is no heap at",
            "`heapledger init`",
        ),
    ] {
        let refused = cli.fails(&["ls"], &[("HEAPLEDGER_DB", &address)]);
        assert!(refused.contains(why) && refused.contains(advice), "{why}: {refused}");
        assert!(
            !refused.contains("secret") && !refused.contains("pass word"),
            "{refused}"
        );
        // Storing does not create anything, either.
        let refused = cli.fails(&["set", "x", "1", "--create"], &[("HEAPLEDGER_DB", &address)]);
        assert!(refused.contains(why), "{why}: {refused}");
    }
    cli.ok(&["init"], &[("HEAPLEDGER_DB", &socket)]);
    let all: Vec<_> = std::iter::from_fn(|| PgConnection::establish(&socket).ok()).collect();
    assert_eq!(all.len(), 5);
    let refused = cli.fails(&["ls"], &[("HEAPLEDGER_DB", &socket)]);
    assert!(
        refused.contains("too many clients") && refused.contains("max_connections"),
        "{refused}"
    );
    drop(all);
}

#[test]
fn a_host_that_never_answers_is_given_up() {
    // The system accepts connections, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("postgres://me@{}/db", silent.local_addr().unwrap());
    let cli = Cli::new();
    for (address, variables) in [
        (address.clone(), [("HOME", "/nonexistent")]),
        (format!("{address}?connect_timeout=2"), [("HOME", "/nonexistent")]),
        (address, [("PGCONNECT_TIMEOUT", "2")]),
    ] {
        let refused = cli.fails(&["--db", &address, "ls"], &variables);
        assert!(refused.contains("timeout expired"), "{refused}");
        assert!(refused.contains("connect_timeout"), "{refused}");
    }
}
