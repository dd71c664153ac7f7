-- The memory of the heap: what came and went, as double entry.

PRAGMA user_version = 2;

-- on: every event is kept; off: none is recorded; keep: those of the last history_keep microseconds.
ALTER TABLE memram ADD COLUMN history TEXT NOT NULL DEFAULT 'on' CHECK (history IN ('on', 'off', 'keep'));
ALTER TABLE memram ADD COLUMN history_keep INTEGER CHECK (history_keep > 0);

-- One row per event, appended in the transaction of what it records. The numbers are
-- the order; a clock may go backwards. The last columns but one are the bytes that the
-- event moved into (or, negative, out of) each account.
CREATE TABLE events (
  id                 INTEGER NOT NULL PRIMARY KEY,
  memram_id          INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  at                 INTEGER NOT NULL,
  kind               TEXT    NOT NULL CHECK (kind = 'allocate' OR kind = 'free' OR kind = 'dedup_hit' OR kind = 'bind' OR kind = 'unbind'
                                     OR kind = 'carve' OR kind = 'gc' OR kind = 'refusal' OR kind = 'resize'
                                     OR kind = 'repair' OR kind = 'opening'),
  actor              TEXT,
  reason             TEXT,
  object             BLOB CHECK (length(object) = 32), -- the object id as 32 bytes
  name               TEXT,
  bytes              INTEGER NOT NULL,
  mem                INTEGER NOT NULL,
  payload            INTEGER NOT NULL DEFAULT 0,
  room_in_blocks     INTEGER NOT NULL DEFAULT 0,
  uncarved_in_pools  INTEGER NOT NULL DEFAULT 0,
  uncarved_in_arenas INTEGER NOT NULL DEFAULT 0,
  unreserved         INTEGER NOT NULL DEFAULT 0,
  capacity           INTEGER NOT NULL DEFAULT 0,
  changes            TEXT,
  CHECK (payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved = capacity)
) STRICT;

-- The books of a space count from its last opening.
CREATE INDEX events_openings ON events (memram_id, id) WHERE kind = 'opening';

INSERT INTO sequences (name, last_id) VALUES ('events', 0);

-- The books of spaces that are there already are opened with what is in them.
INSERT INTO events (memram_id, at, kind, bytes, mem, payload, room_in_blocks, uncarved_in_pools, uncarved_in_arenas,
                    unreserved, capacity)
SELECT m.id, unixepoch() * 1000000, 'opening', m.mem, m.mem, m.mem,
       coalesce(c.reserved, 0) - m.mem, coalesce(c.pooled - c.reserved, 0), m.reserved - coalesce(c.pooled, 0),
       m.max_mem - m.reserved, m.max_mem
FROM memram m
LEFT JOIN (SELECT memram_id, sum(reserved) AS reserved, sum(pooled) AS pooled FROM size_classes GROUP BY memram_id) c
  ON c.memram_id = m.id;

-- Double entry: what each event moved between the accounts. The postings of an event
-- sum to zero; those since the last opening sum to the trial balance.
CREATE VIEW postings AS
SELECT id AS event_id, memram_id, 'payload' AS account, payload AS bytes FROM events WHERE payload <> 0
UNION ALL
SELECT id, memram_id, 'room in blocks', room_in_blocks FROM events WHERE room_in_blocks <> 0
UNION ALL
SELECT id, memram_id, 'uncarved in pools', uncarved_in_pools FROM events WHERE uncarved_in_pools <> 0
UNION ALL
SELECT id, memram_id, 'uncarved in arenas', uncarved_in_arenas FROM events WHERE uncarved_in_arenas <> 0
UNION ALL
SELECT id, memram_id, 'unreserved', unreserved FROM events WHERE unreserved <> 0
UNION ALL
SELECT id, memram_id, 'capacity', -capacity FROM events WHERE capacity <> 0;

-- What each event did to each block: bytes that came (or, negative, went).
CREATE VIEW event_blocks AS
SELECT e.id AS event_id,
       e.memram_id,
       e.kind,
       CAST(json_extract(p.value, '$[0]') AS INTEGER) AS block_id,
       CAST(json_extract(p.value, '$[1]') AS INTEGER) AS pool_id,
       CAST(json_extract(p.value, '$[2]') AS INTEGER) AS arena_id,
       CAST(json_extract(p.value, '$[3]') AS INTEGER) AS block_size,
       CAST(json_extract(p.value, '$[4]') AS INTEGER) AS bytes
FROM events e, json_each(e.changes, '$.pieces') p
WHERE e.changes IS NOT NULL;

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

-- The balance that the history leads to, beside the one that the rows give.
CREATE VIEW history_balance AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     booked AS (
       SELECT e.memram_id,
              sum(e.payload) AS payload, sum(e.room_in_blocks) AS room_in_blocks,
              sum(e.uncarved_in_pools) AS uncarved_in_pools, sum(e.uncarved_in_arenas) AS uncarved_in_arenas,
              sum(e.unreserved) AS unreserved
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id >= o.id
       GROUP BY e.memram_id)
SELECT m.name AS space,
       t.line,
       t.bucket,
       CASE t.line WHEN 1 THEN b.payload WHEN 2 THEN b.room_in_blocks WHEN 3 THEN b.uncarved_in_pools
                   WHEN 4 THEN b.uncarved_in_arenas ELSE b.unreserved END AS booked,
       t.bytes AS found
FROM memram m
JOIN booked b ON b.memram_id = m.id
JOIN trial_balance t ON t.space = m.name
WHERE m.history <> 'off';

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

DROP VIEW violations;
CREATE VIEW violations AS
SELECT * FROM row_violations
UNION ALL
SELECT * FROM history_violations;
