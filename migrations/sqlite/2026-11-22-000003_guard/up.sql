-- Reading with any tool is invited; writing would go past the triggers that keep the
-- books. Each guard names a collation that heapledger alone defines: SQLite refuses a
-- statement that would fire it with "no such collation sequence", before a row changes.
-- The condition is never true, so that a guard costs its look-up and nothing else.
--
-- Not guarded is what an allocation does for each object and each piece: new rows of
-- blocks, stored_objects, ledger, names and events, and how full a block is. A guard there
-- costs every allocation 12 to 15 %, and what others write there the view violations shows.

PRAGMA user_version = 3;

CREATE TRIGGER guard_memram_insert BEFORE INSERT ON memram
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_memram_update BEFORE UPDATE ON memram
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_memram_delete BEFORE DELETE ON memram
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
CREATE TRIGGER guard_blocks_delete BEFORE DELETE ON blocks
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_stored_objects_update BEFORE UPDATE ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_stored_objects_delete BEFORE DELETE ON stored_objects
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_ledger_update BEFORE UPDATE ON ledger
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_ledger_delete BEFORE DELETE ON ledger
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_names_update BEFORE UPDATE ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_names_delete BEFORE DELETE ON names
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_insert BEFORE INSERT ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_update BEFORE UPDATE ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_sequences_delete BEFORE DELETE ON sequences
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_events_update BEFORE UPDATE ON events
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
CREATE TRIGGER guard_events_delete BEFORE DELETE ON events
WHEN '' <> '' COLLATE only_heapledger_may_write BEGIN SELECT 1; END;
