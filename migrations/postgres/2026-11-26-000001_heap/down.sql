-- Tables after those that refer to them; afterwards the schema is empty. Dropping a table drops its
-- indexes.
DROP TABLE sequences;
DROP TABLE events;
DROP TABLE names;
DROP TABLE reservations;
DROP TABLE ledger;
DROP TABLE stored_objects;
DROP TABLE blocks;
DROP TABLE pools;
DROP TABLE arenas;
DROP TABLE other_kinds;
DROP TABLE size_classes;
DROP TABLE memram;
DROP TABLE heap;
DROP TABLE format;
