//! The room in the arenas that are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{InPool, Place, Slice};
use crate::books::room::Room;
use crate::geometry::Geometry;
use crate::models::{ArenaId, BlockId, PoolId, signed};

/// The room in the arenas that are kept, and in those that are not yet.
pub(super) struct Targets<'g> {
    geometry: &'g Geometry,
    closed: HashMap<ArenaId, InArena>,
    /// By class, blocks by their room.
    blocks: Vec<BTreeSet<(i64, Place)>>,
    /// By class, how many whole blocks can be carved from a pool.
    pools: Vec<BTreeMap<InPool, i64>>,
    /// Arenas by the bytes that are not carved.
    arenas: BTreeSet<(i64, ArenaId)>,
    /// What has changed, to be undone.
    log: Vec<Undo>,
}

/// The room in one arena.
#[derive(Debug, Default)]
struct InArena {
    /// The class, the room, and the block.
    blocks: Vec<(usize, i64, BlockId)>,
    /// The class, how many whole blocks can be carved, and the pool.
    pools: Vec<(usize, i64, PoolId)>,
    uncarved: i64,
}

enum Undo {
    /// A block of a class, with its room before and after.
    Block(usize, Place, i64, i64),
    /// A pool of a class, and how many blocks could be carved before.
    Pool(usize, InPool, i64),
    /// An arena, with what was not carved before and after.
    Arena(ArenaId, i64, i64),
}

/// A state to go back to.
pub(super) struct Mark {
    pools: usize,
    blocks: usize,
}

impl<'g> Targets<'g> {
    /// Nothing is open yet.
    pub fn of(geometry: &'g Geometry, room: &Room) -> Self {
        let mut closed: HashMap<ArenaId, InArena> = HashMap::new();
        for (class, blocks) in room.blocks.iter().enumerate() {
            for block in blocks.rows() {
                let of = closed.entry(block.arena_id).or_default();
                of.blocks.push((class, signed(block.room()), block.id));
            }
        }
        for (class, pools) in room.pools.iter().enumerate() {
            for pool in pools.rows() {
                let count = signed(pool.uncarved() / pool.block_size.max(1));
                closed
                    .entry(pool.arena_id)
                    .or_default()
                    .pools
                    .push((class, count, pool.id));
            }
        }
        for arena in room.arenas.rows() {
            closed.entry(arena.id).or_default().uncarved = signed(arena.uncarved());
        }
        let classes = geometry.classes().len();
        Self {
            geometry,
            closed,
            blocks: vec![BTreeSet::new(); classes],
            pools: vec![BTreeMap::new(); classes],
            arenas: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    /// Keeps an arena, so that its room can be used.
    pub fn open(&mut self, arena: ArenaId) {
        let Some(of) = self.closed.remove(&arena) else { return };
        for (class, room, block) in of.blocks {
            if let Some(blocks) = self.blocks.get_mut(class) {
                blocks.insert((room, Place::Existing(block)));
            }
        }
        for (class, count, pool) in of.pools {
            if let Some(pools) = self.pools.get_mut(class).filter(|_| count > 0) {
                pools.insert(InPool::Existing(pool), count);
            }
        }
        self.set_uncarved(arena, 0, of.uncarved);
    }

    /// Whether an arena that is not open has a place for `bytes` of a class.
    pub fn has(&self, arena: ArenaId, class: usize, bytes: i64) -> bool {
        let Some(of) = self.closed.get(&arena) else {
            return false;
        };
        let fits = |&(of_class, room, _): &(usize, i64, BlockId)| of_class == class && room >= bytes;
        let (block_size, pool_size) = self.sizes(class);
        let can_carve = of.uncarved >= pool_size || of.pools.iter().any(|pool| pool.0 == class && pool.1 > 0);
        of.blocks.iter().any(fits) || (bytes <= block_size && can_carve)
    }

    /// Takes `bytes` of the fullest block of a class that has room for them, or of one that is carved.
    pub fn take(&mut self, class: usize, bytes: i64, slice: &mut Slice) -> Option<Place> {
        let room_at_least = (bytes, Place::Existing(BlockId(i64::MIN)));
        let (room, place) = match self.blocks.get(class)?.range(room_at_least..).next() {
            Some(&found) => found,
            None => self.carve(class, bytes, slice)?,
        };
        self.set_room(class, place, room, room - bytes);
        self.log.push(Undo::Block(class, place, room, room - bytes));
        Some(place)
    }

    fn carve(&mut self, class: usize, bytes: i64, slice: &mut Slice) -> Option<(i64, Place)> {
        let (block_size, pool_size) = self.sizes(class);
        if bytes > block_size {
            return None;
        }
        let (pool, count) = match self.pools.get(class)?.first_key_value() {
            Some((&pool, &count)) => (pool, count),
            None => {
                let at_least = (pool_size, ArenaId(i64::MIN));
                let &(uncarved, arena) = self.arenas.range(at_least..).next()?;
                self.set_uncarved(arena, uncarved, uncarved - pool_size);
                self.log.push(Undo::Arena(arena, uncarved, uncarved - pool_size));
                slice.pools.push((arena, class));
                (InPool::New(slice.pools.len() - 1), pool_size / block_size.max(1))
            }
        };
        self.log.push(Undo::Pool(class, pool, count));
        let pools = self.pools.get_mut(class)?;
        if count > 1 {
            pools.insert(pool, count - 1);
        } else {
            pools.remove(&pool);
        }
        slice.blocks.push(pool);
        Some((block_size, Place::New(slice.blocks.len() - 1)))
    }

    fn set_room(&mut self, class: usize, place: Place, before: i64, after: i64) {
        if let Some(blocks) = self.blocks.get_mut(class) {
            blocks.remove(&(before, place));
            if after > 0 {
                blocks.insert((after, place));
            }
        }
    }

    fn set_uncarved(&mut self, arena: ArenaId, before: i64, after: i64) {
        self.arenas.remove(&(before, arena));
        if after > 0 {
            self.arenas.insert((after, arena));
        }
    }

    /// The bytes of a block and of a pool of a class.
    fn sizes(&self, class: usize) -> (i64, i64) {
        let class = self.geometry.classes().get(class);
        class.map_or((0, i64::MAX), |class| {
            (signed(class.block_size), signed(class.pool_size))
        })
    }

    /// What is decided after this can be undone.
    pub fn mark(&mut self, slice: &Slice) -> Mark {
        self.log.clear();
        Mark {
            pools: slice.pools.len(),
            blocks: slice.blocks.len(),
        }
    }

    /// Goes back to the last mark. Arenas that were opened stay open.
    pub fn undo(&mut self, mark: Mark, slice: &mut Slice) {
        for undo in std::mem::take(&mut self.log).into_iter().rev() {
            match undo {
                Undo::Block(class, place, before, after) => {
                    let is_new = matches!(place, Place::New(index) if index >= mark.blocks);
                    // A new block has no room before it is carved.
                    self.set_room(class, place, after, if is_new { 0 } else { before });
                }
                Undo::Pool(class, pool, count) => {
                    let is_new = matches!(pool, InPool::New(index) if index >= mark.pools);
                    if let Some(pools) = self.pools.get_mut(class) {
                        pools.remove(&pool);
                        if !is_new {
                            pools.insert(pool, count);
                        }
                    }
                }
                Undo::Arena(arena, before, after) => self.set_uncarved(arena, after, before),
            }
        }
        slice.pools.truncate(mark.pools);
        slice.blocks.truncate(mark.blocks);
    }

    /// New rows can no longer be named.
    pub fn forget_new(&mut self) {
        for blocks in &mut self.blocks {
            blocks.retain(|(_, place)| matches!(place, Place::Existing(_)));
        }
        for pools in &mut self.pools {
            pools.retain(|pool, _| matches!(pool, InPool::Existing(_)));
        }
    }
}
