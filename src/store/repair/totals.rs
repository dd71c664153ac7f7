//! Rules about flags, totals and counters, from the blocks up to the space, and about the history.

use super::statements::Statements;

pub(super) const RULES: &[Statements] = &[
    Statements {
        rule: "event_row",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'accounts that add up to capacity, object ids of 32 bytes' AS expected,
                      'capacity ' || capacity || ', object ids of ' || coalesce(length(object), 0) || ' bytes' AS found
               FROM events
               WHERE payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved <> capacity
                  OR length(object) = 0 OR length(object) % 32 <> 0"),
        correct: &["UPDATE events SET
                   capacity = payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved,
                   object = CASE WHEN length(object) > 0 AND length(object) % 32 = 0 THEN object END,
                   changes = CASE WHEN changes NOT LIKE '[%' OR length(object) > 0 AND length(object) % 32 = 0 THEN changes END
                 WHERE id = ?1"],
    },
    Statements {
        rule: "block_mem",
        find: None,
        correct: &[
            "UPDATE blocks SET mem = (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE block_id = ?1) WHERE id = ?1",
            "UPDATE blocks SET is_free = (mem < max_mem) WHERE id = ?1",
        ],
    },
    Statements {
        rule: "block_flag",
        find: None,
        correct: &["UPDATE blocks SET is_free = (mem < max_mem) WHERE id = ?1"],
    },
    Statements {
        rule: "pool_totals",
        find: None,
        correct: &["UPDATE pools SET (mem, reserved) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0) FROM blocks WHERE pool_id = ?1) WHERE id = ?1"],
    },
    Statements {
        rule: "class_totals",
        find: None,
        correct: &[
            "UPDATE size_classes SET (mem, reserved, blocks, full_blocks, empty_blocks) = (
               SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0), count(*), count(*) FILTER (WHERE mem = max_mem), count(*) FILTER (WHERE mem = 0)
               FROM blocks b WHERE b.memram_id = ?1 AND b.block_size = CAST(?2 AS BIGINT))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS BIGINT)",
            "UPDATE size_classes SET (pooled, pools) = (
               SELECT coalesce(sum(max_mem), 0), count(*) FROM pools p WHERE p.memram_id = ?1 AND p.block_size = CAST(?2 AS BIGINT))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS BIGINT)",
            "UPDATE size_classes SET entries = (
               SELECT count(*) FROM ledger l JOIN blocks b ON b.id = l.block_id
               WHERE b.memram_id = ?1 AND b.block_size = CAST(?2 AS BIGINT))
             WHERE memram_id = ?1 AND block_size = CAST(?2 AS BIGINT)",
        ],
    },
    Statements {
        rule: "arena_totals",
        find: None,
        correct: &["UPDATE arenas SET (mem, reserved) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0) FROM pools WHERE arena_id = ?1) WHERE id = ?1"],
    },
    Statements {
        rule: "kind_row",
        find: Some("SELECT k.memram_id AS id, k.kind AS key, 'a space ' || k.memram_id AS expected, 'none' AS found
               FROM other_kinds k WHERE k.memram_id NOT IN (SELECT id FROM memram)
                  OR k.kind NOT IN ('str', 'int', 'float', 'bool', 'none', 'json')"),
        correct: &["DELETE FROM other_kinds WHERE memram_id = ?1 AND kind = ?2"],
    },
    Statements {
        rule: "kind_counts",
        find: Some("WITH wanted (kind) AS (VALUES ('str'), ('int'), ('float'), ('bool'), ('none'), ('json')),
                 held AS (SELECT memram_id, kind, count(*) AS objects, sum(size) AS mem FROM stored_objects GROUP BY memram_id, kind)
               SELECT m.id, w.kind AS key,
                      'objects ' || coalesce(h.objects, 0) || ', mem ' || coalesce(h.mem, 0) AS expected,
                      CASE WHEN k.kind IS NULL THEN 'no row' ELSE 'objects ' || k.objects || ', mem ' || k.mem END AS found
               FROM memram m CROSS JOIN wanted w
               LEFT JOIN other_kinds k ON k.memram_id = m.id AND k.kind = w.kind
               LEFT JOIN held h ON h.memram_id = m.id AND h.kind = w.kind
               WHERE k.kind IS NULL OR k.objects <> coalesce(h.objects, 0) OR k.mem <> coalesce(h.mem, 0)"),
        correct: &[
            "INSERT INTO other_kinds (memram_id, kind) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            "UPDATE other_kinds SET (objects, mem) = (SELECT count(*), coalesce(sum(size), 0) FROM stored_objects o
               WHERE o.memram_id = ?1 AND o.kind = ?2) WHERE memram_id = ?1 AND kind = ?2",
        ],
    },
    Statements {
        rule: "space_totals",
        find: None,
        correct: &["UPDATE memram SET (mem, reserved, arenas) =
                   (SELECT coalesce(sum(mem), 0), coalesce(sum(max_mem), 0), count(*) FROM arenas WHERE memram_id = ?1) WHERE id = ?1"],
    },
    Statements {
        rule: "promised",
        find: Some("SELECT * FROM (
                 SELECT m.id, CAST(NULL AS TEXT) AS key, m.max_mem, m.mem, m.promised,
                        coalesce(sum(r.bytes - r.written), 0) AS wanted, 'promised ' || coalesce(sum(r.bytes - r.written), 0) AS expected,
                        'promised ' || m.promised || ', mem ' || m.mem || ' of ' || m.max_mem AS found
                 FROM memram m LEFT JOIN reservations r ON r.memram_id = m.id AND r.state = 'open' GROUP BY m.id) p
               WHERE promised <> wanted OR wanted > max_mem - mem"),
        correct: &[
            "UPDATE memram SET promised = (SELECT coalesce(sum(bytes - written), 0) FROM reservations
               WHERE memram_id = ?1 AND state = 'open') WHERE id = ?1",
            "UPDATE memram SET max_mem = greatest(max_mem, mem + promised) WHERE id = ?1",
        ],
    },
    // `frees` is recorded nowhere else, so `allocations` is derived from it.
    Statements {
        rule: "space_counters",
        find: Some("WITH held AS (SELECT memram_id AS id, count(*) AS objects FROM stored_objects GROUP BY 1),
                 derived AS (
                   SELECT m.*, greatest(m.peak_mem, m.mem) AS peak,
                          greatest(m.frees, 0) AS freed, coalesce(h.objects, 0) AS objects
                   FROM memram m LEFT JOIN held h ON h.id = m.id)
               SELECT id, CAST(NULL AS TEXT) AS key,
                      'peak_mem ' || peak || ', allocations ' || (freed + objects) || ', frees ' || freed AS expected,
                      'peak_mem ' || peak_mem || ', allocations ' || allocations || ', frees ' || frees AS found
               FROM derived WHERE peak_mem < mem OR frees < 0 OR allocations - frees <> objects"),
        correct: &["UPDATE memram SET peak_mem = greatest(peak_mem, mem), frees = greatest(frees, 0),
                   allocations = greatest(frees, 0) + (SELECT count(*) FROM stored_objects WHERE memram_id = ?1) WHERE id = ?1"],
    },
    // The opening is a separate change.
    Statements {
        rule: "history_bytes",
        find: None,
        correct: &["UPDATE memram SET history_bytes = (SELECT coalesce(sum(bytes), 0) FROM event_sizes WHERE memram_id = ?1)
                 WHERE id = ?1"],
    },
    Statements {
        rule: "history",
        find: None,
        correct: &[],
    },
    Statements {
        rule: "name_history",
        find: None,
        correct: &[],
    },
    // After the clock was set back, or somebody wrote a wrong time.
    Statements {
        rule: "name_bound_at",
        find: Some("SELECT n.memram_id AS id, n.name AS key, 'bound_at ' || e.at AS expected,
                      'bound_at ' || n.bound_at || ', after the books were opened' AS found
               FROM names n JOIN events e ON e.id = (SELECT max(id) FROM events WHERE memram_id = n.memram_id AND kind = 'opening')
               WHERE n.bound_at > e.at AND NOT EXISTS (
                 SELECT 1 FROM events b WHERE b.memram_id = n.memram_id AND b.id > e.id AND b.kind = 'bind' AND b.name = n.name)"),
        correct: &["UPDATE names SET bound_at = (SELECT at FROM events WHERE id =
                   (SELECT max(id) FROM events WHERE memram_id = ?1 AND kind = 'opening'))
                 WHERE memram_id = ?1 AND name = ?2"],
    },
];
