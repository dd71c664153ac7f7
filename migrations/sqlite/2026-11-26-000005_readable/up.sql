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
