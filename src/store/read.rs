//! Read transactions.

use super::conn::Conn;
use crate::error::Result;

/// A read of the heap. The functions in [`super::queries`] take one, and each engine adds its own
/// methods. It changes nothing.
pub(crate) struct ReadTx<'c> {
    conn: &'c mut Conn,
}

impl<'c> ReadTx<'c> {
    pub(in crate::store) fn new(conn: &'c mut Conn) -> Self {
        Self { conn }
    }

    /// The same read with a shorter lifetime.
    pub fn reborrow(&mut self) -> ReadTx<'_> {
        ReadTx { conn: self.conn }
    }

    /// The connection, for one statement.
    pub(in crate::store) fn conn(&mut self) -> Result<&mut Conn> {
        Ok(self.conn)
    }
}
