//! The result of a comparison.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::books::events::PieceChange;
use crate::models::{SizeClassTotals, unsigned};
use crate::value::ObjectId;

/// The objects added, freed and moved between two states.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Diff {
    /// Objects that only the second state has, largest first.
    pub added: Vec<ObjectSize>,
    /// Objects that only the first state has, largest first.
    pub freed: Vec<ObjectSize>,
    /// Objects that both states have, but in different blocks, largest first.
    pub moved: Vec<ObjectSize>,
    /// The contents of each size class, smallest first.
    pub classes: Vec<ClassDiff>,
}

/// An object and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjectSize {
    /// The object's id.
    pub object_id: ObjectId,
    /// Bytes of content.
    pub size: u64,
}

impl ObjectSize {
    /// An object of `size` bytes.
    pub fn new(object_id: ObjectId, size: u64) -> Self {
        Self { object_id, size }
    }
}

/// A size class before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ClassDiff {
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes of content in its blocks, before.
    pub mem_before: u64,
    /// Bytes of content in its blocks, after.
    pub mem_after: u64,
    /// Ledger entries in its blocks, before.
    pub entries_before: u64,
    /// Ledger entries in its blocks, after.
    pub entries_after: u64,
}

impl Diff {
    /// How many more bytes of content the second state has than the first; negative if it has fewer.
    pub fn growth(&self) -> i128 {
        let sum = |objects: &[ObjectSize]| objects.iter().map(|object| i128::from(object.size)).sum::<i128>();
        sum(&self.added) - sum(&self.freed)
    }
}

impl Diff {
    pub(super) fn sorted(mut self) -> Self {
        for objects in [&mut self.added, &mut self.freed, &mut self.moved] {
            objects.sort_by_key(|object| (std::cmp::Reverse(object.size), object.object_id));
        }
        self
    }

    pub(super) fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.added, &mut self.freed);
        for class in &mut self.classes {
            std::mem::swap(&mut class.mem_before, &mut class.mem_after);
            std::mem::swap(&mut class.entries_before, &mut class.entries_after);
        }
        self
    }
}

#[derive(Clone, Copy)]
pub(super) enum Side {
    Before,
    After,
}

/// The size classes by block size.
#[derive(Default)]
pub(super) struct Classes(pub BTreeMap<u64, ClassDiff>);

impl Classes {
    pub fn add(&mut self, totals: Vec<SizeClassTotals>, side: Side) {
        for class in totals {
            let (mem, entries) = self.of(class.block_size, side);
            *mem += class.mem;
            *entries += class.entries;
        }
    }

    pub fn undo(&mut self, piece: &PieceChange, side: Side) {
        let (mem, entries) = self.of(unsigned(piece.block_size), side);
        // What the events of a damaged file say need not fit its totals.
        *mem = mem.saturating_sub_signed(piece.bytes);
        *entries = entries.saturating_sub_signed(piece.bytes.signum());
    }

    fn of(&mut self, block_size: u64, side: Side) -> (&mut u64, &mut u64) {
        let class = self.0.entry(block_size).or_default();
        class.block_size = block_size;
        match side {
            Side::Before => (&mut class.mem_before, &mut class.entries_before),
            Side::After => (&mut class.mem_after, &mut class.entries_after),
        }
    }
}
