//! The pages of the file: their number, free pages, and giving these back to the file system.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::exec::pragma;
use crate::error::Result;
use crate::store::conn::Conn;
use crate::store::read::ReadTx;

/// Sizes of the file, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSizes {
    /// The file, according to its last commit.
    pub bytes: i64,
    /// Its free pages.
    pub free: i64,
    /// One page.
    pub page: i64,
}

impl ReadTx<'_> {
    /// The size of the file, without its log, or of the tables on a server.
    pub fn file_sizes(&mut self) -> Result<FileSizes> {
        #[cfg(feature = "postgres")]
        if self.is_on_server() {
            return crate::store::postgres::sizes::file_sizes(self);
        }
        file_sizes(self.conn()?)
    }

    /// Whether free pages can be removed without rewriting the whole file. A server looks after its own.
    pub fn can_shrink(&mut self) -> Result<bool> {
        Ok(self.is_on_server() || pragma(self.conn()?, "auto_vacuum")? == INCREMENTAL)
    }
}

pub(in crate::store) fn file_sizes(conn: &mut Conn) -> Result<FileSizes> {
    let page = pragma(conn, "page_size")?;
    let pages = pragma(conn, "page_count")?;
    let free = pragma(conn, "freelist_count")?;
    Ok(FileSizes {
        bytes: pages * page,
        free: free * page,
        page,
    })
}

/// Makes sure that free pages can be removed. Another tool's VACUUM may have removed the pointer maps,
/// without which pages cannot move; only another VACUUM recreates them, and it leaves no free pages.
pub(in crate::store) fn allow_vacuum(conn: &mut Conn) -> Result<()> {
    if pragma(conn, "freelist_count")? > 0 && pragma(conn, "auto_vacuum")? != INCREMENTAL {
        conn.batch_execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")?;
    }
    Ok(())
}

/// Removes up to `pages` free pages from the end of the file, in the open transaction, and returns how many
/// are left. Not all together, because SQLite treats a removed page as changed and writes those that
/// do not fit in its cache to the log, although the commit drops them.
pub(in crate::store) fn vacuum_some(conn: &mut Conn, pages: u32) -> Result<i64> {
    conn.batch_execute(&format!("PRAGMA incremental_vacuum({pages})"))?;
    pragma(conn, "freelist_count")
}

/// `PRAGMA auto_vacuum` of a heap.
const INCREMENTAL: i64 = 2;

#[derive(diesel::QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    busy: i64,
}

/// Copies the log into the file and empties it, which truncates the file after its last page.
/// Returns false if somebody was in the way. On a connection that does not wait for locks, it takes
/// as long as the copying.
#[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
pub(in crate::store) fn truncate_log(conn: &mut Conn) -> Result<bool> {
    let conn = conn.sqlite()?;
    let done: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(conn)?;
    Ok(done.busy == 0)
}

impl FileSizes {
    /// Bytes of the file after [`vacuum_some`] has removed all free pages. Trying it and rolling
    /// back would write to the log what it removes.
    ///
    /// Some pointer-map pages go with the free ones; each describes a fifth as many pages as a
    /// page has bytes. This is SQLite's `finalDbSize`.
    /// (<https://sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages>)
    pub fn after_vacuum(self) -> i64 {
        let Self { bytes, free, page } = self;
        if free == 0 {
            return bytes;
        }
        let (pages, free) = (bytes / page, free / page);
        let lock = LOCK_BYTE / page + 1;
        let mapped = page / 5;
        let map_of = |page: i64| {
            let map = (page - 2) / (mapped + 1) * (mapped + 1) + 2;
            if map == lock { map + 1 } else { map }
        };
        let maps = (free - pages + map_of(pages) + mapped) / mapped;
        let mut left = pages - free - maps;
        if pages > lock && left < lock {
            left -= 1;
        }
        while left > 1 && (left == map_of(left) || left == lock) {
            left -= 1;
        }
        left * page
    }
}

/// Where SQLite locks a file: nothing is stored in the page that begins there.
const LOCK_BYTE: i64 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::FileSizes;

    fn sizes(conn: &Connection) -> FileSizes {
        let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let page = number("page_size");
        FileSizes {
            bytes: number("page_count") * page,
            free: number("freelist_count") * page,
            page,
        }
    }

    /// With pages of 512 bytes every 103rd is a map.
    #[test]
    fn the_predicted_size_is_what_sqlite_leaves() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("PRAGMA page_size = 512; PRAGMA auto_vacuum = INCREMENTAL; CREATE TABLE t (data BLOB)")
            .unwrap();
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..400 {
            let (kept, freed) = (rng.u32(0..3_000), rng.u32(0..200_000));
            conn.execute("INSERT INTO t VALUES (zeroblob(?)), (zeroblob(?))", [kept, freed])
                .unwrap();
            conn.execute("DELETE FROM t WHERE length(data) = ?", [freed]).unwrap();
            let predicted = sizes(&conn).after_vacuum();
            // Each step returns a page.
            let mut vacuum = conn.prepare("PRAGMA incremental_vacuum").unwrap();
            let mut steps = vacuum.query([]).unwrap();
            while steps.next().unwrap().is_some() {}
            assert_eq!(
                sizes(&conn).bytes,
                predicted,
                "in round {round}, kept {kept}, freed {freed}"
            );
        }
    }
}
