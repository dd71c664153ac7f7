//! The catalogue of what must hold: each invariant with its sentence, and each rule that
//! belongs to it with how it is found and how it is repaired.
//!
//! The view `violations` names these rules, a repair follows them in this order, and
//! `docs/invariants.md` lists them; tests hold the three together.

use std::fmt;

use crate::error::Error;

/// Something that must hold in every heap, at every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// Blocks add up their pieces.
    I1,
    /// Free flags tell the truth.
    I2,
    /// Pools and size classes add up their blocks.
    I3,
    /// Arenas add up their pools.
    I4,
    /// Spaces add up their arenas.
    I5,
    /// Objects are whole.
    I6,
    /// Rows agree on where they are.
    I7,
    /// Contents are what their ids say.
    I8,
    /// Nothing is an orphan.
    I9,
    /// Counters agree with what is there.
    I10,
    /// The history explains the balance.
    I11,
    /// The schema and its texts are as this version makes them.
    Schema,
    /// SQLite can read the file.
    IntegrityCheck,
    /// SQLite finds the parent of every row.
    ForeignKeyCheck,
}

impl Invariant {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I10,
        Self::I11,
        Self::Schema,
        Self::IntegrityCheck,
        Self::ForeignKeyCheck,
    ];

    /// Its number, as in the column `invariant` of the view `violations`, or the name of the
    /// check that has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::I1 => "I1",
            Self::I2 => "I2",
            Self::I3 => "I3",
            Self::I4 => "I4",
            Self::I5 => "I5",
            Self::I6 => "I6",
            Self::I7 => "I7",
            Self::I8 => "I8",
            Self::I9 => "I9",
            Self::I10 => "I10",
            Self::I11 => "I11",
            Self::Schema => "schema",
            Self::IntegrityCheck => "integrity_check",
            Self::ForeignKeyCheck => "foreign_key_check",
        }
    }

    /// What it says, in a sentence without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::I1 => "the bytes used in a block are those of the pieces in it",
            Self::I2 => "a block says that it has room exactly when it has",
            Self::I3 => {
                "the bytes used and carved in a pool, and the totals of its size class, are those of its blocks"
            }
            Self::I4 => "the bytes used and carved in an arena are those of its pools",
            Self::I5 => "the bytes used and reserved in a space are those of its arenas",
            Self::I6 => "the pieces of an object are numbered without a gap and add up to its size",
            Self::I7 => {
                "a piece, a block and a pool lie where the levels above them are, and an id is one of its row's space"
            }
            Self::I8 => "the content of an object is what its id is the SHA-256 of, and valid for its kind",
            Self::I9 => {
                "everything belongs to something: no row points to one that is not there, and every object is held"
            }
            Self::I10 => "the counters of a space are those of the objects that it has",
            Self::I11 => "the events of the history add up to what is there",
            Self::Schema => "tables, views, triggers, indexes and texts are as this heapledger makes them",
            Self::IntegrityCheck => "SQLite can read every page and index of the file",
            Self::ForeignKeyCheck => "every reference between tables has its row",
        }
    }

    /// How it is found: in plain SQL, or what it takes beyond that.
    pub fn found_by(self) -> &'static str {
        match self {
            Self::I8 => "hashing every content; plain SQL finds an id that cannot be one",
            Self::I11 => "the view `violations`; that the column `changes` can be read takes this crate",
            Self::Schema => "comparing the schema with that of a new heap, and every text with UTF-8",
            Self::IntegrityCheck => "`PRAGMA integrity_check`",
            Self::ForeignKeyCheck => "`PRAGMA foreign_key_check`",
            _ => "the view `violations`",
        }
    }

    /// The rules that belong to it, in the order in which a repair follows them.
    pub(crate) fn rules(self) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(move |rule| rule.invariant == self)
    }

    /// What a repair does about it, in sentences without full stops: those of rules begin
    /// with the name of the rule, as in the column `rule` of the view `violations`.
    pub fn repaired_by(self) -> Vec<String> {
        let other: &[_] = match self {
            Self::I8 => &[
                "a kind or an order of pieces under which the content has its id is taken",
                "other content becomes an object of kind `bytes` under its own id, named `damaged/<old id>`",
            ],
            Self::Schema => &["what is missing or altered is made again; a name that is not UTF-8 becomes UTF-8"],
            Self::IntegrityCheck => &["indexes are written again from their tables; a damaged page needs a backup"],
            Self::ForeignKeyCheck => &["the rules of I9 apply"],
            _ => &[],
        };
        let rules = self.rules().map(|rule| format!("`{}`: {}", rule.name, rule.repaired));
        rules.chain(other.iter().map(|&sentence| sentence.to_owned())).collect()
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

/// One way in which an invariant can be broken, and what puts it right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// As in the column `rule` of the view `violations`, if that finds it.
    pub name: &'static str,
    pub invariant: Invariant,
    /// The table that the row is in.
    pub table: &'static str,
    pub stage: Stage,
    pub found: FoundBy,
    /// What a repair does, in a sentence without a full stop.
    pub repaired: &'static str,
    /// What the report adds to what was found, where a row is lost or moves.
    pub outcome: Option<&'static str>,
}

/// Who finds the rows that break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// The view `violations`: the row that it names is the one that is wrong.
    View,
    /// A query of the repair's own: rows contradict each other, and it decides which of them
    /// is right, or the row breaks a constraint of its table.
    Repair,
}

/// When a repair follows a rule. Parents before children, where things are; children before
/// parents, what adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Where things are: spaces, arenas, pools, blocks, and the parents of ledger entries.
    Levels,
    /// Rows that need an id of their space.
    Numbers,
    /// Pieces without bytes.
    Pieces,
    /// Objects around their pieces.
    Objects,
    /// What follows from the contents, once they were read.
    Contents,
    /// Objects that need another key.
    Keys,
    /// Once each entry has the key that follows its object's.
    Rests,
    /// Objects that need another place.
    Places,
    /// What adds up: flags, totals and counters.
    Totals,
    /// Last, because objects may have lost their names.
    Holds,
    /// The balance of the books, after everything else was written.
    Books,
    /// What follows from books that begin again.
    History,
    /// Found by the view, and put right by other rules or by reading the content.
    Elsewhere,
}

impl Rule {
    /// The rules of a stage, in their order.
    pub fn of(stage: Stage) -> impl Iterator<Item = &'static Self> {
        RULES.iter().filter(move |rule| rule.stage == stage)
    }
}

/// Keeps the catalogue a table that can be read.
const fn rule(
    name: &'static str,
    (invariant, table): (Invariant, &'static str),
    stage: Stage,
    found: FoundBy,
    repaired: &'static str,
) -> Rule {
    Rule {
        name,
        invariant,
        table,
        stage,
        found,
        repaired,
        outcome: None,
    }
}

impl Rule {
    const fn with(self, outcome: &'static str) -> Self {
        Self {
            outcome: Some(outcome),
            ..self
        }
    }
}

use FoundBy::{Repair, View};
use Invariant::{I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, Schema};
use Stage::{
    Books, Contents, Elsewhere, History, Holds, Keys, Levels, Numbers, Objects, Pieces, Places, Rests, Totals,
};

/// All rules, in the order in which a repair follows them.
#[rustfmt::skip]
pub(crate) static RULES: &[Rule] = &[
    // First, because nothing is removed before the highest keys are known.
    rule("sequence", (Schema, "sequences"), Levels, Repair,
        "a last id that is missing, or of another space, is found again from the rows"),
    rule("space_row", (Schema, "memram"), Levels, Repair,
        "a space without a usable name, size or history setting gets one"),
    rule("arena_space", (I7, "arenas"), Levels, Repair,
        "an arena is in the space of its id, if one of its rows names that, or else the one that most of them name"),
    rule("space_lost", (I9, "memram"), Levels, Repair,
        "a space that is gone is made again around what was in it"),
    rule("sequence_orphan", (Schema, "sequences"), Levels, Repair,
        "the last ids of a space that is not there go").with("they are removed"),
    rule("arena_orphan", (I9, "arenas"), Levels, View,
        "an arena without a space is dissolved").with("the arena is dissolved"),
    rule("pool_arena", (I7, "pools"), Levels, Repair,
        "a pool is in the arena that most of its blocks and entries name"),
    rule("pool_orphan", (I9, "pools"), Levels, View,
        "a pool without an arena is dissolved").with("the pool is dissolved"),
    rule("class_lost", (I3, "size_classes"), Levels, Repair,
        "a size class on which pools and their blocks agree is made again"),
    rule("class_row", (I3, "size_classes"), Levels, Repair,
        "a size class without a space goes; one of impossible sizes gets those of its pools"),
    rule("pool_class", (I7, "pools"), Levels, Repair,
        "a pool has the space of its arena and the block size of most of its blocks"),
    rule("block_pool", (I7, "blocks"), Levels, Repair,
        "a block is in the pool that most of its entries name"),
    rule("block_orphan", (I9, "blocks"), Levels, View,
        "a block without a pool is dissolved").with("the block is dissolved"),
    rule("block_parents", (I7, "blocks"), Levels, View,
        "a block has the arena, space and block size of its pool"),
    rule("entry_length", (I6, "ledger"), Levels, Repair,
        "an entry accounts for the bytes that it has"),
    rule("block_size", (I1, "blocks"), Levels, Repair,
        "a block is no larger than its class, and as large as what is in it"),
    rule("pool_size", (I3, "pools"), Levels, Repair,
        "a pool is no larger than its class, and as large as its blocks"),
    rule("arena_size", (I4, "arenas"), Levels, Repair,
        "an arena is no larger than the space says, and as large as its pools"),
    rule("pool_overflow", (I4, "pools"), Levels, Repair,
        "a pool for which its arena has no room is dissolved").with("the pool is dissolved"),
    rule("block_overflow", (I3, "blocks"), Levels, Repair,
        "a block for which its pool has no room is dissolved").with("the block is dissolved"),
    // The bound of the space alone is made larger: nothing in it may be lost.
    rule("space_size", (I5, "memram"), Levels, Repair,
        "a space is at least as large as its arenas"),
    rule("entry_parents", (I7, "ledger"), Levels, View,
        "an entry has the pool and the arena of its block"),
    rule("arena_number", (I7, "arenas"), Numbers, Repair,
        "an arena whose id is one of another space gets a new id").with("the arena gets a new id"),
    rule("pool_number", (I7, "pools"), Numbers, Repair,
        "a pool whose id is one of another space gets a new id").with("the pool gets a new id"),
    rule("block_number", (I7, "blocks"), Numbers, Repair,
        "a block whose id is one of another space gets a new id").with("the block gets a new id"),
    rule("event_number", (I7, "events"), Numbers, Repair,
        "an event whose id is one of another space gets a new id").with("the event gets a new id"),
    rule("entry_empty", (I6, "ledger"), Pieces, Repair,
        "an entry without bytes is removed").with("the entry is removed"),
    rule("object_lost", (I9, "stored_objects"), Objects, Repair,
        "entries without an object become one, named `damaged/object-<key>`"),
    rule("object_space", (I7, "stored_objects"), Objects, Repair,
        "an object is in the space that most of its pieces and names are in"),
    rule("piece_numbers", (I6, "stored_objects"), Contents, Repair,
        "pieces are numbered from 0 in their order"),
    rule("object_size", (I6, "stored_objects"), Contents, Repair,
        "the size of an object is what its pieces hold"),
    rule("object_type", (Schema, "stored_objects"), Contents, Repair,
        "only JSON keeps the name of a type"),
    rule("name_orphan", (I9, "names"), Contents, Repair,
        "a name without an object is removed").with("the name is removed"),
    rule("name_space", (I9, "names"), Contents, Repair,
        "a name is in the space of its object"),
    rule("name_empty", (Schema, "names"), Contents, Repair,
        "an empty name becomes `damaged/unnamed-<key>`"),
    rule("object_keys", (I6, "stored_objects"), Keys, Repair,
        "an object with a key of another space, or entries without the keys that follow its own, gets a new key")
        .with("the object gets a new key"),
    rule("entry_rest", (I6, "ledger"), Rests, Repair,
        "what follows an entry is what the later ones hold"),
    rule("object_place", (I7, "stored_objects"), Places, Repair,
        "an object with a piece whose block is gone, overfull or in another space is placed again")
        .with("the object is placed again"),
    rule("event_row", (Schema, "events"), Totals, Repair,
        "the accounts of an event add up to its capacity, and its object is an id or none"),
    rule("block_mem", (I1, "blocks"), Totals, View,
        "a block has the bytes of its pieces"),
    rule("block_flag", (I2, "blocks"), Totals, View,
        "a block is free while it has room"),
    rule("pool_totals", (I3, "pools"), Totals, View,
        "a pool adds up its blocks"),
    rule("class_totals", (I3, "size_classes"), Totals, View,
        "a size class adds up its pools and blocks"),
    rule("arena_totals", (I4, "arenas"), Totals, View,
        "an arena adds up its pools"),
    rule("kind_row", (I10, "other_kinds"), Totals, Repair,
        "a total of a kind or a space that is not there goes"),
    rule("kind_counts", (I10, "other_kinds"), Totals, Repair,
        "the objects and bytes of each kind are counted again"),
    rule("space_totals", (I5, "memram"), Totals, View,
        "a space adds up its arenas"),
    // What was freed is not written anywhere else: allocations follow from it.
    rule("space_counters", (I10, "memram"), Totals, Repair,
        "the peak is at least what is used; allocations follow from what was freed and what is there"),
    rule("object_held", (I9, "stored_objects"), Holds, Repair,
        "an object that nothing holds is held"),
    rule("history", (I11, "events"), Books, View,
        "the history begins again with an opening balance")
        .with("the history begins again with an opening balance"),
    rule("name_history", (I11, "names"), Books, View,
        "the history begins again where it does not tell of a name")
        .with("the history begins again with an opening balance"),
    rule("name_bound_at", (I11, "names"), History, Repair,
        "a name that was bound before the history began again says so"),
    // What the view finds and other rules put right.
    rule("pool_of_no_class", (I3, "pools"), Elsewhere, View, "by `class_lost` and `pool_class`"),
    rule("piece_gap", (I6, "ledger"), Elsewhere, View, "by `piece_numbers`"),
    rule("entry_key", (I6, "ledger"), Elsewhere, View, "by `object_keys`"),
    rule("entry_space", (I7, "ledger"), Elsewhere, View, "by `object_space` and `object_place`"),
    rule("object_number", (I7, "stored_objects"), Elsewhere, View, "by `object_keys`"),
    rule("object_id", (I8, "stored_objects"), Elsewhere, View, "the id is that of the content"),
    rule("entry_object", (I9, "ledger"), Elsewhere, View, "by `object_lost`"),
    rule("entry_block", (I9, "ledger"), Elsewhere, View, "by `object_place`"),
    rule("object_orphan", (I9, "stored_objects"), Elsewhere, View, "by `object_space`"),
    rule("kind_totals", (I10, "kinds"), Elsewhere, View, "by `kind_counts` and `space_counters`"),
];
