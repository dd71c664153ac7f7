//! Rules about objects, their pieces, and their holds.

use super::statements::Statements;

/// Removes a reservation with its pieces, which nobody was told are stored.
const DROP_UPLOAD: &[&str] = &[
    "DELETE FROM ledger WHERE stored_object_id = (SELECT stored_object_id FROM reservations WHERE id = $1)
       AND stored_object_id NOT IN (SELECT id FROM stored_objects)",
    "DELETE FROM reservations WHERE id = $1",
];

/// Numbers the pieces of an object in their order, which is also that of their keys. A piece with another
/// number has another key, so new rows replace the old ones; `row_number` reads all of these first.
pub(super) const ORDER_PIECES: &[&str] = &[
    "WITH gone AS (DELETE FROM ledger WHERE stored_object_id = $1 RETURNING *)
     INSERT INTO ledger (id, stored_object_id, seq, arena_id, pool_id, block_id, allocated_mem, start, is_last, data)
     SELECT $1 + place - 1, $1, place - 1, arena_id, pool_id, block_id, allocated_mem, start, is_last, data
     FROM (SELECT *, row_number() OVER (ORDER BY seq) AS place FROM gone) ordered",
];

pub(super) const RULES: &[Statements] = &[
    Statements {
        rule: "reservation_row",
        find: Some("SELECT r.id, NULL::text AS key, 'a reservation that is possible' AS expected,
                      'state ''' || r.state || ''', bytes ' || r.bytes || ', written ' || r.written AS found
               FROM reservations r JOIN memram m ON m.id = r.memram_id WHERE r.bytes > m.max_mem"),
        correct: DROP_UPLOAD,
    },
    Statements {
        rule: "reservation_orphan",
        find: None,
        correct: DROP_UPLOAD,
    },
    Statements {
        rule: "upload_pieces",
        find: None,
        correct: &["DELETE FROM reservations WHERE id = $1"],
    },
    Statements {
        rule: "upload_lost",
        find: Some("SELECT r.id, NULL::text AS key, 'pieces with a place, of ' || r.written || ' bytes' AS expected,
                      'pieces of ' || coalesce(sum(l.allocated_mem), 0) || ' bytes' AS found
               FROM reservations r
               LEFT JOIN ledger l ON l.stored_object_id = r.stored_object_id
               LEFT JOIN (SELECT b.id, b.memram_id, b.max_mem >= sum(e.allocated_mem) AS fits
                          FROM blocks b JOIN ledger e ON e.block_id = b.id GROUP BY b.id) b ON b.id = l.block_id
               GROUP BY r.id
               HAVING coalesce(sum(l.allocated_mem), 0) <> r.written
                   OR count(*) FILTER (WHERE l.id IS NOT NULL AND (NOT coalesce(b.fits, false) OR b.memram_id <> r.memram_id)) > 0
                   OR min(l.seq) <> 0 OR max(l.seq) <> count(l.id) - 1 OR count(l.id) > r.entry_ids"),
        correct: DROP_UPLOAD,
    },
    // A recreated object has its key as its id until its content has been read.
    Statements {
        rule: "object_lost",
        find: Some("SELECT DISTINCT stored_object_id AS id, NULL::text AS key, 'an object for ledger entries' AS expected, 'none' AS found
               FROM ledger l WHERE NOT EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = l.stored_object_id)
                 AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = l.stored_object_id)"),
        correct: &["INSERT INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at)
                 SELECT $1,
                   coalesce((SELECT b.memram_id FROM ledger l JOIN blocks b ON b.id = l.block_id WHERE l.stored_object_id = $1
                             GROUP BY 1 ORDER BY count(*) DESC LIMIT 1),
                            (SELECT min(id) FROM memram)),
                   lpad(to_hex($1), 64, '0'), 'bytes', NULL,
                   (SELECT sum(allocated_mem) FROM ledger WHERE stored_object_id = $1), false, floor(extract(epoch FROM now()))::bigint * 1000000"],
    },
    Statements {
        rule: "object_space",
        find: Some("WITH counted AS (
                 SELECT id, space, count(*) AS votes FROM (
                   SELECT l.stored_object_id AS id, b.memram_id AS space FROM ledger l JOIN blocks b ON b.id = l.block_id
                   UNION ALL SELECT stored_object_id, memram_id FROM names
                   UNION ALL SELECT id, memram_id FROM stored_objects) votes
                 WHERE space IN (SELECT id FROM memram) GROUP BY id, space),
               elected AS (
                 SELECT DISTINCT ON (o.id) o.id, o.memram_id, coalesce(c.space, (SELECT min(id) FROM memram)) AS space
                 FROM stored_objects o LEFT JOIN counted c ON c.id = o.id
                 ORDER BY o.id, c.votes DESC, c.space = o.memram_id DESC, c.space)
               SELECT id, space::text AS key, 'space ' || space AS expected, 'space ' || memram_id AS found
               FROM elected WHERE memram_id <> space"),
        correct: &["UPDATE stored_objects SET memram_id = $2::bigint,
                   object_id = CASE WHEN EXISTS (SELECT 1 FROM stored_objects t
                     WHERE t.memram_id = $2::bigint AND t.object_id = stored_objects.object_id)
                   THEN lpad(to_hex(id), 64, '0') ELSE object_id END
                 WHERE id = $1"],
    },
    Statements {
        rule: "piece_numbers",
        find: Some("SELECT stored_object_id AS id, NULL::text AS key, 'pieces 0..' || (count(*) - 1) AS expected,
                      'pieces ' || min(seq) || '..' || max(seq) AS found
               FROM ledger GROUP BY stored_object_id HAVING min(seq) <> 0 OR max(seq) <> count(*) - 1"),
        correct: ORDER_PIECES,
    },
    Statements {
        rule: "object_size",
        find: Some("WITH held AS (SELECT stored_object_id AS id, sum(allocated_mem) AS size FROM ledger GROUP BY 1)
               SELECT o.id, NULL::text AS key, 'size ' || coalesce(h.size, 0) AS expected, 'size ' || o.size AS found
               FROM stored_objects o LEFT JOIN held h ON h.id = o.id WHERE o.size <> coalesce(h.size, 0)"),
        correct: &["UPDATE stored_objects SET size =
                   (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE stored_object_id = $1) WHERE id = $1"],
    },
    // `key` is the number of entries; a separate fix gives the new key.
    Statements {
        rule: "object_keys",
        find: Some("SELECT o.id, (SELECT count(*) FROM ledger l WHERE l.stored_object_id = o.id)::text AS key,
                      'a key of space ' || o.memram_id AS expected, 'a key of space ' || ((o.id >> 40) + 1) AS found
               FROM stored_objects o WHERE (o.id >> 40) + 1 <> o.memram_id"),
        correct: &[],
    },
    Statements {
        rule: "entry_start",
        find: Some("SELECT id, wanted::text AS key, 'start ' || wanted AS expected, 'start ' || start AS found
               FROM (SELECT id, start, sum(allocated_mem) OVER (PARTITION BY stored_object_id ORDER BY seq) - allocated_mem AS wanted
                     FROM ledger) l
               WHERE start <> wanted"),
        correct: &["UPDATE ledger SET start = $2::bigint WHERE id = $1"],
    },
    Statements {
        rule: "entry_last",
        find: Some("SELECT id, wanted::text AS key, 'is_last ' || wanted::int AS expected, 'is_last ' || is_last::int AS found
               FROM (SELECT id, stored_object_id, is_last, seq = max(seq) OVER (PARTITION BY stored_object_id) AS wanted FROM ledger) l
               WHERE is_last <> wanted AND stored_object_id IN (SELECT id FROM stored_objects)"),
        correct: &["UPDATE ledger SET is_last = $2::boolean WHERE id = $1"],
    },
    Statements {
        rule: "name_orphan",
        find: Some("SELECT memram_id AS id, name AS key, 'an object ' || stored_object_id || ' for ''' || name || '''' AS expected,
                      'none' AS found
               FROM names n WHERE NOT EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = n.stored_object_id)"),
        correct: &["DELETE FROM names WHERE memram_id = $1 AND name = $2"],
    },
    Statements {
        rule: "name_space",
        find: Some("SELECT n.memram_id AS id, n.name AS key, 'space ' || o.memram_id || ' for ''' || n.name || '''' AS expected,
                      'space ' || n.memram_id AS found
               FROM names n JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.memram_id <> n.memram_id"),
        correct: &["UPDATE names SET
                   memram_id = (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id),
                   name = CASE WHEN EXISTS (SELECT 1 FROM names t WHERE t.name = $2 AND t.memram_id =
                     (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id))
                   THEN 'damaged/space-' || $1 || '/' || $2 ELSE name END
                 WHERE memram_id = $1 AND name = $2"],
    },
    Statements {
        rule: "object_held",
        find: Some("SELECT id, NULL::text AS key, 'a hold or a name' AS expected, 'neither' AS found
               FROM stored_objects o WHERE NOT held AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id)"),
        correct: &["UPDATE stored_objects SET held = true WHERE id = $1"],
    },
    // `key` is the space of the object.
    Statements {
        rule: "object_place",
        find: Some("SELECT o.id, o.memram_id::text AS key, 'a place for each piece' AS expected,
                      'none for some' AS found
               FROM stored_objects o WHERE o.id IN (
                 SELECT l.stored_object_id FROM ledger l WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.id = l.block_id)
                 UNION
                 SELECT l.stored_object_id
                 FROM (SELECT stored_object_id, block_id, sum(allocated_mem) OVER (PARTITION BY block_id ORDER BY id) AS through FROM ledger) l
                 JOIN blocks b ON b.id = l.block_id WHERE l.through > b.max_mem
                 UNION
                 SELECT l.stored_object_id FROM ledger l JOIN blocks b ON b.id = l.block_id
                 JOIN stored_objects s ON s.id = l.stored_object_id WHERE s.memram_id <> b.memram_id)
               ORDER BY o.id"),
        correct: &[],
    },
];
