//! The location of a heap on a server, and the settings of its connections.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::nodes::Cluster;
use crate::error::Result;
use crate::store::deadline::Deadline;
use crate::store::location::{Durability, HeapId, Location};

/// The location of a heap on a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerLocation {
    pub(in crate::store) address: Arc<Address>,
    /// The address without a password.
    shown: PathBuf,
    pub(in crate::store) durability: Durability,
    pub(in crate::store) busy_timeout: Duration,
    /// How long a read may take; `None` for any time.
    pub(in crate::store) max_snapshot_age: Option<Duration>,
    pub(super) cluster: Arc<Cluster>,
    /// The deadline of the call that opens the heap.
    pub(in crate::store) opening: Option<Deadline>,
}

impl ServerLocation {
    /// The heap at an address, which need not exist.
    ///
    /// # Errors
    /// [`ServerError::BadAddress`].
    pub fn at(address: &str) -> Result<Self> {
        let address = Address::parse(address)?;
        Ok(Self {
            shown: PathBuf::from(address.to_string()),
            address: Arc::new(address),
            durability: Durability::default(),
            busy_timeout: Location::BUSY_TIMEOUT,
            max_snapshot_age: None,
            cluster: Arc::default(),
            opening: None,
        })
    }

    /// The same heap for a call that opens it with these options, with the deadline `opening`.
    pub fn for_opening(self, durability: Durability, busy_timeout: Duration, opening: Deadline) -> Self {
        Self {
            durability,
            busy_timeout,
            opening: Some(opening),
            ..self
        }
    }

    /// The same heap, whose reads may take this long.
    pub fn with_max_snapshot_age(self, max_snapshot_age: Option<Duration>) -> Self {
        Self {
            max_snapshot_age,
            ..self
        }
    }

    /// The address without a password.
    pub fn path(&self) -> &Path {
        &self.shown
    }

    /// The address without a password.
    pub fn named(&self) -> &Path {
        &self.shown
    }

    /// The address without a password.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Which heap it is, for this process.
    pub(in crate::store) fn heap_id(&self) -> Option<HeapId> {
        let mut hasher = DefaultHasher::new();
        self.shown.hash(&mut hasher);
        Some(HeapId::Server(hasher.finish()))
    }

    /// The deadline of a call that begins now, or of the one that is opening the heap.
    pub fn deadline(&self) -> Deadline {
        self.opening.unwrap_or_else(|| Deadline::after(self.busy_timeout))
    }
}
