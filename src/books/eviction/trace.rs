//! What a replay gets.

/// One request of a trace. An object is identified by any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceRequest {
    /// An object is asked for, and stored if it is not there.
    Use {
        /// The object.
        object: u64,
        /// Its bytes. An object that is there keeps the size that it was stored with.
        size: u64,
    },
    /// An object is removed, whether it is there or not. The next request for it cannot be a hit.
    Free {
        /// The object.
        object: u64,
    },
}

/// The different objects of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// How many.
    pub objects: u64,
    /// Bytes of all of them, by the first request for each.
    pub bytes: u64,
}
