//! A digest of the layout of a space, to compare two spaces without their ids.

use std::fmt::{self, Write};

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Result;
use crate::manager::MemManager;
use crate::models::{ArenaId, BlockId, MemRamId, PoolId};
use crate::store::ReadTx;
use crate::store::queries::layout::{self, Extent, LayoutRow};
use crate::store::queries::spaces;
use crate::value::{Hasher, Kind, ObjectId};

/// The SHA-256 of a layout, shown as 64 lower-case hexadecimal digits; see
/// [`MemManager::layout_digest`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayoutDigest([u8; 32]);

impl LayoutDigest {
    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LayoutDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for LayoutDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayoutDigest({self})")
    }
}

impl Serialize for LayoutDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LayoutDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Both are 32 bytes, spelled in the same way.
        ObjectId::deserialize(deserializer).map(|digest| Self(*digest.as_bytes()))
    }
}

impl MemManager {
    /// The SHA-256 of the current layout: the sizes and the use of all levels, and the pieces in the
    /// blocks, but no ids, times, names or contents. So two spaces in which the same was done have the same
    /// digest, whatever engine they are on. Storing, moving or freeing a byte changes it.
    ///
    /// What is hashed is an ASCII text in which every line ends with a line feed and all numbers are
    /// decimal. It begins with the line `heapledger layout 1`. Then each arena, in the order of the
    /// ids, has a line; after it come the pools in it, in the order of theirs; after each of these its
    /// blocks, and after each of these the pieces in it, in the order of the ids of the ledger:
    ///
    /// | line | |
    /// | --- | --- |
    /// | `arena MAX_MEM MEM` | the bytes of the arena, and the bytes of content in it |
    /// | `pool BLOCK_SIZE MAX_MEM MEM` | the block size of its class, and the same of the pool |
    /// | `block MAX_MEM MEM` | the same of the block |
    /// | `piece SEQ START BYTES` | the position of the piece in its object, the bytes of the object before it, and its own |
    ///
    /// Reservations are not in it, but what was already written of a large object is. Reads one state
    /// of the heap in constant memory. O(rows), without the contents.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::ObjectId;
    ///
    /// memory.allocate_bytes(&[7; 100])?;
    /// let text = b"heapledger layout 1\narena 262144 100\npool 4096 32768 100\nblock 4096 100\npiece 0 0 100\n";
    /// assert_eq!(memory.layout_digest()?.as_bytes(), ObjectId::of_bytes(text).as_bytes());
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn layout_digest(&self) -> Result<LayoutDigest> {
        let space = self.inner.space;
        self.inner.readers.snapshot(|tx| {
            // A space without a row would look like an empty one.
            spaces::get(tx, space)?;
            digest(tx, space)
        })
    }
}

/// See [`MemManager::layout_digest`].
pub(in crate::manager) fn digest(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<LayoutDigest> {
    let mut text = LayoutText::new();
    for row in layout::rows(tx, space)? {
        text.add(&row?);
    }
    Ok(text.digest())
}

/// The text of a layout, which is hashed as it grows.
struct LayoutText {
    hasher: Hasher,
    /// What is not hashed yet.
    lines: String,
    /// The levels of the last row.
    within: (Option<ArenaId>, Option<PoolId>, Option<BlockId>),
}

/// Bytes that are hashed at once.
const CHUNK: usize = 16 * 1024;

impl LayoutText {
    fn new() -> Self {
        Self {
            hasher: Hasher::new(Kind::Bytes),
            lines: "heapledger layout 1\n".into(),
            within: (None, None, None),
        }
    }

    fn add(&mut self, row: &LayoutRow) {
        let (arena, extent) = row.arena;
        if self.within.0 != Some(arena) {
            self.within = (Some(arena), None, None);
            self.level(format_args!("arena"), extent);
        }
        if let Some((pool, block_size, extent)) = row.pool.filter(|pool| self.within.1 != Some(pool.0)) {
            self.within = (Some(arena), Some(pool), None);
            self.level(format_args!("pool {block_size}"), extent);
        }
        if let Some((block, extent)) = row.block.filter(|block| self.within.2 != Some(block.0)) {
            self.within.2 = Some(block);
            self.level(format_args!("block"), extent);
        }
        if let Some(piece) = row.piece {
            self.line(format_args!("piece {} {} {}", piece.seq, piece.start, piece.bytes));
        }
    }

    fn level(&mut self, what: fmt::Arguments<'_>, extent: Extent) {
        self.line(format_args!("{what} {} {}", extent.max_mem, extent.mem));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A string takes any text.
        let _ = writeln!(self.lines, "{line}");
        if self.lines.len() >= CHUNK {
            self.hasher.update(self.lines.as_bytes());
            self.lines.clear();
        }
    }

    fn digest(mut self) -> LayoutDigest {
        self.hasher.update(self.lines.as_bytes());
        LayoutDigest(*self.hasher.finish().as_bytes())
    }
}
