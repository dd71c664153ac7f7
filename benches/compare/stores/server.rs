//! A PostgreSQL server: one hand-written table, and heapledger, each in a schema of its own.
#![allow(clippy::disallowed_methods, reason = "this is the other side of the comparison")]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use anyhow::{Context, Result, anyhow};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Text};
use sha2::{Digest, Sha256};

use super::heap::Variant;
use crate::store::{Durability, Store};

/// The address of the server.
static URL: OnceLock<String> = OnceLock::new();

/// Makes the stores of this file use the server at `url`.
pub fn use_server(url: String) {
    let _ = URL.set(url);
}

pub fn url() -> Result<&'static str> {
    URL.get()
        .map(String::as_str)
        .context("give the address of a server with --url")
}

/// The schema that takes the place of the folder `dir`.
fn schema(dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    format!("bench_{:016x}", hasher.finish())
}

pub fn connect() -> Result<PgConnection> {
    Ok(PgConnection::establish(url()?)?)
}

/// Where heapledger keeps the heap that takes the place of a file in `dir`.
pub fn heap(dir: &Path) -> Result<PathBuf> {
    let url = url()?;
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}schema={}", schema(dir)).into())
}

pub fn discard(dir: &Path) -> Result<()> {
    let schema = schema(dir);
    let drop = format!("SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE");
    Ok(connect()?.batch_execute(&drop)?)
}

/// heapledger on the server.
pub struct OnServer;

impl Variant for OnServer {
    const NAME: &'static str = "heapledger";

    fn place(dir: &Path) -> Result<PathBuf> {
        heap(dir)
    }

    fn discard(dir: &Path) -> Result<()> {
        discard(dir)
    }
}

/// A table, its connection and prepared statements.
pub struct Table(Mutex<PgConnection>);

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS o (object_id text COLLATE \"C\" PRIMARY KEY, data bytea NOT NULL);
    ALTER TABLE o ALTER data SET STORAGE EXTERNAL;
";

diesel::table! {
    o (object_id) {
        object_id -> Text,
        data -> Binary,
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    #[sql_name = "unnest"]
    fn texts(values: Array<Text>) -> Text;
    #[sql_name = "unnest"]
    fn blobs(values: Array<Binary>) -> Binary;
}

impl Table {
    fn conn(&self) -> Result<MutexGuard<'_, PgConnection>> {
        self.0
            .lock()
            .map_err(|_| anyhow!("a thread panicked with the connection"))
    }
}

fn key_of(content: &[u8]) -> String {
    const_hex::encode(Sha256::digest(content))
}

impl Store for Table {
    const NAME: &'static str = super::TABLE;
    type Key = String;

    fn open(dir: &Path, durability: Durability) -> Result<Self> {
        let mut conn = connect()?;
        let sync = match durability {
            Durability::Full => "on",
            Durability::Normal => "off",
        };
        let schema = schema(dir);
        conn.batch_execute(&format!(
            "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}; \
                SET synchronous_commit = {sync}; SET plan_cache_mode = force_generic_plan; {TABLE}"
        ))?;
        Ok(Self(Mutex::new(conn)))
    }

    fn discard(dir: &Path) -> Result<()> {
        discard(dir)
    }

    fn put(&self, content: &[u8]) -> Result<String> {
        let key = key_of(content);
        diesel::insert_into(o::table)
            .values((o::object_id.eq(&key), o::data.eq(content)))
            .on_conflict_do_nothing()
            .execute(&mut *self.conn()?)?;
        Ok(key)
    }

    fn put_batch(&self, contents: &[Vec<u8>]) -> Result<Vec<String>> {
        let keys: Vec<_> = contents.iter().map(|content| key_of(content)).collect();
        diesel::insert_into(o::table)
            .values(diesel::select((texts(&keys), blobs(contents))))
            .into_columns((o::object_id, o::data))
            .on_conflict_do_nothing()
            .execute(&mut *self.conn()?)?;
        Ok(keys)
    }

    fn get(&self, key: &String) -> Result<Vec<u8>> {
        Ok(o::table.find(key).select(o::data).get_result(&mut *self.conn()?)?)
    }

    fn get_in_one_read(&self, keys: &[String]) -> Result<usize> {
        let mut conn = self.conn()?;
        conn.build_transaction().read_only().repeatable_read().run(|conn| {
            let mut bytes = 0;
            for key in keys {
                let content: Vec<u8> = o::table.find(key).select(o::data).get_result(conn)?;
                bytes += content.len();
            }
            Ok(bytes)
        })
    }

    fn free(&self, key: &String) -> Result<()> {
        diesel::delete(o::table.find(key)).execute(&mut *self.conn()?)?;
        Ok(())
    }

    fn free_batch(&self, keys: &[String]) -> Result<()> {
        diesel::delete(o::table.filter(o::object_id.eq_any(keys))).execute(&mut *self.conn()?)?;
        Ok(())
    }
}
