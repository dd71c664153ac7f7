//! How many pages the writer's connection caches.
//!
//! SQLite pays for each page that a writer caches: when it sorts the new pages of a b-tree, one of them has a
//! number above all others for a moment, and the commit then looks at every cached page for such numbers
//! (`pcache1TruncateUnsafe`). With 32 MiB instead of 8, 150,000 puts of 200 B took 6 % longer, 30,000 the same; and
//! gets of 4 to 20 KiB from a heap of 80 MB and more took 4 to 6 % less, because this connection also reads while
//! nobody writes.

use diesel::connection::SimpleConnection;

use crate::store::conn::Conn;
use crate::store::sqlite::connect::{READ_CACHE, WRITE_CACHE};

/// This many reads in a row, without a transaction between them, make the cache large.
const MANY: u32 = 128;

#[derive(Default)]
pub(super) struct Cache {
    /// Reads since the last transaction.
    reads: u32,
    is_large: bool,
}

impl Cache {
    /// Called before a read outside of transactions.
    pub fn read(&mut self, conn: &mut Conn) {
        if !self.is_large {
            self.reads += 1;
            self.set_large(conn, self.reads >= MANY);
        }
    }

    /// Called before a transaction begins.
    pub fn write(&mut self, conn: &mut Conn) {
        self.reads = 0;
        self.set_large(conn, false);
    }

    /// If this fails, some work only takes longer.
    fn set_large(&mut self, conn: &mut Conn, is_large: bool) {
        if self.is_large != is_large {
            let size = if is_large { READ_CACHE } else { WRITE_CACHE };
            let set = conn.batch_execute(&format!("PRAGMA cache_size = {size}"));
            self.is_large = is_large && set.is_ok();
        }
    }
}
