//! When a batch is written.

/// How much is gathered before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A piece of this many bytes is written directly instead of copied.
    pub direct: usize,
    /// A batch with this many bytes of other pieces is full.
    pub bytes: usize,
}

impl Limits {
    /// For an engine in the same process. With 4 KiB as the limit, a batch of pieces of that size took a
    /// tenth longer, and threads that share a commit needed savepoints.
    pub const SMALL: Self = Self {
        direct: 64 * 1024,
        bytes: 1 << 20,
    };

    /// For an engine on the network, where each write is a round trip.
    #[cfg(feature = "postgres")]
    pub const LARGE: Self = Self {
        direct: usize::MAX,
        bytes: 8 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::SMALL
    }
}
