//! What a unit of work has gathered and not yet written.

use crate::models::{NewArena, NewBlock, NewEntry, NewPool};
use crate::triggers::Effects;

/// New rows and the effects of the triggers, until they are written.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub arenas: Vec<NewArena>,
    pub pools: Vec<NewPool>,
    pub blocks: Vec<NewBlock>,
    pub entries: Vec<NewEntry<'static>>,
    /// Bytes of content in `entries`.
    pub bytes: usize,
    pub effects: Effects,
    /// Rows were removed, so the highest id of their table must be kept.
    pub removed: bool,
}

impl Unit {
    /// So many bytes of small pieces are gathered at most.
    pub const MOST_BYTES: usize = 1 << 20;
    /// A piece of this size is worth a statement of its own rather than a copy.
    pub const LARGE: usize = 4096;

    pub fn has_rows(&self) -> bool {
        !(self.arenas.is_empty() && self.pools.is_empty() && self.blocks.is_empty() && self.entries.is_empty())
    }
}
