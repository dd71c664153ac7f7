//! Guards: triggers in the file that refuse what other tools write.
//!
//! Each trigger names a collation that SQLite looks up before it runs a statement that would fire the
//! trigger, and only connections of this crate define it. These connections need not run the triggers
//! either, so they switch them off: a trigger is a program that SQLite would start for each row, and for an
//! UPDATE it would read the row twice.

#![allow(unsafe_code, reason = "Diesel cannot switch triggers off")]

use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Once;

use diesel::SqliteConnection;
use libsqlite3_sys as ffi;

use crate::error::Result;

/// Lets a connection write to guarded tables.
///
/// A function would be the usual way, but with `trusted_schema` off a trigger may only call
/// functions that are marked as innocuous, and Diesel cannot register those.
pub(in crate::store) fn allow_guarded_writes(conn: &mut SqliteConnection) -> Result<()> {
    Ok(conn.register_collation("only_heapledger_may_write", str::cmp)?)
}

thread_local! {
    /// Whether connections that this thread opens run no triggers.
    static WITHOUT_TRIGGERS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `open`, whose connections run no triggers but temporary ones.
///
/// SQLite calls a function for every connection that the process opens, which is the only way to reach one
/// that Diesel opens. The function leaves those of other threads and of the program around this crate
/// alone. A program may remove the function from SQLite, and then triggers run: that takes longer, and changes nothing.
pub(super) fn without_triggers<R>(open: impl FnOnce() -> R) -> R {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the function has the type that SQLite calls it with, and exists as long as the process.
        // It fails only without memory, and then triggers run.
        unsafe { ffi::sqlite3_auto_extension(Some(opened)) };
    });
    WITHOUT_TRIGGERS.set(true);
    let done = open();
    WITHOUT_TRIGGERS.set(false);
    done
}

/// What SQLite calls when it has opened a connection, on the thread that opens it.
unsafe extern "C" fn opened(
    connection: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    // A thread that is ending no longer has this value.
    if WITHOUT_TRIGGERS.try_with(Cell::get).unwrap_or(false) {
        let off: c_int = 0;
        // SAFETY: SQLite passes a connection that is open and that no other thread has yet. This operation
        // takes an int and a pointer to the int that gets the new setting, which may be null.
        unsafe {
            ffi::sqlite3_db_config(
                connection,
                ffi::SQLITE_DBCONFIG_ENABLE_TRIGGER,
                off,
                ptr::null_mut::<c_int>(),
            )
        };
    }
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use diesel::Connection;
    use diesel::connection::SimpleConnection;

    use super::*;

    #[test]
    fn only_connections_opened_for_it_run_no_triggers() {
        let open = || SqliteConnection::establish(":memory:").unwrap();
        let mut ours = without_triggers(open);
        let others = [open(), without_triggers(|| std::thread::spawn(open).join().unwrap())];
        assert!(insert_past_a_trigger(&mut ours).is_ok());
        for mut other in others {
            let refused = insert_past_a_trigger(&mut other).unwrap_err();
            assert_eq!(refused.to_string(), "refused");
        }
    }

    fn insert_past_a_trigger(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
        conn.batch_execute(
            "CREATE TABLE t (a); CREATE TRIGGER no BEFORE INSERT ON t BEGIN SELECT RAISE(FAIL, 'refused'); END",
        )?;
        conn.batch_execute("INSERT INTO t VALUES (1)")
    }
}
