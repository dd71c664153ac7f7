//! `sequences`: the highest ids that were given out.

/// What numbers the rows of a table. A ledger entry needs none: its id is its object's and its
/// position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Arenas,
    Pools,
    Blocks,
    StoredObjects,
    Events,
}

impl Sequence {
    pub const ALL: [Self; 5] = [
        Self::Arenas,
        Self::Pools,
        Self::Blocks,
        Self::StoredObjects,
        Self::Events,
    ];

    /// The name in its row, which is that of the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arenas => "arenas",
            Self::Pools => "pools",
            Self::Blocks => "blocks",
            Self::StoredObjects => "stored_objects",
            Self::Events => "events",
        }
    }
}
