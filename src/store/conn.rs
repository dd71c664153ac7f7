//! A connection to any engine. Nothing outside `store/` can name one.

/// A connection to any of the databases that heapledger runs on.
#[derive(diesel::MultiConnection)]
pub(in crate::store) enum Conn {
    Sqlite(diesel::SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(diesel::PgConnection),
}

/// Runs a query on the engine's own connection: through [`Conn`], Diesel builds the text of a query
/// on each call, even if it is already prepared. The query is compiled for each engine.
macro_rules! on_engine {
    ($tx:expr, |$conn:ident| $query:expr) => {
        match $tx.conn()? {
            $crate::store::conn::Conn::Sqlite($conn) => $query,
            #[cfg(feature = "postgres")]
            $crate::store::conn::Conn::Postgres($conn) => $query,
        }
    };
}
pub(in crate::store) use on_engine;

/// Runs a query on the engine's own connection, and returns an iterator over its rows, which are read
/// one by one.
macro_rules! rows_of {
    ($tx:expr, $query:expr, $row:ty) => {{
        type Rows<'c> = Box<dyn Iterator<Item = diesel::QueryResult<$row>> + 'c>;
        let rows: Rows<'_> = match $tx.conn()? {
            $crate::store::conn::Conn::Sqlite(conn) => {
                Box::new($query.load_iter::<$row, diesel::connection::DefaultLoadingMode>(conn)?)
            }
            #[cfg(feature = "postgres")]
            $crate::store::conn::Conn::Postgres(conn) => {
                Box::new($query.load_iter::<$row, diesel::pg::PgRowByRowLoadingMode>(conn)?)
            }
        };
        rows
    }};
}
pub(in crate::store) use rows_of;

impl Conn {
    /// The connection to a file.
    ///
    /// # Errors
    /// If it is a connection to a server, for which nobody should call this.
    pub fn sqlite(&mut self) -> diesel::QueryResult<&mut diesel::SqliteConnection> {
        match self {
            Self::Sqlite(conn) => Ok(conn),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Err(diesel::result::Error::QueryBuilderError(
                "this heap is not in a file".into(),
            )),
        }
    }
}
