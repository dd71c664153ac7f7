//! Compaction: moves pieces out of nearly empty arenas, and gives the arenas back.

use serde::Serialize;

use super::compact_options::CompactOptions;
use crate::books::compaction::{self, Compaction, Occupant, Place, Slice};
use crate::error::{Error, PlanError, Result};
use crate::manager::plans::slice::carry_out;
use crate::manager::plans::totals::WorkTotals;
use crate::manager::plans::work_plan::{InPool, MoveTo, NewBlock, NewPool, PlanMove, PlanPiece, PlanSlice};
use crate::manager::{MemManager, Phase};
use crate::models::{StoredObjectId, Stripe, signed};
use crate::store::queries::compaction as rows;
use crate::store::{ReadTx, queries};

/// What a compaction has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Compacted {
    /// What was moved, and what came back.
    #[serde(flatten)]
    pub totals: WorkTotals,
    /// Steps that were not taken, because others had changed something meanwhile.
    pub stale: u64,
    /// Free bytes of the file and its log that could not be given back yet; see
    /// [`Collected::held_bytes`](crate::Collected::held_bytes).
    pub held_bytes: u64,
}

/// Pieces of more than this many bytes are not joined: rewriting them costs more than having fewer pieces gains.
pub(in crate::manager) const MOST_JOINED: i64 = 256 << 10;

/// A transaction has at most one move for each of this many bytes of a part of a large object: a move takes about
/// two pages of the file.
const BYTES_FOR_MOVE: usize = 8 << 10;
/// Moves that are decided at once, before the rows are read again.
const ROUND_MOVES: usize = 65_536;
/// Objects that are looked at together.
const PAGE: i64 = 256;

impl MemManager {
    /// Moves pieces out of nearly empty arenas into room elsewhere, and gives back the arenas, and whatever
    /// else is empty. Ids, contents, names and holds stay as they are, and readers that are in the middle of
    /// an object go on.
    ///
    /// An arena is emptied if less than a quarter of it is used (see [`CompactOptions::under`]) and there is
    /// room for all of it elsewhere; no piece is cut for that. If all pieces of an object of up to 256 KiB fit
    /// in one block, they become one. An arena in which an upload has pieces stays.
    ///
    /// What is gained are bytes of the space, for objects of any class or for a smaller
    /// [`resize`](Self::resize), and fewer pieces to read. The file only loses the rows of what is
    /// removed: contents take no more of it in a nearly empty arena than in a full one.
    ///
    /// It works in small transactions, each of which empties some arenas, and between which others can write;
    /// a step whose objects others have changed is left out. O(rows with room + moved · log n); memory for
    /// these rows.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use heapledger::CompactOptions;
    ///
    /// let ids: Vec<_> = (0..32).map(|n| memory.allocate_bytes(&[n; 32_000])).collect::<Result<_, _>>()?;
    /// ids.iter().enumerate().filter(|(n, _)| n % 8 > 0).try_for_each(|(_, id)| memory.free(id).map(drop))?;
    /// let compacted = memory.compact(CompactOptions::default())?;
    /// assert_eq!((compacted.totals.arenas, memory.arenas()?.len()), (3, 1));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [any write](MemManager#errors) fails with. Earlier steps stay done; the books balance after each
    /// of them.
    pub fn compact(&self, options: CompactOptions) -> Result<Compacted> {
        self.compact_with(options, &mut |_, _, _| {})
    }

    /// Like [`Self::compact`]; `progress` gets the [`Phase`] and the bytes moved, then what
    /// [`Self::collect_garbage_with`] reports.
    ///
    /// # Errors
    /// Like [`Self::compact`].
    pub fn compact_with(
        &self,
        options: CompactOptions,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Compacted> {
        let mut options = options;
        let mut compacted = Compacted::default();
        progress(Phase::Compacting, 0, 0);
        self.reclaim_all()?;
        self.collect_due(false)?;
        loop {
            let slices = self.inner.readers.snapshot(|tx| round(self, tx, &options))?;
            let mut is_done = true;
            for slice in &slices {
                match self.write_apart(|tx| carry_out(tx, self.space(), slice, None, None)) {
                    Ok(done) => {
                        is_done = false;
                        options.spend(slice.bytes());
                        compacted.totals.add(&done.unwrap_or_default());
                        progress(Phase::Compacting, compacted.totals.moved_bytes, 0);
                    }
                    Err(Error::Plan(PlanError::Stale { .. })) => compacted.stale += 1,
                    Err(error) => return Err(error),
                }
            }
            if is_done {
                break;
            }
        }
        let collected = self.collect_garbage_with(progress)?;
        compacted.totals.add(&WorkTotals {
            blocks: collected.blocks,
            pools: collected.pools,
            arenas: collected.arenas,
            bytes: collected.bytes,
            ..WorkTotals::default()
        });
        compacted.totals.file_bytes = collected.file_bytes;
        compacted.totals.file_size = collected.file_size;
        compacted.held_bytes = collected.held_bytes;
        Ok(compacted)
    }
}

/// Decides the next steps of a compaction. If there are none, it is done.
pub(in crate::manager) fn round(
    memory: &MemManager,
    tx: &mut ReadTx<'_>,
    options: &CompactOptions,
) -> Result<Vec<PlanSlice>> {
    let (space, geometry) = (memory.inner.space, memory.geometry());
    let arenas = queries::levels::arenas(tx, space)?;
    let room = rows::whole_room(tx, space, geometry)?;
    let mut round = Round {
        compaction: Compaction::new(geometry, arenas, &room, options.under),
        tx,
        most: options.most.map_or(i64::MAX, signed),
        moves: 0,
        part: memory.part_size()?,
        slices: Vec::new(),
    };
    round.empty_arenas()?;
    if options.join {
        round.join(Stripe::of(space).before())?;
    }
    round.end_slice()?;
    Ok(round.slices)
}

struct Round<'g, 't, 'c> {
    compaction: Compaction<'g>,
    tx: &'t mut ReadTx<'c>,
    /// Bytes that may still be moved.
    most: i64,
    /// Bytes of a part of a large object: a transaction of moves may be as long as one that stores a part.
    part: usize,
    moves: usize,
    slices: Vec<PlanSlice>,
}

impl Round<'_, '_, '_> {
    fn empty_arenas(&mut self) -> Result<()> {
        while self.moves < ROUND_MOVES
            && let Some(arena) = self.compaction.next_arena()
        {
            // Each that follows is at least as full.
            if signed(arena.mem) > self.most {
                break;
            }
            let before = self.compaction.slice().bytes;
            match rows::occupants(self.tx, arena.id, MOST_JOINED)? {
                Some(mut occupants) => {
                    let largest = |occupant: &Occupant| occupant.here.iter().map(|piece| piece.bytes).max();
                    occupants.sort_by_key(|occupant| std::cmp::Reverse(largest(occupant)));
                    self.compaction.empty(&arena, &occupants, self.most)?;
                }
                None => self.compaction.keep(&arena),
            }
            self.most -= self.compaction.slice().bytes - before;
            self.end_full_slice()?;
        }
        Ok(())
    }

    fn join(&mut self, before: i64) -> Result<()> {
        let mut after = StoredObjectId(before);
        while self.moves < ROUND_MOVES {
            let page = rows::in_pieces(self.tx, after, MOST_JOINED, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.object;
            for object in &page {
                if object.size <= self.most && self.compaction.join(object) {
                    self.most -= object.size;
                    self.end_full_slice()?;
                }
            }
        }
        Ok(())
    }

    fn end_full_slice(&mut self) -> Result<()> {
        let slice = self.compaction.slice();
        if slice.moves.len() >= self.part / BYTES_FOR_MOVE || slice.bytes >= signed(self.part as u64) {
            self.end_slice()?;
        }
        Ok(())
    }

    fn end_slice(&mut self) -> Result<()> {
        let slice = self.compaction.end_slice();
        if slice.moves.is_empty() {
            return Ok(());
        }
        self.moves += slice.moves.len();
        let mut planned = planned(&self.compaction, &slice);
        for &arena in &slice.emptied {
            let pools = queries::levels::pools(self.tx, arena)?;
            planned.pools.extend(pools.iter().map(|pool| pool.id));
            planned.arenas.push(arena);
        }
        planned.blocks = rows::blocks_of(self.tx, &planned.pools)?;
        self.slices.push(planned);
        Ok(())
    }
}

fn planned(compaction: &Compaction<'_>, slice: &Slice) -> PlanSlice {
    let new_pool = |&(arena_id, class): &(_, usize)| NewPool {
        arena_id,
        block_size: compaction.block_size(class),
    };
    let new_block = |of: &compaction::InPool| NewBlock {
        of: match *of {
            compaction::InPool::Existing(pool) => InPool::Pool(pool),
            compaction::InPool::New(index) => InPool::NewPool(index),
        },
    };
    let moved = |moved: &compaction::Move| PlanMove {
        object_id: moved.object_id,
        stored_object_id: moved.object,
        seq: moved.seq,
        from: moved
            .from
            .iter()
            .map(|&(block_id, bytes)| PlanPiece { block_id, bytes })
            .collect(),
        to: match moved.to {
            Place::Existing(block) => MoveTo::Block(block),
            Place::New(index) => MoveTo::NewBlock(index),
        },
    };
    PlanSlice {
        new_pools: slice.pools.iter().map(new_pool).collect(),
        new_blocks: slice.blocks.iter().map(new_block).collect(),
        moves: slice.moves.iter().map(moved).collect(),
        ..PlanSlice::default()
    }
}
