//! The catalogue of invariants: each with its sentence. How it can be broken, and what a repair does
//! then, are its [`super::rules`].

use std::fmt;

use crate::error::Error;
use crate::models::named_enum;

named_enum! {
    /// A property of every heap at every commit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Invariant {
        /// Blocks add up their pieces.
        I1 = "I1",
        /// Free flags are right.
        I2 = "I2",
        /// Pools and size classes add up their blocks.
        I3 = "I3",
        /// Arenas add up their pools.
        I4 = "I4",
        /// Spaces add up their arenas.
        I5 = "I5",
        /// Objects are complete.
        I6 = "I6",
        /// Rows agree on where they are.
        I7 = "I7",
        /// Contents match their ids.
        I8 = "I8",
        /// Nothing is an orphan.
        I9 = "I9",
        /// Counters agree with the rows.
        I10 = "I10",
        /// The history explains the balance.
        I11 = "I11",
        /// Reservations agree with the space and the ledger.
        I12 = "I12",
        /// Objects expire with their last hold.
        I13 = "I13",
        /// Tags have their holds.
        I14 = "I14",
        /// Quotas add up what their owners have.
        I15 = "I15",
        /// What is evicted by use has its place in the order.
        I16 = "I16",
        /// The schema is that of this version, and text is UTF-8.
        Schema = "schema",
        /// SQLite can read the file.
        IntegrityCheck = "integrity_check",
        /// SQLite finds the parent of every row.
        ForeignKeyCheck = "foreign_key_check",
    }
    /// Its number, as in the column `invariant` of the view `violations`, or the name of a check
    /// without a number.
    fn name;
}

impl Invariant {
    /// Its sentence, without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::I1 => "the bytes used in a block are the sum of its pieces",
            Self::I2 => "a block is marked as free exactly while it has room",
            Self::I3 => {
                "the bytes used and carved in a pool, and the totals of its size class, are the sums of its blocks"
            }
            Self::I4 => "the bytes used and carved in an arena are the sums of its pools",
            Self::I5 => "the bytes used and reserved in a space are the sums of its arenas",
            Self::I6 => "the pieces of an object are numbered without gaps and add up to its size",
            Self::I7 => {
                "pieces, blocks and pools agree with their parents about where they are, and ids belong to the space of their row"
            }
            Self::I8 => "the content of an object matches its id, and is valid for its kind",
            Self::I9 => "there are no orphans: every row refers to existing rows, and every object is held",
            Self::I10 => "the counters of a space agree with its objects",
            Self::I11 => "the events of the history add up to the current balance and names",
            Self::I12 => "the bytes promised in a space, and those written of an upload, are the sums of the rows",
            Self::I13 => "an object expires when the last of its holds does, and never if one of them never does",
            Self::I14 => "each tag has its hold, and a space counts its tags",
            Self::I15 => {
                "what is used of a quota is the sum of the objects of its owner, and a space counts its quotas"
            }
            Self::I16 => {
                "in a space that evicts by use, each object has one place in the order, which adds up its queues"
            }
            Self::Schema => "tables, views, triggers and indexes are those of this version, and text is UTF-8",
            Self::IntegrityCheck => "SQLite can read every page and index of the file",
            Self::ForeignKeyCheck => "every foreign key refers to an existing row",
        }
    }

    /// How violations are found: in plain SQL, or what it takes beyond that.
    pub fn found_by(self) -> &'static str {
        match self {
            Self::I8 => "hashing every content; plain SQL finds malformed ids",
            Self::I11 => "the view `violations`; this crate also parses the column `changes`",
            Self::Schema => "comparing the schema with that of a new heap, and decoding every text",
            Self::IntegrityCheck => "`PRAGMA integrity_check`",
            Self::ForeignKeyCheck => "`PRAGMA foreign_key_check`",
            _ => "the view `violations`",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Invariant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl std::str::FromStr for Invariant {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|invariant| invariant.name() == name);
        found.ok_or_else(|| Error::Damaged {
            what: format!("the view violations speaks of an invariant {name:?}"),
        })
    }
}
