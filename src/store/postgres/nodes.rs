//! Citus: the node of a cluster on which a heap is.
//!
//! On Citus a heap is a distributed schema, whose tables are all on one node. Any other node passes
//! statements on to it, which takes several times as long, so connections lead to the node itself.
//!
//! While a heap is moved, connections to its old node keep working: at some moment they begin to
//! pass statements on, even within a transaction, which then sees two states. So
//! * a connection that is used again asks now and then where the heap is;
//! * a transaction that reads asks at its end, and fails if the heap has been moved meanwhile;
//! * a transaction that writes begins with [`PIN`], which keeps the heap where it is until the end.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::address::Address;
use super::location::ServerLocation;
use crate::error::{Result, ServerError};
use crate::store::conn::{Conn, on_engine};
use crate::store::read::ReadTx;
use crate::store::settings::Access;
use crate::store::statement::{Statement, sql};

/// How long a connection relies on what it was told.
const BELIEVED: Duration = Duration::from_secs(5);

/// Changes nothing, but Citus locks the place of the table. A move locks those of all tables, in the order of
/// their names; this table is the first one that is written, so a move and a writer do not wait for each other.
pub(super) const PIN: &str = "UPDATE arenas SET mem = mem WHERE id = 0";

sql! {
    IsCluster: Bool = "SELECT to_regclass('pg_catalog.pg_dist_placement') IS NOT NULL";
    Distribute: Text = "SELECT pg_catalog.citus_schema_distribute(n.oid)::text FROM pg_catalog.pg_namespace n \
        WHERE n.nspname::text = ?::text AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_schema d WHERE d.schemaid = n.oid)";
    IsCoordinator: Bool = "SELECT groupid = 0 FROM pg_catalog.pg_dist_local_group";
    /// The types are exact, so that no operator of the schema fits better than PostgreSQL's own. The
    /// view `citus_shards` would also ask all nodes for the sizes of all tables, and `to_regclass` fails
    /// without a privilege on the schema, before anything can say which one is missing.
    Find: (BigInt, BigInt, Text, BigInt, Bool) = "SELECT p.groupid::bigint, p.xmin::text::bigint, n.nodename, n.nodeport::bigint, n.groupid = l.groupid \
        FROM pg_catalog.pg_dist_shard s \
        JOIN pg_catalog.pg_dist_placement p USING (shardid) \
        JOIN pg_catalog.pg_dist_node n ON n.groupid = p.groupid AND n.noderole::text = 'primary'::text, \
            pg_catalog.pg_dist_local_group l \
        WHERE s.logicalrelid::oid = (SELECT c.oid FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace h ON h.oid = c.relnamespace \
            WHERE h.nspname = (?::text)::name COLLATE pg_catalog.\"C\" AND c.relname = 'memram'::name)";
}

/// What is known of the cluster, shared by all connections to a heap.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// Whether there is one.
    exists: OnceLock<bool>,
    /// The node on which the heap was last.
    node: Mutex<Option<Address>>,
}

impl Cluster {
    fn node(&self) -> Option<Address> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_node(&self, node: Address) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }
}

/// A connection to a server, or to the node of a cluster on which the heap is.
pub(in crate::store) struct Link {
    conn: Conn,
    /// Only in a cluster.
    home: Option<Home>,
}

struct Home {
    placement: Placement,
    asked: Instant,
}

/// A stay of a heap on a node, as that node knows it: the number of the node, and of the transaction that
/// moved the heap there. If it is moved there again, that is another stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Placement {
    group: i64,
    since: i64,
}

/// Where a heap is.
struct Place {
    placement: Placement,
    host: String,
    port: u16,
    /// Whether the connection leads there.
    is_here: bool,
}

impl ServerLocation {
    /// Opens a connection to the heap, or, if there is none yet, to the server of the address.
    ///
    /// # Errors
    /// [`ServerError::Unreachable`].
    pub(in crate::store) fn connect(&self, access: Access) -> Result<Link> {
        if let Some(node) = self.cluster.node()
            && let Ok(mut conn) = self.connect_to(&node, access)
            && let Ok(Some(place)) = self.find(&mut conn)
            && place.is_here
        {
            return Ok(Link::to(conn, &place));
        }
        let mut conn = self.connect_to(&self.address, access)?;
        let Some(place) = self.find(&mut conn)? else {
            return Ok(Link { conn, home: None });
        };
        if place.is_here {
            return Ok(Link::to(conn, &place));
        }
        let node = self.address.at_node(&place.host, place.port);
        let mut conn = self.connect_to(&node, access)?;
        let place = self.find(&mut conn)?.unwrap_or(place);
        self.cluster.set_node(node);
        Ok(Link::to(conn, &place))
    }

    /// Opens a connection that may change the schema: to the coordinator.
    ///
    /// # Errors
    /// [`ServerError::Unreachable`]; [`ServerError::Worker`] if the address is that of another node.
    pub(super) fn connect_for_definitions(&self) -> Result<Link> {
        let mut conn = self.connect_to(&self.address, Access::Write)?;
        self.is_for_definitions(&mut conn)?;
        Ok(match self.find(&mut conn)? {
            Some(place) => Link::to(conn, &place),
            None => Link { conn, home: None },
        })
    }

    /// Whether the server is part of a cluster. It is asked once.
    pub(super) fn is_cluster(&self, conn: &mut Conn) -> Result<bool> {
        if let Some(&exists) = self.cluster.exists.get() {
            return Ok(exists);
        }
        let tx = &mut ReadTx::new(conn);
        let statement = Statement::<IsCluster, 0>::new([]);
        let exists = on_engine!(tx, |conn| statement.get_result(conn))?;
        Ok(*self.cluster.exists.get_or_init(|| exists))
    }

    /// Refuses to define tables on a worker, where Citus does not allow it.
    pub(super) fn is_for_definitions(&self, conn: &mut Conn) -> Result<()> {
        if !self.is_cluster(conn)? {
            return Ok(());
        }
        let tx = &mut ReadTx::new(conn);
        let statement = Statement::<IsCoordinator, 0>::new([]);
        if on_engine!(tx, |conn| statement.get_result::<bool>(conn))? {
            return Ok(());
        }
        Err(ServerError::Worker { server: self.name() }.into())
    }

    /// Where the heap is, if it is distributed.
    fn find(&self, conn: &mut Conn) -> Result<Option<Place>> {
        if !self.is_cluster(conn)? {
            return Ok(None);
        }
        let tx = &mut ReadTx::new(conn);
        let statement = Statement::<Find, 1>::new([self.address.schema().into()]);
        let found = on_engine!(tx, |conn| statement.get_result::<(i64, i64, String, i64, bool)>(conn)).optional()?;
        Ok(found.and_then(|(group, since, host, port, is_here)| {
            Some(Place {
                placement: Placement { group, since },
                host,
                port: u16::try_from(port).ok()?,
                is_here,
            })
        }))
    }
}

/// Distributes the schema of a new heap, unless it was distributed before the heap was created in it.
pub(super) fn distribute(conn: &mut Conn, location: &ServerLocation) -> Result<()> {
    let tx = &mut ReadTx::new(conn);
    let statement = Statement::<Distribute, 1>::new([location.address.schema().into()]);
    on_engine!(tx, |conn| statement.get_results::<String>(conn))?;
    Ok(())
}

impl Link {
    fn to(conn: Conn, place: &Place) -> Self {
        let home = Home {
            placement: place.placement,
            asked: Instant::now(),
        };
        Self { conn, home: Some(home) }
    }

    /// The stay of the heap to which this connection leads.
    pub fn placement(&self) -> Option<Placement> {
        self.home.as_ref().map(|home| home.placement)
    }

    /// Whether the heap has been moved since the connection was opened. Not in a transaction, which
    /// would see what was true at its beginning.
    pub fn has_moved(&mut self, location: &ServerLocation) -> Result<bool> {
        let Some(home) = &mut self.home else {
            return Ok(false);
        };
        let place = location.find(&mut self.conn)?;
        home.asked = Instant::now();
        Ok(place.map(|place| place.placement) != Some(home.placement))
    }

    /// Whether another connection should replace it, because the heap has been moved. Asks from time
    /// to time; a failed answer counts as a yes.
    pub fn is_outdated(&mut self, location: &ServerLocation) -> bool {
        let asks = self.home.as_ref().is_some_and(|home| home.asked.elapsed() > BELIEVED);
        asks && self.has_moved(location).unwrap_or(true)
    }

    pub fn into_conn(self) -> Conn {
        self.conn
    }
}

impl Deref for Link {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Link {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
