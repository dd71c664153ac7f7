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
-- or in the same statement. Columns that repeat those of the parent are part of the foreign key, so
-- that they cannot disagree; the parent needs a UNIQUE constraint for that. There is none from the
-- ledger to stored_objects: it would need an index by object and a lookup for each removed row.
-- Besides, the pieces of an upload belong to a reservation.
--
-- Names and ids are compared byte by byte (COLLATE "C"), as in a file: their order must not depend on
-- the server's locale, nor an index on the version of its C library.
--
-- An UPDATE writes a new version of the row. It is cheap (HOT) if the version fits in the same page
-- and no column that an index mentions has changed. So tables whose rows are updated leave a part of
-- each page free (fillfactor), and conditions of indexes on blocks name flags, which change rarely,
-- and never mem, which changes with every allocation.

-- The format of the schema; one row. 101 is the first one, as PRAGMA user_version of a file.
CREATE TABLE format (
  id      bigint NOT NULL PRIMARY KEY CHECK (id = 1),
  version bigint NOT NULL CHECK (version > 0)
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
-- history_max_bytes; history_bytes is what they take.
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
  version      bigint NOT NULL DEFAULT 0,
  commits      bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- The ladder of size classes of a space, with the totals of each class: mem is the content in
-- its blocks, reserved the bytes of its blocks, pooled those of its pools.
CREATE TABLE size_classes (
  memram_id    bigint NOT NULL REFERENCES memram (id),
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
  memram_id bigint NOT NULL REFERENCES memram (id),
  kind      text   NOT NULL CHECK (kind IN ('str', 'int', 'float', 'bool', 'none', 'json')),
  objects   bigint NOT NULL DEFAULT 0 CHECK (objects >= 0),
  mem       bigint NOT NULL DEFAULT 0 CHECK (mem >= 0),
  PRIMARY KEY (memram_id, kind)
) WITH (fillfactor = 50);

-- A stretch of the space, holding pools; reserved is the sum of their max_mem.
CREATE TABLE arenas (
  id        bigint NOT NULL PRIMARY KEY,
  memram_id bigint NOT NULL REFERENCES memram (id),
  max_mem   bigint NOT NULL CHECK (max_mem > 0),
  mem       bigint NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  reserved  bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem)
) WITH (fillfactor = 70);

-- A stretch of an arena, holding blocks of one size class; reserved is the sum of their max_mem.
CREATE TABLE pools (
  id         bigint NOT NULL PRIMARY KEY,
  memram_id  bigint NOT NULL REFERENCES memram (id),
  arena_id   bigint NOT NULL REFERENCES arenas (id),
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
  memram_id  bigint  NOT NULL REFERENCES memram (id),
  arena_id   bigint  NOT NULL,
  pool_id    bigint  NOT NULL,
  block_size bigint  NOT NULL CHECK (block_size > 0),
  max_mem    bigint  NOT NULL CHECK (max_mem BETWEEN 1 AND block_size),
  mem        bigint  NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  is_free    boolean NOT NULL DEFAULT true CHECK (is_free = (mem < max_mem)),
  is_empty   boolean NOT NULL GENERATED ALWAYS AS (mem = 0) STORED,
  UNIQUE (id, pool_id, arena_id),
  FOREIGN KEY (pool_id, arena_id) REFERENCES pools (id, arena_id)
) WITH (fillfactor = 80, autovacuum_analyze_scale_factor = 0.02);

-- One value, identified by its content: object_id is a SHA-256, and unique in its space. A name
-- or the anonymous hold (held) keeps it alive. That object_id is 64 hexadecimal digits is an
-- invariant (I8), not a CHECK, because every allocation would pay for the comparison.
CREATE TABLE stored_objects (
  id         bigint  NOT NULL PRIMARY KEY,
  memram_id  bigint  NOT NULL REFERENCES memram (id),
  object_id  text    COLLATE "C" NOT NULL,
  kind       text    NOT NULL CHECK (kind IN ('bytes', 'str', 'int', 'float', 'bool', 'none', 'json')),
  type_name  text    CHECK (type_name IS NULL OR kind = 'json'),
  size       bigint  NOT NULL CHECK (size >= 0),
  held       boolean NOT NULL,
  created_at bigint  NOT NULL
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
  CHECK (id = stored_object_id + seq),
  FOREIGN KEY (block_id, pool_id, arena_id) REFERENCES blocks (id, pool_id, arena_id)
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
  memram_id        bigint NOT NULL REFERENCES memram (id),
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

-- The names of objects.
CREATE TABLE names (
  memram_id        bigint NOT NULL REFERENCES memram (id),
  name             text   COLLATE "C" NOT NULL CHECK (length(name) > 0),
  stored_object_id bigint NOT NULL REFERENCES stored_objects (id),
  bound_at         bigint NOT NULL,
  PRIMARY KEY (memram_id, name)
) WITH (autovacuum_analyze_scale_factor = 0.02);

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
  memram_id          bigint NOT NULL REFERENCES memram (id),
  at                 bigint NOT NULL,
  kind               text   NOT NULL CHECK (kind IN ('allocate', 'free', 'dedup_hit', 'bind', 'unbind', 'release', 'carve', 'gc', 'refusal',
                                                     'resize', 'repair', 'opening', 'upload', 'reclaim', 'reserve', 'post', 'void', 'lapse')),
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
  memram_id bigint NOT NULL REFERENCES memram (id),
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
-- The history of a space counts from its last opening.
CREATE INDEX events_openings ON events (memram_id, id) WHERE kind = 'opening';
