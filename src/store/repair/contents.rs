//! Rules about objects, their pieces, and their holds.

use super::statements::Statements;

/// Removes a reservation with its pieces, which nobody was told are stored.
const DROP_UPLOAD: &[&str] = &[
    "DELETE FROM ledger WHERE stored_object_id = (SELECT stored_object_id FROM reservations WHERE id = ?1)
       AND stored_object_id NOT IN (SELECT id FROM stored_objects)",
    "DELETE FROM reservations WHERE id = ?1",
];

const LEAVE_ORDER: &str = "DELETE FROM recency WHERE stored_object_id = ?1";

pub(super) const RULES: &[Statements] = &[
    Statements {
        rule: "reservation_row",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'a reservation that is possible' AS expected,
                      'state ''' || state || ''', bytes ' || bytes || ', written ' || written AS found
               FROM reservations
               WHERE length(key) NOT BETWEEN 1 AND 255 OR state NOT IN ('open', 'posted', 'voided', 'lapsed', 'freed')
                  OR bytes < 1 OR (state = 'open' AND bytes > (SELECT max_mem FROM memram m WHERE m.id = memram_id)) OR written NOT BETWEEN 0 AND bytes OR entry_ids < 0
                  OR (object_id IS NOT NULL AND state <> 'posted')
                  OR (resolved_at IS NULL) <> (state = 'open') OR (written > 0 AND stored_object_id IS NULL)"),
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
        correct: &["DELETE FROM reservations WHERE id = ?1"],
    },
    Statements {
        rule: "upload_lost",
        find: Some("SELECT r.id, CAST(NULL AS TEXT) AS key, 'pieces with a place, of ' || r.written || ' bytes' AS expected,
                      'pieces of ' || coalesce(sum(l.allocated_mem), 0) || ' bytes' AS found
               FROM reservations r
               LEFT JOIN ledger l ON l.stored_object_id = r.stored_object_id
               LEFT JOIN (SELECT b.id, b.memram_id, b.max_mem >= sum(e.allocated_mem) AS fits
                          FROM blocks b JOIN ledger e ON e.block_id = b.id GROUP BY b.id) b ON b.id = l.block_id
               GROUP BY r.id
               HAVING coalesce(sum(l.allocated_mem), 0) <> r.written
                   OR count(*) FILTER (WHERE l.id IS NOT NULL AND (NOT coalesce(b.fits, FALSE) OR b.memram_id <> r.memram_id
                     OR l.id <> CAST(l.stored_object_id AS NUMERIC) + l.seq)) > 0
                   OR min(l.seq) <> 0 OR max(l.seq) <> count(l.id) - 1 OR count(l.id) > r.entry_ids"),
        correct: DROP_UPLOAD,
    },
    Statements {
        rule: "entry_empty",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'at least a byte' AS expected, 'none' AS found
               FROM ledger WHERE allocated_mem = 0"),
        correct: &["DELETE FROM ledger WHERE id = ?1"],
    },
    // A recreated object has its key as its id until its content has been read.
    Statements {
        rule: "object_lost",
        find: Some("SELECT DISTINCT stored_object_id AS id, CAST(NULL AS TEXT) AS key, 'an object for ledger entries' AS expected, 'none' AS found
               FROM ledger l WHERE NOT EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = l.stored_object_id)
                 AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = l.stored_object_id)"),
        correct: &["INSERT INTO stored_objects (id, memram_id, object_id, kind, type_name, size, held, created_at)
                 SELECT ?1,
                   coalesce((SELECT b.memram_id FROM ledger l JOIN blocks b ON b.id = l.block_id WHERE l.stored_object_id = ?1
                             GROUP BY 1 ORDER BY count(*) DESC LIMIT 1),
                            (SELECT min(id) FROM memram)),
                   hex64(?1), 'bytes', NULL,
                   (SELECT sum(allocated_mem) FROM ledger WHERE stored_object_id = ?1), FALSE, now_us()"],
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
                 SELECT o.id, o.memram_id, coalesce(c.space, (SELECT min(id) FROM memram)) AS space,
                        row_number() OVER (PARTITION BY o.id ORDER BY c.votes DESC, c.space = o.memram_id DESC, c.space) AS place
                 FROM stored_objects o LEFT JOIN counted c ON c.id = o.id)
               SELECT id, CAST(space AS TEXT) AS key, 'space ' || space AS expected, 'space ' || memram_id AS found
               FROM elected WHERE place = 1 AND memram_id <> space"),
        correct: &["UPDATE stored_objects SET memram_id = CAST(?2 AS BIGINT),
                   object_id = CASE WHEN EXISTS (SELECT 1 FROM stored_objects t
                     WHERE t.memram_id = CAST(?2 AS BIGINT) AND t.object_id = stored_objects.object_id)
                   THEN hex64(id) ELSE object_id END
                 WHERE id = ?1",
                "UPDATE tags SET memram_id = CAST(?2 AS BIGINT) WHERE stored_object_id = ?1"],
    },
    Statements {
        rule: "piece_numbers",
        find: Some("SELECT stored_object_id AS id, CAST(NULL AS TEXT) AS key, 'pieces 0..' || (count(*) - 1) AS expected,
                      'pieces ' || min(seq) || '..' || max(seq) AS found
               FROM ledger GROUP BY stored_object_id HAVING min(seq) <> 0 OR max(seq) <> count(*) - 1"),
        correct: &[
            "UPDATE ledger SET seq = -1152921504606846976 - r.place FROM (
               SELECT id, row_number() OVER (ORDER BY seq, id) AS place FROM ledger WHERE stored_object_id = ?1) r
             WHERE r.id = ledger.id",
            "UPDATE ledger SET seq = -1152921504606846976 - seq - 1 WHERE stored_object_id = ?1",
        ],
    },
    Statements {
        rule: "object_size",
        find: Some("WITH held AS (SELECT stored_object_id AS id, sum(allocated_mem) AS size FROM ledger GROUP BY 1)
               SELECT o.id, CAST(NULL AS TEXT) AS key, 'size ' || coalesce(h.size, 0) AS expected, 'size ' || o.size AS found
               FROM stored_objects o LEFT JOIN held h ON h.id = o.id WHERE o.size <> coalesce(h.size, 0)"),
        correct: &["UPDATE stored_objects SET size =
                   (SELECT coalesce(sum(allocated_mem), 0) FROM ledger WHERE stored_object_id = ?1) WHERE id = ?1"],
    },
    // `key` is the number of entries; a separate fix gives the new key.
    Statements {
        rule: "object_keys",
        find: Some("SELECT stored_object_id AS id, CAST(count(*) AS TEXT) AS key,
                      'entries with the keys from ' || stored_object_id || ' on' AS expected,
                      'keys ' || min(id) || '..' || max(id) AS found
               FROM ledger GROUP BY stored_object_id HAVING count(*) FILTER (WHERE id <> CAST(stored_object_id AS NUMERIC) + seq) > 0
               UNION ALL
               SELECT o.id, CAST((SELECT count(*) FROM ledger l WHERE l.stored_object_id = o.id) AS TEXT),
                      'a key of space ' || o.memram_id, 'a key of space ' || ((o.id >> 40) + 1)
               FROM stored_objects o WHERE o.id >> 40 <> o.memram_id - 1
                 AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.stored_object_id = o.id AND l.id <> CAST(l.stored_object_id AS NUMERIC) + l.seq)"),
        correct: &[],
    },
    Statements {
        rule: "entry_start",
        find: Some("SELECT id, CAST(wanted AS TEXT) AS key, 'start ' || wanted AS expected, 'start ' || start AS found
               FROM (SELECT id, start, sum(allocated_mem) OVER (PARTITION BY stored_object_id ORDER BY seq) - allocated_mem AS wanted
                     FROM ledger) l
               WHERE start <> wanted"),
        correct: &["UPDATE ledger SET start = CAST(?2 AS BIGINT) WHERE id = ?1"],
    },
    Statements {
        rule: "entry_last",
        find: Some("SELECT id, CAST(CAST(wanted AS INTEGER) AS TEXT) AS key, 'is_last ' || CAST(wanted AS INTEGER) AS expected,
                      'is_last ' || CAST(is_last AS INTEGER) AS found
               FROM (SELECT id, stored_object_id, is_last, seq = max(seq) OVER (PARTITION BY stored_object_id) AS wanted FROM ledger) l
               WHERE is_last <> wanted AND stored_object_id IN (SELECT id FROM stored_objects)"),
        correct: &["UPDATE ledger SET is_last = CAST(?2 AS BOOLEAN) WHERE id = ?1"],
    },
    Statements {
        rule: "object_type",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'no type_name for ' || kind AS expected, 'type_name ''' || type_name || '''' AS found
               FROM stored_objects WHERE type_name IS NOT NULL AND kind <> 'json'"),
        correct: &["UPDATE stored_objects SET type_name = NULL WHERE id = ?1"],
    },
    Statements {
        rule: "name_orphan",
        find: Some("SELECT memram_id AS id, name AS key, 'an object ' || stored_object_id || ' for ''' || name || '''' AS expected,
                      'none' AS found
               FROM names n WHERE NOT EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = n.stored_object_id)"),
        correct: &["DELETE FROM names WHERE memram_id = ?1 AND name = ?2"],
    },
    Statements {
        rule: "name_space",
        find: Some("SELECT n.memram_id AS id, n.name AS key, 'space ' || o.memram_id || ' for ''' || n.name || '''' AS expected,
                      'space ' || n.memram_id AS found
               FROM names n JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.memram_id <> n.memram_id"),
        correct: &["UPDATE names SET
                   memram_id = (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id),
                   name = CASE WHEN EXISTS (SELECT 1 FROM names t WHERE t.name = ?2 AND t.memram_id =
                     (SELECT o.memram_id FROM stored_objects o WHERE o.id = names.stored_object_id))
                   THEN 'damaged/space-' || ?1 || '/' || ?2 ELSE name END
                 WHERE memram_id = ?1 AND name = ?2"],
    },
    Statements {
        rule: "name_empty",
        find: Some("SELECT memram_id AS id, name AS key, 'a name of at least a character' AS expected, 'none' AS found
               FROM names WHERE length(name) = 0"),
        correct: &["UPDATE names SET name = 'damaged/unnamed-' || stored_object_id WHERE memram_id = ?1 AND name = ?2"],
    },
    Statements {
        rule: "hold_until",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'no held_until without a hold, a pin or none' AS expected,
                      'held_until ' || coalesce(held_until, 0) || ', pinned ' || pinned AS found
               FROM stored_objects WHERE (held_until IS NOT NULL AND held = FALSE) OR pinned NOT IN (FALSE, TRUE)"),
        correct: &["UPDATE stored_objects SET held_until = CASE WHEN held = FALSE THEN NULL ELSE held_until END,
                   held_refresh = CASE WHEN held = FALSE THEN NULL ELSE held_refresh END,
                   pinned = (pinned = TRUE) WHERE id = ?1"],
    },
    Statements {
        rule: "object_held",
        find: Some("SELECT id, CAST(NULL AS TEXT) AS key, 'a hold or a name' AS expected, CASE held WHEN FALSE THEN 'neither' ELSE 'held ' || held END AS found
               FROM stored_objects o WHERE held NOT IN (FALSE, TRUE)
                  OR (held = FALSE AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id))"),
        correct: &["UPDATE stored_objects SET held = TRUE, held_until = NULL, held_refresh = NULL, expires_at = NULL WHERE id = ?1"],
    },
    Statements {
        rule: "object_expiry",
        find: None,
        correct: &["UPDATE stored_objects SET expires_at = (
                   SELECT CASE WHEN count(*) = count(ends) THEN max(ends) END
                   FROM (SELECT expires_at AS ends FROM names WHERE stored_object_id = ?1
                         UNION ALL SELECT held_until FROM stored_objects WHERE id = ?1 AND held = TRUE) holds)
                 WHERE id = ?1"],
    },
    // A column of files alone.
    Statements {
        rule: "object_endless",
        find: None,
        correct: &["UPDATE stored_objects SET endless = CASE WHEN coalesce(expires_at, held_refresh) IS NULL THEN 1 ELSE 1.0 END WHERE id = ?1"],
    },
    Statements {
        rule: "tag_hold",
        find: None,
        correct: &["DELETE FROM tags WHERE stored_object_id = ?1
                 AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = ?1 AND n.memram_id = tags.memram_id AND n.name = tags.name)
                 AND NOT EXISTS (SELECT 1 FROM stored_objects o WHERE tags.name = '' AND o.id = ?1 AND o.memram_id = tags.memram_id AND o.held = TRUE)"],
    },
    Statements {
        rule: "space_tags",
        find: None,
        correct: &["UPDATE memram SET tags = (SELECT count(*) FROM tags WHERE memram_id = ?1) WHERE id = ?1"],
    },
    // `key` is the tag.
    Statements {
        rule: "quota_row",
        find: Some("SELECT memram_id AS id, key || '=' || value AS key, 'a space, and limits from 0' AS expected,
                      'space ' || memram_id || ', hard_bytes ' || coalesce(hard_bytes, 0) || ', soft_bytes ' || coalesce(soft_bytes, 0)
                        || ', hard_objects ' || coalesce(hard_objects, 0) || ', soft_objects ' || coalesce(soft_objects, 0) AS found
               FROM quotas WHERE memram_id NOT IN (SELECT id FROM memram)
                  OR hard_bytes < 0 OR soft_bytes < 0 OR hard_objects < 0 OR soft_objects < 0"),
        correct: &[
            "DELETE FROM quotas WHERE memram_id = ?1 AND key || '=' || value = ?2 AND memram_id NOT IN (SELECT id FROM memram)",
            "UPDATE quotas SET hard_bytes = CASE WHEN hard_bytes >= 0 THEN hard_bytes END,
               soft_bytes = CASE WHEN soft_bytes >= 0 THEN soft_bytes END,
               hard_objects = CASE WHEN hard_objects >= 0 THEN hard_objects END,
               soft_objects = CASE WHEN soft_objects >= 0 THEN soft_objects END
             WHERE memram_id = ?1 AND key || '=' || value = ?2",
        ],
    },
    Statements {
        rule: "quota_used",
        find: None,
        correct: &["UPDATE quotas SET (used_objects, used_bytes) = (
                   SELECT count(*), coalesce(sum(o.size), 0) FROM stored_objects o WHERE o.id IN (
                     SELECT t.stored_object_id FROM tags t
                     WHERE t.memram_id = quotas.memram_id AND t.key = quotas.key AND t.value = quotas.value))
                 WHERE memram_id = ?1 AND key || '=' || value = ?2"],
    },
    Statements {
        rule: "space_quotas",
        find: None,
        correct: &["UPDATE memram SET quotas = (SELECT count(*) FROM quotas WHERE memram_id = ?1) WHERE id = ?1"],
    },
    Statements {
        rule: "recency_row",
        find: Some("SELECT stored_object_id AS id, CAST(NULL AS TEXT) AS key, 'a queue, 0 to 3 marks, bytes, and an id of what is gone' AS expected,
                      queue || ', ' || marks || ' marks, size ' || size || ', id ' || coalesce(object_id, 'none') AS found
               FROM recency WHERE queue NOT IN ('trial', 'main', 'gone') OR marks NOT BETWEEN 0 AND 3 OR size <= 0
                  OR (object_id IS NOT NULL) <> (queue = 'gone')"),
        correct: &[LEAVE_ORDER],
    },
    Statements {
        rule: "recency_stray",
        find: None,
        correct: &[LEAVE_ORDER],
    },
    Statements {
        rule: "recency_twice",
        find: None,
        correct: &[LEAVE_ORDER],
    },
    Statements {
        rule: "recency_lost",
        find: None,
        correct: &["INSERT INTO recency (stored_object_id, memram_id, queue, position, marks, size)
                 SELECT o.id, o.memram_id, 'main', 1 + greatest(
                   coalesce((SELECT max(position) FROM recency r WHERE r.memram_id = o.memram_id AND r.queue = 'main'), 0),
                   coalesce((SELECT max(position) FROM recency r WHERE r.memram_id = o.memram_id AND r.queue = 'trial'), 0),
                   coalesce((SELECT max(position) FROM recency r WHERE r.memram_id = o.memram_id AND r.queue = 'gone'), 0)),
                   0, o.size FROM stored_objects o WHERE o.id = ?1"],
    },
    Statements {
        rule: "recency_totals",
        find: None,
        correct: &["UPDATE memram SET evict_hand = greatest(evict_hand, 0),
                   evict_main = (SELECT coalesce(sum(size), 0) FROM recency WHERE memram_id = ?1 AND queue = 'main'),
                   evict_gone = (SELECT coalesce(sum(size), 0) FROM recency WHERE memram_id = ?1 AND queue = 'gone')
                 WHERE id = ?1"],
    },
    // `key` is the space of the object.
    Statements {
        rule: "object_place",
        find: Some("SELECT o.id, CAST(o.memram_id AS TEXT) AS key, 'a place for each piece' AS expected,
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
