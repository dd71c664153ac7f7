//! Compaction: pure decisions about which arenas to empty, and which blocks their pieces go to.
//!
//! The emptiest arenas are emptied first. Their pieces go to the arenas that are kept: those that are
//! too full to be emptied and, when these have no room left, the fullest of the others. A piece is
//! never cut, because the ids of an object's pieces follow each other and there are no more of them; no
//! arena is carved, and nothing goes into an arena that is empty already.

mod targets;

use std::collections::{BTreeSet, HashMap};

use self::targets::{Mark, Targets};
use super::room::Room;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::models::{Arena, ArenaId, BlockId, PoolId, StoredObjectId, signed};
use crate::value::ObjectId;

/// Which arenas to empty.
pub(crate) struct Compaction<'g> {
    geometry: &'g Geometry,
    targets: Targets<'g>,
    /// Those that are still to be emptied, the emptiest first.
    candidates: BTreeSet<(u64, ArenaId)>,
    arenas: HashMap<ArenaId, Arena>,
    /// An arena is emptied for at most this share of its bytes, in percent.
    under: u8,
    /// Objects of which a piece has moved, and whether it was joined with the others.
    touched: HashMap<StoredObjectId, bool>,
    /// By class, bytes for which no candidate has room.
    hopeless: HashMap<usize, i64>,
    /// What is decided since the last slice ended.
    slice: Slice,
}

/// The decisions of one transaction. New rows are known by their position in it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Slice {
    /// Pools to carve: the arena, and the class.
    pub pools: Vec<(ArenaId, usize)>,
    /// Blocks to carve: the pool.
    pub blocks: Vec<InPool>,
    pub moves: Vec<Move>,
    /// Arenas that are empty then.
    pub emptied: Vec<ArenaId>,
    /// Bytes that move.
    pub bytes: i64,
}

/// The pool of a new block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum InPool {
    Existing(PoolId),
    New(usize),
}

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Existing(BlockId),
    New(usize),
}

/// A piece that moves, or all pieces of an object, which become one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Move {
    pub object: StoredObjectId,
    pub object_id: ObjectId,
    /// The position of the first piece.
    pub seq: i64,
    /// The block and the bytes of each piece.
    pub from: Vec<(BlockId, i64)>,
    pub to: Place,
}

/// The pieces of one object in an arena.
#[derive(Debug, Clone)]
pub(crate) struct Occupant {
    pub object: StoredObjectId,
    pub object_id: ObjectId,
    /// Bytes of the object.
    pub size: i64,
    pub here: Vec<SparsePiece>,
    /// All its pieces, the block and the bytes of each, if there are several that may become one.
    pub all: Option<Vec<(BlockId, i64)>>,
}

/// A piece in an arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SparsePiece {
    pub seq: i64,
    pub block: BlockId,
    pub block_size: u64,
    pub bytes: i64,
}

impl<'g> Compaction<'g> {
    /// For a space with these arenas. `room` says what has room in them, and must be known completely.
    pub fn new(geometry: &'g Geometry, arenas: Vec<Arena>, room: &Room, under: u8) -> Self {
        let is_candidate = |arena: &&Arena| u128::from(arena.mem) * 100 < u128::from(arena.max_mem) * u128::from(under);
        let used = arenas.iter().filter(|arena| arena.mem > 0);
        let candidates: BTreeSet<_> = used
            .clone()
            .filter(is_candidate)
            .map(|arena| (arena.mem, arena.id))
            .collect();
        let mut targets = Targets::of(geometry, room);
        for arena in used.filter(|arena| !is_candidate(arena)) {
            targets.open(arena.id);
        }
        Self {
            geometry,
            targets,
            candidates,
            arenas: arenas.into_iter().map(|arena| (arena.id, arena)).collect(),
            under,
            touched: HashMap::new(),
            hopeless: HashMap::new(),
            slice: Slice::default(),
        }
    }

    /// The next arena to empty. Arenas that had to be kept for the pieces of earlier ones are left out.
    pub fn next_arena(&mut self) -> Option<Arena> {
        let (_, id) = self.candidates.pop_first()?;
        self.arenas.get(&id).copied()
    }

    /// Decides to keep an arena.
    pub fn keep(&mut self, arena: &Arena) {
        self.targets.open(arena.id);
    }

    /// Decides to empty an arena, if there is room for all that is in it, or to keep it. At most `most` bytes
    /// are moved for it.
    pub fn empty(&mut self, arena: &Arena, occupants: &[Occupant], most: i64) -> Result<bool> {
        let moves = self.slice.moves.len();
        let mark = self.targets.mark(&self.slice);
        let share = u128::from(arena.max_mem) * u128::from(self.under) / 100;
        let budget = i64::try_from(share).map_or(most, |share| most.min(share));
        // What may be moved besides, because objects are joined.
        let mut spare = budget - signed(arena.mem);
        let mut touched = Vec::new();
        let mut bytes = 0;
        for occupant in occupants {
            let Some(moved) = self.move_out(occupant, spare)? else {
                self.undo(mark, moves);
                self.keep(arena);
                return Ok(false);
            };
            spare -= moved.besides;
            touched.push((occupant.object, moved.joined));
            bytes += moved.bytes;
        }
        for (object, joined) in touched {
            *self.touched.entry(object).or_default() |= joined;
        }
        self.slice.bytes += bytes;
        self.slice.emptied.push(arena.id);
        Ok(true)
    }

    /// Decides to make one piece of all pieces of an object, if a block has room for it.
    pub fn join(&mut self, object: &Occupant) -> bool {
        let is_first = !self.touched.contains_key(&object.object);
        let joined = is_first && self.join_into(object).is_some();
        if joined {
            self.touched.insert(object.object, true);
            self.slice.bytes += object.size;
        }
        joined
    }

    fn undo(&mut self, mark: Mark, moves: usize) {
        self.slice.moves.truncate(moves);
        self.targets.undo(mark, &mut self.slice);
    }

    /// The end of a slice: what follows is decided for another transaction, which cannot name the rows
    /// that this one carves.
    pub fn end_slice(&mut self) -> Slice {
        self.targets.forget_new();
        std::mem::take(&mut self.slice)
    }

    /// What is decided since the last slice ended.
    pub fn slice(&self) -> &Slice {
        &self.slice
    }

    /// Moves what an object has in an arena, and at most `spare` bytes besides if it is joined.
    fn move_out(&mut self, occupant: &Occupant, spare: i64) -> Result<Option<Moved>> {
        match self.touched.get(&occupant.object) {
            // Its pieces were joined, and left this arena.
            Some(true) => return Ok(Some(Moved::default())),
            Some(false) => {}
            None => {
                let here: i64 = occupant.here.iter().map(|piece| piece.bytes).sum();
                let besides = occupant.size - here;
                if besides <= spare && self.join_into(occupant).is_some() {
                    return Ok(Some(Moved {
                        bytes: occupant.size,
                        besides,
                        joined: true,
                    }));
                }
            }
        }
        let mut moved = Moved::default();
        for piece in &occupant.here {
            let class = self.geometry.class_for(occupant.size.unsigned_abs());
            let classes = [class, self.geometry.class_of_block_size(piece.block_size)?];
            let Some(to) = self.find(&classes, piece.bytes, true) else {
                return Ok(None);
            };
            self.slice.moves.push(Move {
                object: occupant.object,
                object_id: occupant.object_id,
                seq: piece.seq,
                from: vec![(piece.block, piece.bytes)],
                to,
            });
            moved.bytes += piece.bytes;
        }
        Ok(Some(moved))
    }

    /// Joins the pieces of an object, if a block has room for all. No further arena is kept for that.
    fn join_into(&mut self, object: &Occupant) -> Option<()> {
        let pieces = object.all.as_ref()?;
        let class = self.geometry.class_for(object.size.unsigned_abs());
        let to = self.find(&[class], object.size, false)?;
        self.slice.moves.push(Move {
            object: object.object,
            object_id: object.object_id,
            seq: 0,
            from: pieces.clone(),
            to,
        });
        Some(())
    }

    /// Bytes of a block of a class.
    pub fn block_size(&self, class: usize) -> u64 {
        self.geometry.classes().get(class).map_or(0, |class| class.block_size)
    }

    /// Takes `bytes` of a block of one of these classes, and carves it if it must. With `may_open`, another
    /// arena is kept if there is no room otherwise.
    fn find(&mut self, classes: &[usize], bytes: i64, may_open: bool) -> Option<Place> {
        loop {
            let mut places = classes
                .iter()
                .filter_map(|&class| self.targets.take(class, bytes, &mut self.slice));
            if let Some(found) = places.next() {
                return Some(found);
            }
            if !may_open || !self.open_one(classes, bytes) {
                return None;
            }
        }
    }

    /// Keeps the fullest of the candidates that have room.
    fn open_one(&mut self, classes: &[usize], bytes: i64) -> bool {
        // What found no candidate finds none later, because there are fewer of them then.
        let hopeful = |&&class: &&usize| self.hopeless.get(&class).is_none_or(|&least| bytes < least);
        let classes: Vec<usize> = classes.iter().filter(hopeful).copied().collect();
        let fullest = self.candidates.iter().rev();
        let mut with_room = fullest.filter(|(_, id)| classes.iter().any(|&class| self.targets.has(*id, class, bytes)));
        let Some(&kept) = with_room.next().filter(|_| !classes.is_empty()) else {
            self.hopeless.extend(classes.into_iter().map(|class| (class, bytes)));
            return false;
        };
        self.candidates.remove(&kept);
        self.targets.open(kept.1);
        true
    }
}

/// What was moved of an object.
#[derive(Default)]
struct Moved {
    bytes: i64,
    /// Those of them that were elsewhere.
    besides: i64,
    joined: bool,
}

#[cfg(test)]
mod tests;
