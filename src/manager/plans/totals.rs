//! What work amounts to.

use serde::{Deserialize, Serialize};

/// What work would do, or has done. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkTotals {
    /// Objects freed.
    pub freed: u64,
    /// Bytes of their contents.
    pub freed_bytes: u64,
    /// Pieces moved to other blocks, and objects of which all pieces became one.
    pub moves: u64,
    /// Bytes of content moved: what the work costs.
    pub moved_bytes: u64,
    /// Objects of which all pieces became one.
    pub joined: u64,
    /// Empty blocks removed.
    pub blocks: u64,
    /// Empty pools removed.
    pub pools: u64,
    /// Empty arenas removed.
    pub arenas: u64,
    /// Bytes that removed arenas gave back to the space: what the work gains.
    pub bytes: u64,
    /// Bytes that the file gives back to the file system; 0 on a server.
    pub file_bytes: u64,
    /// Bytes of the file afterwards; 0 on a server.
    pub file_size: u64,
}

impl WorkTotals {
    pub(in crate::manager) fn add(&mut self, other: &Self) {
        self.freed += other.freed;
        self.freed_bytes += other.freed_bytes;
        self.moves += other.moves;
        self.moved_bytes += other.moved_bytes;
        self.joined += other.joined;
        self.blocks += other.blocks;
        self.pools += other.pools;
        self.arenas += other.arenas;
        self.bytes += other.bytes;
    }
}
