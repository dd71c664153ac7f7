//! What adds up: flags, totals and counters, from the blocks up to the space.

use super::{Mend, Rule};

/// What the history books and what the rows give, where they differ.
pub(crate) const HISTORY: Rule = Rule {
    invariant: "I11",
    table: "events",
    find: "SELECT coalesce(id, 0) AS id, NULL AS key, expected, found || '; the books are opened anew' AS found FROM history_violations",
    mend: &[],
};

/// Names that were bound after their books were opened, if that were true: a clock that has
/// gone back, or a time that somebody wrote.
pub(crate) const BOUND_LATER: Rule = Rule {
    invariant: "I11",
    table: "names",
    find: "SELECT n.memram_id AS id, n.name AS key, printf('bound_at %d', e.at) AS expected,
                  printf('bound_at %d, after the books were opened', n.bound_at) AS found
           FROM names n JOIN events e ON e.id = (SELECT max(id) FROM events WHERE memram_id = n.memram_id AND kind = 'opening')
           WHERE n.bound_at > e.at AND NOT EXISTS (
             SELECT 1 FROM events b WHERE b.memram_id = n.memram_id AND b.id > e.id AND b.kind = 'bind' AND b.name = n.name)",
    mend: &["UPDATE names SET bound_at = (SELECT at FROM events WHERE id =
               (SELECT max(id) FROM events WHERE memram_id = ?1 AND kind = 'opening'))
             WHERE memram_id = ?1 AND name = ?2"],
};

/// Tells the history of a repair: `?1` space, `?2` number of the event, `?3` what was done.
pub(crate) const REPAIRED: Mend = &["INSERT INTO events (id, memram_id, at, kind, reason, bytes, mem)
     SELECT ?2, id, CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'repair', ?3, 0, mem FROM memram WHERE id = ?1"];

/// Children first.
pub(crate) const TOTALS: &[Rule] = &[
    Rule {
        invariant: "schema",
        table: "events",
        find: "SELECT id, NULL AS key, 'accounts that add up to capacity, an object id of 32 bytes' AS expected,
                      printf('capacity %d, object %s', capacity, coalesce(hex(object), 'none')) AS found
               FROM events
               WHERE payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved <> capacity
                  OR length(object) <> 32",
        mend: &["UPDATE events SET
                   capacity = payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved,
                   object = CASE WHEN length(object) = 32 THEN object END WHERE id = ?1"],
    },
    Rule {
        invariant: "I1",
        table: "blocks",
        find: "WITH held AS (SELECT block_id AS id, sum(allocated_mem) AS mem FROM ledger GROUP BY block_id)
               SELECT b.id, NULL AS key,
                      printf('mem %d, is_free %d', coalesce(h.mem, 0), coalesce(h.mem, 0) < b.max_mem) AS expected,
                      printf('mem %d, is_free %d', b.mem, b.is_free) AS found
               FROM blocks b LEFT JOIN held h ON h.id = b.id
               WHERE b.mem <> coalesce(h.mem, 0) OR b.is_free <> (b.mem < b.max_mem)",
        mend: &[
            "UPDATE blocks SET mem = (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE block_id = ?1) WHERE id = ?1",
            "UPDATE blocks SET is_free = (mem < max_mem) WHERE id = ?1",
        ],
    },
    Rule {
        invariant: "I3",
        table: "pools",
        find: "WITH held AS (SELECT pool_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM blocks GROUP BY pool_id)
               SELECT p.id, NULL AS key,
                      printf('mem %d, reserved %d', coalesce(h.mem, 0), coalesce(h.reserved, 0)) AS expected,
                      printf('mem %d, reserved %d', p.mem, p.reserved) AS found
               FROM pools p LEFT JOIN held h ON h.id = p.id
               WHERE p.mem <> coalesce(h.mem, 0) OR p.reserved <> coalesce(h.reserved, 0)",
        mend: &["UPDATE pools SET (mem, reserved) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0) FROM blocks WHERE pool_id = ?1) WHERE id = ?1"],
    },
    Rule {
        invariant: "I3",
        table: "size_classes",
        find: "WITH
                 pooled AS (SELECT memram_id, block_size, sum(max_mem) AS pooled, count(*) AS pools FROM pools GROUP BY 1, 2),
                 held AS (SELECT block_id AS id, count(*) AS entries FROM ledger GROUP BY block_id),
                 blocked AS (
                   SELECT b.memram_id, b.block_size, sum(b.mem) AS mem, sum(b.max_mem) AS reserved, count(*) AS blocks,
                          sum(b.mem = b.max_mem) AS full_blocks, sum(b.mem = 0) AS empty_blocks, sum(coalesce(h.entries, 0)) AS entries
                   FROM blocks b LEFT JOIN held h ON h.id = b.id GROUP BY 1, 2),
                 stated AS (
                   SELECT c.memram_id, c.block_size,
                     printf('mem %d, reserved %d, pooled %d, pools %d, blocks %d, full_blocks %d, empty_blocks %d, entries %d',
                       b.mem, b.reserved, p.pooled, p.pools, b.blocks, b.full_blocks, b.empty_blocks, b.entries) AS expected,
                     printf('mem %d, reserved %d, pooled %d, pools %d, blocks %d, full_blocks %d, empty_blocks %d, entries %d',
                       c.mem, c.reserved, c.pooled, c.pools, c.blocks, c.full_blocks, c.empty_blocks, c.entries) AS found
                   FROM size_classes c
                   LEFT JOIN blocked b ON b.memram_id = c.memram_id AND b.block_size = c.block_size
                   LEFT JOIN pooled p ON p.memram_id = c.memram_id AND p.block_size = c.block_size)
               SELECT memram_id AS id, CAST(block_size AS TEXT) AS key, expected, found FROM stated WHERE expected <> found",
        mend: &[
            "UPDATE size_classes SET (mem, reserved, blocks, full_blocks, empty_blocks) = (
               SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0), count(*), coalesce(sum(mem = max_mem), 0), coalesce(sum(mem = 0), 0)
               FROM blocks b WHERE b.memram_id = ?1 AND b.block_size = CAST(?2 AS INTEGER))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS INTEGER)",
            "UPDATE size_classes SET (pooled, pools) = (
               SELECT coalesce(sum(max_mem), 0), count(*) FROM pools p WHERE p.memram_id = ?1 AND p.block_size = CAST(?2 AS INTEGER))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS INTEGER)",
            "UPDATE size_classes SET entries = (
               SELECT count(*) FROM ledger l JOIN blocks b ON b.id = l.block_id
               WHERE b.memram_id = ?1 AND b.block_size = CAST(?2 AS INTEGER))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS INTEGER)",
        ],
    },
    Rule {
        invariant: "I4",
        table: "arenas",
        find: "WITH held AS (SELECT arena_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM pools GROUP BY arena_id)
               SELECT a.id, NULL AS key,
                      printf('mem %d, reserved %d', coalesce(h.mem, 0), coalesce(h.reserved, 0)) AS expected,
                      printf('mem %d, reserved %d', a.mem, a.reserved) AS found
               FROM arenas a LEFT JOIN held h ON h.id = a.id
               WHERE a.mem <> coalesce(h.mem, 0) OR a.reserved <> coalesce(h.reserved, 0)",
        mend: &["UPDATE arenas SET (mem, reserved) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0) FROM pools WHERE arena_id = ?1) WHERE id = ?1"],
    },
    Rule {
        invariant: "I10",
        table: "other_kinds",
        find: "SELECT k.memram_id AS id, k.kind AS key, 'a space ' || k.memram_id AS expected, 'none' AS found
               FROM other_kinds k WHERE k.memram_id NOT IN (SELECT id FROM memram)
                  OR k.kind NOT IN ('str', 'int', 'float', 'bool', 'none', 'json')",
        mend: &["DELETE FROM other_kinds WHERE memram_id = ?1 AND kind = ?2"],
    },
    Rule {
        invariant: "I10",
        table: "other_kinds",
        find: "WITH wanted (kind) AS (VALUES ('str'), ('int'), ('float'), ('bool'), ('none'), ('json')),
                 held AS (SELECT memram_id, kind, count(*) AS objects, sum(size) AS mem FROM stored_objects GROUP BY memram_id, kind)
               SELECT m.id, w.kind AS key,
                      printf('objects %d, mem %d', h.objects, h.mem) AS expected,
                      CASE WHEN k.kind IS NULL THEN 'no row' ELSE printf('objects %d, mem %d', k.objects, k.mem) END AS found
               FROM memram m JOIN wanted w
               LEFT JOIN other_kinds k ON k.memram_id = m.id AND k.kind = w.kind
               LEFT JOIN held h ON h.memram_id = m.id AND h.kind = w.kind
               WHERE k.kind IS NULL OR k.objects <> coalesce(h.objects, 0) OR k.mem <> coalesce(h.mem, 0)",
        mend: &[
            "INSERT OR IGNORE INTO other_kinds (memram_id, kind) VALUES (?1, ?2)",
            "UPDATE other_kinds SET (objects, mem) = (SELECT count(*), coalesce(sum(size), 0) FROM stored_objects o
               WHERE o.memram_id = ?1 AND o.kind = ?2) WHERE memram_id = ?1 AND kind = ?2",
        ],
    },
    Rule {
        invariant: "I5",
        table: "memram",
        find: "WITH held AS (SELECT memram_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved, count(*) AS arenas FROM arenas GROUP BY 1)
               SELECT m.id, NULL AS key,
                      printf('mem %d, reserved %d, arenas %d', h.mem, h.reserved, h.arenas) AS expected,
                      printf('mem %d, reserved %d, arenas %d', m.mem, m.reserved, m.arenas) AS found
               FROM memram m LEFT JOIN held h ON h.id = m.id
               WHERE m.mem <> coalesce(h.mem, 0) OR m.reserved <> coalesce(h.reserved, 0) OR m.arenas <> coalesce(h.arenas, 0)",
        mend: &["UPDATE memram SET (mem, reserved, arenas) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0), count(*) FROM arenas WHERE memram_id = ?1) WHERE id = ?1"],
    },
    // What was freed is not written anywhere else: allocations follow from it.
    Rule {
        invariant: "I10",
        table: "memram",
        find: "WITH held AS (SELECT memram_id AS id, count(*) AS objects FROM stored_objects GROUP BY 1),
                 derived AS (
                   SELECT m.*, max(m.peak_mem, m.mem) AS peak,
                          max(m.frees, 0) AS freed, coalesce(h.objects, 0) AS objects
                   FROM memram m LEFT JOIN held h ON h.id = m.id)
               SELECT id, NULL AS key,
                      printf('peak_mem %d, allocations %d, frees %d', peak, freed + objects, freed) AS expected,
                      printf('peak_mem %d, allocations %d, frees %d', peak_mem, allocations, frees) AS found
               FROM derived WHERE peak_mem < mem OR frees < 0 OR allocations - frees <> objects",
        mend: &["UPDATE memram SET peak_mem = max(peak_mem, mem), frees = max(frees, 0),
                   allocations = max(frees, 0) + (SELECT count(*) FROM stored_objects WHERE memram_id = ?1) WHERE id = ?1"],
    },
];
