-- The heap in one schema of a PostgreSQL server: bounded spaces, the arenas, pools and blocks that
-- they are divided into, the objects stored in them, and the ledger that records which bytes of
-- which object are in which block. Sizes are in bytes, times in microseconds since 1970-01-01 UTC.
--
-- Nothing here names the schema: search_path determines where the tables are created. They have the
-- names, columns and meanings of those in a file (migrations/sqlite), so that the same SQL reads
-- both; where they differ, it is said why. There are no triggers and no functions, because Citus
-- refuses triggers on the tables of a distributed schema. Privileges guard the heap instead: only the
-- owner's role writes, and others are granted SELECT.
--
-- Read it from top to bottom: tables, indexes, views.

-- Tables --------------------------------------------------------------------
--
-- Rules about a single row are CHECKs, so that no tool can violate them. Rules about several rows are
-- the invariants that the view violations verifies.
--
-- Each space numbers its rows separately: the ids of its arenas, pools, blocks, objects, ledger
-- entries, reservations and events are (memram_id - 1) << 40 | n, with n from 1. So the first space
-- has plain numbers, and spaces never wait for each other's numbers: there is no SEQUENCE.
-- id & ((1::bigint << 40) - 1) is the n, and (id >> 40) + 1 the space, which every row of the space
-- must agree with (I7).
--
-- Foreign keys are checked at the end of each statement, not of the transaction: a deferred one would
-- fail at COMMIT, where Citus reports no usable code. So parents are written before their children,
-- or in the same statement. They are DEFERRABLE for a repair, in which rows are without parents for a
-- while. Columns that repeat those of the parent are part of the foreign key, so that they cannot
-- disagree; the parent needs a UNIQUE constraint for that.
--
-- The rows that each object adds to stored_objects and ledger have none, because a lookup for each
-- costs as much as the row: with foreign keys to memram and blocks, the server took 14.8 ms for a batch
-- of 1,000 small objects, and 8.0 ms without. The view violations shows rows without a parent (I9),
-- and those that disagree with it (I7).
--
-- Names and ids are compared byte by byte (COLLATE "C"), as in a file: their order must not depend on
-- the server's locale, nor an index on the version of its C library.
--
-- An UPDATE writes a new version of the row. It is cheap (HOT) if the version fits in the same page
-- and no column that an index mentions has changed. So tables whose rows are updated leave a part of
-- each page free (fillfactor), and conditions of indexes on blocks name flags, which change rarely,
-- and never mem, which changes with every allocation.

-- The format of the schema; one row. 101 is the first one, as PRAGMA user_version of a file. fingerprint
-- is a digest of how the server described the schema when it was created: if it still does so, nothing
-- was altered. stamp tells the same in less time: how many rows of the catalog are about the heap, and the
-- sum of the transactions that wrote them.
CREATE TABLE format (
  id          bigint NOT NULL PRIMARY KEY CHECK (id = 1),
  version     bigint NOT NULL CHECK (version > 0),
  fingerprint text,
  stamp       text
);
INSERT INTO format (id, version) VALUES (1, 101);

-- What applies to the whole heap; one row. max_file limits files only, and is always NULL here.
CREATE TABLE heap (
  id       bigint NOT NULL PRIMARY KEY CHECK (id = 1),
  max_file bigint CHECK (max_file > 0)
);
INSERT INTO heap (id) VALUES (1);

-- One bounded space: at most max_mem bytes of content, mem of them used and promised of them
-- reserved for content to come. A heap may have several, with different names. Each write updates
-- its sums; reserved is that of its arenas' max_mem. history determines which events are kept: all
-- (on), none (off), or (keep) those of the last history_keep microseconds, and the newest ones up to
-- history_max_bytes; history_bytes is what they take. dropped_at is set while the space is being
-- dropped: its rows are removed in steps, its own last. tags counts those of its holds: while there are
-- none, nobody looks for any; and quotas those of its owners. evict is set if objects are evicted when
-- there is no room for a new one: those that it says go first, but none that is younger than evict_min_age.
-- evictions and evicted_mem count the objects that went, and their bytes. evict_hand, evict_main and
-- evict_gone belong to the policies that go by use: where the hand of sieve is, the bytes in the main
-- queue of recency, and those of what s3-fifo remembers.
--
-- A writer locks the row of its space. version counts the transactions that wrote to the space, so
-- that a writer knows whether what it remembers is still true. commits has the random tokens of the
-- last 32 of them, newest first: whose connection was lost at COMMIT finds out whether it happened.
CREATE TABLE memram (
  id           bigint NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 8388608),
  name         text   COLLATE "C" NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
  max_mem      bigint NOT NULL CHECK (max_mem > 0),
  mem          bigint NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  promised     bigint NOT NULL DEFAULT 0 CHECK (promised BETWEEN 0 AND max_mem),
  reserved     bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem),
  arena_size   bigint NOT NULL CHECK (arena_size > 0),
  per_block    bigint NOT NULL CHECK (per_block > 0),
  arenas       bigint NOT NULL DEFAULT 0 CHECK (arenas >= 0),
  peak_mem     bigint NOT NULL DEFAULT 0 CHECK (peak_mem >= mem),
  allocations  bigint NOT NULL DEFAULT 0 CHECK (allocations >= 0),
  frees        bigint NOT NULL DEFAULT 0 CHECK (frees BETWEEN 0 AND allocations),
  dedup_hits   bigint NOT NULL DEFAULT 0 CHECK (dedup_hits >= 0),
  dedup_saved  bigint NOT NULL DEFAULT 0 CHECK (dedup_saved >= 0),
  created_at   bigint NOT NULL,
  history      text   NOT NULL DEFAULT 'on' CHECK (history IN ('on', 'off', 'keep')),
  history_keep bigint CHECK (history_keep > 0),
  history_max_bytes bigint CHECK (history_max_bytes > 0),
  history_bytes bigint NOT NULL DEFAULT 0 CHECK (history_bytes >= 0),
  dropped_at   bigint,
  tags         bigint NOT NULL DEFAULT 0 CHECK (tags >= 0),
  quotas       bigint NOT NULL DEFAULT 0 CHECK (quotas >= 0),
  evict        text CHECK (evict IN ('lru', 'sieve', 's3-fifo', 'largest', 'oldest')),
  evict_min_age bigint NOT NULL DEFAULT 0 CHECK (evict_min_age >= 0),
  evictions    bigint NOT NULL DEFAULT 0 CHECK (evictions >= 0),
  evicted_mem  bigint NOT NULL DEFAULT 0 CHECK (evicted_mem >= 0),
  evict_hand   bigint NOT NULL DEFAULT 0,
  evict_main   bigint NOT NULL DEFAULT 0 CHECK (evict_main >= 0),
  evict_gone   bigint NOT NULL DEFAULT 0 CHECK (evict_gone >= 0),
  version      bigint NOT NULL DEFAULT 0,
  commits      bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- The spaces that were dropped, and what they had when that began. gone_at is NULL while rows of one
-- are left. Their ids are never given to other spaces.
CREATE TABLE dropped_spaces (
  id            bigint NOT NULL PRIMARY KEY,
  name          text   COLLATE "C" NOT NULL,
  max_mem       bigint NOT NULL,
  mem           bigint NOT NULL,
  objects       bigint NOT NULL,
  names         bigint NOT NULL,
  reservations  bigint NOT NULL,
  history_bytes bigint NOT NULL,
  created_at    bigint NOT NULL,
  dropped_at    bigint NOT NULL,
  gone_at       bigint,
  actor         text,
  reason        text
);

-- The ladder of size classes of a space, with the totals of each class: mem is the content in
-- its blocks, reserved the bytes of its blocks, pooled those of its pools.
CREATE TABLE size_classes (
  memram_id    bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  block_size   bigint NOT NULL CHECK (block_size > 0),
  pool_size    bigint NOT NULL CHECK (pool_size >= block_size),
  mem          bigint NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND reserved),
  reserved     bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND pooled),
  pooled       bigint NOT NULL DEFAULT 0 CHECK (pooled >= 0),
  pools        bigint NOT NULL DEFAULT 0 CHECK (pools >= 0),
  blocks       bigint NOT NULL DEFAULT 0 CHECK (blocks >= 0),
  full_blocks  bigint NOT NULL DEFAULT 0 CHECK (full_blocks >= 0),
  empty_blocks bigint NOT NULL DEFAULT 0 CHECK (empty_blocks >= 0),
  entries      bigint NOT NULL DEFAULT 0 CHECK (entries >= 0),
  PRIMARY KEY (memram_id, block_size),
  CHECK (full_blocks + empty_blocks <= blocks)
) WITH (fillfactor = 50);

-- How many objects of each kind except bytes a space holds. Those of kind bytes are the rest of the
-- totals in memram, so that storing them, the most common case, writes one row less. The view kinds
-- has all kinds.
CREATE TABLE other_kinds (
  memram_id bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  kind      text   NOT NULL CHECK (kind IN ('str', 'int', 'float', 'bool', 'none', 'json')),
  objects   bigint NOT NULL DEFAULT 0 CHECK (objects >= 0),
  mem       bigint NOT NULL DEFAULT 0 CHECK (mem >= 0),
  PRIMARY KEY (memram_id, kind)
) WITH (fillfactor = 50);

-- A stretch of the space, holding pools; reserved is the sum of their max_mem.
CREATE TABLE arenas (
  id        bigint NOT NULL PRIMARY KEY,
  memram_id bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  max_mem   bigint NOT NULL CHECK (max_mem > 0),
  mem       bigint NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  reserved  bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem)
) WITH (fillfactor = 70);

-- A stretch of an arena, holding blocks of one size class; reserved is the sum of their max_mem.
CREATE TABLE pools (
  id         bigint NOT NULL PRIMARY KEY,
  memram_id  bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  arena_id   bigint NOT NULL REFERENCES arenas (id) DEFERRABLE,
  block_size bigint NOT NULL CHECK (block_size > 0),
  max_mem    bigint NOT NULL CHECK (max_mem > 0),
  mem        bigint NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  reserved   bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem),
  UNIQUE (id, arena_id)
) WITH (fillfactor = 70);

-- The unit of placement: a bag of max_mem bytes that objects may share. It is free while it
-- has room, and empty while it has nothing; a file has no is_empty, because its index on empty
-- blocks can name mem. arena_id repeats that of its pool, to make queries simpler.
CREATE TABLE blocks (
  id         bigint  NOT NULL PRIMARY KEY,
  memram_id  bigint  NOT NULL REFERENCES memram (id) DEFERRABLE,
  arena_id   bigint  NOT NULL,
  pool_id    bigint  NOT NULL,
  block_size bigint  NOT NULL CHECK (block_size > 0),
  max_mem    bigint  NOT NULL CHECK (max_mem BETWEEN 1 AND block_size),
  mem        bigint  NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  is_free    boolean NOT NULL DEFAULT true CHECK (is_free = (mem < max_mem)),
  is_empty   boolean NOT NULL GENERATED ALWAYS AS (mem = 0) STORED,
  FOREIGN KEY (pool_id, arena_id) REFERENCES pools (id, arena_id) DEFERRABLE
) WITH (fillfactor = 80, autovacuum_analyze_scale_factor = 0.02);

-- One value, identified by its content: object_id is a SHA-256, and unique in its space. A name
-- or the anonymous hold (held) keeps it alive. Each of these may end: held_until is when the anonymous
-- hold does, and expires_at when the last of them does, NULL if one never ends. From then on nobody sees
-- the object, whether its bytes have been given back or not. What is pinned is never evicted. With held_refresh,
-- each read lets the anonymous hold last so many microseconds from then on. That object_id is 64 hexadecimal digits is
-- an invariant (I8), not a CHECK, because every allocation would pay for the comparison.
CREATE TABLE stored_objects (
  id         bigint  NOT NULL PRIMARY KEY,
  memram_id  bigint  NOT NULL,
  object_id  text    COLLATE "C" NOT NULL,
  kind       text    NOT NULL CHECK (kind IN ('bytes', 'str', 'int', 'float', 'bool', 'none', 'json')),
  type_name  text    CHECK (type_name IS NULL OR kind = 'json'),
  size       bigint  NOT NULL CHECK (size >= 0),
  held       boolean NOT NULL,
  created_at bigint  NOT NULL,
  held_until bigint  CHECK (held_until IS NULL OR held),
  expires_at bigint,
  pinned     boolean NOT NULL DEFAULT false,
  held_refresh bigint
) WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05);

-- One entry per piece of an object: these bytes are in this block. The first entry has the
-- key of its object and the others follow it, so that the bytes of an object are found, in
-- order and each once, without an index of their own. start is how many bytes of the object precede
-- the entry's own, and is_last tells its end, so that neither needs the row of the object. arena_id
-- and pool_id repeat those of the block. The pieces of an upload have the key that its object will
-- have.
--
-- PostgreSQL stores long data out of line, and would try to compress it first, which costs more than
-- the write. Before version 16, CREATE TABLE cannot turn that off, and Citus refuses to alter a
-- distributed table; so the column is a copy of one where it is off.
CREATE TEMPORARY TABLE content (data bytea NOT NULL);
ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE ledger (
  id               bigint  NOT NULL PRIMARY KEY,
  stored_object_id bigint  NOT NULL,
  seq              bigint  NOT NULL CHECK (seq >= 0),
  arena_id         bigint  NOT NULL,
  pool_id          bigint  NOT NULL,
  block_id         bigint  NOT NULL,
  allocated_mem    bigint  NOT NULL CHECK (allocated_mem > 0),
  start            bigint  NOT NULL CHECK (start >= 0),
  is_last          boolean NOT NULL,
  LIKE content INCLUDING STORAGE,
  CHECK (octet_length(data) = allocated_mem),
  CHECK (id = stored_object_id + seq)
) WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
DROP TABLE content;

-- Promises of bytes, which count against max_mem at once; a large object that is being stored is
-- one, and has no key. Of bytes, written are in blocks already, as pieces with the keys from
-- stored_object_id on; entry_ids keys are set aside for them. While it is open, the others are
-- promised, until expires_at if it is not renewed. Once it is resolved (posted as an object, voided
-- or lapsed) nothing is promised, and pieces that did not become an object are given back little
-- by little; so are those of a large object that was freed. Rows that were carved since the upload
-- began have the ids from first_arena_id, first_pool_id and first_block_id on.
CREATE TABLE reservations (
  id               bigint NOT NULL PRIMARY KEY,
  memram_id        bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  key              text   COLLATE "C" CHECK (length(key) BETWEEN 1 AND 255),
  state            text   NOT NULL CHECK (state IN ('open', 'posted', 'voided', 'lapsed', 'freed')),
  bytes            bigint NOT NULL CHECK (bytes > 0),
  written          bigint NOT NULL DEFAULT 0 CHECK (written BETWEEN 0 AND bytes),
  object_id        text   COLLATE "C" CHECK (object_id IS NULL OR state = 'posted'),
  stored_object_id bigint UNIQUE,
  entry_ids        bigint NOT NULL DEFAULT 0 CHECK (entry_ids >= 0),
  first_arena_id   bigint NOT NULL DEFAULT 0,
  first_pool_id    bigint NOT NULL DEFAULT 0,
  first_block_id   bigint NOT NULL DEFAULT 0,
  created_at       bigint NOT NULL,
  expires_at       bigint NOT NULL,
  resolved_at      bigint CHECK ((resolved_at IS NULL) = (state = 'open')),
  CHECK (written = 0 OR stored_object_id IS NOT NULL)
) WITH (fillfactor = 70);

-- The names of objects. From expires_at on, unless it is NULL, a name is bound to nothing. With refresh, each
-- read lets it last so many microseconds from then on.
CREATE TABLE names (
  memram_id        bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  name             text   COLLATE "C" NOT NULL CHECK (length(name) > 0),
  stored_object_id bigint NOT NULL REFERENCES stored_objects (id) DEFERRABLE,
  bound_at         bigint NOT NULL,
  expires_at       bigint,
  refresh          bigint,
  PRIMARY KEY (memram_id, name)
) WITH (autovacuum_analyze_scale_factor = 0.02);

-- The tags of holds: a hold has at most one value for each key, and its tags go with it. name is that of the
-- hold, or '' for the anonymous hold of the object. There is no foreign key: the removal of each object
-- would pay for it.
CREATE TABLE tags (
  memram_id        bigint  NOT NULL REFERENCES memram (id) DEFERRABLE,
  stored_object_id bigint  NOT NULL,
  name             text   COLLATE "C" NOT NULL,
  key              text   COLLATE "C" NOT NULL,
  value            text   COLLATE "C" NOT NULL,
  PRIMARY KEY (stored_object_id, name, key)
) WITH (autovacuum_analyze_scale_factor = 0.02);

-- What an owner may have at most, which is the value of a tag; NULL is no limit, and beyond a soft one there is
-- only a warning. It pays the size of each object of which a hold has the tag, in full and once, whoever else
-- has it: used_bytes and used_objects are their sums. A hold that is over counts until it is given back.
CREATE TABLE quotas (
  memram_id    bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  key          text   COLLATE "C" NOT NULL,
  value        text   COLLATE "C" NOT NULL,
  hard_bytes   bigint CHECK (hard_bytes >= 0),
  soft_bytes   bigint CHECK (soft_bytes >= 0),
  hard_objects bigint CHECK (hard_objects >= 0),
  soft_objects bigint CHECK (soft_objects >= 0),
  used_bytes   bigint NOT NULL CHECK (used_bytes >= 0),
  used_objects bigint NOT NULL CHECK (used_objects >= 0),
  PRIMARY KEY (memram_id, key, value)
) WITH (fillfactor = 50);

-- In spaces that evict by use, where each object is in the order in which they go: in a queue, at a
-- position, which is a number of the space that only grows, with some marks. lru has the main queue, by
-- last use; sieve has it by age, and marks what was used; s3-fifo has new objects on trial. What left
-- the trial is in the queue gone for a while, with its id. There is no foreign key, because each object
-- would pay for it. Without its row, an object goes after all others.
CREATE TABLE recency (
  stored_object_id bigint NOT NULL PRIMARY KEY,
  memram_id        bigint NOT NULL,
  queue            text    NOT NULL CHECK (queue IN ('trial', 'main', 'gone')),
  position         bigint NOT NULL,
  marks            bigint NOT NULL CHECK (marks BETWEEN 0 AND 3),
  size             bigint NOT NULL CHECK (size > 0),
  object_id        text COLLATE "C" CHECK ((object_id IS NOT NULL) = (queue = 'gone'))
) WITH (fillfactor = 80, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05);

-- The history: one row per event, appended in the same transaction as the change. Within a space
-- the ids give the order, because a clock may go backwards; across spaces the order is by at, then
-- id. The columns from payload to unreserved are the bytes that the event moved into each account
-- or, if negative, out of it, as in double-entry bookkeeping; changes has the affected blocks and
-- levels as JSON. It is text, not json or jsonb, because it is returned byte for byte as it was
-- written. Repeated refusals are one event with a count and the time of the last.
--
-- Events in a row of a unit of work share a row if they differ only in the object and what it moved:
-- otherwise history would cost a quarter of a batch of small objects. Its id and mem are those of
-- the last of them, its figures are sums, object has all their ids, and changes a list of
-- [bytes, bytes of the row so far], followed by the block, pool, arena and block size of the only
-- piece, or by the changes and a list of the accounts from room_in_blocks to unreserved. The view
-- every_event unfolds it.
CREATE TABLE events (
  id                 bigint NOT NULL PRIMARY KEY,
  memram_id          bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  at                 bigint NOT NULL,
  kind               text   NOT NULL CHECK (kind IN ('allocate', 'free', 'dedup_hit', 'bind', 'unbind', 'release', 'carve', 'gc', 'move', 'apply', 'refusal',
                                                     'resize', 'repair', 'opening', 'upload', 'reclaim', 'reserve', 'post', 'void', 'lapse',
                                                     'rename', 'expire', 'evict')),
  actor              text   COLLATE "C",
  reason             text   COLLATE "C",
  object             bytea  CHECK (octet_length(object) > 0 AND octet_length(object) % 32 = 0), -- ids of 32 bytes
  name               text   COLLATE "C",
  bytes              bigint NOT NULL,
  mem                bigint NOT NULL,
  payload            bigint NOT NULL DEFAULT 0,
  room_in_blocks     bigint NOT NULL DEFAULT 0,
  uncarved_in_pools  bigint NOT NULL DEFAULT 0,
  uncarved_in_arenas bigint NOT NULL DEFAULT 0,
  unreserved         bigint NOT NULL DEFAULT 0,
  capacity           bigint NOT NULL DEFAULT 0,
  reservation_id     bigint,
  count              bigint NOT NULL DEFAULT 1 CHECK (count > 0),
  last_at            bigint,
  changes            text,
  CHECK (payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved = capacity)
) WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05);

-- The highest id that a space ever assigned per table, updated when rows are removed, so that
-- an id is never reused. Objects and their ledger entries are numbered together.
CREATE TABLE sequences (
  memram_id bigint NOT NULL REFERENCES memram (id) DEFERRABLE,
  name      text   NOT NULL CHECK (name IN ('arenas', 'pools', 'blocks', 'stored_objects', 'events', 'reservations')),
  last_id   bigint NOT NULL CHECK (last_id >> 40 = memram_id - 1),
  PRIMARY KEY (memram_id, name)
) WITH (fillfactor = 50);

-- Indexes -------------------------------------------------------------------

-- Rows with room, lowest id first, and empty rows. The indexes are partial, so that they stay small
-- and placement takes O(log n) however full the space is.
CREATE INDEX arenas_with_room ON arenas (memram_id, id) WHERE reserved < max_mem;
CREATE INDEX arenas_empty ON arenas (memram_id, id) WHERE reserved = 0;
CREATE INDEX pools_with_room ON pools (memram_id, block_size, id) WHERE reserved < max_mem;
CREATE INDEX pools_empty ON pools (memram_id, id) WHERE reserved = 0;
CREATE INDEX blocks_with_room ON blocks (memram_id, block_size, id) WHERE is_free;
CREATE INDEX blocks_empty ON blocks (memram_id, id) WHERE is_empty;

-- From a parent to its children; foreign keys also need these when a parent is removed.
CREATE INDEX pools_by_arena ON pools (arena_id);
CREATE INDEX blocks_by_pool ON blocks (pool_id);
CREATE INDEX ledger_by_block ON ledger (block_id);
CREATE INDEX names_by_object ON names (stored_object_id);

-- What ends, soonest first, and the last of the names of an object to end. Who lets nothing end has
-- nothing in them.
CREATE INDEX names_expiring ON names (memram_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX stored_objects_expiring ON stored_objects (memram_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX names_expiring_by_object ON names (stored_object_id, expires_at) WHERE expires_at IS NOT NULL;

-- What has a tag, and the values of a key.
CREATE INDEX tags_by_value ON tags (memram_id, key, value);

-- What goes next, and what is gone and may come back.
CREATE INDEX recency_in_order ON recency (memram_id, queue, position);
CREATE INDEX recency_gone ON recency (memram_id, object_id) WHERE object_id IS NOT NULL;

-- A key means one reservation of its space. What is open can lapse; what is written but not open
-- is to be given back.
CREATE UNIQUE INDEX reservations_by_key ON reservations (memram_id, key) WHERE key IS NOT NULL;
CREATE INDEX reservations_open ON reservations (memram_id, expires_at) WHERE state = 'open';
CREATE INDEX reservations_written ON reservations (memram_id, id) WHERE written > 0;
-- What is resolved is remembered for its key, but not forever.
CREATE INDEX reservations_resolved ON reservations (memram_id, resolved_at)
WHERE resolved_at IS NOT NULL AND key IS NOT NULL AND written = 0;

-- The object_id comes first: the planner then knows that it finds one row, even before the table was
-- ever analyzed, and does not walk through a whole space instead.
CREATE UNIQUE INDEX stored_objects_by_object_id ON stored_objects (object_id, memram_id);
-- Only large objects, so that small ones do not pay for the list of the largest.
CREATE INDEX stored_objects_by_size ON stored_objects (memram_id, size) WHERE size >= 4096;
-- What is pinned, for the list of it.
CREATE INDEX stored_objects_pinned ON stored_objects (memram_id, id) WHERE pinned;
-- The history of a space counts from its last opening.
CREATE INDEX events_openings ON events (memram_id, id) WHERE kind = 'opening';

-- Views ---------------------------------------------------------------------
--
-- They have the columns, rows and texts of those in a file, whatever the settings of the session are,
-- and no row makes them fail, not even one that is damaged: each may be what somebody looks at to find
-- the damage. So
-- * sums are numeric, and least and greatest limit them to a bigint where a column has one. So are
--   sums of columns that a row of any values may have.
-- * text is converted or parsed only once a regular expression has matched it. (?x) lets one contain
--   whitespace.
-- * the type of a literal is written where the column would otherwise get another one.
-- * the current time is now(), that of the beginning of the transaction, so that all queries of one
--   agree on what has expired.
-- * each column of a part of a UNION in a subquery has its name: otherwise a view that was dumped and
--   restored has another text, and looks altered.

-- How many objects of each kind a space holds.
CREATE VIEW kinds AS
SELECT memram_id, kind,
       least(greatest(objects, -9223372036854775808), 9223372036854775807)::bigint AS objects,
       least(greatest(mem, -9223372036854775808), 9223372036854775807)::bigint AS mem
FROM (
  SELECT m.id AS memram_id, 'bytes' AS kind,
         m.allocations - m.frees::numeric - coalesce(sum(k.objects), 0) AS objects,
         m.mem - coalesce(sum(k.mem), 0)
           - (SELECT coalesce(sum(r.written), 0) FROM reservations r WHERE r.memram_id = m.id AND r.written > 0) AS mem
  FROM memram m LEFT JOIN other_kinds k ON k.memram_id = m.id
  GROUP BY m.id, m.allocations, m.frees, m.mem
  UNION ALL
  SELECT memram_id, kind, objects, mem FROM other_kinds) k;

-- Every object with its names and, if it is text in one piece, its value, without those that have
-- expired. names is for people;
-- programs should use names_json, in which a name may contain a comma. A time whose year does not have
-- four digits is shown in microseconds. Text with a zero byte has no value, because PostgreSQL has no
-- such text; neither have bytes that are not UTF-8, nor text of more than 64 MiB, whose digits would
-- not fit in memory.
CREATE VIEW objects AS
SELECT o.id,
       o.object_id,
       m.name AS space,
       (SELECT string_agg(n.name, ', ' ORDER BY n.memram_id, n.name)
        FROM names n WHERE n.stored_object_id = o.id AND (n.expires_at IS NULL OR n.expires_at > t.now)) AS names,
       '[' || coalesce((SELECT string_agg(to_json(n.name)::text, ',' ORDER BY n.memram_id, n.name)
                        FROM names n WHERE n.stored_object_id = o.id AND (n.expires_at IS NULL OR n.expires_at > t.now)), '') || ']' AS names_json,
       o.kind,
       o.type_name,
       o.size,
       coalesce((SELECT least(l.seq, 9223372036854775806) + 1 FROM ledger l
                 WHERE l.id >= o.id
                   AND l.id < least((SELECT min(p.id) FROM stored_objects p WHERE p.id > o.id),
                                    (SELECT min(r.stored_object_id) FROM reservations r WHERE r.stored_object_id > o.id),
                                    9223372036854775807)
                   AND l.stored_object_id = o.id ORDER BY l.id DESC LIMIT 1), 0) AS pieces,
       o.held AND (o.held_until IS NULL OR o.held_until > t.now) AS held,
       CASE WHEN o.created_at / 1000000 BETWEEN -62135596800 AND 253402300799
            THEN to_char(timestamp 'epoch' + o.created_at / 1000000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE o.created_at::text END AS created,
       o.expires_at,
       CASE
         WHEN o.kind = 'bytes' THEN NULL
         WHEN o.size = 0 THEN ''
         WHEN o.size <= 67108864
           THEN (SELECT CASE WHEN encode(l.data, 'hex') ~ '(?x) ^ (
                     0[1-9a-f] | [1-7][0-9a-f]
                   | (c[2-9a-f] | d[0-9a-f]) [89ab][0-9a-f]
                   | (e0[ab][0-9a-f] | (e[1-9abcef] [89ab] | ed[89]) [0-9a-f]) [89ab][0-9a-f]
                   | (f0[9ab] | f[1-3][89ab] | f48) [0-9a-f] ([89ab][0-9a-f]){2}
                   )* $' THEN convert_from(l.data, 'UTF8') END
                 FROM ledger l
                 WHERE l.id = o.id AND l.stored_object_id = o.id AND l.allocated_mem = o.size)
       END AS value
FROM stored_objects o
JOIN memram m ON m.id = o.memram_id
CROSS JOIN (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now) t
WHERE o.expires_at IS NULL OR o.expires_at > t.now;

-- The tags of the holds that have not expired, each with its object. name is NULL for the anonymous hold.
CREATE VIEW tagged AS
SELECT t.memram_id, m.name AS space, t.key, t.value, t.stored_object_id, o.object_id, nullif(t.name, '') AS name, o.size,
       CASE WHEN t.name = '' THEN o.held_until ELSE n.expires_at END AS expires_at
FROM tags t
JOIN memram m ON m.id = t.memram_id
JOIN stored_objects o ON o.id = t.stored_object_id
LEFT JOIN names n ON n.memram_id = t.memram_id AND n.name = t.name
WHERE coalesce(CASE WHEN t.name = '' THEN o.held_until ELSE n.expires_at END > (extract(epoch FROM now()) * 1000000)::bigint, true);

-- Every block: where it is, how full it is, and how many objects share it.
CREATE VIEW block_map AS
SELECT m.name AS space,
       b.arena_id,
       b.pool_id,
       b.id AS block_id,
       b.block_size,
       b.max_mem,
       b.mem,
       least(greatest(b.max_mem::numeric - b.mem, -9223372036854775808), 9223372036854775807)::bigint AS room,
       b.is_free,
       (SELECT count(*) FROM ledger l WHERE l.block_id = b.id) AS entries,
       (SELECT count(DISTINCT l.stored_object_id) FROM ledger l WHERE l.block_id = b.id) AS objects
FROM blocks b
JOIN memram m ON m.id = b.memram_id;

-- Capacity and use of every level and size class.
CREATE VIEW usage AS
SELECT m.name AS space, 'space' AS level, NULL::bigint AS block_size, 1::bigint AS rows,
       m.max_mem AS max_mem, m.reserved AS reserved, m.mem AS mem,
       m.promised AS promised,
       least(greatest(m.max_mem::numeric - m.mem - m.promised, -9223372036854775808), 9223372036854775807)::bigint AS available
FROM memram m
UNION ALL
SELECT m.name, 'arenas', NULL, m.arenas, m.reserved,
       (SELECT least(greatest(coalesce(sum(c.pooled), 0), -9223372036854775808), 9223372036854775807)::bigint
        FROM size_classes c WHERE c.memram_id = m.id), m.mem, NULL, NULL
FROM memram m
UNION ALL
SELECT m.name, 'pools', c.block_size, c.pools, c.pooled, c.reserved, c.mem, NULL, NULL
FROM size_classes c JOIN memram m ON m.id = c.memram_id
UNION ALL
SELECT m.name, 'blocks', c.block_size, c.blocks, c.reserved, c.mem, c.mem, NULL, NULL
FROM size_classes c JOIN memram m ON m.id = c.memram_id;

-- Every byte of capacity is in exactly one bucket. Each bucket is summed from the rows of its
-- own level, so that the total checks the levels against each other.
CREATE VIEW trial_balance AS
WITH
  payload AS (SELECT b.memram_id, sum(l.allocated_mem) AS bytes FROM ledger l JOIN blocks b ON b.id = l.block_id GROUP BY b.memram_id),
  in_blocks AS (SELECT memram_id, sum(max_mem::numeric - mem) AS bytes FROM blocks GROUP BY memram_id),
  in_pools AS (SELECT memram_id, sum(max_mem::numeric - reserved) AS bytes FROM pools GROUP BY memram_id),
  in_arenas AS (SELECT memram_id, sum(max_mem::numeric - reserved) AS bytes, sum(max_mem) AS max_mem FROM arenas GROUP BY memram_id)
SELECT space, line, bucket, least(greatest(bytes, -9223372036854775808), 9223372036854775807)::bigint AS bytes
FROM (
  SELECT m.name AS space, 1::bigint AS line, 'payload' AS bucket, coalesce(s.bytes, 0) AS bytes
  FROM memram m LEFT JOIN payload s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 2 AS line, 'room in blocks' AS bucket, coalesce(s.bytes, 0) AS bytes FROM memram m LEFT JOIN in_blocks s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 3 AS line, 'uncarved in pools' AS bucket, coalesce(s.bytes, 0) AS bytes FROM memram m LEFT JOIN in_pools s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 4 AS line, 'uncarved in arenas' AS bucket, coalesce(s.bytes, 0) AS bytes FROM memram m LEFT JOIN in_arenas s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 5 AS line, 'unreserved' AS bucket, m.max_mem - coalesce(s.max_mem, 0) AS bytes FROM memram m LEFT JOIN in_arenas s ON s.memram_id = m.id) t;

-- The second part of the balance: whose each byte of capacity is. It adds up to the same capacity.
-- What is written of uploads is theirs until it becomes an object or is given back, and what has
-- expired is nobody's.
CREATE VIEW claims AS
WITH
  stored AS (
    SELECT memram_id,
           sum(size) FILTER (WHERE expires_at IS NULL OR expires_at > (extract(epoch FROM now()) * 1000000)::bigint) AS bytes,
           sum(size) FILTER (WHERE expires_at <= (extract(epoch FROM now()) * 1000000)::bigint) AS expired
    FROM stored_objects GROUP BY memram_id),
  uploads AS (SELECT memram_id, sum(written) AS bytes FROM reservations WHERE written > 0 GROUP BY memram_id),
  promised AS (SELECT memram_id, sum(bytes::numeric - written) AS bytes FROM reservations WHERE state = 'open' GROUP BY memram_id)
SELECT space, line, bucket, least(greatest(bytes, -9223372036854775808), 9223372036854775807)::bigint AS bytes
FROM (
  SELECT m.name AS space, 1::bigint AS line, 'objects' AS bucket, coalesce(s.bytes, 0) AS bytes
  FROM memram m LEFT JOIN stored s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 2 AS line, 'expired' AS bucket, coalesce(s.expired, 0) AS bytes FROM memram m LEFT JOIN stored s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 3 AS line, 'uploads' AS bucket, coalesce(s.bytes, 0) AS bytes FROM memram m LEFT JOIN uploads s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 4 AS line, 'promised' AS bucket, coalesce(s.bytes, 0) AS bytes FROM memram m LEFT JOIN promised s ON s.memram_id = m.id
  UNION ALL
  SELECT m.name AS space, 5 AS line, 'available' AS bucket, m.max_mem::numeric - m.mem - m.promised AS bytes FROM memram m) t;

-- Whose the bytes of the line objects of claims are, by the value that the holds of an object have for a key. Each
-- object is on one line of each key that a hold has, so that the lines of a key add up to that line.
CREATE VIEW claims_by_owner AS
WITH
  owned AS (
    SELECT memram_id, space, key, stored_object_id, min(value) AS value, min(value) < max(value) AS is_shared, min(size) AS size
    FROM tagged GROUP BY memram_id, space, key, stored_object_id),
  owners AS (
    SELECT memram_id, space, key, is_shared, CASE WHEN is_shared THEN NULL ELSE value END AS value, count(*) AS objects, sum(size) AS bytes
    FROM owned GROUP BY memram_id, space, key, is_shared, 5),
  stored AS (
    SELECT memram_id, count(*) AS objects, sum(size) AS bytes
    FROM stored_objects WHERE expires_at IS NULL OR expires_at > (extract(epoch FROM now()) * 1000000)::bigint GROUP BY memram_id)
SELECT space, key, line, bucket, value, objects, least(greatest(bytes, -9223372036854775808), 9223372036854775807)::bigint AS bytes
FROM (
  SELECT space, key, 1::bigint AS line, 'tagged' AS bucket, value, objects, bytes FROM owners WHERE NOT is_shared
  UNION ALL
  SELECT space, key, 2 AS line, 'shared' AS bucket, NULL AS value, objects, bytes FROM owners WHERE is_shared
  UNION ALL
  SELECT o.space, o.key, 3 AS line, 'untagged' AS bucket, NULL AS value, s.objects - o.objects AS objects,
         s.bytes - o.bytes AS bytes
  FROM (SELECT memram_id, space, key, sum(objects)::bigint AS objects, sum(bytes) AS bytes FROM owners GROUP BY memram_id, space, key) o
  JOIN stored s ON s.memram_id = o.memram_id) t;

-- The reservations in readable form; promised is what an open one has a right to and has not stored.
CREATE VIEW promises AS
SELECT r.id,
       m.name AS space,
       r.key,
       r.state,
       r.bytes,
       r.written,
       CASE WHEN r.state = 'open' THEN least(greatest(r.bytes::numeric - r.written, -9223372036854775808), 9223372036854775807)::bigint ELSE 0 END AS promised,
       r.object_id,
       CASE WHEN r.created_at / 1000000 BETWEEN -62135596800 AND 253402300799
            THEN to_char(timestamp 'epoch' + r.created_at / 1000000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE r.created_at::text END AS created,
       CASE WHEN r.expires_at / 1000000 BETWEEN -62135596800 AND 253402300799
            THEN to_char(timestamp 'epoch' + r.expires_at / 1000000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE r.expires_at::text END AS expires,
       CASE WHEN r.resolved_at / 1000000 BETWEEN -62135596800 AND 253402300799
            THEN to_char(timestamp 'epoch' + r.resolved_at / 1000000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE r.resolved_at::text END AS resolved
FROM reservations r
JOIN memram m ON m.id = r.memram_id;

-- Every event in a row of its own, which has the columns of events; row_id is the row of events that
-- it is in. A row for several events is unfolded if its changes have the form that heapledger writes.
-- The expression for that form reads a comma before each element of a list, also before the first, so
-- that it need not contain each element twice.
CREATE VIEW every_event AS
SELECT least(greatest(e.id - coalesce(octet_length(e.object) / 32 - 1 - r.at_index, 0)::numeric,
                      -9223372036854775808), 9223372036854775807)::bigint AS id,
       e.id AS row_id, e.memram_id, e.at, e.kind, e.actor, e.reason,
       CASE WHEN r.at_index IS NULL THEN e.object ELSE substr(e.object, 32 * r.at_index + 1, 32) END AS object,
       e.name,
       coalesce(r.size, e.bytes) AS bytes,
       least(greatest(e.mem::numeric + coalesce(r.sign * (r.size_until - e.bytes::numeric), 0),
                      -9223372036854775808), 9223372036854775807)::bigint AS mem,
       coalesce(r.sign * r.size, e.payload) AS payload,
       coalesce((r.own -> 3 ->> 0)::bigint, -r.sign * r.size, e.room_in_blocks) AS room_in_blocks,
       coalesce((r.own -> 3 ->> 1)::bigint, r.size * 0, e.uncarved_in_pools) AS uncarved_in_pools,
       coalesce((r.own -> 3 ->> 2)::bigint, r.size * 0, e.uncarved_in_arenas) AS uncarved_in_arenas,
       coalesce((r.own -> 3 ->> 3)::bigint, r.size * 0, e.unreserved) AS unreserved,
       e.capacity, e.reservation_id, e.count, e.last_at,
       CASE json_typeof(r.own -> 2)
         WHEN 'object' THEN r.own ->> 2
         WHEN 'number' THEN '{"pieces":[[' || (r.own ->> 2) || ',' || (r.own ->> 3) || ',' || (r.own ->> 4) || ',' || (r.own ->> 5)
                              || ',' || r.sign * r.size || ']]}'
         ELSE CASE WHEN r.at_index IS NULL THEN e.changes END
       END AS changes
FROM events e
LEFT JOIN LATERAL (
  SELECT j.own,
         j.place::int - 1 AS at_index,
         (j.own ->> 0)::bigint AS size,
         (j.own ->> 1)::bigint AS size_until,
         CASE e.kind WHEN 'allocate' THEN 1 WHEN 'free' THEN -1 ELSE 0 END AS sign
  FROM json_array_elements(
         CASE WHEN octet_length(e.object) > 32 AND replace(replace(e.changes, '[', '[,'), '{', '{,') ~ '(?x) ^ \[ (
             ,\[ (,-?(0 | [1-9][0-9]{0,17} | [1-8][0-9]{18})){2}
             ( (,(0 | [1-9][0-9]{0,18})){4}
             | ,\{ (,"[a-z]+":( \[ (,\[ (,"[a-z]+")? (,-?(0 | [1-9][0-9]*))+ \])+ \] | [1-9][0-9]* ))+ \}
               ,\[ (,-?(0 | [1-9][0-9]{0,17} | [1-8][0-9]{18})){4} \]
             )? \])+ \] $' THEN e.changes::json END) WITH ORDINALITY j (own, place)) r ON true;

-- What each row of events counts for in history_bytes. It is what the row takes in a file, within a
-- tenth. A server needs more for a short row and less for long changes, which it compresses; the figure
-- is the same, so that a history_max_bytes keeps the same events on both.
CREATE VIEW event_sizes AS
SELECT id, memram_id, at, kind,
       56::bigint + coalesce(octet_length(object), 0) + coalesce(octet_length(actor), 0) + coalesce(octet_length(reason), 0)
         + coalesce(octet_length(name), 0) + coalesce(octet_length(changes), 0) AS bytes
FROM events;

-- The history in readable form. Times are rounded to milliseconds as SQLite does it, which counts
-- them from noon of 24 November 4714 BC in floating point, so that both show the same.
CREATE VIEW log AS
SELECT e.id,
       m.name AS space,
       CASE WHEN t.at BETWEEN -62135596800000 AND 253402300799999
            THEN to_char(timestamp 'epoch' + t.at / 1000 * interval '1 second' + t.at % 1000 * interval '1 millisecond', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
            ELSE e.at::text END AS time,
       e.kind,
       e.actor,
       e.reason,
       encode(e.object, 'hex') AS object_id,
       e.name,
       e.bytes,
       e.mem,
       e.count,
       CASE WHEN t.last_at BETWEEN -62135596800000 AND 253402300799999
            THEN to_char(timestamp 'epoch' + t.last_at / 1000 * interval '1 second' + t.last_at % 1000 * interval '1 millisecond', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
            ELSE e.last_at::text END AS last_time
FROM every_event e
JOIN memram m ON m.id = e.memram_id
CROSS JOIN LATERAL (
  SELECT floor(e.at::float8 / 1000000 * 1000 + 210866760000000 + 0.5)::bigint - 210866760000000 AS at,
         floor(e.last_at::float8 / 1000000 * 1000 + 210866760000000 + 0.5)::bigint - 210866760000000 AS last_at) t;

-- Double entry: the bytes that each event moved between accounts. The postings of an event add up
-- to zero; those since the last opening add up to the trial balance.
CREATE VIEW postings AS
SELECT id AS event_id, memram_id, 'payload' AS account, payload AS bytes FROM every_event WHERE payload <> 0
UNION ALL
SELECT id, memram_id, 'room in blocks', room_in_blocks FROM every_event WHERE room_in_blocks <> 0
UNION ALL
SELECT id, memram_id, 'uncarved in pools', uncarved_in_pools FROM every_event WHERE uncarved_in_pools <> 0
UNION ALL
SELECT id, memram_id, 'uncarved in arenas', uncarved_in_arenas FROM every_event WHERE uncarved_in_arenas <> 0
UNION ALL
SELECT id, memram_id, 'unreserved', unreserved FROM every_event WHERE unreserved <> 0
UNION ALL
SELECT id, memram_id, 'capacity', -greatest(capacity, -9223372036854775807) FROM every_event WHERE capacity <> 0;

-- The change of each event to each block: bytes added or, if negative, removed. More than 20 digits
-- are no bigint anyway.
CREATE VIEW event_blocks AS
SELECT e.id AS event_id,
       e.memram_id,
       e.kind,
       least(left(p.value ->> 0, 20)::numeric, 9223372036854775807)::bigint AS block_id,
       least(left(p.value ->> 1, 20)::numeric, 9223372036854775807)::bigint AS pool_id,
       least(left(p.value ->> 2, 20)::numeric, 9223372036854775807)::bigint AS arena_id,
       least(left(p.value ->> 3, 20)::numeric, 9223372036854775807)::bigint AS block_size,
       least(greatest(left(p.value ->> 4, 21)::numeric, -9223372036854775808), 9223372036854775807)::bigint AS bytes
FROM every_event e
CROSS JOIN LATERAL json_array_elements(
  CASE WHEN replace(replace(e.changes, '[', '[,'), '{', '{,') ~ '(?x) ^ \{ (
      ,"pieces":\[ (,\[ (,(0 | [1-9][0-9]*)){4} ,-?(0 | [1-9][0-9]*) \])+ \]
    | ,"(carved | removed)":\[ (,\[ ,"[a-z]+" (,-?(0 | [1-9][0-9]*))+ \])+ \]
    | ,"(available | shortfall | size)":-?(0 | [1-9][0-9]*)
    )+ \} $' THEN e.changes::json -> 'pieces' END) p;

-- The balance according to the history, next to the one according to the rows.
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
       least(greatest(CASE t.line WHEN 1 THEN b.payload WHEN 2 THEN b.room_in_blocks WHEN 3 THEN b.uncarved_in_pools
                                  WHEN 4 THEN b.uncarved_in_arenas ELSE b.unreserved END,
                      -9223372036854775808), 9223372036854775807)::bigint AS booked,
       t.bytes AS found
FROM memram m
JOIN booked b ON b.memram_id = m.id
JOIN trial_balance t ON t.space = m.name
WHERE m.history <> 'off';

-- The invariants: one row per violation. NOT EXISTS instead of NOT IN, which PostgreSQL evaluates row
-- by row where the list does not fit in memory; nullif, because the next key of the last one possible
-- is none; a quoted name is spelled as SQLite's quote() does it.
CREATE VIEW row_violations AS
WITH
  by_block AS (SELECT block_id AS id, sum(allocated_mem) AS mem, count(*) AS entries FROM ledger GROUP BY block_id),
  by_pool AS (SELECT pool_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM blocks GROUP BY pool_id),
  by_arena AS (SELECT arena_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved FROM pools GROUP BY arena_id),
  by_space AS (SELECT memram_id AS id, sum(mem) AS mem, sum(max_mem) AS reserved, count(*) AS arenas FROM arenas GROUP BY memram_id),
  pools_of_class AS (SELECT memram_id, block_size, sum(max_mem) AS pooled, count(*) AS pools FROM pools GROUP BY memram_id, block_size),
  blocks_of_class AS (
    SELECT b.memram_id, b.block_size, sum(b.mem) AS mem, sum(b.max_mem) AS reserved, count(*) AS blocks,
           count(*) FILTER (WHERE b.mem = b.max_mem) AS full_blocks, count(*) FILTER (WHERE b.mem = 0) AS empty_blocks,
           sum(coalesce(e.entries, 0)) AS entries
    FROM blocks b LEFT JOIN by_block e ON e.id = b.id GROUP BY b.memram_id, b.block_size),
  promises AS (SELECT memram_id AS id, sum(bytes::numeric - written) AS promised FROM reservations WHERE state = 'open' GROUP BY memram_id),
  -- The last key that a reservation may have, without an overflow.
  uploads AS (
    SELECT r.id, coalesce(sum(l.allocated_mem), 0) AS mem
    FROM reservations r LEFT JOIN ledger l
      ON l.id >= r.stored_object_id AND l.id < r.stored_object_id + least(r.entry_ids, 9223372036854775807 - greatest(r.stored_object_id, 0))
         AND l.stored_object_id = r.stored_object_id
    GROUP BY r.id),
  objects_of_space AS (SELECT memram_id AS id, count(*) AS objects FROM stored_objects GROUP BY memram_id),
  objects_of_kind AS (SELECT memram_id, kind, count(*) AS objects, sum(size) AS mem FROM stored_objects GROUP BY memram_id, kind),
  -- What the owners with a quota have.
  paid AS (
    SELECT t.memram_id, t.key, t.value, count(*) AS objects, sum(o.size) AS bytes
    FROM (SELECT DISTINCT t.memram_id, t.key, t.value, t.stored_object_id
          FROM quotas q JOIN tags t ON t.memram_id = q.memram_id AND t.key = q.key AND t.value = q.value) t
    JOIN stored_objects o ON o.id = t.stored_object_id GROUP BY t.memram_id, t.key, t.value),
  -- When the last hold of an object ends; NULL if one never does.
  last_holds AS (
    SELECT o.id, o.expires_at, CASE WHEN (o.held AND o.held_until IS NULL) OR n.is_endless THEN NULL ELSE greatest(o.held_until, n.ends) END AS ends
    FROM stored_objects o
    LEFT JOIN (SELECT stored_object_id AS id, max(expires_at) AS ends, count(*) > count(expires_at) AS is_endless
               FROM names GROUP BY stored_object_id) n ON n.id = o.id)
-- I1 a block's mem is what the ledger says is in it
SELECT 'I1' AS invariant, 'block_mem' AS rule, 'blocks' AS "table", b.id AS id, NULL::text AS key,
       'mem ' || coalesce(e.mem, 0) AS expected, 'mem ' || b.mem AS found
FROM blocks b LEFT JOIN by_block e ON e.id = b.id WHERE b.mem <> coalesce(e.mem, 0)
UNION ALL
-- I2 a block is free exactly when it has room
SELECT 'I2', 'block_flag', 'blocks', id, NULL, 'is_free ' || (mem < max_mem)::int, 'is_free ' || is_free::int FROM blocks WHERE is_free <> (mem < max_mem)
UNION ALL
-- I3 a pool adds up its blocks
SELECT 'I3', 'pool_totals', 'pools', p.id, NULL, 'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0), 'mem ' || p.mem || ', reserved ' || p.reserved
FROM pools p LEFT JOIN by_pool s ON s.id = p.id WHERE p.mem <> coalesce(s.mem, 0) OR p.reserved <> coalesce(s.reserved, 0)
UNION ALL
SELECT 'I3', 'class_totals', 'size_classes', c.memram_id, c.block_size::text,
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
SELECT 'I3', 'pool_of_no_class', 'pools', p.id, NULL, 'a block_size of its space', 'block_size ' || p.block_size
FROM pools p WHERE NOT EXISTS (SELECT 1 FROM size_classes c WHERE c.memram_id = p.memram_id AND c.block_size = p.block_size)
UNION ALL
-- I4 an arena adds up its pools
SELECT 'I4', 'arena_totals', 'arenas', a.id, NULL, 'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0), 'mem ' || a.mem || ', reserved ' || a.reserved
FROM arenas a LEFT JOIN by_arena s ON s.id = a.id WHERE a.mem <> coalesce(s.mem, 0) OR a.reserved <> coalesce(s.reserved, 0)
UNION ALL
-- I5 a space adds up its arenas
SELECT 'I5', 'space_totals', 'memram', m.id, NULL,
       'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0) || ', arenas ' || coalesce(s.arenas, 0),
       'mem ' || m.mem || ', reserved ' || m.reserved || ', arenas ' || m.arenas
FROM memram m LEFT JOIN by_space s ON s.id = m.id
WHERE m.mem <> coalesce(s.mem, 0) OR m.reserved <> coalesce(s.reserved, 0) OR m.arenas <> coalesce(s.arenas, 0)
UNION ALL
-- I6 an object's pieces are numbered from 0 without a gap and add up to its size: the first
-- has the key of the object, each other follows one and starts where it ends, and the last ends
-- where the object does
SELECT 'I6', 'object_size', 'stored_objects', o.id, NULL, 'size ' || o.size, 'no first piece'
FROM stored_objects o
WHERE o.size <> 0 AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.id = o.id AND l.stored_object_id = o.id)
UNION ALL
SELECT 'I6', 'object_size', 'stored_objects', o.id, NULL, 'size ' || o.size, 'size ' || (l.start::numeric + l.allocated_mem)
FROM ledger l JOIN stored_objects o ON o.id = l.stored_object_id
LEFT JOIN ledger n ON n.id = nullif(l.id, 9223372036854775807) + 1 AND n.stored_object_id = l.stored_object_id
WHERE n.id IS NULL AND l.start::numeric + l.allocated_mem <> o.size
UNION ALL
SELECT 'I6', 'entry_last', 'ledger', l.id, NULL, 'is_last ' || (n.id IS NULL)::int, 'is_last ' || l.is_last::int
FROM ledger l LEFT JOIN ledger n ON n.id = nullif(l.id, 9223372036854775807) + 1 AND n.stored_object_id = l.stored_object_id
WHERE l.is_last <> (n.id IS NULL) AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = l.stored_object_id)
UNION ALL
SELECT 'I6', 'piece_gap', 'ledger', l.id, NULL, 'piece ' || (l.seq::numeric - 1) || ' before piece ' || l.seq, 'none'
FROM ledger l LEFT JOIN ledger p ON p.id = nullif(l.id, -9223372036854775808) - 1 AND p.stored_object_id = l.stored_object_id
WHERE l.seq <> 0 AND p.id IS NULL
UNION ALL
SELECT 'I6', 'entry_start', 'ledger', l.id, NULL, 'start ' || coalesce(p.start::numeric + p.allocated_mem, 0), 'start ' || l.start
FROM ledger l LEFT JOIN ledger p ON p.id = nullif(l.id, -9223372036854775808) - 1 AND p.stored_object_id = l.stored_object_id
WHERE l.start <> coalesce(p.start::numeric + p.allocated_mem, 0)
UNION ALL
SELECT 'I6', 'entry_key', 'ledger', id, NULL, 'id ' || (stored_object_id::numeric + seq), 'id ' || id FROM ledger WHERE id <> stored_object_id::numeric + seq
UNION ALL
SELECT 'I6', 'entry_length', 'ledger', id, NULL, 'data of ' || allocated_mem || ' bytes', 'data of ' || octet_length(data) || ' bytes' FROM ledger WHERE octet_length(data) <> allocated_mem
UNION ALL
-- I7 a row's parents are its parent's parents
SELECT 'I7', 'entry_parents', 'ledger', l.id, NULL, 'pool ' || b.pool_id || ', arena ' || b.arena_id, 'pool ' || l.pool_id || ', arena ' || l.arena_id
FROM ledger l JOIN blocks b ON b.id = l.block_id WHERE l.pool_id <> b.pool_id OR l.arena_id <> b.arena_id
UNION ALL
SELECT 'I7', 'block_parents', 'blocks', b.id, NULL, 'arena ' || p.arena_id || ', space ' || p.memram_id || ', block_size ' || p.block_size,
       'arena ' || b.arena_id || ', space ' || b.memram_id || ', block_size ' || b.block_size
FROM blocks b JOIN pools p ON p.id = b.pool_id
WHERE b.arena_id <> p.arena_id OR b.memram_id <> p.memram_id OR b.block_size <> p.block_size
UNION ALL
SELECT 'I7', 'pool_class', 'pools', p.id, NULL, 'space ' || a.memram_id, 'space ' || p.memram_id
FROM pools p JOIN arenas a ON a.id = p.arena_id WHERE p.memram_id <> a.memram_id
UNION ALL
SELECT 'I7', 'entry_space', 'ledger', l.id, NULL, 'space ' || o.memram_id, 'space ' || b.memram_id
FROM ledger l JOIN blocks b ON b.id = l.block_id JOIN stored_objects o ON o.id = l.stored_object_id WHERE o.memram_id <> b.memram_id
UNION ALL
-- I7 an id is one of its row's space
SELECT 'I7', 'arena_number', 'arenas', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM arenas WHERE (id >> 40) + 1 <> memram_id
UNION ALL
SELECT 'I7', 'pool_number', 'pools', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM pools WHERE (id >> 40) + 1 <> memram_id
UNION ALL
SELECT 'I7', 'block_number', 'blocks', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM blocks WHERE (id >> 40) + 1 <> memram_id
UNION ALL
SELECT 'I7', 'object_number', 'stored_objects', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM stored_objects WHERE (id >> 40) + 1 <> memram_id
UNION ALL
SELECT 'I7', 'reservation_number', 'reservations', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM reservations WHERE (id >> 40) + 1 <> memram_id
UNION ALL
SELECT 'I7', 'event_number', 'events', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM events WHERE (id >> 40) + 1 <> memram_id
UNION ALL
-- I8 needs more than SQL, but not where the id cannot be one
SELECT 'I8', 'object_id', 'stored_objects', id, NULL, 'object_id of 64 digits from 0 to f', 'object_id ''' || replace(object_id, '''', '''''') || ''''
FROM stored_objects WHERE length(object_id) <> 64 OR translate(object_id, '0123456789abcdef', '') <> ''
UNION ALL
-- I9 no orphans
SELECT 'I9', 'entry_object', 'ledger', l.id, NULL, 'an object ' || l.stored_object_id, 'none' FROM ledger l
WHERE NOT EXISTS (SELECT 1 FROM stored_objects o WHERE o.id = l.stored_object_id)
  AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = l.stored_object_id)
UNION ALL
SELECT 'I9', 'entry_block', 'ledger', l.id, NULL, 'a block ' || l.block_id, 'none' FROM ledger l WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.id = l.block_id)
UNION ALL
SELECT 'I9', 'block_orphan', 'blocks', b.id, NULL, 'a pool ' || b.pool_id, 'none' FROM blocks b WHERE NOT EXISTS (SELECT 1 FROM pools p WHERE p.id = b.pool_id)
UNION ALL
SELECT 'I9', 'pool_orphan', 'pools', p.id, NULL, 'an arena ' || p.arena_id, 'none' FROM pools p WHERE NOT EXISTS (SELECT 1 FROM arenas a WHERE a.id = p.arena_id)
UNION ALL
SELECT 'I9', 'arena_orphan', 'arenas', a.id, NULL, 'a space ' || a.memram_id, 'none' FROM arenas a WHERE NOT EXISTS (SELECT 1 FROM memram m WHERE m.id = a.memram_id)
UNION ALL
SELECT 'I9', 'object_orphan', 'stored_objects', o.id, NULL, 'a space ' || o.memram_id, 'none' FROM stored_objects o WHERE NOT EXISTS (SELECT 1 FROM memram m WHERE m.id = o.memram_id)
UNION ALL
SELECT 'I9', 'reservation_orphan', 'reservations', r.id, NULL, 'a space ' || r.memram_id, 'none' FROM reservations r WHERE NOT EXISTS (SELECT 1 FROM memram m WHERE m.id = r.memram_id)
UNION ALL
SELECT 'I9', CASE WHEN o.id IS NULL THEN 'name_orphan' ELSE 'name_space' END, 'names', n.stored_object_id, n.name,
       'an object of space ' || n.memram_id || ' for ''' || replace(n.name, '''', '''''') || '''', coalesce('an object of space ' || o.memram_id, 'none')
FROM names n LEFT JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.id IS NULL OR o.memram_id <> n.memram_id
UNION ALL
SELECT 'I9', 'object_held', 'stored_objects', o.id, NULL, 'a hold or a name', 'neither'
FROM stored_objects o WHERE NOT o.held AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id)
UNION ALL
-- I10 the lifetime counters agree with what is there
SELECT 'I10', 'space_counters', 'memram', id, NULL, 'peak_mem of at least ' || mem, 'peak_mem ' || peak_mem FROM memram WHERE peak_mem < mem
UNION ALL
SELECT 'I10', 'space_counters', 'memram', m.id, NULL, 'allocations - frees = ' || coalesce(s.objects, 0), m.allocations || ' - ' || m.frees || ' = ' || (m.allocations::numeric - m.frees)
FROM memram m LEFT JOIN objects_of_space s ON s.id = m.id WHERE m.allocations::numeric - m.frees <> coalesce(s.objects, 0)
UNION ALL
SELECT 'I10', 'kind_totals', 'kinds', k.memram_id, k.kind, k.kind || ': objects ' || coalesce(s.objects, 0) || ', mem ' || coalesce(s.mem, 0), k.kind || ': objects ' || k.objects || ', mem ' || k.mem
FROM kinds k LEFT JOIN objects_of_kind s ON s.memram_id = k.memram_id AND s.kind = k.kind
WHERE k.objects <> coalesce(s.objects, 0) OR k.mem <> coalesce(s.mem, 0)
UNION ALL
SELECT 'I10', 'kind_totals', 'kinds', s.memram_id, s.kind, s.kind || ': objects ' || s.objects || ', mem ' || s.mem, s.kind || ': no row'
FROM objects_of_kind s WHERE NOT EXISTS (SELECT 1 FROM kinds k WHERE k.memram_id = s.memram_id AND k.kind = s.kind)
UNION ALL
-- I12 what is promised and what is written of it agree with the rows
SELECT 'I12', 'promised', 'memram', m.id, NULL, 'promised ' || coalesce(s.promised, 0) || ', at most ' || (m.max_mem::numeric - m.mem), 'promised ' || m.promised
FROM memram m LEFT JOIN promises s ON s.id = m.id WHERE m.promised <> coalesce(s.promised, 0) OR m.promised > m.max_mem::numeric - m.mem
UNION ALL
SELECT 'I12', 'upload_written', 'reservations', r.id, NULL, 'written ' || u.mem, 'written ' || r.written
FROM reservations r JOIN uploads u ON u.id = r.id WHERE r.written <> u.mem
UNION ALL
SELECT 'I12', 'upload_pieces', 'reservations', r.id, NULL, 'ids of its own for its pieces', 'those of object ' || o.id
FROM reservations r JOIN stored_objects o
  ON o.id BETWEEN r.stored_object_id AND r.stored_object_id + least(greatest(r.entry_ids, 1) - 1, 9223372036854775807 - greatest(r.stored_object_id, 0))
UNION ALL
-- I13 an object expires with its last hold
SELECT 'I13', 'object_expiry', 'stored_objects', id, NULL, 'expires_at ' || coalesce(ends::text, 'NULL'), 'expires_at ' || coalesce(expires_at::text, 'NULL')
FROM last_holds WHERE expires_at IS DISTINCT FROM ends
UNION ALL
-- I14 a tag has its hold, and the space counts them
SELECT 'I14', 'tag_hold', 'tags', t.stored_object_id, t.name || '=' || t.key, CASE t.name WHEN '' THEN 'an anonymous hold' ELSE 'a name of this object' END, 'none'
FROM tags t WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = t.stored_object_id AND n.memram_id = t.memram_id AND n.name = t.name)
  AND NOT EXISTS (SELECT 1 FROM stored_objects o WHERE t.name = '' AND o.id = t.stored_object_id AND o.memram_id = t.memram_id AND o.held)
UNION ALL
SELECT 'I14', 'space_tags', 'memram', m.id, NULL, 'tags ' || coalesce(s.tags, 0), 'tags ' || m.tags
FROM memram m LEFT JOIN (SELECT memram_id AS id, count(*) AS tags FROM tags GROUP BY memram_id) s ON s.id = m.id WHERE m.tags <> coalesce(s.tags, 0)
UNION ALL
-- I15 a quota adds up what its owner has, and the space counts its quotas
SELECT 'I15', 'quota_used', 'quotas', q.memram_id, q.key || '=' || q.value,
       'used_bytes ' || coalesce(p.bytes, 0) || ', used_objects ' || coalesce(p.objects, 0),
       'used_bytes ' || q.used_bytes || ', used_objects ' || q.used_objects
FROM quotas q LEFT JOIN paid p ON p.memram_id = q.memram_id AND p.key = q.key AND p.value = q.value
WHERE q.used_bytes <> coalesce(p.bytes, 0) OR q.used_objects <> coalesce(p.objects, 0)
UNION ALL
SELECT 'I15', 'space_quotas', 'memram', m.id, NULL, 'quotas ' || coalesce(s.quotas, 0), 'quotas ' || m.quotas
FROM memram m LEFT JOIN (SELECT memram_id AS id, count(*) AS quotas FROM quotas GROUP BY memram_id) s ON s.id = m.id WHERE m.quotas <> coalesce(s.quotas, 0)
UNION ALL
-- I16 in a space that evicts by use each object has one place in the order, and nothing else has
SELECT 'I16', 'recency_stray', 'recency', r.stored_object_id, NULL, 'the place of an object in an order by use',
       r.queue || ' ' || r.position || ' of space ' || r.memram_id || ', size ' || r.size
FROM recency r LEFT JOIN memram m ON m.id = r.memram_id LEFT JOIN stored_objects o ON o.id = r.stored_object_id
WHERE m.id IS NULL OR (m.dropped_at IS NULL AND (
  coalesce(m.evict, 'none') NOT IN ('lru', 'sieve', 's3-fifo')
  OR (r.queue <> 'main' AND m.evict <> 's3-fifo')
  OR (r.queue = 'gone' AND (o.id IS NOT NULL
    OR EXISTS (SELECT 1 FROM stored_objects s WHERE s.memram_id = r.memram_id AND s.object_id = r.object_id)))
  OR (r.queue <> 'gone' AND (o.id IS NULL OR o.memram_id <> r.memram_id OR o.size <> r.size))))
UNION ALL
SELECT 'I16', 'recency_twice', 'recency', r.stored_object_id, NULL, 'a position of its own', 'position ' || r.position || ', as others have'
FROM (SELECT stored_object_id, position, row_number() OVER (PARTITION BY memram_id, position ORDER BY stored_object_id) AS place FROM recency) r
WHERE r.place > 1
UNION ALL
SELECT 'I16', 'recency_lost', 'stored_objects', o.id, NULL, 'a place in the order of eviction', 'none'
FROM memram m JOIN stored_objects o ON o.memram_id = m.id LEFT JOIN recency r ON r.stored_object_id = o.id
WHERE m.evict IN ('lru', 'sieve', 's3-fifo') AND m.dropped_at IS NULL AND o.size > 0 AND r.stored_object_id IS NULL
UNION ALL
SELECT 'I16', 'recency_totals', 'memram', m.id, NULL,
       'evict_main ' || coalesce(s.main, 0) || ', evict_gone ' || coalesce(s.gone, 0) || ', evict_hand from 0',
       'evict_main ' || m.evict_main || ', evict_gone ' || m.evict_gone || ', evict_hand ' || m.evict_hand
FROM memram m LEFT JOIN (
  SELECT memram_id AS id, sum(size) FILTER (WHERE queue = 'main') AS main,
         sum(size) FILTER (WHERE queue = 'gone') AS gone
  FROM recency GROUP BY memram_id) s ON s.id = m.id
WHERE m.dropped_at IS NULL
  AND (m.evict_main <> coalesce(s.main, 0) OR m.evict_gone <> coalesce(s.gone, 0) OR m.evict_hand < 0);

-- I11: the history explains the balance and the names. Where an event's own mem is wrong, it
-- names the first event after which the books cannot have been right. None of it applies to
-- a space whose history is off. The expression for the changes of several events is that of
-- every_event.
CREATE VIEW history_violations AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     running AS (
       SELECT e.id, e.memram_id, e.mem, sum(e.payload) OVER (PARTITION BY e.memram_id ORDER BY e.id) AS booked
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id >= o.id),
     first_wrong AS (
       SELECT DISTINCT ON (r.memram_id) r.id, r.booked, r.mem
       FROM running r JOIN memram m ON m.id = r.memram_id
       WHERE r.booked <> r.mem AND m.history <> 'off' ORDER BY r.memram_id, r.id),
     said AS (
       SELECT DISTINCT ON (e.memram_id, e.name) e.memram_id, e.name, e.id, e.kind, e.object
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id > o.id
       WHERE e.kind IN ('bind', 'unbind') OR (e.kind = 'expire' AND e.name IS NOT NULL) ORDER BY e.memram_id, e.name, e.id DESC)
SELECT 'I11' AS invariant, 'history' AS rule, 'events' AS "table", NULL::bigint AS id, NULL::text AS key,
       bucket || ' of space ' || space || ' ' || booked AS expected, bucket || ' ' || found AS found
FROM history_balance WHERE booked <> found
UNION ALL
SELECT 'I11', 'history', 'events', id, NULL, 'mem ' || booked, 'mem ' || mem FROM first_wrong
UNION ALL
SELECT 'I11', 'history_bytes', 'memram', m.id, NULL, 'history_bytes ' || coalesce(s.bytes, 0), 'history_bytes ' || m.history_bytes
FROM memram m LEFT JOIN (SELECT memram_id, sum(bytes) AS bytes FROM event_sizes GROUP BY memram_id) s ON s.memram_id = m.id
WHERE m.history_bytes <> coalesce(s.bytes, 0)
UNION ALL
SELECT 'I11', 'history', 'events', e.id, NULL, (octet_length(e.object) / 32) || ' events with ' || e.bytes || ' bytes', 'others'
FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id > o.id
WHERE octet_length(e.object) > 32
  AND CASE WHEN replace(replace(e.changes, '[', '[,'), '{', '{,') ~ '(?x) ^ \[ (
             ,\[ (,-?(0 | [1-9][0-9]{0,17} | [1-8][0-9]{18})){2}
             ( (,(0 | [1-9][0-9]{0,18})){4}
             | ,\{ (,"[a-z]+":( \[ (,\[ (,"[a-z]+")? (,-?(0 | [1-9][0-9]*))+ \])+ \] | [1-9][0-9]* ))+ \}
               ,\[ (,-?(0 | [1-9][0-9]{0,17} | [1-8][0-9]{18})){4} \]
             )? \])+ \] $'
           THEN json_array_length(e.changes::json) = octet_length(e.object) / 32
                AND (e.changes::json -> -1 ->> 1)::bigint = e.bytes END IS NOT TRUE
UNION ALL
SELECT 'I11', 'history', 'events', NULL, NULL, 'an opening of space ' || m.name, 'none'
FROM memram m WHERE m.history <> 'off' AND NOT EXISTS (SELECT 1 FROM opened o WHERE o.memram_id = m.id)
UNION ALL
SELECT 'I11', 'name_history', 'names', n.stored_object_id, n.name, 'a bind event for ''' || replace(n.name, '''', '''''') || ''' and this object',
       coalesce('at last ' || s.kind || ' event ' || s.id, 'none since it was bound')
FROM names n JOIN memram m ON m.id = n.memram_id JOIN opened w ON w.memram_id = m.id JOIN events b ON b.id = w.id
LEFT JOIN stored_objects o ON o.id = n.stored_object_id
LEFT JOIN said s ON s.memram_id = n.memram_id AND s.name = n.name
WHERE m.history <> 'off'
  AND CASE WHEN s.id IS NULL THEN n.bound_at > b.at ELSE s.kind <> 'bind' OR coalesce(encode(s.object, 'hex'), '') <> o.object_id END
UNION ALL
SELECT 'I11', 'name_history', 'names', NULL, s.name, 'the name ' || coalesce('''' || replace(s.name, '''', '''''') || '''', 'NULL') || ' that event ' || s.id || ' bound', 'none'
FROM said s JOIN memram m ON m.id = s.memram_id
WHERE m.history <> 'off' AND s.kind = 'bind'
  AND NOT EXISTS (SELECT 1 FROM names n WHERE n.memram_id = s.memram_id AND n.name = s.name);

-- One row per violation of an invariant; empty when the books balance.
CREATE VIEW violations AS
SELECT * FROM row_violations
UNION ALL
SELECT * FROM history_violations;

-- Comments, for tools that show them ------------------------------------------

COMMENT ON TABLE format IS 'The format of the schema: 101 is the first';
COMMENT ON TABLE heap IS 'What applies to the whole heap';
COMMENT ON TABLE memram IS 'Spaces: at most max_mem bytes of content each, mem of them used';
COMMENT ON TABLE size_classes IS 'The block sizes of a space, with the totals of each';
COMMENT ON TABLE other_kinds IS 'How many objects of each kind except bytes a space holds; the view kinds has all';
COMMENT ON TABLE arenas IS 'Stretches of a space, holding pools';
COMMENT ON TABLE pools IS 'Stretches of an arena, holding blocks of one size';
COMMENT ON TABLE blocks IS 'The units of placement, which objects may share';
COMMENT ON TABLE stored_objects IS 'Values, identified by the SHA-256 of their content; the view objects has their names and texts';
COMMENT ON TABLE ledger IS 'The pieces of objects: which bytes are in which block';
COMMENT ON TABLE reservations IS 'Promises of bytes, and large objects that are being stored; readable in the view promises';
COMMENT ON TABLE names IS 'The names of objects';
COMMENT ON TABLE events IS 'The history; readable in the view log';
COMMENT ON TABLE sequences IS 'The highest ids that were assigned when rows were removed';
COMMENT ON VIEW kinds IS 'How many objects of each kind a space holds';
COMMENT ON VIEW objects IS 'Objects with their names and, if it is text in one piece, their value';
COMMENT ON VIEW block_map IS 'Blocks: where they are, how full they are, and how many objects share them';
COMMENT ON VIEW usage IS 'Capacity and use of each level and size class';
COMMENT ON VIEW trial_balance IS 'Where every byte of the capacity is; the lines of a space add up to its max_mem';
COMMENT ON VIEW claims IS 'Whose every byte of the capacity is; the lines of a space add up to its max_mem';
COMMENT ON VIEW promises IS 'The reservations in readable form';
COMMENT ON VIEW every_event IS 'Every event in a row of its own';
COMMENT ON VIEW event_sizes IS 'What each row of events counts for in history_bytes';
COMMENT ON VIEW log IS 'The history in readable form';
COMMENT ON VIEW postings IS 'The bytes that each event moved between accounts; those of an event add up to zero';
COMMENT ON VIEW event_blocks IS 'The change of each event to each block';
COMMENT ON VIEW history_balance IS 'The balance according to the events, next to the one according to the rows';
COMMENT ON VIEW row_violations IS 'Violations of invariants by the rows of the heap';
COMMENT ON VIEW history_violations IS 'Violations of invariants by the history';
COMMENT ON VIEW violations IS 'Violations of invariants; empty when the books balance';
