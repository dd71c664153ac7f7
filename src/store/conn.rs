//! A connection to any engine. Nothing outside `store/` can name one.

/// A connection to any of the databases that heapledger runs on.
#[derive(diesel::MultiConnection)]
pub(in crate::store) enum Conn {
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
}

/// Runs a query on the engine's own connection: through [`Conn`], Diesel builds the text of a query
/// on each call, even if it is already prepared. With several engines the query is compiled for
/// each of them.
macro_rules! on_engine {
    ($tx:expr, |$conn:ident| $query:expr) => {
        match $tx.conn()? {
            $crate::store::conn::Conn::Sqlite($conn) => $query,
        }
    };
}
pub(in crate::store) use on_engine;
