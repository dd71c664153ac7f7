//! Queries in SQL.

use std::ops::ControlFlow;

use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ServerError};
use crate::manager::MemManager;
use crate::store::queries::written::{self, SqlQuery, SqlValue};

impl MemManager {
    /// Passes each row of a query in SQL to `row`, with the names of its columns, until `row` breaks off, and returns
    /// the names. The tables and views are those of [docs/sql.md], with the rows of all spaces; all of the query sees
    /// one commit. In constant memory. A [`SqlQuery`] has values for the `?` in its text. Of columns with the same
    /// name, the later ones get other names, such as `a:1`.
    ///
    /// It must be one query (`SELECT`, `WITH`, `VALUES`), or `EXPLAIN QUERY PLAN` of one (on a server `EXPLAIN`). It
    /// cannot change anything: it is run as a subquery, on a connection that only reads and loads no extensions, and
    /// on a server in a transaction that is `READ ONLY`. There, functions may still do what the role is allowed to
    /// do outside of the database, so do not pass text from others as a superuser.
    ///
    /// [docs/sql.md]: https://docs.rs/crate/heapledger/latest/source/docs/sql.md
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::ops::ControlFlow;
    ///
    /// use heapledger::SqlValue;
    ///
    /// memory.set("a", "text")?;
    /// let mut found = Vec::new();
    /// let columns = memory.query("SELECT size, kind FROM objects", |_, values| {
    ///     found.push(values);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(columns, ["size", "kind"]);
    /// assert_eq!(found, [[SqlValue::Integer(4), SqlValue::Text("str".into())]]);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Database`] if the text is not a query, or the query fails, which on a server also ends a
    /// [`Self::snapshot`] that it was run on; [`ServerError::Lost`]; what [any call](MemManager#errors) fails
    /// with.
    pub fn query<'q>(
        &self,
        query: impl Into<SqlQuery<'q>>,
        mut row: impl FnMut(&[String], Vec<SqlValue>) -> ControlFlow<()>,
    ) -> Result<Vec<String>> {
        let query = query.into();
        let readers = &self.inner.readers;
        readers.apart(|tx| tx.scanning(|tx| written::each_row(tx, &query, &mut row)))
    }
}
