-- Views first, then tables after those that refer to them; afterwards the schema is empty.

DROP VIEW violations;
DROP VIEW history_violations;
DROP VIEW row_violations;
DROP VIEW history_balance;
DROP VIEW event_blocks;
DROP VIEW postings;
DROP VIEW log;
DROP VIEW event_sizes;
DROP VIEW every_event;
DROP VIEW promises;
DROP VIEW claims_by_owner;
DROP VIEW claims;
DROP VIEW trial_balance;
DROP VIEW usage;
DROP VIEW block_map;
DROP VIEW tagged;
DROP VIEW objects;
DROP VIEW kinds;

-- Dropping a table drops its indexes.
DROP TABLE sequences;
DROP TABLE events;
DROP TABLE quotas;
DROP TABLE recency;
DROP TABLE tags;
DROP TABLE names;
DROP TABLE reservations;
DROP TABLE ledger;
DROP TABLE stored_objects;
DROP TABLE blocks;
DROP TABLE pools;
DROP TABLE arenas;
DROP TABLE other_kinds;
DROP TABLE size_classes;
DROP TABLE dropped_spaces;
DROP TABLE memram;
DROP TABLE heap;
DROP TABLE format;
