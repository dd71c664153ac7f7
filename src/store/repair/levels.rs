//! Rules about locations: spaces, arenas, pools, blocks, and the parents of ledger entries.

use super::statements::Statements;

/// Raises the last ids to the existing ones, so that none that a repair removes is reused.
pub(super) const LAST_IDS: &str = "INSERT INTO sequences (memram_id, name, last_id)
     SELECT (id >> 40) + 1, name, max(id) FROM (
       SELECT 'arenas' AS name, id FROM arenas UNION ALL SELECT 'pools', id FROM pools
       UNION ALL SELECT 'blocks', id FROM blocks UNION ALL SELECT 'stored_objects', id FROM stored_objects
       UNION ALL SELECT 'stored_objects', id FROM ledger
       UNION ALL SELECT 'stored_objects', stored_object_id + least(entry_ids, 9223372036854775807 - greatest(stored_object_id, 0)) - 1 FROM reservations WHERE stored_object_id IS NOT NULL
       UNION ALL SELECT 'reservations', id FROM reservations UNION ALL SELECT 'events', id FROM events) used
     WHERE (id >> 40) + 1 IN (SELECT id FROM memram) GROUP BY 1, 2
     ON CONFLICT (memram_id, name) DO UPDATE SET last_id = greatest(sequences.last_id, excluded.last_id)";

/// A row whose parent is missing, or has no room for it, is dissolved; its bytes are placed again
/// (see `contents`).
pub(super) const RULES: &[Statements] = &[
    // First, because the highest ids must be known before anything is removed.
    Statements {
        rule: "sequence",
        find: Some("WITH spaces AS (SELECT id FROM memram UNION SELECT memram_id FROM size_classes),
                 wanted (name) AS (VALUES ('arenas'), ('pools'), ('blocks'), ('stored_objects'), ('reservations'), ('events'))
               SELECT m.id, w.name AS key, 'a last_id of space ' || m.id || ' for ' || w.name AS expected,
                      coalesce('last_id ' || s.last_id, 'no row') AS found
               FROM spaces m CROSS JOIN wanted w LEFT JOIN sequences s ON s.memram_id = m.id AND s.name = w.name
               WHERE s.last_id IS NULL OR s.last_id >> 40 <> m.id - 1"),
        correct: &[
            "INSERT INTO sequences (memram_id, name, last_id) VALUES (?1, ?2, (?1 - 1) << 40)
             ON CONFLICT (memram_id, name) DO UPDATE SET last_id = excluded.last_id",
            LAST_IDS,
        ],
    },
    Statements {
        rule: "heap_row",
        find: Some("SELECT CAST(1 AS BIGINT) AS id, CAST(NULL AS TEXT) AS key, 'one row, with a max_file above 0 if any' AS expected,
                      coalesce('max_file ' || max_file, 'none') AS found
               FROM (SELECT 1) one LEFT JOIN heap h ON h.id = 1 WHERE h.id IS NULL OR h.max_file < 1"),
        correct: &[
            "INSERT INTO heap (id) VALUES (?1) ON CONFLICT DO NOTHING",
            "UPDATE heap SET max_file = NULL WHERE max_file < 1",
        ],
    },
    Statements {
        rule: "space_row",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'a name, sizes above 0, a way to keep history' AS expected,
                      'name ''' || name || ''', max_mem ' || max_mem || ', arena_size ' || arena_size
                        || ', per_block ' || per_block || ', history ''' || history || '''' AS found
               FROM memram WHERE length(name) NOT BETWEEN 1 AND 255 OR max_mem < 1 OR arena_size < 1 OR per_block < 1
                              OR dedup_hits < 0 OR dedup_saved < 0
                              OR history NOT IN ('on', 'off', 'keep') OR history_keep < 1
                              OR history_max_bytes < 1 OR history_bytes < 0 OR promised < 0
                              OR evict NOT IN ('lru', 'sieve', 's3-fifo', 'largest', 'oldest') OR evict_min_age < 0"),
        correct: &["UPDATE memram SET
                   name = CASE WHEN length(name) BETWEEN 1 AND 255 THEN name ELSE 'damaged-' || id END,
                   max_mem = greatest(max_mem, 1),
                   arena_size = CASE WHEN arena_size > 0 THEN arena_size ELSE
                     greatest(262144, (SELECT coalesce(max(max_mem), 0) FROM arenas WHERE memram_id = ?1)) END,
                   per_block = CASE WHEN per_block > 0 THEN per_block ELSE 8 END,
                   dedup_hits = greatest(dedup_hits, 0), dedup_saved = greatest(dedup_saved, 0),
                   history = CASE WHEN history IN ('on', 'off', 'keep') THEN history
                                  WHEN history_keep > 0 OR history_max_bytes > 0 THEN 'keep' ELSE 'on' END,
                   history_keep = CASE WHEN history_keep > 0 THEN history_keep END,
                   history_max_bytes = CASE WHEN history_max_bytes > 0 THEN history_max_bytes END,
                   history_bytes = greatest(history_bytes, 0), promised = greatest(promised, 0),
                   evict = CASE WHEN evict IN ('lru', 'sieve', 's3-fifo', 'largest', 'oldest') THEN evict END,
                   evict_min_age = greatest(evict_min_age, 0)
                 WHERE id = ?1"],
    },
    // An arena is in the space that most of its pools and blocks name.
    Statements {
        rule: "arena_space",
        find: Some("WITH votes AS (
                 SELECT arena_id AS id, memram_id FROM pools
                 UNION ALL SELECT p.arena_id, b.memram_id FROM blocks b JOIN pools p ON p.id = b.pool_id
                 UNION ALL SELECT id, memram_id FROM arenas),
               counted AS (
                 SELECT v.id, v.memram_id AS space, count(*) AS votes
                 FROM votes v WHERE v.memram_id IN (SELECT id FROM memram) GROUP BY v.id, v.memram_id),
               elected AS (
                 SELECT a.id, a.memram_id, (SELECT c.space FROM counted c WHERE c.id = a.id
                   ORDER BY c.space = (a.id >> 40) + 1 DESC, c.votes DESC, c.space = a.memram_id DESC, c.space LIMIT 1) AS space FROM arenas a)
               SELECT id, CAST(space AS TEXT) AS key, 'space ' || space AS expected, 'space ' || memram_id AS found
               FROM elected WHERE space IS NOT NULL AND space <> memram_id"),
        correct: &["UPDATE arenas SET memram_id = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    // A missing space is recreated with its contents.
    Statements {
        rule: "space_lost",
        find: Some("SELECT DISTINCT memram_id AS id, CAST(NULL AS TEXT) AS key, 'the space of classes and more' AS expected, 'none' AS found
               FROM size_classes
               WHERE memram_id NOT IN (SELECT id FROM memram) AND memram_id IN (
                 SELECT memram_id FROM arenas UNION ALL SELECT memram_id FROM stored_objects
                 UNION ALL SELECT memram_id FROM other_kinds UNION ALL SELECT memram_id FROM events)"),
        correct: &["INSERT INTO memram (id, name, max_mem, arena_size, per_block, created_at)
                 VALUES (?1, 'recovered-' || ?1,
                   greatest(262144, (SELECT coalesce(sum(max_mem), 0) FROM arenas WHERE memram_id = ?1)),
                   greatest(262144, (SELECT coalesce(max(max_mem), 0) FROM arenas WHERE memram_id = ?1)),
                   8, now_us())"],
    },
    Statements {
        rule: "sequence_orphan",
        find: Some("SELECT memram_id AS id, name AS key, 'a space ' || memram_id AS expected, 'none' AS found
               FROM sequences WHERE memram_id NOT IN (SELECT id FROM memram)"),
        correct: &["DELETE FROM sequences WHERE memram_id = ?1 AND name = ?2"],
    },
    Statements {
        rule: "arena_orphan",
        find: None,
        correct: &["DELETE FROM arenas WHERE id = ?1"],
    },
    // A pool is in the arena that most of its blocks and entries name.
    Statements {
        rule: "pool_arena",
        find: Some("WITH votes AS (
                 SELECT pool_id AS id, arena_id FROM blocks
                 UNION ALL SELECT b.pool_id, l.arena_id FROM ledger l JOIN blocks b ON b.id = l.block_id
                 UNION ALL SELECT id, arena_id FROM pools),
               counted AS (
                 SELECT id, arena_id, count(*) AS votes FROM votes
                 WHERE arena_id IN (SELECT id FROM arenas) GROUP BY id, arena_id),
               elected AS (
                 SELECT p.id, p.arena_id AS stated, (SELECT c.arena_id FROM counted c WHERE c.id = p.id
                   ORDER BY c.votes DESC, c.arena_id = p.arena_id DESC, c.arena_id LIMIT 1) AS arena FROM pools p)
               SELECT id, CAST(arena AS TEXT) AS key, 'arena ' || arena AS expected, 'arena ' || stated AS found
               FROM elected WHERE arena IS NOT NULL AND arena <> stated"),
        correct: &["UPDATE pools SET arena_id = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    Statements {
        rule: "pool_orphan",
        find: None,
        correct: &["DELETE FROM pools WHERE id = ?1"],
    },
    // A class that pools and their blocks agree on must have existed.
    Statements {
        rule: "class_lost",
        find: Some("SELECT a.memram_id AS id, CAST(p.block_size AS TEXT) AS key,
                      'a class of ' || p.block_size AS expected, 'none' AS found
               FROM pools p JOIN arenas a ON a.id = p.arena_id
               WHERE EXISTS (SELECT 1 FROM blocks b WHERE b.pool_id = p.id AND b.block_size = p.block_size)
                 AND NOT EXISTS (SELECT 1 FROM size_classes c WHERE c.memram_id = a.memram_id AND c.block_size = p.block_size)
               GROUP BY a.memram_id, p.block_size"),
        correct: &["INSERT INTO size_classes (memram_id, block_size, pool_size)
                 SELECT ?1, CAST(?2 AS BIGINT), max(max_mem) FROM pools WHERE block_size = CAST(?2 AS BIGINT)"],
    },
    // Pools are whole numbers of blocks, and arenas of pools. The largest existing pool has
    // the size of its class, unless all of them are short.
    Statements {
        rule: "class_row",
        find: Some("SELECT c.memram_id AS id, CAST(c.block_size AS TEXT) AS key,
                      'a space ' || c.memram_id || ', pools of whole blocks' AS expected,
                      'pool_size ' || c.pool_size AS found
               FROM size_classes c
               WHERE c.memram_id NOT IN (SELECT id FROM memram) OR c.block_size < 1 OR c.pool_size < c.block_size
                  OR c.pool_size % nullif(c.block_size, 0) <> 0"),
        correct: &[
            "DELETE FROM size_classes WHERE memram_id = ?1 AND block_size = CAST(?2 AS BIGINT)
               AND (memram_id NOT IN (SELECT id FROM memram) OR block_size < 1)",
            "UPDATE size_classes SET pool_size = coalesce(
               (SELECT max(p.max_mem) FROM pools p JOIN memram m ON m.id = ?1
                WHERE p.memram_id = ?1 AND p.block_size = CAST(?2 AS BIGINT)
                  AND p.max_mem % p.block_size = 0 AND m.arena_size % nullif(p.max_mem, 0) = 0),
               (SELECT max(k.column1) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS k JOIN memram m ON m.id = ?1
                WHERE m.arena_size % (k.column1 * CAST(?2 AS BIGINT)) = 0) * block_size,
               block_size)
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS BIGINT)",
        ],
    },
    Statements {
        rule: "pool_class",
        find: Some("WITH counted AS (
                 SELECT b.pool_id AS id, b.block_size, count(*) AS votes FROM blocks b GROUP BY b.pool_id, b.block_size),
               placed AS (
                 SELECT p.id, p.block_size AS stated, p.memram_id, a.memram_id AS space, coalesce(
                   (SELECT c.block_size FROM size_classes c WHERE c.memram_id = a.memram_id AND c.block_size = p.block_size),
                   (SELECT n.block_size FROM counted n JOIN size_classes c ON c.memram_id = a.memram_id AND c.block_size = n.block_size
                    WHERE n.id = p.id ORDER BY n.votes DESC LIMIT 1),
                   (SELECT c.block_size FROM size_classes c WHERE c.memram_id = a.memram_id
                    ORDER BY c.pool_size = p.max_mem DESC, c.block_size LIMIT 1)) AS block_size
                 FROM pools p JOIN arenas a ON a.id = p.arena_id)
               SELECT id, CAST(NULL AS TEXT) AS key, 'space ' || space || ', block_size ' || block_size AS expected,
                      'space ' || memram_id || ', block_size ' || stated AS found
               FROM placed WHERE memram_id <> space OR stated <> block_size"),
        correct: &[
            "UPDATE pools SET memram_id = (SELECT memram_id FROM arenas a WHERE a.id = pools.arena_id) WHERE id = ?1",
            "UPDATE pools SET block_size = coalesce(
               (SELECT c.block_size FROM size_classes c WHERE c.memram_id = pools.memram_id AND c.block_size = pools.block_size),
               (SELECT b.block_size FROM blocks b JOIN size_classes c ON c.memram_id = pools.memram_id AND c.block_size = b.block_size
                WHERE b.pool_id = ?1 GROUP BY b.block_size ORDER BY count(*) DESC LIMIT 1),
               (SELECT c.block_size FROM size_classes c WHERE c.memram_id = pools.memram_id
                ORDER BY c.pool_size = pools.max_mem DESC, c.block_size LIMIT 1))
             WHERE id = ?1",
        ],
    },
    // A block is in the pool that most of its entries name.
    Statements {
        rule: "block_pool",
        find: Some("WITH counted AS (
                 SELECT block_id AS id, pool_id, count(*) AS votes FROM (
                   SELECT block_id, pool_id FROM ledger UNION ALL SELECT id, pool_id FROM blocks) votes
                 WHERE pool_id IN (SELECT id FROM pools) GROUP BY block_id, pool_id),
               elected AS (
                 SELECT b.id, b.pool_id AS stated, (SELECT c.pool_id FROM counted c JOIN pools p ON p.id = c.pool_id WHERE c.id = b.id
                   ORDER BY c.votes DESC, p.arena_id = b.arena_id DESC, c.pool_id = b.pool_id DESC, c.pool_id LIMIT 1) AS pool
                 FROM blocks b)
               SELECT id, CAST(pool AS TEXT) AS key, 'pool ' || pool AS expected, 'pool ' || stated AS found
               FROM elected WHERE pool IS NOT NULL AND pool <> stated"),
        correct: &["UPDATE blocks SET pool_id = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    Statements {
        rule: "block_orphan",
        find: None,
        correct: &["DELETE FROM blocks WHERE id = ?1"],
    },
    Statements {
        rule: "block_parents",
        find: None,
        correct: &["UPDATE blocks SET (arena_id, memram_id, block_size) =
                   (SELECT p.arena_id, p.memram_id, p.block_size FROM pools p WHERE p.id = blocks.pool_id) WHERE id = ?1"],
    },
    Statements {
        rule: "entry_length",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'allocated_mem ' || length(data) AS expected, 'allocated_mem ' || allocated_mem AS found
               FROM ledger WHERE allocated_mem <> length(data)"),
        correct: &["UPDATE ledger SET allocated_mem = length(data) WHERE id = ?1"],
    },
    // A block is never larger than its class, and a smaller one at least as large as its contents.
    Statements {
        rule: "block_size",
        find: Some("WITH held AS (SELECT block_id AS id, sum(allocated_mem) AS mem FROM ledger GROUP BY block_id),
               sized AS (
                 SELECT b.id, b.max_mem, least(b.block_size, greatest(b.max_mem, coalesce(h.mem, 0), 1)) AS size
                 FROM blocks b LEFT JOIN held h ON h.id = b.id)
               SELECT id, CAST(size AS TEXT) AS key, 'max_mem ' || size AS expected, 'max_mem ' || max_mem AS found
               FROM sized WHERE max_mem <> size"),
        correct: &["UPDATE blocks SET max_mem = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    Statements {
        rule: "pool_size",
        find: Some("WITH held AS (SELECT pool_id AS id, sum(max_mem) AS mem FROM blocks GROUP BY pool_id),
               sized AS (
                 SELECT p.id, p.max_mem, least(c.pool_size, greatest(p.max_mem, coalesce(h.mem, 0), 1)) AS size
                 FROM pools p JOIN size_classes c ON c.memram_id = p.memram_id AND c.block_size = p.block_size
                 LEFT JOIN held h ON h.id = p.id)
               SELECT id, CAST(size AS TEXT) AS key, 'max_mem ' || size AS expected, 'max_mem ' || max_mem AS found
               FROM sized WHERE max_mem <> size"),
        correct: &["UPDATE pools SET max_mem = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    Statements {
        rule: "arena_size",
        find: Some("WITH held AS (SELECT arena_id AS id, sum(max_mem) AS mem FROM pools GROUP BY arena_id),
               sized AS (
                 SELECT a.id, a.max_mem, least(m.arena_size, greatest(a.max_mem, coalesce(h.mem, 0), 1)) AS size
                 FROM arenas a JOIN memram m ON m.id = a.memram_id LEFT JOIN held h ON h.id = a.id)
               SELECT id, CAST(size AS TEXT) AS key, 'max_mem ' || size AS expected, 'max_mem ' || max_mem AS found
               FROM sized WHERE max_mem <> size"),
        correct: &["UPDATE arenas SET max_mem = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    // Rows that do not fit their parent are dissolved.
    Statements {
        rule: "pool_overflow",
        find: Some("SELECT p.id, CAST(NULL AS TEXT) AS key, 'room in arena ' || p.arena_id AS expected, 'none' AS found
               FROM (SELECT id, arena_id, sum(max_mem) OVER (PARTITION BY arena_id ORDER BY id) AS through FROM pools) p
               JOIN arenas a ON a.id = p.arena_id WHERE p.through > a.max_mem"),
        correct: &["DELETE FROM pools WHERE id = ?1", "DELETE FROM blocks WHERE pool_id = ?1"],
    },
    Statements {
        rule: "block_overflow",
        find: Some("SELECT b.id, CAST(NULL AS TEXT) AS key, 'room in pool ' || b.pool_id AS expected, 'none' AS found
               FROM (SELECT id, pool_id, sum(max_mem) OVER (PARTITION BY pool_id ORDER BY id) AS through FROM blocks) b
               JOIN pools p ON p.id = b.pool_id WHERE b.through > p.max_mem"),
        correct: &["DELETE FROM blocks WHERE id = ?1"],
    },
    // Only the capacity of the space is enlarged, because nothing in it may be lost.
    Statements {
        rule: "space_size",
        find: Some("SELECT m.id, CAST(NULL AS TEXT) AS key, 'max_mem of at least ' || sum(a.max_mem) AS expected, 'max_mem ' || m.max_mem AS found
               FROM memram m JOIN arenas a ON a.memram_id = m.id GROUP BY m.id HAVING sum(a.max_mem) > m.max_mem"),
        correct: &["UPDATE memram SET max_mem = (SELECT sum(max_mem) FROM arenas WHERE memram_id = ?1) WHERE id = ?1"],
    },
    Statements {
        rule: "entry_parents",
        find: None,
        correct: &["UPDATE ledger SET (pool_id, arena_id) =
                   (SELECT b.pool_id, b.arena_id FROM blocks b WHERE b.id = ledger.block_id) WHERE id = ?1"],
    },
    // `?2` is the new id.
    Statements {
        rule: "arena_number",
        find: Some("SELECT t.id, CAST(m.id AS TEXT) AS key, 'an id of space ' || m.id AS expected,
                      'an id of space ' || ((t.id >> 40) + 1) AS found
               FROM arenas t JOIN memram m ON m.id = t.memram_id WHERE t.id >> 40 <> m.id - 1"),
        correct: &[
            "UPDATE pools SET arena_id = CAST(?2 AS BIGINT) WHERE arena_id = ?1",
            "UPDATE blocks SET arena_id = CAST(?2 AS BIGINT) WHERE arena_id = ?1",
            "UPDATE ledger SET arena_id = CAST(?2 AS BIGINT) WHERE arena_id = ?1",
            "UPDATE arenas SET id = CAST(?2 AS BIGINT) WHERE id = ?1",
        ],
    },
    Statements {
        rule: "pool_number",
        find: Some("SELECT t.id, CAST(m.id AS TEXT) AS key, 'an id of space ' || m.id AS expected,
                      'an id of space ' || ((t.id >> 40) + 1) AS found
               FROM pools t JOIN memram m ON m.id = t.memram_id WHERE t.id >> 40 <> m.id - 1"),
        correct: &[
            "UPDATE blocks SET pool_id = CAST(?2 AS BIGINT) WHERE pool_id = ?1",
            "UPDATE ledger SET pool_id = CAST(?2 AS BIGINT) WHERE pool_id = ?1",
            "UPDATE pools SET id = CAST(?2 AS BIGINT) WHERE id = ?1",
        ],
    },
    Statements {
        rule: "block_number",
        find: Some("SELECT t.id, CAST(m.id AS TEXT) AS key, 'an id of space ' || m.id AS expected,
                      'an id of space ' || ((t.id >> 40) + 1) AS found
               FROM blocks t JOIN memram m ON m.id = t.memram_id WHERE t.id >> 40 <> m.id - 1"),
        correct: &[
            "UPDATE ledger SET block_id = CAST(?2 AS BIGINT) WHERE block_id = ?1",
            "UPDATE blocks SET id = CAST(?2 AS BIGINT) WHERE id = ?1",
        ],
    },
    Statements {
        rule: "reservation_number",
        find: Some("SELECT t.id, CAST(m.id AS TEXT) AS key, 'an id of space ' || m.id AS expected,
                      'an id of space ' || ((t.id >> 40) + 1) AS found
               FROM reservations t JOIN memram m ON m.id = t.memram_id WHERE t.id >> 40 <> m.id - 1"),
        correct: &[
            "UPDATE events SET reservation_id = CAST(?2 AS BIGINT) WHERE reservation_id = ?1",
            "UPDATE reservations SET id = CAST(?2 AS BIGINT) WHERE id = ?1",
        ],
    },
    Statements {
        rule: "event_number",
        find: Some("SELECT t.id, CAST(m.id AS TEXT) AS key, 'an id of space ' || m.id AS expected,
                      'an id of space ' || ((t.id >> 40) + 1) AS found
               FROM events t JOIN memram m ON m.id = t.memram_id WHERE t.id >> 40 <> m.id - 1"),
        correct: &[
            "UPDATE events SET id = CAST(?2 AS BIGINT) WHERE id = ?1",
        ],
    },
];
