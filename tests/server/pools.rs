//! Guards against this failure: a connection pool gives a session of one heap to another.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use heapledger::{Error, MemManager, ServerError};

use crate::common::skip::by_design;
use crate::common::{assert_balanced, content, options};
use crate::own::OwnServer;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

struct Pool {
    process: Child,
    port: u16,
}

impl Pool {
    /// A pool of sessions or of transactions before a server; `None` without PgBouncer: the test is skipped.
    #[track_caller]
    fn start(server: &OwnServer, mode: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            by_design("PgBouncer", PROGRAM);
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (folder, upstream) = (server.folder(), server.port);
        let settings = format!(
            "[databases]\n* = host={folder} port={upstream} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        );
        let file = server.path("pool.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = server.program(PROGRAM);
        let process = command.arg(file).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Some(Self { process, port })
    }

    fn address(&self, schema: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?schema={schema}", self.port)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_pool_of_sessions_is_as_good_as_the_server() {
    let Some(server) = OwnServer::start("") else { return };
    let Some(pool) = Pool::start(&server, "session") else {
        return;
    };
    for round in 0..3 {
        for schema in ["one", "two"] {
            let memory = options().open(pool.address(schema)).unwrap();
            memory.set(schema, &round).unwrap();
            memory.allocate_bytes(&content(round, 500)).unwrap();
            assert_eq!(memory.get_by_name::<u64>(schema).unwrap(), Some(round));
            assert_eq!(memory.stats().unwrap().objects, round + 2);
        }
    }
    let direct = format!("{}&schema=one", server.socket());
    assert_balanced(&MemManager::open(direct).unwrap());
}

#[test]
fn a_pool_of_transactions_is_refused() {
    let Some(server) = OwnServer::start("") else { return };
    let Some(pool) = Pool::start(&server, "transaction") else {
        return;
    };
    for schema in ["one", "two"] {
        options().open(format!("{}&schema={schema}", server.socket())).unwrap();
    }
    let opened: Vec<_> = ["one", "two", "one"]
        .map(|schema| MemManager::open(pool.address(schema)))
        .into();
    let refused = opened.into_iter().filter_map(|opened| opened.err());
    let refused: Vec<_> = refused.map(|error| error.to_string()).collect();
    assert!(refused.len() >= 2, "{refused:?}");
    for error in refused {
        assert!(error.contains("pool_mode=session"), "{error}");
    }
}

#[test]
fn a_session_that_belongs_to_another_connection_is_refused() {
    let Some(server) = OwnServer::start("") else { return };
    let marked = format!("{}&options=-c%20heapledger.session%3Down", server.socket());
    let refused = options().open(marked).map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Server(ServerError::Pooled { .. })),
        "{refused}"
    );
}
