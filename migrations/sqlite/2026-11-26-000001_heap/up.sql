-- The heap in one file: bounded spaces, the arenas, pools and blocks that they are divided
-- into, the objects stored in them, and the ledger that records which bytes of which object
-- are in which block. Every table is STRICT. Sizes are in bytes, times in microseconds since
-- 1970-01-01 UTC.
--
-- Read it from top to bottom: tables, indexes, triggers, views.

PRAGMA application_id = 1749836903; -- 'hLdg'
-- The format of the file: 101 is the first released one. Development versions wrote 1 to 5; those
-- files are refused.
PRAGMA user_version = 101;

-- Tables --------------------------------------------------------------------
--
-- Rules about a single row are CHECKs, so that no tool can violate them. Two conventions come from
-- measurements:
-- * CHECKs on kind use OR, because for IN with more than two values SQLite builds a table of them
--   at each INSERT.
-- * No CHECK on rows that every allocation writes calls a function (except length, which cannot
--   fail): otherwise SQLite copies each page that a statement with several rows touches, in case
--   it fails. That an object_id is 64 hexadecimal digits is an invariant (I8) instead.
--
-- Each space numbers its rows separately: the ids of its arenas, pools, blocks, objects, ledger
-- entries, reservations and events are (memram_id - 1) << 40 | n, with n from 1. So the first space has plain
-- numbers, and spaces never wait for each other's numbers. id & ((1 << 40) - 1) is the n, and
-- (id >> 40) + 1 the space, which every row of the space must agree with (I7).
--
-- Foreign keys are checked when the transaction commits: rows are written in groups, and the
-- order within a group does not matter. Columns that repeat those of the parent are part of the
-- foreign key, so that they cannot disagree; the parent needs a UNIQUE constraint for that, whose
-- cost is not measurable. There is none from the ledger to stored_objects: SQLite looks up the
-- children of each removed row, and the index for that would be 5 % of a put and 6 % of a batch of
-- frees. Besides, the pieces of an upload belong to a reservation. To other tools, the trigger
-- guard_stored_objects_delete refuses to remove an object before its first piece.

-- What applies to the whole file; one row. max_file is the most bytes that the file, its log and
-- the index of its log may have together; NULL if only the spaces are bounded.
CREATE TABLE heap (
  id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  max_file INTEGER CHECK (max_file > 0)
) STRICT;
INSERT INTO heap (id) VALUES (1);

-- One bounded space: at most max_mem bytes of content, mem of them used and promised of them
-- reserved for content to come. A file may have several, with different names. Each write updates
-- its sums; reserved is that of its arenas' max_mem. history determines which events are kept: all
-- (on), none (off), or (keep) those of the last history_keep microseconds, and the newest ones up to
-- history_max_bytes; history_bytes is what they take. dropped_at is set while the space is being
-- dropped: its rows are removed in steps, its own last. tags counts those of its holds: while there are
-- none, nobody looks for any; and quotas those of its owners. evict is set if objects are evicted when
-- there is no room for a new one: those that it says go first, but none that is younger than evict_min_age.
-- evictions and evicted_mem count the objects that went, and their bytes. evict_hand, evict_main and
-- evict_gone belong to the policies that go by use: where the hand of sieve is, the bytes in the main
-- queue of recency, and those of what s3-fifo remembers.
CREATE TABLE memram (
  id           INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 8388608),
  name         TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
  max_mem      INTEGER NOT NULL CHECK (max_mem > 0),
  mem          INTEGER NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  promised     INTEGER NOT NULL DEFAULT 0 CHECK (promised BETWEEN 0 AND max_mem),
  reserved     INTEGER NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem),
  arena_size   INTEGER NOT NULL CHECK (arena_size > 0),
  per_block    INTEGER NOT NULL CHECK (per_block > 0),
  arenas       INTEGER NOT NULL DEFAULT 0 CHECK (arenas >= 0),
  peak_mem     INTEGER NOT NULL DEFAULT 0 CHECK (peak_mem >= mem),
  allocations  INTEGER NOT NULL DEFAULT 0 CHECK (allocations >= 0),
  frees        INTEGER NOT NULL DEFAULT 0 CHECK (frees BETWEEN 0 AND allocations),
  dedup_hits   INTEGER NOT NULL DEFAULT 0 CHECK (dedup_hits >= 0),
  dedup_saved  INTEGER NOT NULL DEFAULT 0 CHECK (dedup_saved >= 0),
  created_at   INTEGER NOT NULL,
  history      TEXT    NOT NULL DEFAULT 'on' CHECK (history IN ('on', 'off', 'keep')),
  history_keep INTEGER CHECK (history_keep > 0),
  history_max_bytes INTEGER CHECK (history_max_bytes > 0),
  history_bytes INTEGER NOT NULL DEFAULT 0 CHECK (history_bytes >= 0),
  dropped_at   INTEGER,
  tags         INTEGER NOT NULL DEFAULT 0 CHECK (tags >= 0),
  quotas       INTEGER NOT NULL DEFAULT 0 CHECK (quotas >= 0),
  evict        TEXT CHECK (evict IN ('lru', 'sieve', 's3-fifo', 'largest', 'oldest')),
  evict_min_age INTEGER NOT NULL DEFAULT 0 CHECK (evict_min_age >= 0),
  evictions    INTEGER NOT NULL DEFAULT 0 CHECK (evictions >= 0),
  evicted_mem  INTEGER NOT NULL DEFAULT 0 CHECK (evicted_mem >= 0),
  evict_hand   INTEGER NOT NULL DEFAULT 0,
  evict_main   INTEGER NOT NULL DEFAULT 0 CHECK (evict_main >= 0),
  evict_gone   INTEGER NOT NULL DEFAULT 0 CHECK (evict_gone >= 0)
) STRICT;

-- The spaces that were dropped, and what they had when that began. gone_at is NULL while rows of one
-- are left. Their ids are never given to other spaces.
CREATE TABLE dropped_spaces (
  id            INTEGER NOT NULL PRIMARY KEY,
  name          TEXT    NOT NULL,
  max_mem       INTEGER NOT NULL,
  mem           INTEGER NOT NULL,
  objects       INTEGER NOT NULL,
  names         INTEGER NOT NULL,
  reservations  INTEGER NOT NULL,
  history_bytes INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  dropped_at    INTEGER NOT NULL,
  gone_at       INTEGER,
  actor         TEXT,
  reason        TEXT
) STRICT;

-- The ladder of size classes of a space, with the totals of each class: mem is the content in
-- its blocks, reserved the bytes of its blocks, pooled those of its pools.
CREATE TABLE size_classes (
  memram_id    INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  block_size   INTEGER NOT NULL CHECK (block_size > 0),
  pool_size    INTEGER NOT NULL CHECK (pool_size >= block_size),
  mem          INTEGER NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND reserved),
  reserved     INTEGER NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND pooled),
  pooled       INTEGER NOT NULL DEFAULT 0 CHECK (pooled >= 0),
  pools        INTEGER NOT NULL DEFAULT 0 CHECK (pools >= 0),
  blocks       INTEGER NOT NULL DEFAULT 0 CHECK (blocks >= 0),
  full_blocks  INTEGER NOT NULL DEFAULT 0 CHECK (full_blocks >= 0),
  empty_blocks INTEGER NOT NULL DEFAULT 0 CHECK (empty_blocks >= 0),
  entries      INTEGER NOT NULL DEFAULT 0 CHECK (entries >= 0),
  PRIMARY KEY (memram_id, block_size),
  CHECK (full_blocks + empty_blocks <= blocks)
) STRICT, WITHOUT ROWID;

-- How many objects of each kind except bytes a space holds. Those of kind bytes are the rest of the
-- totals in memram, so that storing them, the most common case, writes one row less. The view kinds
-- has all kinds.
CREATE TABLE other_kinds (
  memram_id INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  kind      TEXT    NOT NULL CHECK (kind = 'str' OR kind = 'int' OR kind = 'float' OR kind = 'bool' OR kind = 'none' OR kind = 'json'),
  objects   INTEGER NOT NULL DEFAULT 0 CHECK (objects >= 0),
  mem       INTEGER NOT NULL DEFAULT 0 CHECK (mem >= 0),
  PRIMARY KEY (memram_id, kind)
) STRICT, WITHOUT ROWID;

-- A stretch of the space, holding pools; reserved is the sum of their max_mem.
CREATE TABLE arenas (
  id        INTEGER NOT NULL PRIMARY KEY,
  memram_id INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  max_mem   INTEGER NOT NULL CHECK (max_mem > 0),
  mem       INTEGER NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  reserved  INTEGER NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem)
) STRICT;

-- A stretch of an arena, holding blocks of one size class; reserved is the sum of their max_mem.
CREATE TABLE pools (
  id         INTEGER NOT NULL PRIMARY KEY,
  memram_id  INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  arena_id   INTEGER NOT NULL REFERENCES arenas (id) DEFERRABLE INITIALLY DEFERRED,
  block_size INTEGER NOT NULL CHECK (block_size > 0),
  max_mem    INTEGER NOT NULL CHECK (max_mem > 0),
  mem        INTEGER NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  reserved   INTEGER NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND max_mem),
  UNIQUE (id, arena_id)
) STRICT;

-- The unit of placement: a bag of max_mem bytes that objects may share. It is free while it
-- has room. arena_id repeats that of its pool, to make queries simpler.
CREATE TABLE blocks (
  id         INTEGER NOT NULL PRIMARY KEY,
  memram_id  INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  arena_id   INTEGER NOT NULL,
  pool_id    INTEGER NOT NULL,
  block_size INTEGER NOT NULL CHECK (block_size > 0),
  max_mem    INTEGER NOT NULL CHECK (max_mem BETWEEN 1 AND block_size),
  mem        INTEGER NOT NULL DEFAULT 0 CHECK (mem BETWEEN 0 AND max_mem),
  is_free    INTEGER NOT NULL DEFAULT 1 CHECK (is_free = (mem < max_mem)),
  UNIQUE (id, pool_id, arena_id),
  FOREIGN KEY (pool_id, arena_id) REFERENCES pools (id, arena_id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- One value, identified by its content: object_id is a SHA-256, and unique in its space. A name
-- or the anonymous hold (held) keeps it alive. Each of these may end: held_until is when the anonymous
-- hold does, and expires_at when the last of them does, NULL if one never ends. From then on nobody sees
-- the object, whether its bytes have been given back or not. What is pinned is never evicted. endless
-- repeats whether it never expires for the index that a get reads: 1 if so, otherwise 1.0. With held_refresh,
-- which makes it 1.0, too, each read lets the anonymous hold last so many microseconds from then on.
CREATE TABLE stored_objects (
  id         INTEGER NOT NULL PRIMARY KEY,
  memram_id  INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  object_id  TEXT    NOT NULL,
  kind       TEXT    NOT NULL CHECK (kind = 'bytes' OR kind = 'str' OR kind = 'int' OR kind = 'float' OR kind = 'bool' OR kind = 'none' OR kind = 'json'),
  type_name  TEXT    CHECK (type_name IS NULL OR kind = 'json'),
  size       INTEGER NOT NULL CHECK (size >= 0),
  held       INTEGER NOT NULL CHECK (held IN (0, 1)),
  created_at INTEGER NOT NULL,
  held_until INTEGER CHECK (held_until IS NULL OR held = 1),
  expires_at INTEGER,
  pinned     INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
  held_refresh INTEGER,
  endless    ANY     NOT NULL DEFAULT 1 CHECK (endless = 1)
) STRICT;

-- One entry per piece of an object: these bytes are in this block. The first entry has the
-- key of its object and the others follow it, so that the bytes of an object are found, in
-- order and each once, without an index. start is how many bytes of the object precede the
-- entry's own, and is_last tells its end, so that neither needs the row of the object. arena_id and
-- pool_id repeat those of the block. The pieces of an upload have the key that its object will have.
CREATE TABLE ledger (
  id               INTEGER NOT NULL PRIMARY KEY,
  stored_object_id INTEGER NOT NULL,
  seq              INTEGER NOT NULL CHECK (seq >= 0),
  arena_id         INTEGER NOT NULL,
  pool_id          INTEGER NOT NULL,
  block_id         INTEGER NOT NULL,
  allocated_mem    INTEGER NOT NULL CHECK (allocated_mem > 0),
  start            INTEGER NOT NULL CHECK (start >= 0),
  is_last          INTEGER NOT NULL CHECK (is_last IN (0, 1)),
  data             BLOB    NOT NULL CHECK (length(data) = allocated_mem),
  CHECK (id = stored_object_id + seq),
  FOREIGN KEY (block_id, pool_id, arena_id) REFERENCES blocks (id, pool_id, arena_id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Promises of bytes, which count against max_mem at once; a large object that is being stored is
-- one, and has no key. Of bytes, written are in blocks already, as pieces with the keys from
-- stored_object_id on; entry_ids keys are set aside for them. While it is open, the others are
-- promised, until expires_at if it is not renewed. Once it is resolved (posted as an object, voided
-- or lapsed) nothing is promised, and pieces that did not become an object are given back little
-- by little; so are those of a large object that was freed. Rows that were carved since the upload
-- began have the ids from first_arena_id, first_pool_id and first_block_id on.
CREATE TABLE reservations (
  id               INTEGER NOT NULL PRIMARY KEY,
  memram_id        INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  key              TEXT    CHECK (length(key) BETWEEN 1 AND 255),
  state            TEXT    NOT NULL CHECK (state IN ('open', 'posted', 'voided', 'lapsed', 'freed')),
  bytes            INTEGER NOT NULL CHECK (bytes > 0),
  written          INTEGER NOT NULL DEFAULT 0 CHECK (written BETWEEN 0 AND bytes),
  object_id        TEXT    CHECK (object_id IS NULL OR state = 'posted'),
  stored_object_id INTEGER UNIQUE,
  entry_ids        INTEGER NOT NULL DEFAULT 0 CHECK (entry_ids >= 0),
  first_arena_id   INTEGER NOT NULL DEFAULT 0,
  first_pool_id    INTEGER NOT NULL DEFAULT 0,
  first_block_id   INTEGER NOT NULL DEFAULT 0,
  created_at       INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL,
  resolved_at      INTEGER CHECK ((resolved_at IS NULL) = (state = 'open')),
  CHECK (written = 0 OR stored_object_id IS NOT NULL)
) STRICT;

-- The names of objects. From expires_at on, unless it is NULL, a name is bound to nothing. With refresh, each
-- read lets it last so many microseconds from then on.
CREATE TABLE names (
  memram_id        INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  name             TEXT    NOT NULL CHECK (length(name) > 0),
  stored_object_id INTEGER NOT NULL REFERENCES stored_objects (id) DEFERRABLE INITIALLY DEFERRED,
  bound_at         INTEGER NOT NULL,
  expires_at       INTEGER,
  refresh          INTEGER,
  PRIMARY KEY (memram_id, name)
) STRICT, WITHOUT ROWID;

-- The tags of holds: a hold has at most one value for each key, and its tags go with it. name is that of the
-- hold, or '' for the anonymous hold of the object. There is no foreign key: the removal of each object
-- would pay for it.
CREATE TABLE tags (
  memram_id        INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  stored_object_id INTEGER NOT NULL,
  name             TEXT    NOT NULL,
  key              TEXT    NOT NULL,
  value            TEXT    NOT NULL,
  PRIMARY KEY (stored_object_id, name, key)
) STRICT, WITHOUT ROWID;

-- What an owner may have at most, which is the value of a tag; NULL is no limit, and beyond a soft one there is
-- only a warning. It pays the size of each object of which a hold has the tag, in full and once, whoever else
-- has it: used_bytes and used_objects are their sums. A hold that is over counts until it is given back.
CREATE TABLE quotas (
  memram_id    INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  key          TEXT    NOT NULL,
  value        TEXT    NOT NULL,
  hard_bytes   INTEGER CHECK (hard_bytes >= 0),
  soft_bytes   INTEGER CHECK (soft_bytes >= 0),
  hard_objects INTEGER CHECK (hard_objects >= 0),
  soft_objects INTEGER CHECK (soft_objects >= 0),
  used_bytes   INTEGER NOT NULL CHECK (used_bytes >= 0),
  used_objects INTEGER NOT NULL CHECK (used_objects >= 0),
  PRIMARY KEY (memram_id, key, value)
) STRICT, WITHOUT ROWID;

-- In spaces that evict by use, where each object is in the order in which they go: in a queue, at a
-- position, which is a number of the space that only grows, with some marks. lru has the main queue, by
-- last use; sieve has it by age, and marks what was used; s3-fifo has new objects on trial. What left
-- the trial is in the queue gone for a while, with its id. There is no foreign key, because each object
-- would pay for it. Without its row, an object goes after all others.
CREATE TABLE recency (
  stored_object_id INTEGER NOT NULL PRIMARY KEY,
  memram_id        INTEGER NOT NULL,
  queue            TEXT    NOT NULL CHECK (queue IN ('trial', 'main', 'gone')),
  position         INTEGER NOT NULL,
  marks            INTEGER NOT NULL CHECK (marks BETWEEN 0 AND 3),
  size             INTEGER NOT NULL CHECK (size > 0),
  object_id        TEXT CHECK ((object_id IS NOT NULL) = (queue = 'gone'))
) STRICT, WITHOUT ROWID;

-- The history: one row per event, appended in the same transaction as the change. Within a space
-- the ids give the order, because a clock may go backwards; across spaces the order is by at, then
-- id. The columns from payload to unreserved are the bytes that the event moved into each account
-- or, if negative, out of it, as in double-entry bookkeeping; changes has the affected blocks and
-- levels as JSON. Repeated refusals are one event with a count and the time of the last.
--
-- Events in a row of a unit of work share a row if they differ only in the object and what it moved:
-- otherwise history would cost a quarter of a batch of small objects. Its id and mem are those of
-- the last of them, its figures are sums, object has all their ids, and changes a list of
-- [bytes, bytes of the row so far], followed by the block, pool, arena and block size of the only
-- piece, or by the changes and a list of the accounts from room_in_blocks to unreserved. The view
-- every_event unfolds it.
CREATE TABLE events (
  id                 INTEGER NOT NULL PRIMARY KEY,
  memram_id          INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  at                 INTEGER NOT NULL,
  kind               TEXT    NOT NULL CHECK (kind = 'allocate' OR kind = 'free' OR kind = 'dedup_hit' OR kind = 'bind' OR kind = 'unbind' OR kind = 'release'
                                     OR kind = 'carve' OR kind = 'gc' OR kind = 'move' OR kind = 'apply' OR kind = 'refusal' OR kind = 'resize'
                                     OR kind = 'repair' OR kind = 'opening' OR kind = 'upload' OR kind = 'reclaim'
                                     OR kind = 'reserve' OR kind = 'post' OR kind = 'void' OR kind = 'lapse'
                                     OR kind = 'rename' OR kind = 'expire' OR kind = 'evict'),
  actor              TEXT,
  reason             TEXT,
  object             BLOB CHECK (length(object) > 0 AND length(object) % 32 = 0), -- ids of 32 bytes
  name               TEXT,
  bytes              INTEGER NOT NULL,
  mem                INTEGER NOT NULL,
  payload            INTEGER NOT NULL DEFAULT 0,
  room_in_blocks     INTEGER NOT NULL DEFAULT 0,
  uncarved_in_pools  INTEGER NOT NULL DEFAULT 0,
  uncarved_in_arenas INTEGER NOT NULL DEFAULT 0,
  unreserved         INTEGER NOT NULL DEFAULT 0,
  capacity           INTEGER NOT NULL DEFAULT 0,
  reservation_id     INTEGER,
  count              INTEGER NOT NULL DEFAULT 1 CHECK (count > 0),
  last_at            INTEGER,
  changes            TEXT,
  CHECK (payload + room_in_blocks + uncarved_in_pools + uncarved_in_arenas + unreserved = capacity)
) STRICT;

-- The highest id that a space ever assigned per table, updated when rows are removed, so that
-- an id is never reused. Objects and their ledger entries are numbered together.
CREATE TABLE sequences (
  memram_id INTEGER NOT NULL REFERENCES memram (id) DEFERRABLE INITIALLY DEFERRED,
  name      TEXT    NOT NULL CHECK (name = 'arenas' OR name = 'pools' OR name = 'blocks' OR name = 'stored_objects' OR name = 'events' OR name = 'reservations'),
  last_id   INTEGER NOT NULL CHECK (last_id >> 40 = memram_id - 1),
  PRIMARY KEY (memram_id, name)
) STRICT, WITHOUT ROWID;

-- Indexes -------------------------------------------------------------------

-- Rows with room, lowest id first, and empty rows. The indexes are partial, so that they stay small
-- and placement takes O(log n) however full the space is.
CREATE INDEX arenas_with_room ON arenas (memram_id, id) WHERE reserved < max_mem;
CREATE INDEX arenas_empty ON arenas (memram_id, id) WHERE reserved = 0;
CREATE INDEX pools_with_room ON pools (memram_id, block_size, id) WHERE reserved < max_mem;
CREATE INDEX pools_empty ON pools (memram_id, id) WHERE reserved = 0;
CREATE INDEX blocks_with_room ON blocks (memram_id, block_size, id) WHERE is_free = 1;
CREATE INDEX blocks_empty ON blocks (memram_id, id) WHERE mem = 0;

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

-- The object_id comes first, because SQLite compares keys fastest if their first column differs. The
-- third part tells a get that the object never expires, so that it need not read its row: that would
-- take two fifths longer. It takes no part in what is unique, because 1 and 1.0 are equal; a division
-- tells them apart.
CREATE UNIQUE INDEX stored_objects_by_object_id ON stored_objects (object_id, memram_id, endless);
-- Only large objects, so that small ones do not pay for the list of the largest.
CREATE INDEX stored_objects_by_size ON stored_objects (memram_id, size) WHERE size >= 4096;
-- What is pinned, for the list of it.
CREATE INDEX stored_objects_pinned ON stored_objects (memram_id, id) WHERE pinned;
-- The history of a space counts from its last opening.
CREATE INDEX events_openings ON events (memram_id, id) WHERE kind = 'opening';

-- Triggers: guards ----------------------------------------------------------
--
-- Any tool may read, but writes would bypass the code that maintains the totals. Each guard names a
-- collation that only heapledger defines: in any other tool SQLite refuses a statement that would
-- fire it with "no such collation sequence", before a row changes. The condition is never true.
--
-- heapledger itself switches triggers off when it opens the file: running the guards would cost a batch
-- of small allocations 12 to 15 %, and those on events two thirds of the row.

CREATE TRIGGER guard_heap_insert BEFORE INSERT ON heap
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_heap_update BEFORE UPDATE ON heap
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_heap_delete BEFORE DELETE ON heap
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_memram_insert BEFORE INSERT ON memram
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_memram_update BEFORE UPDATE ON memram
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_memram_delete BEFORE DELETE ON memram
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_dropped_spaces_insert BEFORE INSERT ON dropped_spaces
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_dropped_spaces_update BEFORE UPDATE ON dropped_spaces
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_dropped_spaces_delete BEFORE DELETE ON dropped_spaces
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_size_classes_insert BEFORE INSERT ON size_classes
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_size_classes_update BEFORE UPDATE ON size_classes
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_size_classes_delete BEFORE DELETE ON size_classes
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_other_kinds_insert BEFORE INSERT ON other_kinds
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_other_kinds_update BEFORE UPDATE ON other_kinds
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_other_kinds_delete BEFORE DELETE ON other_kinds
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_arenas_insert BEFORE INSERT ON arenas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_arenas_update BEFORE UPDATE ON arenas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_arenas_delete BEFORE DELETE ON arenas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_pools_insert BEFORE INSERT ON pools
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_pools_update BEFORE UPDATE ON pools
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_pools_delete BEFORE DELETE ON pools
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_blocks_insert BEFORE INSERT ON blocks
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_blocks_update BEFORE UPDATE ON blocks
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_blocks_delete BEFORE DELETE ON blocks
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_stored_objects_insert BEFORE INSERT ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_stored_objects_update BEFORE UPDATE ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_ledger_insert BEFORE INSERT ON ledger
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_ledger_update BEFORE UPDATE ON ledger
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_ledger_delete BEFORE DELETE ON ledger
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_reservations_insert BEFORE INSERT ON reservations
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_reservations_update BEFORE UPDATE ON reservations
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_reservations_delete BEFORE DELETE ON reservations
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_names_insert BEFORE INSERT ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_names_update BEFORE UPDATE ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_names_delete BEFORE DELETE ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_tags_insert BEFORE INSERT ON tags
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_tags_update BEFORE UPDATE ON tags
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_tags_delete BEFORE DELETE ON tags
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_quotas_insert BEFORE INSERT ON quotas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_quotas_update BEFORE UPDATE ON quotas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_quotas_delete BEFORE DELETE ON quotas
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_recency_insert BEFORE INSERT ON recency
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_recency_update BEFORE UPDATE ON recency
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_recency_delete BEFORE DELETE ON recency
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_insert BEFORE INSERT ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_update BEFORE UPDATE ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_delete BEFORE DELETE ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_events_insert BEFORE INSERT ON events
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_events_update BEFORE UPDATE ON events
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_events_delete BEFORE DELETE ON events
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;

-- An object can be removed only after its first piece, even by a tool that defines the collation, unless
-- its pieces are given back later. FAIL, because for ABORT SQLite would copy each page that it touches.
CREATE TRIGGER guard_stored_objects_delete BEFORE DELETE ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write
  OR (EXISTS (SELECT 1 FROM ledger l WHERE l.id = OLD.id AND l.stored_object_id = OLD.id)
      AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.stored_object_id = OLD.id))
BEGIN SELECT RAISE(FAIL, 'an object is removed after its ledger entries'); END;

-- Views ---------------------------------------------------------------------
--
-- Contents are summed with CAST(total(...) AS INTEGER), which is exact up to 2^53 bytes, more than
-- a file can have: sum would fail if damaged rows add up to more than 64 bits, and so find
-- nothing. Capacities may be larger than that, so they need sum.
--
-- The current time is computed from the Julian day, which SQLite has in whole milliseconds; unixepoch
-- has none in version 3.40.

-- How many objects of each kind a space holds.
CREATE VIEW kinds AS
SELECT m.id AS memram_id, 'bytes' AS kind,
       m.allocations - m.frees - coalesce(sum(k.objects), 0) AS objects, m.mem - coalesce(sum(k.mem), 0)
         - (SELECT coalesce(sum(r.written), 0) FROM reservations r WHERE r.memram_id = m.id AND r.written > 0) AS mem
FROM memram m LEFT JOIN other_kinds k ON k.memram_id = m.id
GROUP BY m.id
UNION ALL
SELECT memram_id, kind, objects, mem FROM other_kinds;

-- Every object with its names and, if it is text in one piece, its value, without those that have
-- expired. names is for people;
-- programs should use names_json, in which a name may contain a comma. A time that SQLite cannot
-- format (a year after 9999) is shown in microseconds.
CREATE VIEW objects AS
SELECT o.id,
       o.object_id,
       m.name AS space,
       (SELECT group_concat(n.name, ', ')
        FROM (SELECT name FROM names WHERE stored_object_id = o.id AND (expires_at IS NULL OR expires_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000)
              ORDER BY memram_id, name) n) AS names,
       (SELECT json_group_array(n.name)
        FROM (SELECT name FROM names WHERE stored_object_id = o.id AND (expires_at IS NULL OR expires_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000)
              ORDER BY memram_id, name) n) AS names_json,
       o.kind,
       o.type_name,
       o.size,
       coalesce((SELECT l.seq + 1 FROM ledger l
                 WHERE l.id >= o.id
                   AND l.id < min(coalesce((SELECT min(p.id) FROM stored_objects p WHERE p.id > o.id), 9223372036854775807),
                                  coalesce((SELECT min(r.stored_object_id) FROM reservations r WHERE r.stored_object_id > o.id), 9223372036854775807))
                   AND l.stored_object_id = o.id ORDER BY l.id DESC LIMIT 1), 0) AS pieces,
       o.held AND (o.held_until IS NULL OR o.held_until > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000) AS held,
       coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', o.created_at / 1000000, 'unixepoch'), CAST(o.created_at AS TEXT)) AS created,
       o.expires_at,
       CASE
         WHEN o.kind = 'bytes' THEN NULL
         WHEN o.size = 0 THEN ''
         ELSE (SELECT CAST(l.data AS TEXT) FROM ledger l
               WHERE l.id = o.id AND l.stored_object_id = o.id AND l.allocated_mem = o.size)
       END AS value
FROM stored_objects o
JOIN memram m ON m.id = o.memram_id
WHERE o.expires_at IS NULL OR o.expires_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000;

-- The tags of the holds that have not expired, each with its object. name is NULL for the anonymous hold.
CREATE VIEW tagged AS
SELECT t.memram_id, m.name AS space, t.key, t.value, t.stored_object_id, o.object_id, nullif(t.name, '') AS name, o.size,
       CASE WHEN t.name = '' THEN o.held_until ELSE n.expires_at END AS expires_at
FROM tags t
JOIN memram m ON m.id = t.memram_id
JOIN stored_objects o ON o.id = t.stored_object_id
LEFT JOIN names n ON n.memram_id = t.memram_id AND n.name = t.name
WHERE coalesce(CASE WHEN t.name = '' THEN o.held_until ELSE n.expires_at END > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000, 1);

-- Every block: where it is, how full it is, and how many objects share it.
CREATE VIEW block_map AS
SELECT m.name AS space,
       b.arena_id,
       b.pool_id,
       b.id AS block_id,
       b.block_size,
       b.max_mem,
       b.mem,
       b.max_mem - b.mem AS room,
       b.is_free,
       (SELECT count(*) FROM ledger l WHERE l.block_id = b.id) AS entries,
       (SELECT count(DISTINCT l.stored_object_id) FROM ledger l WHERE l.block_id = b.id) AS objects
FROM blocks b
JOIN memram m ON m.id = b.memram_id;

-- Capacity and use of every level and size class.
CREATE VIEW usage AS
SELECT m.name AS space, 'space' AS level, NULL AS block_size, 1 AS rows,
       m.max_mem AS max_mem, m.reserved AS reserved, m.mem AS mem,
       m.promised AS promised, m.max_mem - m.mem - m.promised AS available
FROM memram m
UNION ALL
SELECT m.name, 'arenas', NULL, m.arenas, m.reserved,
       (SELECT coalesce(sum(c.pooled), 0) FROM size_classes c WHERE c.memram_id = m.id), m.mem, NULL, NULL
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
SELECT m.name AS space, 1 AS line, 'payload' AS bucket,
       (SELECT CAST(total(l.allocated_mem) AS INTEGER) FROM ledger l CROSS JOIN blocks b ON b.id = l.block_id
        WHERE b.memram_id = m.id) AS bytes
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

-- The second part of the balance: whose each byte of capacity is. It adds up to the same capacity.
-- What is written of uploads is theirs until it becomes an object or is given back, and what has
-- expired is nobody's.
CREATE VIEW claims AS
SELECT m.name AS space, 1 AS line, 'objects' AS bucket,
       (SELECT CAST(total(o.size) AS INTEGER) FROM stored_objects o
        WHERE o.memram_id = m.id AND (o.expires_at IS NULL OR o.expires_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000)) AS bytes
FROM memram m
UNION ALL
SELECT m.name, 2, 'expired',
       (SELECT CAST(total(o.size) AS INTEGER) FROM stored_objects o
        WHERE o.memram_id = m.id AND o.expires_at <= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000)
FROM memram m
UNION ALL
SELECT m.name, 3, 'uploads', (SELECT coalesce(sum(r.written), 0) FROM reservations r WHERE r.memram_id = m.id AND r.written > 0)
FROM memram m
UNION ALL
SELECT m.name, 4, 'promised',
       (SELECT coalesce(sum(r.bytes - r.written), 0) FROM reservations r WHERE r.memram_id = m.id AND r.state = 'open')
FROM memram m
UNION ALL
SELECT m.name, 5, 'available', m.max_mem - m.mem - m.promised
FROM memram m;

-- Whose the bytes of the line objects of claims are, by the value that the holds of an object have for a key. Each
-- object is on one line of each key that a hold has, so that the lines of a key add up to that line.
CREATE VIEW claims_by_owner AS
WITH
  owned AS (
    SELECT memram_id, space, key, stored_object_id, min(value) AS value, min(value) < max(value) AS is_shared, min(size) AS size
    FROM tagged GROUP BY memram_id, space, key, stored_object_id),
  owners AS (
    SELECT memram_id, space, key, is_shared, CASE WHEN is_shared THEN NULL ELSE value END AS value, count(*) AS objects, CAST(total(size) AS INTEGER) AS bytes
    FROM owned GROUP BY memram_id, space, key, is_shared, 5),
  stored AS (
    SELECT memram_id, count(*) AS objects, CAST(total(size) AS INTEGER) AS bytes
    FROM stored_objects WHERE expires_at IS NULL OR expires_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000 GROUP BY memram_id)
SELECT space, key, 1 AS line, 'tagged' AS bucket, value, objects, bytes FROM owners WHERE NOT is_shared
UNION ALL
SELECT space, key, 2, 'shared', NULL, objects, bytes FROM owners WHERE is_shared
UNION ALL
SELECT o.space, o.key, 3, 'untagged', NULL, s.objects - o.objects, s.bytes - o.bytes
FROM (SELECT memram_id, space, key, sum(objects) AS objects, sum(bytes) AS bytes FROM owners GROUP BY memram_id, space, key) o
JOIN stored s ON s.memram_id = o.memram_id;

-- The reservations in readable form; promised is what an open one has a right to and has not stored.
CREATE VIEW promises AS
SELECT r.id,
       m.name AS space,
       r.key,
       r.state,
       r.bytes,
       r.written,
       iif(r.state = 'open', r.bytes - r.written, 0) AS promised,
       r.object_id,
       coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', r.created_at / 1000000, 'unixepoch'), CAST(r.created_at AS TEXT)) AS created,
       coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', r.expires_at / 1000000, 'unixepoch'), CAST(r.expires_at AS TEXT)) AS expires,
       coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', r.resolved_at / 1000000, 'unixepoch'), CAST(r.resolved_at AS TEXT)) AS resolved
FROM reservations r
JOIN memram m ON m.id = r.memram_id;

-- Every event in a row of its own, which has the columns of events; row_id is the row of events that
-- it is in.
CREATE VIEW every_event AS
SELECT id - coalesce(length(object) / 32 - 1 - at_index, 0) AS id,
       id AS row_id, memram_id, at, kind, actor, reason,
       iif(at_index IS NULL, object, substr(object, 32 * at_index + 1, 32)) AS object,
       name,
       coalesce(size, bytes) AS bytes,
       mem + coalesce(sign * (size_until - bytes), 0) AS mem,
       coalesce(sign * size, payload) AS payload,
       coalesce(json_extract(own, '$[3][0]'), -sign * size, room_in_blocks) AS room_in_blocks,
       coalesce(json_extract(own, '$[3][1]'), size * 0, uncarved_in_pools) AS uncarved_in_pools,
       coalesce(json_extract(own, '$[3][2]'), size * 0, uncarved_in_arenas) AS uncarved_in_arenas,
       coalesce(json_extract(own, '$[3][3]'), size * 0, unreserved) AS unreserved,
       capacity, reservation_id, count, last_at,
       CASE json_type(own, '$[2]')
         WHEN 'object' THEN json_extract(own, '$[2]')
         WHEN 'integer' THEN json_object('pieces', json_array(json_insert(
                               json_extract(own, '$[2]', '$[3]', '$[4]', '$[5]'), '$[#]', sign * size)))
         ELSE iif(at_index IS NULL, changes, NULL)
       END AS changes
FROM (
  SELECT e.*,
         j.key AS at_index,
         iif(j.type = 'array', j.value, NULL) AS own,
         json_extract(iif(j.type = 'array', j.value, NULL), '$[0]') AS size,
         json_extract(iif(j.type = 'array', j.value, NULL), '$[1]') AS size_until,
         CASE e.kind WHEN 'allocate' THEN 1 WHEN 'free' THEN -1 ELSE 0 END AS sign
  FROM events e
  LEFT JOIN json_each(iif(length(e.object) > 32 AND json_valid(e.changes), e.changes, NULL)) j ON typeof(j.key) = 'integer');

-- What each row of events counts for in history_bytes. It is what the row takes in the file, within a
-- tenth (measured with dbstat on seven mixes of events).
CREATE VIEW event_sizes AS
SELECT id, memram_id, at, kind,
       56 + coalesce(length(object), 0) + coalesce(length(CAST(actor AS BLOB)), 0) + coalesce(length(CAST(reason AS BLOB)), 0)
         + coalesce(length(CAST(name AS BLOB)), 0) + coalesce(length(CAST(changes AS BLOB)), 0) AS bytes
FROM events;

-- The history in readable form.
CREATE VIEW log AS
SELECT e.id,
       m.name AS space,
       coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000000.0, 'unixepoch'), CAST(e.at AS TEXT)) AS time,
       e.kind,
       e.actor,
       e.reason,
       nullif(lower(hex(e.object)), '') AS object_id,
       e.name,
       e.bytes,
       e.mem,
       e.count,
       coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', e.last_at / 1000000.0, 'unixepoch'), CAST(e.last_at AS TEXT)) AS last_time
FROM every_event e
JOIN memram m ON m.id = e.memram_id;

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
SELECT id, memram_id, 'capacity', -capacity FROM every_event WHERE capacity <> 0;

-- The change of each event to each block: bytes added or, if negative, removed.
CREATE VIEW event_blocks AS
SELECT e.id AS event_id,
       e.memram_id,
       e.kind,
       CAST(json_extract(p.value, '$[0]') AS INTEGER) AS block_id,
       CAST(json_extract(p.value, '$[1]') AS INTEGER) AS pool_id,
       CAST(json_extract(p.value, '$[2]') AS INTEGER) AS arena_id,
       CAST(json_extract(p.value, '$[3]') AS INTEGER) AS block_size,
       CAST(json_extract(p.value, '$[4]') AS INTEGER) AS bytes
FROM every_event e, json_each(e.changes, '$.pieces') p
WHERE e.changes IS NOT NULL;

-- The balance according to the history, next to the one according to the rows.
CREATE VIEW history_balance AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     booked AS (
       SELECT e.memram_id,
              CAST(total(e.payload) AS INTEGER) AS payload, sum(e.room_in_blocks) AS room_in_blocks,
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

-- The invariants: one row per violation.
CREATE VIEW row_violations AS
WITH
  by_block AS (SELECT block_id AS id, CAST(total(allocated_mem) AS INTEGER) AS mem, count(*) AS entries FROM ledger GROUP BY block_id),
  by_pool AS (SELECT pool_id AS id, CAST(total(mem) AS INTEGER) AS mem, sum(max_mem) AS reserved FROM blocks GROUP BY pool_id),
  by_arena AS (SELECT arena_id AS id, CAST(total(mem) AS INTEGER) AS mem, sum(max_mem) AS reserved FROM pools GROUP BY arena_id),
  by_space AS (SELECT memram_id AS id, CAST(total(mem) AS INTEGER) AS mem, sum(max_mem) AS reserved, count(*) AS arenas FROM arenas GROUP BY memram_id),
  pools_of_class AS (SELECT memram_id, block_size, sum(max_mem) AS pooled, count(*) AS pools FROM pools GROUP BY memram_id, block_size),
  blocks_of_class AS (
    SELECT b.memram_id, b.block_size, CAST(total(b.mem) AS INTEGER) AS mem, sum(b.max_mem) AS reserved, count(*) AS blocks,
           sum(b.mem = b.max_mem) AS full_blocks, sum(b.mem = 0) AS empty_blocks, sum(coalesce(e.entries, 0)) AS entries
    FROM blocks b LEFT JOIN by_block e ON e.id = b.id GROUP BY b.memram_id, b.block_size),
  promises AS (SELECT memram_id AS id, sum(bytes - written) AS promised FROM reservations WHERE state = 'open' GROUP BY memram_id),
  uploads AS (
    SELECT r.id, CAST(total(l.allocated_mem) AS INTEGER) AS mem
    FROM reservations r LEFT JOIN ledger l
      ON l.id >= r.stored_object_id AND l.id < r.stored_object_id + r.entry_ids AND l.stored_object_id = r.stored_object_id
    GROUP BY r.id),
  objects_of_space AS (SELECT memram_id AS id, count(*) AS objects FROM stored_objects GROUP BY memram_id),
  objects_of_kind AS (SELECT memram_id, kind, count(*) AS objects, CAST(total(size) AS INTEGER) AS mem FROM stored_objects GROUP BY memram_id, kind),
  -- What the owners with a quota have.
  paid AS (
    SELECT t.memram_id, t.key, t.value, count(*) AS objects, CAST(total(o.size) AS INTEGER) AS bytes
    FROM (SELECT DISTINCT t.memram_id, t.key, t.value, t.stored_object_id
          FROM quotas q JOIN tags t ON t.memram_id = q.memram_id AND t.key = q.key AND t.value = q.value) t
    JOIN stored_objects o ON o.id = t.stored_object_id GROUP BY t.memram_id, t.key, t.value),
  -- When the last hold of an object ends; NULL if one never does.
  last_holds AS (
    SELECT o.id, o.expires_at, CASE WHEN (o.held = 1 AND o.held_until IS NULL) OR n.is_endless THEN NULL
                      ELSE coalesce(max(o.held_until, n.ends), o.held_until, n.ends) END AS ends
    FROM stored_objects o
    LEFT JOIN (SELECT stored_object_id AS id, max(expires_at) AS ends, count(*) > count(expires_at) AS is_endless
               FROM names GROUP BY stored_object_id) n ON n.id = o.id)
-- I1 a block's mem is what the ledger says is in it
SELECT 'I1' AS invariant, 'block_mem' AS rule, 'blocks' AS "table", b.id AS id, NULL AS key,
       'mem ' || coalesce(e.mem, 0) AS expected, 'mem ' || b.mem AS found
FROM blocks b LEFT JOIN by_block e ON e.id = b.id WHERE b.mem <> coalesce(e.mem, 0)
UNION ALL
-- I2 a block is free exactly when it has room
SELECT 'I2', 'block_flag', 'blocks', id, NULL, 'is_free ' || (mem < max_mem), 'is_free ' || is_free FROM blocks WHERE is_free <> (mem < max_mem)
UNION ALL
-- I3 a pool adds up its blocks
SELECT 'I3', 'pool_totals', 'pools', p.id, NULL, 'mem ' || coalesce(s.mem, 0) || ', reserved ' || coalesce(s.reserved, 0), 'mem ' || p.mem || ', reserved ' || p.reserved
FROM pools p LEFT JOIN by_pool s ON s.id = p.id WHERE p.mem <> coalesce(s.mem, 0) OR p.reserved <> coalesce(s.reserved, 0)
UNION ALL
SELECT 'I3', 'class_totals', 'size_classes', c.memram_id, CAST(c.block_size AS TEXT),
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
SELECT 'I6', 'object_size', 'stored_objects', o.id, NULL, 'size ' || o.size, 'size ' || (l.start + l.allocated_mem)
FROM ledger l JOIN stored_objects o ON o.id = l.stored_object_id
LEFT JOIN ledger n ON n.id = l.id + 1 AND n.stored_object_id = l.stored_object_id
WHERE n.id IS NULL AND l.start + l.allocated_mem <> o.size
UNION ALL
SELECT 'I6', 'entry_last', 'ledger', l.id, NULL, 'is_last ' || (n.id IS NULL), 'is_last ' || l.is_last
FROM ledger l LEFT JOIN ledger n ON n.id = l.id + 1 AND n.stored_object_id = l.stored_object_id
WHERE l.is_last <> (n.id IS NULL) AND l.stored_object_id NOT IN (SELECT stored_object_id FROM reservations WHERE stored_object_id IS NOT NULL)
UNION ALL
SELECT 'I6', 'piece_gap', 'ledger', l.id, NULL, 'piece ' || (l.seq - 1) || ' before piece ' || l.seq, 'none'
FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
WHERE l.seq <> 0 AND p.id IS NULL
UNION ALL
SELECT 'I6', 'entry_start', 'ledger', l.id, NULL, 'start ' || coalesce(p.start + p.allocated_mem, 0), 'start ' || l.start
FROM ledger l LEFT JOIN ledger p ON p.id = l.id - 1 AND p.stored_object_id = l.stored_object_id
WHERE l.start <> coalesce(p.start + p.allocated_mem, 0)
UNION ALL
SELECT 'I6', 'entry_key', 'ledger', id, NULL, 'id ' || (stored_object_id + seq), 'id ' || id FROM ledger WHERE id <> stored_object_id + seq
UNION ALL
SELECT 'I6', 'entry_length', 'ledger', id, NULL, 'data of ' || allocated_mem || ' bytes', 'data of ' || length(data) || ' bytes' FROM ledger WHERE length(data) <> allocated_mem
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
SELECT 'I7', 'arena_number', 'arenas', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM arenas WHERE id >> 40 <> memram_id - 1
UNION ALL
SELECT 'I7', 'pool_number', 'pools', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM pools WHERE id >> 40 <> memram_id - 1
UNION ALL
SELECT 'I7', 'block_number', 'blocks', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM blocks WHERE id >> 40 <> memram_id - 1
UNION ALL
SELECT 'I7', 'object_number', 'stored_objects', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM stored_objects WHERE id >> 40 <> memram_id - 1
UNION ALL
SELECT 'I7', 'reservation_number', 'reservations', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM reservations WHERE id >> 40 <> memram_id - 1
UNION ALL
SELECT 'I7', 'event_number', 'events', id, NULL, 'an id of space ' || memram_id, 'an id of space ' || ((id >> 40) + 1) FROM events WHERE id >> 40 <> memram_id - 1
UNION ALL
-- I8 needs more than SQL, but not where the id cannot be one
SELECT 'I8', 'object_id', 'stored_objects', id, NULL, 'object_id of 64 digits from 0 to f', 'object_id ' || quote(object_id)
FROM stored_objects WHERE length(object_id) <> 64 OR object_id GLOB '*[^0-9a-f]*'
UNION ALL
-- I9 no orphans
SELECT 'I9', 'entry_object', 'ledger', id, NULL, 'an object ' || stored_object_id, 'none' FROM ledger
WHERE stored_object_id NOT IN (SELECT id FROM stored_objects)
  AND stored_object_id NOT IN (SELECT stored_object_id FROM reservations WHERE stored_object_id IS NOT NULL)
UNION ALL
SELECT 'I9', 'entry_block', 'ledger', id, NULL, 'a block ' || block_id, 'none' FROM ledger WHERE block_id NOT IN (SELECT id FROM blocks)
UNION ALL
SELECT 'I9', 'block_orphan', 'blocks', id, NULL, 'a pool ' || pool_id, 'none' FROM blocks WHERE pool_id NOT IN (SELECT id FROM pools)
UNION ALL
SELECT 'I9', 'pool_orphan', 'pools', id, NULL, 'an arena ' || arena_id, 'none' FROM pools WHERE arena_id NOT IN (SELECT id FROM arenas)
UNION ALL
SELECT 'I9', 'arena_orphan', 'arenas', id, NULL, 'a space ' || memram_id, 'none' FROM arenas WHERE memram_id NOT IN (SELECT id FROM memram)
UNION ALL
SELECT 'I9', 'object_orphan', 'stored_objects', id, NULL, 'a space ' || memram_id, 'none' FROM stored_objects WHERE memram_id NOT IN (SELECT id FROM memram)
UNION ALL
SELECT 'I9', 'reservation_orphan', 'reservations', id, NULL, 'a space ' || memram_id, 'none' FROM reservations WHERE memram_id NOT IN (SELECT id FROM memram)
UNION ALL
SELECT 'I9', CASE WHEN o.id IS NULL THEN 'name_orphan' ELSE 'name_space' END, 'names', n.stored_object_id, n.name, 'an object of space ' || n.memram_id || ' for ' || quote(n.name), coalesce('an object of space ' || o.memram_id, 'none')
FROM names n LEFT JOIN stored_objects o ON o.id = n.stored_object_id WHERE o.id IS NULL OR o.memram_id <> n.memram_id
UNION ALL
SELECT 'I9', 'object_held', 'stored_objects', o.id, NULL, 'a hold or a name', 'neither'
FROM stored_objects o WHERE o.held = 0 AND NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = o.id)
UNION ALL
-- I10 the lifetime counters agree with what is there
SELECT 'I10', 'space_counters', 'memram', id, NULL, 'peak_mem of at least ' || mem, 'peak_mem ' || peak_mem FROM memram WHERE peak_mem < mem
UNION ALL
SELECT 'I10', 'space_counters', 'memram', m.id, NULL, 'allocations - frees = ' || coalesce(s.objects, 0), m.allocations || ' - ' || m.frees || ' = ' || (m.allocations - m.frees)
FROM memram m LEFT JOIN objects_of_space s ON s.id = m.id WHERE m.allocations - m.frees <> coalesce(s.objects, 0)
UNION ALL
SELECT 'I10', 'kind_totals', 'kinds', k.memram_id, k.kind, k.kind || ': objects ' || coalesce(s.objects, 0) || ', mem ' || coalesce(s.mem, 0), k.kind || ': objects ' || k.objects || ', mem ' || k.mem
FROM kinds k LEFT JOIN objects_of_kind s ON s.memram_id = k.memram_id AND s.kind = k.kind
WHERE k.objects <> coalesce(s.objects, 0) OR k.mem <> coalesce(s.mem, 0)
UNION ALL
SELECT 'I10', 'kind_totals', 'kinds', s.memram_id, s.kind, s.kind || ': objects ' || s.objects || ', mem ' || s.mem, s.kind || ': no row'
FROM objects_of_kind s WHERE NOT EXISTS (SELECT 1 FROM kinds k WHERE k.memram_id = s.memram_id AND k.kind = s.kind)
UNION ALL
-- I12 what is promised and what is written of it agree with the rows
SELECT 'I12', 'promised', 'memram', m.id, NULL, 'promised ' || coalesce(s.promised, 0) || ', at most ' || (m.max_mem - m.mem), 'promised ' || m.promised
FROM memram m LEFT JOIN promises s ON s.id = m.id WHERE m.promised <> coalesce(s.promised, 0) OR m.promised > m.max_mem - m.mem
UNION ALL
SELECT 'I12', 'upload_written', 'reservations', r.id, NULL, 'written ' || u.mem, 'written ' || r.written
FROM reservations r JOIN uploads u ON u.id = r.id WHERE r.written <> u.mem
UNION ALL
SELECT 'I12', 'upload_pieces', 'reservations', r.id, NULL, 'ids of its own for its pieces', 'those of object ' || o.id
FROM reservations r JOIN stored_objects o
  ON o.id BETWEEN r.stored_object_id AND r.stored_object_id + max(r.entry_ids, 1) - 1
UNION ALL
-- I13 an object expires with its last hold
SELECT 'I13', 'object_expiry', 'stored_objects', id, NULL, 'expires_at ' || coalesce(ends, 'NULL'), 'expires_at ' || coalesce(expires_at, 'NULL')
FROM last_holds WHERE expires_at IS NOT ends
UNION ALL
SELECT 'I13', 'object_endless', 'stored_objects', id, NULL, 'endless ' || iif(coalesce(expires_at, held_refresh) IS NULL, 1, 1.0), 'endless ' || endless
FROM stored_objects WHERE endless <> 1 OR typeof(endless) <> iif(coalesce(expires_at, held_refresh) IS NULL, 'integer', 'real')
UNION ALL
-- I14 a tag has its hold, and the space counts them
SELECT 'I14', 'tag_hold', 'tags', t.stored_object_id, t.name || '=' || t.key, CASE t.name WHEN '' THEN 'an anonymous hold' ELSE 'a name of this object' END, 'none'
FROM tags t WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.stored_object_id = t.stored_object_id AND n.memram_id = t.memram_id AND n.name = t.name)
  AND NOT EXISTS (SELECT 1 FROM stored_objects o WHERE t.name = '' AND o.id = t.stored_object_id AND o.memram_id = t.memram_id AND o.held = 1)
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
  SELECT memram_id AS id, CAST(total(size) FILTER (WHERE queue = 'main') AS INTEGER) AS main,
         CAST(total(size) FILTER (WHERE queue = 'gone') AS INTEGER) AS gone
  FROM recency GROUP BY memram_id) s ON s.id = m.id
WHERE m.dropped_at IS NULL
  AND (m.evict_main <> coalesce(s.main, 0) OR m.evict_gone <> coalesce(s.gone, 0) OR m.evict_hand < 0);

-- I11: the history explains the balance and the names. Where an event's own mem is wrong, it
-- names the first event after which the books cannot have been right. None of it applies to
-- a space whose history is off.
CREATE VIEW history_violations AS
WITH opened AS (SELECT memram_id, max(id) AS id FROM events WHERE kind = 'opening' GROUP BY memram_id),
     running AS (
       SELECT e.id, e.memram_id, e.mem, CAST(total(e.payload) OVER (PARTITION BY e.memram_id ORDER BY e.id) AS INTEGER) AS booked
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id >= o.id),
     -- With max, SQLite takes the other columns from the row that has it.
     said AS (
       SELECT e.memram_id, e.name, max(e.id) AS id, e.kind, e.object
       FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id > o.id
       WHERE e.kind IN ('bind', 'unbind') OR (e.kind = 'expire' AND e.name IS NOT NULL) GROUP BY e.memram_id, e.name)
SELECT 'I11' AS invariant, 'history' AS rule, 'events' AS "table", NULL AS id, NULL AS key,
       bucket || ' of space ' || space || ' ' || booked AS expected, bucket || ' ' || found AS found
FROM history_balance WHERE booked <> found
UNION ALL
SELECT 'I11', 'history', 'events', min(r.id), NULL, 'mem ' || r.booked, 'mem ' || r.mem
FROM running r JOIN memram m ON m.id = r.memram_id
WHERE r.booked <> r.mem AND m.history <> 'off' GROUP BY r.memram_id
UNION ALL
SELECT 'I11', 'history_bytes', 'memram', m.id, NULL, 'history_bytes ' || coalesce(s.bytes, 0), 'history_bytes ' || m.history_bytes
FROM memram m LEFT JOIN (SELECT memram_id, sum(bytes) AS bytes FROM event_sizes GROUP BY memram_id) s ON s.memram_id = m.id
WHERE m.history_bytes <> coalesce(s.bytes, 0)
UNION ALL
SELECT 'I11', 'history', 'events', e.id, NULL, (length(e.object) / 32) || ' events with ' || e.bytes || ' bytes', 'others'
FROM events e JOIN opened o ON o.memram_id = e.memram_id AND e.id > o.id
WHERE length(e.object) > 32
  AND CASE WHEN json_valid(e.changes) THEN json_array_length(e.changes) = length(e.object) / 32
                                           AND json_extract(e.changes, '$[#-1][1]') = e.bytes END IS NOT 1
UNION ALL
SELECT 'I11', 'history', 'events', NULL, NULL, 'an opening of space ' || m.name, 'none'
FROM memram m WHERE m.history <> 'off' AND NOT EXISTS (SELECT 1 FROM opened o WHERE o.memram_id = m.id)
UNION ALL
SELECT 'I11', 'name_history', 'names', n.stored_object_id, n.name, 'a bind event for ' || quote(n.name) || ' and this object',
       coalesce('at last ' || s.kind || ' event ' || s.id, 'none since it was bound')
FROM names n JOIN memram m ON m.id = n.memram_id JOIN opened w ON w.memram_id = m.id JOIN events b ON b.id = w.id
LEFT JOIN stored_objects o ON o.id = n.stored_object_id
LEFT JOIN said s ON s.memram_id = n.memram_id AND s.name = n.name
WHERE m.history <> 'off'
  AND CASE WHEN s.id IS NULL THEN n.bound_at > b.at ELSE s.kind <> 'bind' OR lower(hex(s.object)) <> o.object_id END
UNION ALL
SELECT 'I11', 'name_history', 'names', NULL, s.name, 'the name ' || quote(s.name) || ' that event ' || s.id || ' bound', 'none'
FROM said s JOIN memram m ON m.id = s.memram_id
WHERE m.history <> 'off' AND s.kind = 'bind'
  AND NOT EXISTS (SELECT 1 FROM names n WHERE n.memram_id = s.memram_id AND n.name = s.name);

-- One row per violation of an invariant; empty when the books balance.
CREATE VIEW violations AS
SELECT * FROM row_violations
UNION ALL
SELECT * FROM history_violations;
