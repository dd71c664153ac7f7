//! `sequences`: the highest ids ever assigned.

use super::named_enum;

named_enum! {
    /// The sequence that numbers the rows of a table. Ledger entries need none: their ids follow from
    /// those of their objects.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Sequence {
        Arenas = "arenas",
        Pools = "pools",
        Blocks = "blocks",
        StoredObjects = "stored_objects",
        Reservations = "reservations",
        Events = "events",
    }
    /// The name in its row, which is that of the table.
    fn name;
}
