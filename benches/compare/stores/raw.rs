//! The baseline: what one would write by hand with rusqlite, without placement, ledger, bound
//! or books. SQLite, pragmas and hashing are the same.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::store::{Durability, Growing, Store};

/// A table and its connection.
///
/// Threads share one connection. With separate connections, SQLite's busy handler sleeps
/// between tries, and the baseline would look slower than necessary.
pub struct Raw(Mutex<Connection>);

/// As `src/store/sqlite/connect.rs` sets up a writer that reads, but for `synchronous`.
const PRAGMAS: &str = "
    PRAGMA page_size = 4096;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA cache_size = -32768;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
";
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS o(id INTEGER PRIMARY KEY, object_id TEXT UNIQUE NOT NULL, data BLOB NOT NULL) STRICT;
";
const PUT: &str = "INSERT INTO o (object_id, data) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const GET: &str = "SELECT data FROM o WHERE object_id = ?1";
const FREE: &str = "DELETE FROM o WHERE object_id = ?1";

impl Raw {
    fn conn(&self) -> Result<MutexGuard<'_, Connection>> {
        self.0
            .lock()
            .map_err(|_| anyhow::anyhow!("a thread panicked with the connection"))
    }
}

fn put(conn: &Connection, content: &[u8]) -> Result<String> {
    let id = Raw::key_of(content);
    conn.prepare_cached(PUT)?.execute(params![id, content])?;
    Ok(id)
}

fn get(conn: &Connection, id: &str) -> Result<Vec<u8>> {
    Ok(conn.prepare_cached(GET)?.query_row([id], |row| row.get(0))?)
}

fn free(conn: &Connection, id: &str) -> Result<()> {
    conn.prepare_cached(FREE)?.execute([id])?;
    Ok(())
}

impl Store for Raw {
    const NAME: &'static str = super::RAW;
    type Key = String;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let conn = Connection::open(dir.join("raw.db"))?;
        conn.execute_batch(PRAGMAS)?;
        conn.execute_batch(match durability {
            Durability::Full => "PRAGMA synchronous = FULL",
            Durability::Normal => "PRAGMA synchronous = NORMAL",
        })?;
        conn.execute_batch(TABLE)?;
        Ok(Self(Mutex::new(conn)))
    }

    fn put(&self, content: &[u8]) -> Result<String> {
        put(&*self.conn()?, content)
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<String>> {
        let mut conn = self.conn()?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ids = contents
            .iter()
            .map(|content| put(&tx, content))
            .collect::<Result<_>>()?;
        tx.commit()?;
        Ok(ids)
    }

    fn get(&self, id: &String) -> Result<Vec<u8>> {
        get(&*self.conn()?, id)
    }

    fn get_in_one_read(&self, ids: &[String]) -> Result<usize> {
        let mut conn = self.conn()?;
        let tx = conn.transaction()?;
        let bytes = ids
            .iter()
            .map(|id| get(&tx, id).map(|content| content.len()))
            .sum::<Result<_>>()?;
        tx.commit()?;
        Ok(bytes)
    }

    fn free(&self, id: &String) -> Result<()> {
        free(&*self.conn()?, id)
    }

    fn free_batch(&self, ids: &[String]) -> Result<()> {
        let mut conn = self.conn()?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        ids.iter().try_for_each(|id| free(&tx, id))?;
        Ok(tx.commit()?)
    }
}

impl Growing for Raw {
    fn key_of(content: &[u8]) -> String {
        const_hex::encode(Sha256::digest(content))
    }

    fn stats(&self) -> Result<()> {
        let totals = "SELECT count(*), sum(length(data)) FROM o";
        let totals: (i64, i64) = self
            .conn()?
            .query_row(totals, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        black_box(totals);
        Ok(())
    }
}
