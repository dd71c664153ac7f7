//! A heap in a schema of its own, written batch by batch.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::super::{How, Written, write};
use crate::books::batch::Batch;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::books::evicting::EvictionSetting;
use crate::books::history_change::HistorySetting;
use crate::books::limits::Limits;
use crate::books::room::Room;
use crate::books::rows::NewSpace;
use crate::books::triggers;
use crate::geometry::Geometry;
use crate::models::{
    Arena, ArenaId, Block, BlockId, EventId, MemRamId, NewEntry, PlacedEntry, Pool, PoolId, StoredObject,
    StoredObjectId, Timestamp, signed,
};
use crate::store::conn::Conn;
use crate::store::postgres::skip;
use crate::value::{Kind, ObjectId};

pub const SPACE: MemRamId = MemRamId(1);

/// The server, if there is one for tests.
#[track_caller]
fn server() -> Option<String> {
    let url = std::env::var("HEAPLEDGER_TEST_URL").ok();
    if url.is_none() {
        skip::skip("a server", "HEAPLEDGER_TEST_URL is not set");
    }
    url
}

pub struct Heap {
    url: String,
    schema: String,
    pub conn: Conn,
    pub version: i64,
    geometry: Geometry,
    room: Room,
    blocks: Vec<Block>,
    objects: i64,
    events: i64,
    mem: i64,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl Heap {
    /// A heap with the space `main` and room in eight blocks, if there is a server.
    #[track_caller]
    pub fn create(name: &str) -> Option<Self> {
        let url = server()?;
        let schema = format!("write_{name}_{}", std::process::id());
        let mut conn = Conn::Postgres(PgConnection::establish(&url).unwrap());
        run(
            &mut conn,
            &format!("CREATE SCHEMA {schema}; SET search_path = {schema}"),
        );
        run(
            &mut conn,
            include_str!("../../../../../migrations/postgres/2026-11-26-000001_heap/up.sql"),
        );
        settle(&mut conn, &schema);
        let mut heap = Self {
            url,
            schema,
            conn,
            version: 0,
            geometry: Geometry::standard(),
            room: Room::unknown(4, 1 << 30),
            blocks: Vec::new(),
            objects: 0,
            events: 0,
            mem: 0,
        };
        heap.make_space();
        heap.carve();
        Some(heap)
    }

    /// Another connection to it.
    pub fn connect(&self) -> Conn {
        let mut conn = Conn::Postgres(PgConnection::establish(&self.url).unwrap());
        settle(&mut conn, &self.schema);
        conn
    }

    fn make_space(&mut self) {
        let mut batch = self.batch();
        let space = NewSpace {
            id: SPACE,
            name: "main".into(),
            max_mem: 1 << 30,
            geometry: self.geometry.clone(),
            created_at: Timestamp::from_micros(1),
            history: HistorySetting::ON,
            eviction: EvictionSetting::default(),
        };
        self.apply(&mut batch, Change::SpaceMade(space));
        self.write_as(How::NEW, batch);
    }

    fn carve(&mut self) {
        let mut batch = self.batch();
        let (memram_id, arena_id, pool_id) = (SPACE, ArenaId(1), PoolId(1));
        let arena = Arena {
            id: arena_id,
            memram_id,
            max_mem: 1 << 18,
            mem: 0,
            reserved: 0,
        };
        self.apply(&mut batch, Change::ArenaAdded(arena));
        let pool = Pool {
            id: pool_id,
            memram_id,
            arena_id,
            block_size: 4096,
            max_mem: 32768,
            mem: 0,
            reserved: 0,
        };
        self.apply(&mut batch, Change::PoolAdded(pool));
        for id in (1..=8).map(BlockId) {
            let block = Block {
                id,
                memram_id,
                arena_id,
                pool_id,
                block_size: 4096,
                max_mem: 4096,
                mem: 0,
                is_free: true,
            };
            self.apply(&mut batch, Change::BlockAdded(block));
            self.blocks.push(block);
        }
        self.write(batch);
    }

    pub fn batch(&self) -> Batch<'static> {
        let mut batch = Batch::default();
        batch.begin(true, Limits::LARGE);
        batch.sign(Signature {
            at: Timestamp::from_micros(7),
            ..Signature::default()
        });
        batch
    }

    pub fn apply(&mut self, batch: &mut Batch<'static>, change: Change<'_>) {
        let apart = batch
            .apply(change, triggers::ALL, &self.geometry, &mut self.room)
            .unwrap();
        assert!(apart.is_none());
    }

    /// Stores an object that fills blocks from this one on.
    pub fn store(&mut self, batch: &mut Batch<'static>, content: &[u8], block: usize) -> StoredObject {
        let pieces = content.chunks(4096);
        let object = StoredObject {
            id: StoredObjectId(self.objects + 1),
            memram_id: SPACE,
            object_id: ObjectId::of_bytes(content),
            kind: Kind::Bytes,
            type_name: None,
            size: content.len() as u64,
            held: true,
            created_at: Timestamp::from_micros(7),
            held_until: None,
            held_refresh: None,
            expires_at: None,
            pinned: false,
        };
        self.objects += pieces.len() as i64;
        self.apply(batch, Change::ObjectStored(object.clone()));
        let (count, mut start) = (pieces.len(), 0);
        for (at, data) in pieces.enumerate() {
            let entry = self.entry(&object, at, data, block + at, start, at + 1 == count);
            let before = self.blocks[block + at];
            self.blocks[block + at].mem += data.len() as u64;
            start += data.len() as i64;
            self.apply(batch, Change::EntryAdded { entry, block: before });
        }
        object
    }

    fn entry(
        &self,
        object: &StoredObject,
        at: usize,
        data: &[u8],
        block: usize,
        start: i64,
        is_last: bool,
    ) -> NewEntry<'static> {
        let block = &self.blocks[block];
        NewEntry {
            stored_object_id: object.id,
            seq: at as i64,
            arena_id: block.arena_id,
            pool_id: block.pool_id,
            block_id: block.id,
            allocated_mem: data.len() as i64,
            start,
            is_last,
            data: data.to_vec().into(),
        }
    }

    /// Frees an object that fills blocks from this one on.
    pub fn free(&mut self, batch: &mut Batch<'static>, object: &StoredObject, block: usize) {
        let count = object.size.div_ceil(4096) as usize;
        let mut rest = signed(object.size);
        let mut entries = Vec::new();
        for block in &mut self.blocks[block..block + count] {
            let bytes = rest.min(4096);
            rest -= bytes;
            entries.push(PlacedEntry {
                memram_id: SPACE,
                block_id: block.id,
                pool_id: block.pool_id,
                arena_id: block.arena_id,
                allocated_mem: bytes,
                block_size: 4096,
                block_max_mem: 4096,
                block_mem: signed(block.mem),
            });
            block.mem -= bytes as u64;
        }
        let object_id = object.object_id;
        self.apply(
            batch,
            Change::EntriesRemoved {
                object_id,
                entries: &entries,
            },
        );
        self.apply(
            batch,
            Change::ObjectRemoved {
                object: object.id,
                object_id,
                kind: object.kind,
                size: signed(object.size),
                entries: count as i64,
            },
        );
    }

    /// The batch as it is written, completed as the writer does it.
    pub fn complete(&mut self, batch: &mut Batch<'static>) -> Batch<'static> {
        let mut batch = batch.take();
        batch.keep_last_ids(|_| Ok(self.objects.max(8))).unwrap();
        let events = batch.drafts() as i64;
        batch.number_events(EventId(self.events + 1), self.mem);
        self.events += events;
        self.mem += batch.effects().space.mem;
        batch
    }

    /// Writes a batch by itself, as the next transaction.
    pub fn write(&mut self, batch: Batch<'static>) {
        self.write_as(self.how(), batch);
        self.version += 1;
    }

    fn write_as(&mut self, how: How, mut batch: Batch<'static>) {
        let batch = self.complete(&mut batch);
        let written = self.conn.transaction(|conn| write(conn, SPACE, how, &batch));
        assert_eq!(written, Ok(Written::Done));
    }

    /// As the first and only batch of a transaction.
    pub fn how(&self) -> How {
        How {
            version: self.version,
            token: self.version + 100,
            is_first: true,
            is_lazy: false,
            is_split: false,
        }
    }

    /// The first column of the first row of a query, as text.
    pub fn query(&mut self, query: &str) -> String {
        value(&mut self.conn, query)
    }

    /// The content of every table that a batch may change.
    pub fn everything(&mut self) -> String {
        let tables = [
            "memram",
            "size_classes",
            "other_kinds",
            "arenas",
            "pools",
            "blocks",
            "stored_objects",
            "ledger",
            "names",
            "reservations",
            "events",
            "sequences",
        ];
        let rows = tables.map(|table| format!("(SELECT json_agg(t ORDER BY t::text) FROM {table} t)"));
        self.query(&format!("SELECT json_build_array({}) AS value", rows.join(", ")))
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Ok(mut conn) = PgConnection::establish(&self.url) else {
            return;
        };
        let _ = diesel::connection::SimpleConnection::batch_execute(
            &mut conn,
            &format!("SET client_min_messages = warning; DROP SCHEMA {} CASCADE", self.schema),
        );
    }
}

/// The settings that the writer's connection has.
fn settle(conn: &mut Conn, schema: &str) {
    run(
        conn,
        &format!(
            "SET search_path = {schema}; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off"
        ),
    );
}

pub fn run(conn: &mut Conn, sql: &str) {
    diesel::connection::SimpleConnection::batch_execute(conn, sql).unwrap();
}

#[allow(clippy::disallowed_methods, reason = "tests look at what is in the tables")]
pub fn value(conn: &mut Conn, query: &str) -> String {
    let row: Row = diesel::sql_query(format!("SELECT (q.*)::text AS value FROM ({query}) q"))
        .get_result(conn)
        .unwrap();
    row.value.unwrap_or_default()
}
