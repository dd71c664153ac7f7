//! Guards against this failure: an error is not told apart from others, because the server says it in another
//! language than English.

use std::path::Path;
use std::thread;
use std::time::Duration;

use heapledger::{Error, MemManager, Options, Result, ServerError};

use crate::common::{Sql, assert_balanced, number, options};
use crate::own::OwnServer;

/// A heap whose owner may not choose the language.
struct German {
    server: OwnServer,
}

impl German {
    fn new() -> Option<Self> {
        let server = OwnServer::start_in_german()?;
        let german = Self { server };
        let sql = Sql::at(Path::new(&format!("{}&schema=public", german.server.socket())));
        sql.execute("CREATE ROLE owner LOGIN; GRANT CREATE ON DATABASE postgres TO owner");
        german.open(options()).allocate("before").unwrap();
        Some(german)
    }

    fn address(&self) -> String {
        self.server.socket().replace("user=postgres", "user=owner")
    }

    fn open(&self, options: Options) -> MemManager {
        options.open(self.address()).unwrap()
    }

    /// A session that may do everything.
    fn sql(&self) -> Sql {
        Sql::at(Path::new(&format!("{}&schema=heapledger", self.server.socket())))
    }
}

/// Stores a value as a unit of the library or as a batch.
fn put(memory: &MemManager, is_batch: bool, value: &str) -> Result<()> {
    match is_batch {
        true => memory.batch(|batch| batch.allocate(value)).map(drop),
        false => memory.allocate(value).map(drop),
    }
}

/// Waits until a session waits for a lock, and returns its process.
fn waiting(sql: &Sql) -> i64 {
    loop {
        let found =
            "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'owner'";
        match number(sql, found) {
            0 => thread::sleep(Duration::from_millis(5)),
            pid => return pid,
        }
    }
}

#[test]
fn errors_are_told_apart_in_another_language() {
    let Some(german) = German::new() else { return };
    let (other, boss) = (german.sql(), german.sql());
    let heap = german.open(options());
    for is_batch in [false, true] {
        let lock = || other.execute("BEGIN; SELECT FROM memram FOR UPDATE");
        // It waits for too long.
        let impatient = german.open(options().busy_timeout(Duration::from_millis(200)));
        lock();
        let error = put(&impatient, is_batch, "busy").unwrap_err();
        assert!(
            matches!(error, Error::Busy { waited_ms } if waited_ms >= 200),
            "{error:?}"
        );

        // It is cancelled: by somebody, and by a timeout.
        thread::scope(|scope| {
            let putting = scope.spawn(|| put(&heap, is_batch, "cancelled"));
            boss.execute(&format!("SELECT pg_cancel_backend({})", waiting(&boss)));
            let error = putting.join().unwrap().unwrap_err();
            let Error::Server(ServerError::Cancelled { why }) = error else {
                panic!("{error:?}")
            };
            assert!(why.starts_with("storniere Anfrage"), "not in German: {why}");
        });
        // Long enough to open the heap on a busy machine.
        let limited = format!("{}&options=-c%20statement_timeout%3D3000", german.address());
        let limited = options().open(limited).unwrap();
        let error = put(&limited, is_batch, "cancelled").unwrap_err();
        assert!(
            matches!(error, Error::Server(ServerError::Cancelled { .. })),
            "{error:?}"
        );

        // Its connection is ended.
        thread::scope(|scope| {
            let putting = scope.spawn(|| put(&heap, is_batch, "ended"));
            boss.execute(&format!("SELECT pg_terminate_backend({})", waiting(&boss)));
            other.execute("ROLLBACK");
            putting.join().unwrap().unwrap();
        });
        heap.free(&heapledger::ObjectId::of("ended").unwrap()).unwrap();
    }

    // A deadlock.
    other.execute(
        "SET deadlock_timeout = '60s'; BEGIN; SELECT FROM sequences FOR UPDATE; SELECT FROM size_classes FOR UPDATE",
    );
    thread::scope(|scope| {
        let error = scope.spawn(|| put(&heap, true, "deadlock"));
        waiting(&boss);
        other.execute("SELECT FROM memram FOR UPDATE; ROLLBACK");
        let error = error.join().unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Server(ServerError::Conflict { .. })),
            "{error:?}"
        );
        assert!(error.is_retryable(), "{error:?}");
    });

    // A server that only reads.
    let reading = format!("{}&options=-c%20default_transaction_read_only%3Don", german.address());
    let error = put(&options().open(reading).unwrap(), false, "read only").unwrap_err();
    assert!(matches!(error, Error::Server(ServerError::Standby { .. })), "{error:?}");
    heap.allocate("after").unwrap();
    assert_eq!(heap.stats().unwrap().objects, 2);
    assert_balanced(&german.open(options()));
}
