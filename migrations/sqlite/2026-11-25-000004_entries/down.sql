PRAGMA user_version = 3;

DROP VIEW row_violations;
-- One row per broken invariant among the rows of the heap.
CREATE VIEW row_violations AS
WITH
  by_block AS (SELECT block_id AS id, sum(allocated_mem) AS mem, count(*) AS entries FROM ledger GROUP BY block_id),
  by_pool AS (SELECT pool_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM blocks GROUP BY pool_id),
  by_arena AS (SELECT arena_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM pools GROUP BY arena_id),
  by_space AS (SELECT memram_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved, count(*) AS arenas FROM arenas GROUP BY memram_id),
  by_object AS (SELECT stored_object_id AS id, sum(allocated_mem) AS size, count(*) AS pieces,
                       min(seq) AS low, max(seq) AS high FROM ledger GROUP BY stored_object_id),
  pools_of_class AS (SELECT memram_id, block_size, sum(max_mem) AS pooled, count(*) AS pools FROM pools GROUP BY memram_id, block_size),
  blocks_of_class AS (
    SELECT b.memram_id, b.block_size, sum(b.mem) AS mem, sum(b.max_mem) AS reserved, count(*) AS blocks,
           sum(b.mem = b.max_mem) AS full_blocks, sum(b.mem = 0) AS empty_blocks, sum(coalesce(e.entries, 0)) AS entries
    FROM blocks b LEFT JOIN by_block e ON e.id = b.id GROUP BY b.memram_id, b.block_size),
  objects_of_space AS (SELECT memram_id AS id, count(*) AS objects FROM stored_objects GROUP BY memram_id),
  objects_of_kind AS (SELECT memram_id, kind, count(*) AS objects, sum(size) AS mem FROM stored_objects GROUP BY memram_id, kind)
-- I1 a block's mem is what the ledger says is in it
SELECT 'I1' AS invariant, 'blocks' AS "table", b.id AS id,
       'mem ' || coalesce(e.mem, 0) AS expected, 'mem ' || b.mem AS found
FROM blocks b LEFT JOIN by_block e ON e.id = b.id WHERE b.mem <> coalesce(e.mem, 0)
UNION ALL
-- I2 a block is free exactly when it has room
SELECT 'I2', 'blocks', id, 'is_free ' || (mem < max_mem), 'is_free ' || is_free FROM blocks WHERE is_free <> (mem < max_mem)
UNION ALL
-- I3 a pool adds up its blocks
SELECT 'I3', 'pools', p.id, 'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0), 'mem ' || p.mem || ', reserved ' || p.reserved
FROM pools p LEFT JOIN by_pool s ON s.id = p.id WHERE p.mem <> coalesce(s.mem, 0) OR p.reserved <> coalesce(s.reserved, 0)
UNION ALL
SELECT 'I3', 'size_classes', c.memram_id,
       'block_size ' || c.block_size || ': mem ' || coalesce(b.mem, 0) || ', reserved ' || coalesce(b.reserved, 0) || ', pooled ' || coalesce(p.pooled, 0)
         || ', pools ' || coalesce(p.pools, 0) || ', blocks ' || coalesce(b.blocks, 0) || ', full_blocks ' || coalesce(b.full_blocks, 0)
         || ', empty_blocks ' || coalesce(b.empty_blocks, 0) || ', entries ' || coalesce(b.entries, 0),
       'block_size ' || c.block_size || ': mem ' || c.mem || ', reserved ' || c.reserved || ', pooled ' || c.pooled
         || ', pools ' || c.pools || ', blocks ' || c.blocks || ', full_blocks ' || c.full_blocks
         || ', empty_blocks ' || c.empty_blocks || ', entries ' || c.entries
FROM size_classes c
LEFT JOIN blocks_of_class b ON b.memram_id = c.memram_id AND b.block_size = c.block_size
LEFT JOIN pools_of_class p ON p.memram_id = c.memram_id AND p.block_size = c.block_size
WHERE c.mem <> coalesce(b.mem, 0) OR c.reserved <> coalesce(b.reserved, 0) OR c.pooled <> coalesce(p.pooled, 0)
   OR c.pools <> coalesce(p.pools, 0) OR c.blocks <> coalesce(b.blocks, 0) OR c.full_blocks <> coalesce(b.full_blocks, 0)
   OR c.empty_blocks <> coalesce(b.empty_blocks, 0) OR c.entries <> coalesce(b.entries, 0)
UNION ALL
SELECT 'I3', 'pools', p.id, 'a block_size of its space', 'block_size ' || p.block_size
FROM pools p WHERE NOT EXISTS (SELECT 1 FROM size_classes c WHERE c.memram_id = p.memram_id AND c.block_size = p.block_size)
UNION ALL
-- I4 an arena adds up its pools
SELECT 'I4', 'arenas', a.id, 'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0), 'mem ' || a.mem || ', reserved ' || a.reserved
FROM arenas a LEFT JOIN by_arena s ON s.id = a.id WHERE a.mem <> coalesce(s.mem, 0) OR a.reserved <> coalesce(s.reserved, 0)
UNION ALL
-- I5 a space adds up its arenas
SELECT 'I5', 'memram', m.id,
       'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0) || ', arenas ' || coalesce(s.arenas, 0),
       'mem ' || m.mem || ', reserved ' || m.reserved || ', arenas ' || m.arenas
FROM memram m LEFT JOIN by_space s ON s.id = m.id
WHERE m.mem <> coalesce(s.mem, 0) OR m.reserved <> coalesce(s.reserved, 0) OR m.arenas <> coalesce(s.arenas, 0)
UNION ALL
-- I6 an object's pieces are numbered from 0 without a gap and add up to its size
SELECT 'I6', 'stored_objects', o.id,
       'size ' || o.size || ' in pieces 0..' || coalesce(e.pieces - 1, 'none'),
       'size ' || coalesce(e.size, 0) || ' in pieces ' || coalesce(e.low || '..' || e.high, 'none')
FROM stored_objects o LEFT JOIN by_object e ON e.id = o.id
WHERE o.size <> coalesce(e.size, 0) OR (e.id IS NOT NULL AND (e.low <> 0 OR e.high <> e.pieces - 1))
UNION ALL
SELECT 'I6', 'ledger', l.id, 'rest ' || coalesce(n.allocated_mem + n.rest, 0), 'rest ' || l.rest
FROM ledger l LEFT JOIN ledger n ON n.id = l.id + 1 AND n.stored_object_id = l.stored_object_id
WHERE l.rest <> coalesce(n.allocated_mem + n.rest, 0)
UNION ALL
SELECT 'I6', 'ledger', id, 'id ' || (stored_object_id + seq), 'id ' || id FROM ledger WHERE id <> stored_object_id + seq
UNION ALL
SELECT 'I6', 'ledger', id, 'data of ' || allocated_mem || ' bytes', 'data of ' || length(data) || ' bytes' FROM ledger WHERE length(data) <> allocated_mem
UNION ALL
-- I7 a row's parents are its parent's parents
SELECT 'I7', 'ledger', l.id, 'pool ' || b.pool_id || ', arena ' || b.arena_id, 'pool ' || l.pool_id || ', arena ' || l.arena_id
FROM ledger l JOIN blocks b ON b.id = l.block_id WHERE l.pool_id <> b.pool_id OR l.arena_id <> b.arena_id
UNION ALL
SELECT 'I7', 'blocks', b.id, 'arena ' || p.arena_id || ', space ' || p.memram_id || ', block_size ' || p.block_size,
       'arena ' || b.arena_id || ', space ' || b.memram_id || ', block_size ' || b.block_size
FROM blocks b JOIN pools p ON p.id = b.pool_id
WHERE b.arena_id <> p.arena_id OR b.memram_id <> p.memram_id OR b.block_size <> p.block_size
UNION ALL
SELECT 'I7', 'pools', p.id, 'space ' || a.memram_id, 'space ' || p.memram_id
FROM pools p JOIN arenas a ON a.id = p.arena_id WHERE p.memram_id <> a.memram_id
UNION ALL
SELECT 'I7', 'ledger', l.id, 'space ' || o.memram_id, 'space ' || b.memram_id
FROM ledger l JOIN blocks b ON b.id = l.block_id JOIN stored_objects o ON o.id = l.stored_object_id WHERE o.memram_id <> b.memram_id
UNION ALL
-- I8 needs more than SQL, but not where the id cannot be one
SELECT 'I8', 'stored_objects', id, 'object_id of 64 digits from 0 to f', 'object_id ' || quote(object_id)
FROM stored_objects WHERE length(object_id) <> 64 OR object_id GLOB '*[^0-9a-f]*'
UNION ALL
-- I9 no orphans
SELECT 'I9', 'ledger', id, 'an object ' || stored_object_id, 'none' FROM ledger WHERE stored_object_id NOT IN (SELECT id FROM stored_objects)
UNION ALL
SELECT 'I9', 'ledger', id, 'a block ' || block_id, 'none' FROM ledger WHERE block_id NOT IN (SELECT id FROM blocks)
UNION ALL
SELECT 'I9', 'blocks', id, 'a pool ' || pool_id, 'none' FROM blocks WHERE pool_id NOT IN (SELECT id FROM pools)
UNION ALL
SELECT 'I9', 'pools', id, 'an arena ' || arena_id, 'none' FROM pools WHERE arena_id NOT IN (SELECT id FROM arenas)
UNION ALL
SELECT 'I9', 'arenas', id, 'a space ' || memram_id, 'none' FROM arenas WHERE memram_id NOT IN (SELECT id FROM memram)
UNION ALL
SELECT 'I9', 'stored_objects', id, 'a space ' || memram_id, 'none' FROM stored_objects WHERE memram_id NOT IN (SELECT id FROM memram)
UNION ALL
SELECT 'I9', 'names', n.stored_object_id, 'an object of space ' || n.memram_id || ' for ' || quote(n.name), coalesce('an object of space ' || o.memram_id, 'none')
FROM names n LEFT JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.id IS NULL OR o.memram_id <> n.memram_id
UNION ALL
SELECT 'I9', 'stored_objects', o.id, 'a hold or a name', 'neither'
FROM stored_objects o WHERE o.held = 0 AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id)
UNION ALL
-- I10 the lifetime counters agree with what is there
SELECT 'I10', 'memram', id, 'peak_mem of at least ' || mem, 'peak_mem ' || peak_mem FROM memram WHERE peak_mem < mem
UNION ALL
SELECT 'I10', 'memram', m.id, 'allocations - frees = ' || coalesce(s.objects, 0), m.allocations || ' - ' || m.frees || ' = ' || (m.allocations - m.frees)
FROM memram m LEFT JOIN objects_of_space s ON s.id = m.id WHERE m.allocations - m.frees <> coalesce(s.objects, 0)
UNION ALL
SELECT 'I10', 'kinds', k.memram_id, k.kind || ': objects ' || coalesce(s.objects, 0) || ', mem ' || coalesce(s.mem, 0), k.kind || ': objects ' || k.objects || ', mem ' || k.mem
FROM kinds k LEFT JOIN objects_of_kind s ON s.memram_id = k.memram_id AND s.kind = k.kind
WHERE k.objects <> coalesce(s.objects, 0) OR k.mem <> coalesce(s.mem, 0)
UNION ALL
SELECT 'I10', 'kinds', s.memram_id, s.kind || ': objects ' || s.objects || ', mem ' || s.mem, s.kind || ': no row'
FROM objects_of_kind s WHERE NOT EXISTS (SELECT 1 FROM kinds k WHERE k.memram_id = s.memram_id AND k.kind = s.kind);

DROP VIEW trial_balance;
-- Every byte of capacity sits in exactly one bucket; each bucket is summed from
-- the rows of its own level, so the total proves the levels against each other.
CREATE VIEW trial_balance AS
SELECT m.name AS space, 1 AS line, 'payload' AS bucket,
       (SELECT coalesce(sum(l.allocated_mem), 0) FROM ledger l
        WHERE l.stored_object_id IN (SELECT o.id FROM stored_objects o WHERE o.memram_id = m.id)) AS bytes
FROM memram m
UNION ALL
SELECT m.name, 2, 'room in blocks',
       (SELECT coalesce(sum(b.max_mem - b.mem), 0) FROM blocks b WHERE b.memram_id = m.id)
FROM memram m
UNION ALL
SELECT m.name, 3, 'uncarved in pools',
       (SELECT coalesce(sum(p.max_mem - p.reserved), 0) FROM pools p WHERE p.memram_id = m.id)
FROM memram m
UNION ALL
SELECT m.name, 4, 'uncarved in arenas',
       (SELECT coalesce(sum(a.max_mem - a.reserved), 0) FROM arenas a WHERE a.memram_id = m.id)
FROM memram m
UNION ALL
SELECT m.name, 5, 'unreserved',
       m.max_mem - (SELECT coalesce(sum(a.max_mem), 0) FROM arenas a WHERE a.memram_id = m.id)
FROM memram m;

DROP VIEW objects;
CREATE VIEW objects AS
SELECT o.id,
       o.object_id,
       m.name AS space,
       (SELECT group_concat(n.name, ', ') FROM names n WHERE n.stored_object_id = o.id) AS names,
       o.kind,
       o.type_name,
       o.size,
       (SELECT count(*) FROM ledger l WHERE l.stored_object_id = o.id) AS pieces,
       o.held,
       strftime('%Y-%m-%dT%H:%M:%SZ', o.created_at / 1000000, 'unixepoch') AS created,
       CASE
         WHEN o.kind = 'bytes' THEN NULL
         WHEN o.size = 0 THEN ''
         ELSE (SELECT CAST(l.data AS TEXT) FROM ledger l
               WHERE l.stored_object_id = o.id AND l.seq = 0 AND l.allocated_mem = o.size)
       END AS value
FROM stored_objects o
JOIN memram m ON m.id = o.memram_id;

DROP TRIGGER guard_stored_objects_delete;
CREATE TRIGGER guard_stored_objects_delete BEFORE DELETE ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'stored_object_id INTEGER NOT NULL',
                  'stored_object_id INTEGER NOT NULL REFERENCES stored_objects (id) DEFERRABLE INITIALLY DEFERRED')
WHERE type = 'table' AND name = 'ledger';
PRAGMA writable_schema = RESET;

CREATE UNIQUE INDEX ledger_by_object ON ledger (stored_object_id, seq);
