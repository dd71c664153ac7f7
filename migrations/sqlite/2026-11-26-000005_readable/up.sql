-- What programs and people read of the heap, whatever is in a row.

PRAGMA user_version = 5;

-- A hold that is let go is an event, too. The rule is part of the table; how SQLite wants
-- one changed without writing the table again:
-- https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'OR kind = ''unbind''', 'OR kind = ''unbind'' OR kind = ''release''')
WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;

DROP VIEW objects;
-- names is for people: who reads it by program takes names_json, in which a name with a
-- comma is one name. A time that SQLite cannot write (a year after 9999) is shown as the
-- microseconds that it is.
CREATE VIEW objects AS
SELECT o.id,
       o.object_id,
       m.name AS space,
       (SELECT group_concat(n.name, ', ') FROM (SELECT name FROM names WHERE stored_object_id = o.id ORDER BY memram_id, name) n) AS names,
       (SELECT json_group_array(n.name) FROM (SELECT name FROM names WHERE stored_object_id = o.id ORDER BY memram_id, name) n) AS names_json,
       o.kind,
       o.type_name,
       o.size,
       coalesce((SELECT l.seq + 1 FROM ledger l
                 WHERE l.id >= o.id AND l.id < coalesce((SELECT min(p.id) FROM stored_objects p WHERE p.id > o.id), 9223372036854775807)
                   AND l.stored_object_id = o.id ORDER BY l.id DESC LIMIT 1), 0) AS pieces,
       o.held,
       coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', o.created_at / 1000000, 'unixepoch'), CAST(o.created_at AS TEXT)) AS created,
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
       coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000000.0, 'unixepoch'), CAST(e.at AS TEXT)) AS time,
       e.kind,
       e.actor,
       e.reason,
       lower(hex(e.object)) AS object_id,
       e.name,
       e.bytes,
       e.mem
FROM events e
JOIN memram m ON m.id = e.memram_id;

-- Names are what people would write by hand. A bind is a row of names and one of events; the
-- look-up adds a seventh to what these two take, and nothing to what has no name. On events
-- it would add two thirds to each row, and every object has one.
CREATE TRIGGER guard_names_insert BEFORE INSERT ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;

DROP VIEW history_violations;
-- I11 the history explains the balance and the names; where an event's own mem is off, it names
-- the first event after which the books cannot have been right. None of it applies to a
-- space whose history is off.
CREATE VIEW history_violations AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     running AS (
       SELECT e.id, e.memram_id, e.mem, sum(e.payload) OVER (PARTITION BY e.memram_id ORDER BY e.id) AS booked
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id >= o.id),
     -- With max, SQLite takes the other columns from the row that has it.
     said AS (
       SELECT e.memram_id, e.name, max(e.id) AS id, e.kind, e.object
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id > o.id
       WHERE e.kind IN ('bind', 'unbind') GROUP BY e.memram_id, e.name)
SELECT 'I11' AS invariant, 'events' AS "table", NULL AS id,
       bucket || ' of space ' || space || ' ' || booked AS expected, bucket || ' ' || found AS found
FROM history_balance WHERE booked <> found
UNION ALL
SELECT 'I11', 'events', min(r.id), 'mem ' || r.booked, 'mem ' || r.mem
FROM running r JOIN memram m ON m.id = r.memram_id
WHERE r.booked <> r.mem AND m.history <> 'off' GROUP BY r.memram_id
UNION ALL
SELECT 'I11', 'events', NULL, 'an opening of space ' || m.name, 'none'
FROM memram m WHERE m.history <> 'off' AND NOT EXISTS (SELECT 1 FROM opened o WHERE o.memram_id = m.id)
UNION ALL
SELECT 'I11', 'names', n.stored_object_id, 'a bind event for ' || quote(n.name) || ' and this object',
       coalesce('at last ' || s.kind || ' event ' || s.id, 'none since it was bound')
FROM names n JOIN memram m ON m.id = n.memram_id JOIN opened w ON w.memram_id = m.id JOIN events b ON b.id = w.id
LEFT JOIN stored_objects o ON o.id = n.stored_object_id
LEFT JOIN said s ON s.memram_id = n.memram_id AND s.name = n.name
WHERE m.history <> 'off'
  AND CASE WHEN s.id IS NULL THEN n.bound_at > b.at ELSE s.kind <> 'bind' OR lower(hex(s.object)) <> o.object_id END
UNION ALL
SELECT 'I11', 'names', NULL, 'the name ' || quote(s.name) || ' that event ' || s.id || ' bound', 'none'
FROM said s JOIN memram m ON m.id = s.memram_id
WHERE m.history <> 'off' AND s.kind = 'bind'
  AND NOT EXISTS (SELECT 1 FROM names n WHERE n.memram_id = s.memram_id AND n.name = s.name);
