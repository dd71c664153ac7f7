//! The rules of the invariants: how each can be broken, how that is found, and how it is repaired.
//!
//! The view `violations` names these rules, a repair follows them in this order, and
//! `docs/invariants.md` lists them; tests keep the three consistent.

use super::invariants::Invariant;

impl Invariant {
    /// The rules that belong to it, in the order in which a repair follows them.
    pub(crate) fn rules(self) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(move |rule| rule.invariant == self)
    }

    /// How a repair corrects violations, in sentences without full stops; those of rules begin with the
    /// name of the rule, as in the column `rule` of the view `violations`.
    pub fn repaired_by(self) -> Vec<String> {
        let other: &[_] = match self {
            Self::I8 => &[
                "if another kind or order of the pieces matches the id, that is used",
                "other content becomes an object of kind `bytes` under its own id, named `damaged/<old id>`",
            ],
            Self::Schema => &["missing or altered parts are recreated; invalid bytes in names are replaced"],
            Self::IntegrityCheck => &["indexes are rebuilt from their tables; a damaged page needs a backup"],
            Self::ForeignKeyCheck => &["the rules of I9 apply"],
            _ => &[],
        };
        let rules = self.rules().map(|rule| format!("`{}`: {}", rule.name, rule.repaired));
        rules.chain(other.iter().map(|&sentence| sentence.to_owned())).collect()
    }
}

/// One way to break an invariant, and its correction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The name, as in the column `rule` of the view `violations`, if that finds it.
    pub name: &'static str,
    pub invariant: Invariant,
    /// The table of the row.
    pub table: &'static str,
    pub stage: Stage,
    pub found: FoundBy,
    /// What a repair does, in a sentence without a full stop.
    pub repaired: &'static str,
    /// What the report adds if a row is lost or moved.
    pub outcome: Option<&'static str>,
}

/// What finds the rows that break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// The view `violations`: the row that it names is wrong.
    View,
    /// A query of the repair: rows contradict each other and it decides which is right, or a row
    /// violates a constraint of its table.
    Repair,
}

/// When a repair applies a rule. For locations, parents come before children; for sums, children
/// before parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Locations: spaces, arenas, pools, blocks, and the parents of ledger entries.
    Levels,
    /// Rows that need an id of their own space.
    Numbers,
    /// Pieces without bytes.
    Pieces,
    /// Objects and their pieces.
    Objects,
    /// What follows from the contents, after they were read.
    Contents,
    /// Objects that need a new key.
    Keys,
    /// `start` and `is_last`, once the keys of entries follow their object's.
    Starts,
    /// Objects to place again.
    Places,
    /// Flags, totals and counters.
    Totals,
    /// Holds; late, because objects may have lost their names.
    Holds,
    /// The balance of the history, after everything else was corrected.
    Books,
    /// What follows from a history that begins again.
    History,
    /// Found by the view, and corrected by other rules or by reading the content.
    Elsewhere,
}

impl Rule {
    /// The rules of a stage, in order.
    pub fn of(stage: Stage) -> impl Iterator<Item = &'static Self> {
        RULES.iter().filter(move |rule| rule.stage == stage)
    }
}

/// Makes the catalogue a readable table.
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
use Invariant::{I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14, I15, I16, Schema};
use Stage::{
    Books, Contents, Elsewhere, History, Holds, Keys, Levels, Numbers, Objects, Pieces, Places, Starts, Totals,
};

/// All rules, in the order in which a repair follows them.
#[rustfmt::skip]
pub(crate) static RULES: &[Rule] = &[
    // First, because the highest keys must be known before anything is removed.
    rule("sequence", (Schema, "sequences"), Levels, Repair,
        "a last id that is missing or belongs to another space is derived from the rows"),
    rule("heap_row", (Schema, "heap"), Levels, Repair,
        "a missing row, or an impossible ceiling of the file, is replaced by no ceiling"),
    rule("space_row", (Schema, "memram"), Levels, Repair,
        "a space without a usable name, size or setting gets one"),
    rule("arena_space", (I7, "arenas"), Levels, Repair,
        "an arena moves to the space of its id if one of its rows names that, or else to the space that most of them name"),
    rule("space_lost", (I9, "memram"), Levels, Repair,
        "a missing space is recreated with its contents"),
    rule("sequence_orphan", (Schema, "sequences"), Levels, Repair,
        "the last ids of a missing space are removed").with("they are removed"),
    rule("arena_orphan", (I9, "arenas"), Levels, View,
        "an arena without a space is dissolved").with("the arena is dissolved"),
    rule("pool_arena", (I7, "pools"), Levels, Repair,
        "a pool moves to the arena that most of its blocks and entries name"),
    rule("pool_orphan", (I9, "pools"), Levels, View,
        "a pool without an arena is dissolved").with("the pool is dissolved"),
    rule("class_lost", (I3, "size_classes"), Levels, Repair,
        "a missing size class on which pools and their blocks agree is recreated"),
    rule("class_row", (I3, "size_classes"), Levels, Repair,
        "a size class without a space is removed; one with impossible sizes gets those of its pools"),
    rule("pool_class", (I7, "pools"), Levels, Repair,
        "a pool gets the space of its arena and the block size of most of its blocks"),
    rule("block_pool", (I7, "blocks"), Levels, Repair,
        "a block moves to the pool that most of its entries name"),
    rule("block_orphan", (I9, "blocks"), Levels, View,
        "a block without a pool is dissolved").with("the block is dissolved"),
    rule("block_parents", (I7, "blocks"), Levels, View,
        "a block gets the arena, space and block size of its pool"),
    rule("entry_length", (I6, "ledger"), Levels, Repair,
        "`allocated_mem` becomes the length of the bytes of an entry"),
    rule("block_size", (I1, "blocks"), Levels, Repair,
        "a block becomes at most as large as its class, and at least as large as its contents"),
    rule("pool_size", (I3, "pools"), Levels, Repair,
        "a pool becomes at most as large as its class, and at least as large as its blocks"),
    rule("arena_size", (I4, "arenas"), Levels, Repair,
        "an arena becomes at most as large as arenas of its space, and at least as large as its pools"),
    rule("pool_overflow", (I4, "pools"), Levels, Repair,
        "a pool that does not fit its arena is dissolved").with("the pool is dissolved"),
    rule("block_overflow", (I3, "blocks"), Levels, Repair,
        "a block that does not fit its pool is dissolved").with("the block is dissolved"),
    // Only the capacity of the space is enlarged, because nothing in it may be lost.
    rule("space_size", (I5, "memram"), Levels, Repair,
        "a space becomes at least as large as its arenas"),
    rule("entry_parents", (I7, "ledger"), Levels, View,
        "an entry gets the pool and the arena of its block"),
    rule("arena_number", (I7, "arenas"), Numbers, Repair,
        "an arena with an id of another space gets a new id").with("the arena gets a new id"),
    rule("pool_number", (I7, "pools"), Numbers, Repair,
        "a pool with an id of another space gets a new id").with("the pool gets a new id"),
    rule("block_number", (I7, "blocks"), Numbers, Repair,
        "a block with an id of another space gets a new id").with("the block gets a new id"),
    rule("event_number", (I7, "events"), Numbers, Repair,
        "an event with an id of another space gets a new id").with("the event gets a new id"),
    rule("reservation_number", (I7, "reservations"), Numbers, Repair,
        "a reservation with an id of another space gets a new id").with("the reservation gets a new id"),
    rule("reservation_row", (Schema, "reservations"), Pieces, Repair,
        "a reservation that breaks a rule of its table, or is larger than its space, is removed").with("the reservation is removed"),
    rule("reservation_orphan", (I9, "reservations"), Pieces, View,
        "a reservation without a space is removed").with("the reservation is removed"),
    rule("upload_pieces", (I12, "reservations"), Pieces, View,
        "an upload whose pieces have the ids of an object is removed").with("the reservation is removed"),
    rule("upload_lost", (I12, "reservations"), Pieces, Repair,
        "an upload with a piece that is missing or misplaced is given up, because nobody was told that it is stored")
        .with("its pieces are removed"),
    rule("entry_empty", (I6, "ledger"), Pieces, Repair,
        "an entry without bytes is removed").with("the entry is removed"),
    rule("object_lost", (I9, "stored_objects"), Objects, Repair,
        "entries without an object become an object named `damaged/object-<key>`"),
    rule("object_space", (I7, "stored_objects"), Objects, Repair,
        "an object moves to the space that most of its pieces and names are in"),
    rule("piece_numbers", (I6, "stored_objects"), Contents, Repair,
        "pieces are numbered from 0 in their order"),
    rule("object_size", (I6, "stored_objects"), Contents, Repair,
        "the size of an object becomes the sum of its pieces"),
    rule("object_type", (Schema, "stored_objects"), Contents, Repair,
        "a type name is removed from kinds other than `json`"),
    rule("name_orphan", (I9, "names"), Contents, Repair,
        "a name without an object is removed").with("the name is removed"),
    rule("name_space", (I9, "names"), Contents, Repair,
        "a name moves to the space of its object"),
    rule("name_empty", (Schema, "names"), Contents, Repair,
        "an empty name becomes `damaged/unnamed-<key>`"),
    rule("object_keys", (I6, "stored_objects"), Keys, Repair,
        "an object with a key of another space, or entries without the keys that follow its own, gets a new key")
        .with("the object gets a new key"),
    rule("entry_start", (I6, "ledger"), Starts, Repair,
        "`start` of an entry becomes the sum of the earlier ones"),
    rule("entry_last", (I6, "ledger"), Starts, Repair,
        "`is_last` is set for the last entry of an object"),
    rule("object_place", (I7, "stored_objects"), Places, Repair,
        "an object with a piece whose block is missing, overfull or in another space is placed again")
        .with("the object is placed again"),
    rule("event_row", (Schema, "events"), Totals, Repair,
        "the capacity of an event becomes the sum of its accounts, and malformed object ids are removed"),
    rule("block_mem", (I1, "blocks"), Totals, View,
        "a block gets the sum of its pieces"),
    rule("block_flag", (I2, "blocks"), Totals, View,
        "a block is marked as free while it has room"),
    rule("pool_totals", (I3, "pools"), Totals, View,
        "a pool gets the sums of its blocks"),
    rule("class_totals", (I3, "size_classes"), Totals, View,
        "a size class gets the sums of its pools and blocks"),
    rule("arena_totals", (I4, "arenas"), Totals, View,
        "an arena gets the sums of its pools"),
    rule("kind_row", (I10, "other_kinds"), Totals, Repair,
        "the total of an unknown kind or a missing space is removed"),
    rule("kind_counts", (I10, "other_kinds"), Totals, Repair,
        "the objects and bytes of each kind are recounted"),
    rule("space_totals", (I5, "memram"), Totals, View,
        "a space gets the sums of its arenas"),
    rule("promised", (I12, "memram"), Totals, Repair,
        "the promised bytes of a space become the sum of its open reservations, and it becomes large enough for them"),
    rule("history_bytes", (I11, "memram"), Totals, View,
        "the bytes of a history are recounted"),
    // `frees` is recorded nowhere else, so `allocations` is derived from it.
    rule("space_counters", (I10, "memram"), Totals, Repair,
        "the peak becomes at least the bytes used; allocations become frees plus existing objects"),
    rule("hold_until", (Schema, "stored_objects"), Holds, Repair,
        "an object without the anonymous hold gets no end of one, and a pin that is neither set nor not is removed"),
    rule("object_held", (I9, "stored_objects"), Holds, Repair,
        "an object without holds gets an anonymous one"),
    rule("object_expiry", (I13, "stored_objects"), Holds, View,
        "an object expires when the last of its holds does"),
    rule("object_endless", (I13, "stored_objects"), Holds, View,
        "an object in a file says whether it never expires, and no read refreshes its anonymous hold"),
    rule("tag_hold", (I14, "tags"), Holds, View,
        "a tag without its hold is removed").with("a tag without its hold was removed"),
    rule("space_tags", (I14, "memram"), Holds, View,
        "a space counts its tags"),
    rule("quota_row", (Schema, "quotas"), Holds, Repair,
        "a quota without a space is removed, and a limit below 0").with("the quota is removed, or its limit"),
    rule("quota_used", (I15, "quotas"), Holds, View,
        "what is used of a quota is recounted"),
    rule("space_quotas", (I15, "memram"), Holds, View,
        "a space counts its quotas"),
    rule("recency_row", (Schema, "recency"), Holds, Repair,
        "a place in the order of eviction that breaks a rule of its table is removed"),
    rule("recency_stray", (I16, "recency"), Holds, View,
        "a place of what is not in an order by use is removed"),
    rule("recency_twice", (I16, "recency"), Holds, View,
        "of two places with one position, that of the newer object is removed"),
    rule("recency_lost", (I16, "stored_objects"), Holds, View,
        "an object without a place goes after all others"),
    rule("recency_totals", (I16, "memram"), Holds, View,
        "the totals of the order are recounted"),
    rule("history", (I11, "events"), Books, View,
        "the history begins again with an opening balance")
        .with("the history begins again with an opening balance"),
    rule("name_history", (I11, "names"), Books, View,
        "the history begins again if it disagrees with a name")
        .with("the history begins again with an opening balance"),
    rule("name_bound_at", (I11, "names"), History, Repair,
        "a name with a time later than the opening gets that of the opening, unless an event binds it"),
    // Found by the view, and corrected by other rules.
    rule("pool_of_no_class", (I3, "pools"), Elsewhere, View, "by `class_lost` and `pool_class`"),
    rule("piece_gap", (I6, "ledger"), Elsewhere, View, "by `piece_numbers`"),
    rule("entry_key", (I6, "ledger"), Elsewhere, View, "by `object_keys`"),
    rule("entry_space", (I7, "ledger"), Elsewhere, View, "by `object_space` and `object_place`"),
    rule("object_number", (I7, "stored_objects"), Elsewhere, View, "by `object_keys`"),
    rule("upload_written", (I12, "reservations"), Elsewhere, View, "by `upload_lost`"),
    rule("object_id", (I8, "stored_objects"), Elsewhere, View, "the id becomes that of the content"),
    rule("entry_object", (I9, "ledger"), Elsewhere, View, "by `object_lost`"),
    rule("entry_block", (I9, "ledger"), Elsewhere, View, "by `object_place`"),
    rule("object_orphan", (I9, "stored_objects"), Elsewhere, View, "by `object_space`"),
    rule("kind_totals", (I10, "kinds"), Elsewhere, View, "by `kind_counts` and `space_counters`"),
];
