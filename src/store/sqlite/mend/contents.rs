//! What is stored: objects, their pieces, and what holds them.

use super::{Mend, Rule};

/// Pieces without bytes account for nothing.
pub(crate) const EMPTY_ENTRIES: &[Rule] = &[Rule {
    invariant: "I6",
    table: "ledger",
    find: "SELECT id, NULL AS key, 'at least a byte' AS expected, 'none; the entry is removed' AS found
           FROM ledger WHERE allocated_mem = 0",
    mend: &["DELETE FROM ledger WHERE id = ?1"],
}];

/// An entry that the keys do not find with the others of its object.
pub(crate) const STRAY: Rule = Rule {
    invariant: "I6",
    table: "ledger",
    find: "SELECT l.id, NULL AS key, 'the key of its object and its position' AS expected, 'another' AS found
           FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
           WHERE l.id <> l.stored_object_id + l.seq OR (l.seq <> 0 AND p.id IS NULL) LIMIT 1",
    mend: BY_OBJECT,
};

/// Finds the entries of an object that may have any keys, while a repair is under way.
pub(crate) const BY_OBJECT: Mend = &["CREATE INDEX repair_by_object ON ledger (stored_object_id, seq)"];
pub(crate) const NOT_BY_OBJECT: Mend = &["DROP INDEX repair_by_object"];

/// Objects around their pieces. An object that is made again has its key for an id until
/// its content has been read.
pub(crate) const OBJECTS: &[Rule] = &[
    Rule {
        invariant: "I9",
        table: "stored_objects",
        find: "SELECT DISTINCT stored_object_id AS id, NULL AS key, 'an object for ledger entries' AS expected, 'none' AS found
               FROM ledger WHERE stored_object_id NOT IN (SELECT id FROM stored_objects)",
        mend: &["INSERT INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at)
                 SELECT ?1,
                   coalesce((SELECT b.memram_id FROM ledger l JOIN blocks b ON b.id = l.block_id WHERE l.stored_object_id = ?1
                             GROUP BY 1 ORDER BY count(*) DESC LIMIT 1),
                            (SELECT min(id) FROM memram)),
                   printf('%064x', ?1), 'bytes', NULL,
                   (SELECT sum(allocated_mem) FROM ledger WHERE stored_object_id = ?1), 0, unixepoch() * 1000000"],
    },
    // An object is in the space that most of its pieces and names are in.
    Rule {
        invariant: "I7",
        table: "stored_objects",
        find: "WITH counted AS (
                 SELECT id, space, count(*) AS votes FROM (
                   SELECT l.stored_object_id AS id, b.memram_id AS space FROM ledger l JOIN blocks b ON b.id = l.block_id
                   UNION ALL SELECT stored_object_id, memram_id FROM names
                   UNION ALL SELECT id, memram_id FROM stored_objects)
                 WHERE space IN (SELECT id FROM memram) GROUP BY id, space),
               elected AS (
                 SELECT o.id, o.memram_id, coalesce((SELECT c.space FROM counted c WHERE c.id = o.id
                   ORDER BY c.votes DESC, c.space = o.memram_id DESC, c.space LIMIT 1), (SELECT min(id) FROM memram)) AS space
                 FROM stored_objects o)
               SELECT id, CAST(space AS TEXT) AS key, 'space ' || space AS expected, 'space ' || memram_id AS found
               FROM elected WHERE memram_id <> space",
        mend: &["UPDATE stored_objects SET memram_id = CAST(?2 AS INTEGER),
                   object_id = CASE WHEN EXISTS (SELECT 1 FROM stored_objects t
                     WHERE t.memram_id = CAST(?2 AS INTEGER) AND t.object_id = stored_objects.object_id)
                   THEN printf('%064x', id) ELSE object_id END
                 WHERE id = ?1"],
    },
];

/// After the contents were read: what follows from them.
pub(crate) const NUMBERED_ANEW: &[Rule] = &[
    Rule {
        invariant: "I6",
        table: "stored_objects",
        find: "SELECT stored_object_id AS id, NULL AS key, printf('pieces 0..%d', count(*) - 1) AS expected,
                      printf('pieces %d..%d', min(seq), max(seq)) AS found
               FROM ledger GROUP BY stored_object_id HAVING min(seq) <> 0 OR max(seq) <> count(*) - 1",
        mend: &[
            "UPDATE ledger SET seq = (-1 << 60) - r.place FROM (
               SELECT id, row_number() OVER (ORDER BY seq, id) AS place FROM ledger WHERE stored_object_id = ?1) r
             WHERE r.id = ledger.id",
            "UPDATE ledger SET seq = (-1 << 60) - seq - 1 WHERE stored_object_id = ?1",
        ],
    },
    Rule {
        invariant: "I6",
        table: "stored_objects",
        find: "WITH held AS (SELECT stored_object_id AS id, sum(allocated_mem) AS size FROM ledger GROUP BY 1)
               SELECT o.id, NULL AS key, 'size ' || coalesce(h.size, 0) AS expected, 'size ' || o.size AS found
               FROM stored_objects o LEFT JOIN held h ON h.id = o.id WHERE o.size <> coalesce(h.size, 0)",
        mend: &["UPDATE stored_objects SET size =
                   (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE stored_object_id = ?1) WHERE id = ?1"],
    },
];

/// Objects with entries that do not have the keys that follow the object's own. `key` is
/// how many entries there are.
pub(crate) const MISNUMBERED: Rule = Rule {
    invariant: "I6",
    table: "stored_objects",
    find: "SELECT stored_object_id AS id, CAST(count(*) AS TEXT) AS key,
                  'entries with the keys from ' || stored_object_id || ' on' AS expected,
                  'keys ' || min(id) || '..' || max(id) || '; the object is numbered anew' AS found
           FROM ledger GROUP BY stored_object_id HAVING sum(id <> stored_object_id + seq) > 0",
    mend: GIVE_KEY,
};

/// Gives an object a new key, `?2`, and its entries those that follow it. Whoever does
/// that sees to it that nobody has them.
pub(crate) const GIVE_KEY: Mend = &[
    "UPDATE ledger SET id = CAST(?2 AS INTEGER) + seq, stored_object_id = CAST(?2 AS INTEGER) WHERE stored_object_id = ?1",
    "UPDATE stored_objects SET id = CAST(?2 AS INTEGER) WHERE id = ?1",
    "UPDATE names SET stored_object_id = CAST(?2 AS INTEGER) WHERE stored_object_id = ?1",
];

/// What follows an entry is what the later ones hold.
pub(crate) const RESTS: &[Rule] = &[Rule {
    invariant: "I6",
    table: "ledger",
    find: "SELECT id, CAST(wanted AS TEXT) AS key, 'rest ' || wanted AS expected, 'rest ' || rest AS found
           FROM (SELECT id, rest, sum(allocated_mem) OVER (PARTITION BY stored_object_id ORDER BY seq DESC) - allocated_mem AS wanted
                 FROM ledger)
           WHERE rest <> wanted",
    mend: &["UPDATE ledger SET rest = CAST(?2 AS INTEGER) WHERE id = ?1"],
}];

/// A type belongs to JSON alone.
pub(crate) const TYPE_NAMES: &[Rule] = &[Rule {
    invariant: "schema",
    table: "stored_objects",
    find: "SELECT id, NULL AS key, 'no type_name for ' || kind AS expected, printf('type_name %Q', type_name) AS found
           FROM stored_objects WHERE type_name IS NOT NULL AND kind <> 'json'",
    mend: &["UPDATE stored_objects SET type_name = NULL WHERE id = ?1"],
}];

/// Numbers the pieces of an object in the order in which they were stored.
pub(crate) const RENUMBER_BY_ID: Mend = &[
    "UPDATE ledger SET seq = (-1 << 60) - r.place FROM (
       SELECT id, row_number() OVER (ORDER BY id) AS place FROM ledger WHERE stored_object_id = ?1) r
     WHERE r.id = ledger.id",
    "UPDATE ledger SET seq = (-1 << 60) - seq - 1 WHERE stored_object_id = ?1",
];

/// `?2` is the kind.
pub(crate) const GIVE_KIND: Mend = &["UPDATE stored_objects SET kind = ?2 WHERE id = ?1"];

/// Sets an object aside as bytes under an id that no other has.
pub(crate) const GIVE_CONTENT: Mend = &[
    "UPDATE stored_objects SET object_id = printf('%064x', id), kind = 'bytes', type_name = NULL, held = 0 WHERE id = ?1",
];

/// `?2` is the id of its content.
pub(crate) const GIVE_ID: Mend = &["UPDATE stored_objects SET object_id = ?2 WHERE id = ?1"];

/// Removes an object whose content another object, with the key `?2`, has too.
pub(crate) const REMOVE_OBJECT: Mend = &[
    "UPDATE names SET stored_object_id = CAST(?2 AS INTEGER) WHERE stored_object_id = ?1",
    "DELETE FROM ledger WHERE stored_object_id = ?1",
    "DELETE FROM stored_objects WHERE id = ?1",
];

/// `?1` space, `?2` name, `?3` new name.
pub(crate) const RENAME: Mend = &["UPDATE names SET name = ?3 WHERE memram_id = ?1 AND name = ?2"];

/// The same for a name whose bytes, in hexadecimal digits, are `?2`.
pub(crate) const RENAME_BYTES: Mend =
    &["UPDATE names SET name = ?3 WHERE memram_id = ?1 AND name = CAST(unhex(?2) AS TEXT)"];

/// `?1` object, `?2` name.
pub(crate) const ADD_NAME: Mend = &["INSERT INTO names (memram_id, name, stored_object_id, bound_at)
     SELECT memram_id, ?2, id, unixepoch() * 1000000 FROM stored_objects WHERE id = ?1"];

/// Names that lead nowhere, or out of their space.
pub(crate) const NAMES: &[Rule] = &[
    Rule {
        invariant: "I9",
        table: "names",
        find: "SELECT memram_id AS id, name AS key, printf('an object %d for %Q', stored_object_id, name) AS expected,
                      'none; the name is removed' AS found
               FROM names WHERE stored_object_id NOT IN (SELECT id FROM stored_objects)",
        mend: &["DELETE FROM names WHERE memram_id = ?1 AND name = ?2"],
    },
    Rule {
        invariant: "I9",
        table: "names",
        find: "SELECT n.memram_id AS id, n.name AS key, printf('space %d for %Q', o.memram_id, n.name) AS expected,
                      'space ' || n.memram_id AS found
               FROM names n JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.memram_id <> n.memram_id",
        mend: &["UPDATE names SET
                   memram_id = (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id),
                   name = CASE WHEN EXISTS (SELECT 1 FROM names t WHERE t.name = ?2 AND t.memram_id =
                     (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id))
                   THEN printf('damaged/space-%d/%s', ?1, ?2) ELSE name END
                 WHERE memram_id = ?1 AND name = ?2"],
    },
    Rule {
        invariant: "schema",
        table: "names",
        find: "SELECT memram_id AS id, name AS key, 'a name of at least a character' AS expected, 'none' AS found
               FROM names WHERE length(name) = 0",
        mend: &["UPDATE names SET name = 'damaged/unnamed-' || stored_object_id WHERE memram_id = ?1 AND name = ?2"],
    },
];

/// What nothing holds is held.
pub(crate) const HOLDS: &[Rule] = &[Rule {
    invariant: "I9",
    table: "stored_objects",
    find: "SELECT id, NULL AS key, 'a hold or a name' AS expected, CASE held WHEN 0 THEN 'neither' ELSE 'held ' || held END AS found
           FROM stored_objects o WHERE held NOT IN (0, 1)
              OR (held = 0 AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id))",
    mend: &["UPDATE stored_objects SET held = 1 WHERE id = ?1"],
}];

/// Objects with a piece that has no place: its block is gone, is full without it, or is
/// in another space. `key` is the object's space.
pub(crate) const DISPLACED: Rule = Rule {
    invariant: "I7",
    table: "stored_objects",
    find: "SELECT o.id, CAST(o.memram_id AS TEXT) AS key, 'a place for each piece' AS expected,
                  'none for some; the object is placed anew' AS found
           FROM stored_objects o WHERE o.id IN (
             SELECT stored_object_id FROM ledger WHERE block_id NOT IN (SELECT id FROM blocks)
             UNION
             SELECT l.stored_object_id
             FROM (SELECT stored_object_id, block_id, sum(allocated_mem) OVER (PARTITION BY block_id ORDER BY id) AS through FROM ledger) l
             JOIN blocks b ON b.id = l.block_id WHERE l.through > b.max_mem
             UNION
             SELECT l.stored_object_id FROM ledger l JOIN blocks b ON b.id = l.block_id
             JOIN stored_objects s ON s.id = l.stored_object_id WHERE s.memram_id <> b.memram_id)
           ORDER BY o.id",
    mend: TAKE_OUT,
};

/// Takes all pieces of an object out of their blocks; whoever does that has read them.
pub(crate) const TAKE_OUT: Mend = &["DELETE FROM ledger WHERE stored_object_id = ?1"];
