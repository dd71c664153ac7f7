//! A connection, whatever the engine. Nothing outside of `store/` can name one.

/// A connection to any of the databases that heapledger runs on.
#[derive(diesel::MultiConnection)]
pub(in crate::store) enum Conn {
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
}

/// Runs a query on the engine's own connection: through [`Conn`], Diesel writes the text of
/// a query at each call, even if it is prepared already. With several engines the query is
/// compiled for each of them.
macro_rules! on_engine {
    ($tx:expr, |$conn:ident| $query:expr) => {
        match &mut *$tx.conn {
            $crate::store::conn::Conn::Sqlite($conn) => $query,
        }
    };
}
pub(in crate::store) use on_engine;
