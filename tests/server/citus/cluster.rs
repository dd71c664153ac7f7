//! A heap of a test on a cluster.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query};
use heapledger::{MemManager, Options};

use crate::common::{MIB, Place, Sql, quick, skip};

pub struct Cluster {
    place: Place,
    url: String,
    schema: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

impl Cluster {
    /// A place for a heap, unless there is no cluster.
    #[track_caller]
    pub fn new() -> Option<Self> {
        let Ok(url) = std::env::var("HEAPLEDGER_TEST_CITUS_URL") else {
            skip::by_design("Citus", "HEAPLEDGER_TEST_CITUS_URL is not set");
            return None;
        };
        let place = Place::on(&url);
        let (_, schema) = place.address().to_str()?.rsplit_once("schema=")?;
        let schema = schema.to_owned();
        Some(Self { place, url, schema })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn address(&self) -> &Path {
        self.place.address()
    }

    pub fn open(&self) -> MemManager {
        self.open_with(quick().max_mem(16 * MIB))
    }

    /// With the time to wait for a move.
    pub fn open_with(&self, options: Options) -> MemManager {
        let options = options.busy_timeout(Duration::from_secs(60));
        options.open(self.address()).unwrap()
    }

    /// SQL at the coordinator.
    pub fn sql(&self) -> Sql {
        self.place.sql()
    }

    /// A session on the coordinator, in the schema.
    pub fn coordinator(&self) -> PgConnection {
        let mut session = PgConnection::establish(&self.url).unwrap();
        let path = format!("SET search_path TO {}; SET client_min_messages TO error", self.schema);
        session.batch_execute(&path).unwrap();
        session
    }

    /// `host:port` of the node on which the heap is.
    pub fn node(&self) -> String {
        let table = format!("'{}.memram'::regclass", self.schema);
        let query = format!("nodename || ':' || nodeport FROM citus_shards WHERE table_name = {table}");
        lines(&mut self.coordinator(), &query).remove(0)
    }

    /// Moves the heap to another node.
    pub fn move_away(&self) {
        let node = self.node();
        let others = format!(
            "citus_schema_move('{}', nodename, nodeport)::text FROM (SELECT * FROM pg_dist_node \
             WHERE shouldhaveshards AND noderole = 'primary' AND nodename || ':' || nodeport <> '{node}' LIMIT 1) n",
            self.schema
        );
        let mut coordinator = self.coordinator();
        // Citus does not move again what somebody still reads where it was before.
        while let Err(error) = sql_query(format!("SELECT {others}")).execute(&mut coordinator) {
            assert!(error.to_string().contains("orphaned shard"), "{error}");
        }
        assert_ne!(self.node(), node);
    }

    /// The nodes that have a session of the test.
    pub fn visited(&self) -> Vec<String> {
        let query = format!(
            "n.nodename || ':' || n.nodeport FROM pg_dist_node n, LATERAL (SELECT result FROM run_command_on_all_nodes(\
             'SELECT count(*) FROM pg_stat_activity WHERE application_name = ''{}''') r WHERE r.nodeid = n.nodeid) r \
             WHERE result <> '0' ORDER BY 1",
            self.schema
        );
        lines(&mut self.coordinator(), &query)
    }
}

/// The rows of `SELECT {query}`, which has one column.
pub fn lines(session: &mut PgConnection, query: &str) -> Vec<String> {
    let query = format!("SELECT t.line FROM (SELECT {query}) t (line)");
    let found = sql_query(&query).load::<Line>(session);
    let found = found.unwrap_or_else(|error| panic!("{query}: {error}"));
    found.into_iter().map(|found| found.line).collect()
}
