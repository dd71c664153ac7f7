//! Reading.

use super::conn::Conn;

/// A read of the heap. [`super::queries`] are functions that take one, and each engine adds
/// methods for what it alone can tell. It changes nothing.
pub(crate) struct ReadTx<'c> {
    pub(in crate::store) conn: &'c mut Conn,
}

impl<'c> ReadTx<'c> {
    pub(in crate::store) fn new(conn: &'c mut Conn) -> Self {
        Self { conn }
    }

    /// The same read, for a value that holds it.
    pub fn reborrow(&mut self) -> ReadTx<'_> {
        ReadTx { conn: self.conn }
    }
}
