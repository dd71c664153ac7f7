PRAGMA user_version = 4;

DELETE FROM events WHERE kind = 'release';
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'OR kind = ''unbind'' OR kind = ''release''', 'OR kind = ''unbind''')
WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;

DROP VIEW objects;
CREATE VIEW objects AS
SELECT o.id,
       o.object_id,
       m.name AS space,
       (SELECT group_concat(n.name, ', ') FROM names n WHERE n.stored_object_id = o.id) AS names,
       o.kind,
       o.type_name,
       o.size,
       coalesce((SELECT l.seq + 1 FROM ledger l
                 WHERE l.id >= o.id AND l.id < coalesce((SELECT min(p.id) FROM stored_objects p WHERE p.id > o.id), 9223372036854775807)
                   AND l.stored_object_id = o.id ORDER BY l.id DESC LIMIT 1), 0) AS pieces,
       o.held,
       strftime('%Y-%m-%dT%H:%M:%SZ', o.created_at / 1000000, 'unixepoch') AS created,
       CASE
         WHEN o.kind = 'bytes' THEN NULL
         WHEN o.size = 0 THEN ''
         ELSE (SELECT CAST(l.data AS TEXT) FROM ledger l
               WHERE l.id = o.id AND l.stored_object_id = o.id AND l.allocated_mem = o.size)
       END AS value
FROM stored_objects o
JOIN memram m ON m.id = o.memram_id;

DROP VIEW log;
-- The history as people read it.
CREATE VIEW log AS
SELECT e.id,
       m.name AS space,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000000.0, 'unixepoch') AS time,
       e.kind,
       e.actor,
       e.reason,
       lower(hex(e.object)) AS object_id,
       e.name,
       e.bytes,
       e.mem
FROM events e
JOIN memram m ON m.id = e.memram_id;

DROP TRIGGER guard_names_insert;

DROP VIEW history_violations;
-- I11 the history explains the balance; where an event's own mem is off, it names the
-- first event after which the books cannot have been right.
CREATE VIEW history_violations AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     running AS (
       SELECT e.id, e.memram_id, e.mem, sum(e.payload) OVER (PARTITION BY e.memram_id ORDER BY e.id) AS booked
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id >= o.id)
SELECT 'I11' AS invariant, 'events' AS "table", NULL AS id,
       bucket || ' of space ' || space || ' ' || booked AS expected, bucket || ' ' || found AS found
FROM history_balance WHERE booked <> found
UNION ALL
SELECT 'I11', 'events', min(r.id), 'mem ' || r.booked, 'mem ' || r.mem
FROM running r JOIN memram m ON m.id = r.memram_id
WHERE r.booked <> r.mem AND m.history <> 'off' GROUP BY r.memram_id
UNION ALL
SELECT 'I11', 'events', NULL, 'an opening of space ' || m.name, 'none'
FROM memram m WHERE m.history <> 'off' AND NOT EXISTS (SELECT 1 FROM opened o WHERE o.memram_id = m.id);
