//! The location of a heap on a server, and the settings of its connections.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::address::Address;
use super::nodes::Cluster;
use crate::error::Result;
use crate::store::deadline::Deadline;
use crate::store::settings::{HeapId, Settings};

/// The location of a heap on a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerLocation {
    pub(in crate::store) address: Arc<Address>,
    /// The address without a password.
    shown: PathBuf,
    pub(in crate::store) settings: Settings,
    pub(super) cluster: Arc<Cluster>,
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
            settings: Settings::default(),
            cluster: Arc::default(),
        })
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
        self.settings.deadline()
    }
}
