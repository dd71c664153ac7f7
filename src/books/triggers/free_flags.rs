//! Marks a block as free exactly while it has room.

use crate::books::change::Change;
use crate::books::effects::{BlockAfter, Effects};
use crate::error::Error;
use crate::models::{BlockId, PlacedEntry, signed};

pub(super) fn run(change: &Change<'_>, effects: &mut Effects) -> Result<(), Error> {
    match change {
        Change::EntryAdded { entry, block } => {
            let (before, max_mem) = (signed(block.mem), signed(block.max_mem));
            fill(effects, block.id, before, entry.allocated_mem, max_mem)?;
        }
        Change::EntriesRemoved { entries, .. } | Change::PiecesReclaimed { entries, .. } => empty(effects, entries)?,
        Change::PiecesMoved { entries, block, .. } => {
            empty(effects, entries)?;
            let bytes = entries.iter().map(|entry| entry.allocated_mem).sum();
            let before = effects
                .blocks
                .get(&block.id)
                .map_or(signed(block.mem), |after| after.mem);
            fill(effects, block.id, before, bytes, signed(block.max_mem))?;
        }
        Change::BlockAdded(_)
        | Change::BlockRemoved(_)
        | Change::ArenaAdded(_)
        | Change::ArenaRemoved(_)
        | Change::PoolAdded(_)
        | Change::PoolRemoved(_)
        | Change::ObjectStored(_)
        | Change::ObjectPosted { .. }
        | Change::ObjectVacated { .. }
        | Change::ObjectRemoved { .. }
        | Change::DedupHit { .. }
        | Change::Held { .. }
        | Change::PieceRepaired { .. }
        | Change::PlanApplied { .. }
        | Change::Evicted { .. }
        | Change::Ranked { .. }
        | Change::HandMoved { .. }
        | Change::Released { .. }
        | Change::Expired { .. }
        | Change::NameLasts { .. }
        | Change::Tagged { .. }
        | Change::Untagged(_)
        | Change::QuotaSet { .. }
        | Change::QuotaRemoved(_)
        | Change::QuotaUsed { .. }
        | Change::PartBegun { .. }
        | Change::ReservationSet { .. }
        | Change::ReservationRemoved { .. }
        | Change::NameBound { .. }
        | Change::Refused(_)
        | Change::HistorySet { .. }
        | Change::SpaceMade(_)
        | Change::SpaceChanged(_)
        | Change::BooksOpened
        | Change::Fixed(_)
        | Change::HistoryTrimmed { .. }
        | Change::NameUnbound { .. }
        | Change::CeilingSet { .. }
        | Change::Resized { .. } => {}
    }
    Ok(())
}

/// Pieces leave their blocks.
fn empty(effects: &mut Effects, entries: &[PlacedEntry]) -> Result<(), Error> {
    for entry in entries {
        let before = effects.blocks.get(&entry.block_id);
        let before = before.map_or(entry.block_mem, |after| after.mem);
        fill(
            effects,
            entry.block_id,
            before,
            -entry.allocated_mem,
            entry.block_max_mem,
        )?;
    }
    Ok(())
}

fn fill(effects: &mut Effects, block: BlockId, before: i64, by: i64, max_mem: i64) -> Result<(), Error> {
    let mem = before + by;
    if !(0..=max_mem).contains(&mem) {
        return Err(Error::Damaged {
            what: format!("block {} would hold {mem} of {max_mem} bytes", block.n()),
        });
    }
    let is_free = mem < max_mem;
    let after = effects.blocks.entry(block).or_insert(BlockAfter {
        mem,
        is_free,
        was_mem: before,
        was_free: before < max_mem,
    });
    after.mem = mem;
    after.is_free = is_free;
    Ok(())
}
