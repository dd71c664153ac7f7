//! `sequences`: the highest ids ever assigned.

/// The sequence that numbers the rows of a table. Ledger entries need none: their ids follow from
/// those of their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Arenas,
    Pools,
    Blocks,
    StoredObjects,
    Reservations,
    Events,
}

impl Sequence {
    pub const ALL: [Self; 6] = [
        Self::Arenas,
        Self::Pools,
        Self::Blocks,
        Self::StoredObjects,
        Self::Reservations,
        Self::Events,
    ];

    /// The name in its row, which is that of the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arenas => "arenas",
            Self::Pools => "pools",
            Self::Blocks => "blocks",
            Self::StoredObjects => "stored_objects",
            Self::Reservations => "reservations",
            Self::Events => "events",
        }
    }
}
