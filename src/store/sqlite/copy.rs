//! Copies a heap file.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connect::file_url;
use super::open_files::Reading;
use super::pages::file_sizes;
use super::path::short_enough_to_create;
use super::stale_log::randomize_change_counter;
use crate::error::{Error, Result};
use crate::models::unsigned;
use crate::store::conn::Conn;
use crate::store::settings::Access;
use crate::store::sqlite::location::FileLocation;

/// How often to check the size of the copy.
const POLL: Duration = Duration::from_millis(20);

impl FileLocation {
    /// Copies the whole heap, in the state of one commit, into the empty file `to`, which becomes a
    /// separate heap. `named` is its name in messages, and `cannot` the message if it cannot be
    /// written. `progress` gets the bytes copied and an estimate of the total.
    pub fn copy_to(
        &self,
        to: &Path,
        named: &Path,
        cannot: &dyn Fn() -> String,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        short_enough_to_create(to).map_err(Error::io(cannot()))?;
        let reading = Reading::begin(self.file.as_ref(), Instant::now());
        copy_pages(self.connect(Access::Read)?, to, progress)?;
        drop(reading);
        let copy = Self {
            path: to.to_owned(),
            named: named.to_owned(),
            file: None,
            ..self.clone()
        };
        // The copy still needs WAL mode and its own change counter.
        copy.connect(Access::Write)?
            .batch_execute("PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE);")?;
        randomize_change_counter(to).map_err(Error::io(cannot()))?;
        Ok(copy)
    }
}

/// Copying is one statement: another thread runs it, while this one reports its progress.
fn copy_pages(mut conn: Conn, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let sizes = file_sizes(&mut conn)?;
    let total = unsigned(sizes.bytes - sizes.free);
    thread::scope(|scope| {
        let copying = scope.spawn(move || vacuum_into(&mut conn, to));
        while !copying.is_finished() {
            let done = to.metadata().map_or(0, |file| file.len());
            progress(done.min(total), total);
            thread::park_timeout(POLL);
        }
        copying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Page size, `auto_vacuum`, `application_id` and `user_version` are copied with the rows.
#[allow(clippy::disallowed_methods, reason = "Diesel has no VACUUM")]
fn vacuum_into(conn: &mut Conn, path: &Path) -> Result<()> {
    conn.batch_execute("PRAGMA query_only = OFF;")?;
    let copied = diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(file_url(path)?)
        .execute(conn);
    copied.map(drop).map_err(|source| match source.into() {
        Error::Database { source, .. } => Error::database("the file cannot be copied", source),
        known => known,
    })
}
