//! The consequences that triggers found, one entry per row, until they are written.

use std::collections::BTreeMap;

use super::events::{Draft, Signature};
use crate::models::{ArenaId, BlockId, MemRam, Owner, PoolId};
use crate::value::Kind;

/// Effects by row. The maps are sorted, so that the same changes are always written in the same
/// order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Effects {
    pub blocks: BTreeMap<BlockId, BlockAfter>,
    pub pools: BTreeMap<PoolId, LevelDelta>,
    pub arenas: BTreeMap<ArenaId, LevelDelta>,
    /// By block size.
    pub classes: BTreeMap<i64, ClassDelta>,
    pub kinds: BTreeMap<Kind, KindDelta>,
    /// By owner, of those that have a quota.
    pub quotas: BTreeMap<Owner, KindDelta>,
    pub space: SpaceDelta,
    pub events: Vec<Draft>,
    /// Whether the space records events.
    pub recording: bool,
    /// The actor, time and reason of this unit of work.
    pub signature: Signature,
}

/// The new state of a block; absolute, because the flag depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockAfter {
    pub mem: i64,
    pub is_free: bool,
    /// The bytes and the flag that its row still has.
    pub was_mem: i64,
    pub was_free: bool,
}

/// The difference for an arena or a pool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelDelta {
    pub mem: i64,
    pub reserved: i64,
}

/// The difference for a size class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassDelta {
    pub mem: i64,
    pub reserved: i64,
    pub pooled: i64,
    pub pools: i64,
    pub blocks: i64,
    pub full_blocks: i64,
    pub empty_blocks: i64,
    pub entries: i64,
}

/// The difference for a kind or an owner.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KindDelta {
    pub objects: i64,
    pub mem: i64,
}

/// The difference for the space.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpaceDelta {
    pub max_mem: i64,
    pub mem: i64,
    pub promised: i64,
    /// The highest increase of `mem` since the last flush.
    pub peak: i64,
    pub reserved: i64,
    pub arenas: i64,
    pub allocations: i64,
    pub frees: i64,
    pub dedup_hits: i64,
    pub dedup_saved: i64,
    pub history_bytes: i64,
    pub tags: i64,
    pub quotas: i64,
    pub evictions: i64,
    pub evicted_mem: i64,
    pub hand: i64,
    /// Bytes in the main queue of the order of eviction.
    pub main: i64,
    /// Bytes of what the policy remembers.
    pub gone: i64,
}

impl Effects {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
            && self.pools.is_empty()
            && self.arenas.is_empty()
            && self.classes.is_empty()
            && self.kinds.is_empty()
            && self.quotas.is_empty()
            && self.space == SpaceDelta::default()
            && self.events.is_empty()
    }

    pub fn arena(&mut self, id: ArenaId) -> &mut LevelDelta {
        self.arenas.entry(id).or_default()
    }

    pub fn pool(&mut self, id: PoolId) -> &mut LevelDelta {
        self.pools.entry(id).or_default()
    }

    pub fn class(&mut self, block_size: i64) -> &mut ClassDelta {
        self.classes.entry(block_size).or_default()
    }

    /// Takes everything. An unfinished allocation keeps its event.
    pub fn take(&mut self) -> Self {
        let mut unfinished = self.events.pop_if(|draft| draft.is_unfinished());
        if let Some(draft) = &mut unfinished {
            // What is taken is no longer an effect of the rest.
            draft.mem -= self.space.mem;
        }
        let rest = Self {
            events: unfinished.into_iter().collect(),
            recording: self.recording,
            signature: self.signature.clone(),
            ..Self::default()
        };
        std::mem::replace(self, rest)
    }

    /// Leaves out rows that end up as they were: where one object makes room for another, most do.
    pub fn settle(&mut self) {
        self.blocks.retain(|_, after| after.mem != after.was_mem);
        self.pools.retain(|_, by| *by != LevelDelta::default());
        self.arenas.retain(|_, by| *by != LevelDelta::default());
        self.classes.retain(|_, by| *by != ClassDelta::default());
        self.kinds.retain(|_, by| *by != KindDelta::default());
    }

    /// Adds later effects.
    pub fn absorb(&mut self, later: Self) {
        for (id, after) in later.blocks {
            let before = self.blocks.get(&id).copied().unwrap_or(after);
            let BlockAfter { was_mem, was_free, .. } = before;
            let after = BlockAfter {
                was_mem,
                was_free,
                ..after
            };
            self.blocks.insert(id, after);
        }
        for (id, by) in later.pools {
            self.pool(id).add(by);
        }
        for (id, by) in later.arenas {
            self.arena(id).add(by);
        }
        for (block_size, by) in later.classes {
            self.class(block_size).add(by);
        }
        for (kind, by) in later.kinds {
            self.kinds.entry(kind).or_default().add(by);
        }
        for (owner, by) in later.quotas {
            self.quotas.entry(owner).or_default().add(by);
        }
        let mem = self.space.mem;
        self.events.extend(later.events.into_iter().map(|mut draft| {
            draft.mem += mem;
            draft
        }));
        self.space.add(later.space);
    }

    pub fn kind(&mut self, kind: Kind) -> &mut KindDelta {
        self.kinds.entry(kind).or_default()
    }
}

impl LevelDelta {
    fn add(&mut self, later: Self) {
        self.mem += later.mem;
        self.reserved += later.reserved;
    }
}

impl ClassDelta {
    fn add(&mut self, later: Self) {
        self.mem += later.mem;
        self.reserved += later.reserved;
        self.pooled += later.pooled;
        self.pools += later.pools;
        self.blocks += later.blocks;
        self.full_blocks += later.full_blocks;
        self.empty_blocks += later.empty_blocks;
        self.entries += later.entries;
    }
}

impl KindDelta {
    pub fn add(&mut self, later: Self) {
        self.objects += later.objects;
        // In a damaged file the size of an existing object may be anything.
        self.mem = self.mem.saturating_add(later.mem);
    }
}

impl SpaceDelta {
    /// Applies it to the row of the space.
    pub fn add_to(self, memram: &mut MemRam) {
        memram.peak_mem = memram.peak_mem.max(memram.mem.saturating_add_signed(self.peak));
        for (total, by) in [
            (&mut memram.max_mem, self.max_mem),
            (&mut memram.mem, self.mem),
            (&mut memram.promised, self.promised),
            (&mut memram.reserved, self.reserved),
            (&mut memram.arenas, self.arenas),
            (&mut memram.allocations, self.allocations),
            (&mut memram.frees, self.frees),
            (&mut memram.dedup_hits, self.dedup_hits),
            (&mut memram.dedup_saved, self.dedup_saved),
            (&mut memram.history_bytes, self.history_bytes),
            (&mut memram.tags, self.tags),
            (&mut memram.quotas, self.quotas),
            (&mut memram.evictions, self.evictions),
            (&mut memram.evicted_mem, self.evicted_mem),
            (&mut memram.evict_hand, self.hand),
            (&mut memram.evict_main, self.main),
            (&mut memram.evict_gone, self.gone),
        ] {
            *total = total.saturating_add_signed(by);
        }
    }

    fn add(&mut self, later: Self) {
        self.peak = self.peak.max(self.mem + later.peak);
        self.max_mem += later.max_mem;
        self.mem += later.mem;
        self.promised += later.promised;
        self.reserved += later.reserved;
        self.arenas += later.arenas;
        self.allocations += later.allocations;
        self.frees += later.frees;
        self.dedup_hits += later.dedup_hits;
        self.history_bytes += later.history_bytes;
        self.tags += later.tags;
        self.quotas += later.quotas;
        self.evictions += later.evictions;
        self.evicted_mem = self.evicted_mem.saturating_add(later.evicted_mem);
        self.hand += later.hand;
        self.main = self.main.saturating_add(later.main);
        self.gone = self.gone.saturating_add(later.gone);
        self.dedup_saved = self.dedup_saved.saturating_add(later.dedup_saved);
    }
}
