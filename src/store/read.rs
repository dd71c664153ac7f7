//! Reading.

use super::conn::Conn;

/// A look at one state of the heap: what [`super::queries`] read through, and what the
/// engines add to it. It changes nothing.
pub(crate) struct ReadTx<'c> {
    pub(in crate::store) conn: &'c mut Conn,
}

impl<'c> ReadTx<'c> {
    pub(in crate::store) fn new(conn: &'c mut Conn) -> Self {
        Self { conn }
    }

    /// The same look, for somebody who keeps it for a while.
    pub fn reborrow(&mut self) -> ReadTx<'_> {
        ReadTx { conn: self.conn }
    }
}
