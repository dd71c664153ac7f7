use std::sync::Barrier;

use diesel::connection::SimpleConnection;
use tempfile::TempDir;

use super::{FileReaders, MOST_IDLE};
use crate::error::Error;
use crate::store::{Access, Durability, FileLocation, ReadTx};

fn readers() -> (TempDir, FileReaders) {
    let dir = tempfile::tempdir().unwrap();
    let mut location = FileLocation::at(&dir.path().join("heap.db")).unwrap();
    location.settings.durability = Durability::Normal;
    location.prepare(Access::Write).unwrap();
    (dir, FileReaders::new(location, None))
}

/// Marks the connection, so that it can be recognised.
fn mark(tx: &mut ReadTx<'_>) {
    tx.conn()
        .unwrap()
        .batch_execute("CREATE TEMP TABLE IF NOT EXISTS marked (a)")
        .unwrap();
}

fn is_marked(readers: &FileReaders) -> bool {
    let look = |tx: &mut ReadTx<'_>| Ok(tx.conn()?.batch_execute("SELECT * FROM temp.marked").is_ok());
    readers.single(look).unwrap()
}

fn marked() -> (TempDir, FileReaders) {
    let (dir, readers) = readers();
    let made = readers.single(|tx| {
        tx.conn()?.batch_execute("PRAGMA query_only = OFF")?;
        mark(tx);
        Ok(())
    });
    made.unwrap();
    (dir, readers)
}

#[test]
fn an_error_that_is_not_of_the_database_keeps_the_connection() {
    let (_dir, readers) = marked();
    let unknown = || Error::UnknownName {
        name: "none".into(),
        space: "main".into(),
    };
    for _ in 0..3 {
        let found = readers.snapshot(|_| Err::<(), _>(unknown())).unwrap_err();
        assert!(matches!(found, Error::UnknownName { .. }), "{found}");
        let found = readers.single(|_| Err::<(), _>(unknown())).unwrap_err();
        assert!(matches!(found, Error::UnknownName { .. }), "{found}");
    }
    assert!(is_marked(&readers));
    assert_eq!(readers.idle().len(), 1);
}

#[test]
fn an_error_of_the_database_closes_the_connection_and_is_returned() {
    let (_dir, readers) = marked();
    let failed = readers.snapshot(|tx| Ok(tx.conn()?.batch_execute("SELECT * FROM no_such_table")?));
    assert!(failed.unwrap_err().to_string().contains("no_such_table"));
    assert!(readers.idle().is_empty());
    assert!(!is_marked(&readers));
    // The transaction has already ended, so the COMMIT fails.
    let failed = readers.snapshot(|tx| {
        tx.conn()?.batch_execute("ROLLBACK")?;
        Err::<(), _>(Error::ReadOnly)
    });
    assert!(matches!(failed, Err(Error::ReadOnly)), "{failed:?}");
    assert!(readers.idle().is_empty(), "its state is unknown");
    let failed = readers.snapshot(|tx| Ok(tx.conn()?.batch_execute("ROLLBACK")?));
    assert!(failed.unwrap_err().to_string().contains("no transaction"));
}

#[test]
fn idle_connections_are_limited() {
    let (dir, readers) = readers();
    let count = 40;
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").ok()?;
        let log = dir.path().join("heap.db-wal");
        let of_log = links
            .flatten()
            .filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to == log));
        Some(of_log.count())
    };
    let all_read = Barrier::new(count);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let read = readers.snapshot(|tx| {
                    tx.conn()?.batch_execute("SELECT count(*) FROM sqlite_schema")?;
                    all_read.wait();
                    Ok(())
                });
                read.unwrap();
            });
        }
    });
    assert_eq!(readers.idle().len(), *MOST_IDLE);
    if let Some(open) = open() {
        assert_eq!(open, *MOST_IDLE, "descriptors of the log");
    }
}
