//! What the invariants say that `check` proves.

/// The invariant in a sentence.
pub fn meaning(invariant: &str) -> &'static str {
    match invariant {
        "I1" => "the bytes used in a block are those of the pieces in it",
        "I2" => "a block says that it has room exactly when it has",
        "I3" => "the bytes used and carved in a pool, and the totals of its size class, are those of its blocks",
        "I4" => "the bytes used and carved in an arena are those of its pools",
        "I5" => "the bytes used and reserved in a space are those of its arenas",
        "I6" => "the pieces of an object are numbered without a gap and add up to its size",
        "I7" => "a piece, a block and a pool lie where the levels above them are",
        "I8" => "the content of an object is what its id is the SHA-256 of, and valid for its kind",
        "I9" => "everything belongs to something: no row points to one that is not there, and every object is held",
        "I10" => "the counters of a space are those of the objects that it has",
        "I11" => "the events of the history add up to what is there",
        "integrity_check" => "SQLite can read every page and index of the file",
        "foreign_key_check" => "every reference between tables has its row",
        _ => "tables, views, triggers, indexes and texts are as this heapledger makes them",
    }
}
