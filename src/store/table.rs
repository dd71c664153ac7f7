//! The tables whose rows the crate numbers.

/// Tables whose ids are numbered. A ledger entry needs none: its id is its object's and its
/// position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Table {
    Arenas,
    Pools,
    Blocks,
    StoredObjects,
    Events,
}

impl Table {
    pub const ALL: [Self; 5] = [
        Self::Arenas,
        Self::Pools,
        Self::Blocks,
        Self::StoredObjects,
        Self::Events,
    ];

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
