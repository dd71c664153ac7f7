//! A slow reference for placement: all rows in lists, every search from the start.

use heapledger::{Geometry, SizeClass};

/// A parent that children are carved from: an arena or a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    pub id: i64,
    pub parent: i64,
    pub class: usize,
    pub max_mem: u64,
    pub reserved: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub id: i64,
    pub pool: i64,
    pub class: usize,
    pub max_mem: u64,
    pub mem: u64,
}

/// One piece: the block and the bytes in it.
pub type Piece = (i64, u64);

pub struct Reference {
    max_mem: u64,
    arena_size: u64,
    per_block: u64,
    classes: Vec<SizeClass>,
    pub arenas: Vec<Parent>,
    pub pools: Vec<Parent>,
    pub blocks: Vec<Block>,
    last_ids: [i64; 3],
}

impl Parent {
    fn room(&self) -> u64 {
        self.max_mem - self.reserved
    }
}

impl Reference {
    pub fn new(max_mem: u64, geometry: &Geometry) -> Self {
        Self {
            max_mem,
            arena_size: geometry.arena_size(),
            per_block: geometry.per_block(),
            classes: geometry.classes().to_vec(),
            arenas: vec![],
            pools: vec![],
            blocks: vec![],
            last_ids: [0; 3],
        }
    }

    /// Where an object of `size` bytes goes, or `None` where it does not fit.
    pub fn put(&mut self, size: u64) -> Option<Vec<Piece>> {
        let used: u64 = self.blocks.iter().map(|block| block.mem).sum();
        if size > self.max_mem - used {
            return None;
        }
        let holds = |class: &SizeClass| size <= class.block_size / self.per_block;
        let class = self.classes.iter().position(holds).unwrap_or(self.classes.len() - 1);
        let mut pieces = Vec::new();
        let mut left = size;
        while left > 0 {
            let index = self.block_with_room(class);
            let block = &mut self.blocks[index];
            let bytes = left.min(block.max_mem - block.mem);
            block.mem += bytes;
            left -= bytes;
            pieces.push((block.id, bytes));
        }
        Some(pieces)
    }

    pub fn free(&mut self, pieces: &[Piece]) {
        for (id, bytes) in pieces {
            self.blocks.iter_mut().find(|block| block.id == *id).unwrap().mem -= bytes;
        }
    }

    pub fn collect(&mut self) {
        self.blocks.retain(|block| block.mem > 0);
        for pool in &mut self.pools {
            pool.reserved = self
                .blocks
                .iter()
                .filter(|block| block.pool == pool.id)
                .map(|block| block.max_mem)
                .sum();
        }
        self.pools.retain(|pool| pool.reserved > 0);
        for arena in &mut self.arenas {
            arena.reserved = self
                .pools
                .iter()
                .filter(|pool| pool.parent == arena.id)
                .map(|pool| pool.max_mem)
                .sum();
        }
        self.arenas.retain(|arena| arena.reserved > 0);
    }

    /// The rules in order.
    fn block_with_room(&mut self, class: usize) -> usize {
        let pool_size = self.classes[class].pool_size;
        loop {
            if let Some(index) = self.fill_or_carve(class) {
                return index;
            }
            let unreserved = self.max_mem - self.arenas.iter().map(|arena| arena.max_mem).sum::<u64>();
            let arena_bytes = self.arena_size.min(unreserved);
            if let Some(index) = self.arenas.iter().position(|arena| arena.room() >= pool_size) {
                self.carve_pool(index, class);
            } else if arena_bytes >= pool_size {
                self.carve_arena(arena_bytes);
            } else if let Some(index) = self.arenas.iter().position(|arena| arena.room() > 0) {
                self.carve_pool(index, class);
            } else if arena_bytes > 0 {
                self.carve_arena(arena_bytes);
            } else {
                let others = (0..self.classes.len()).rev().filter(|&other| other != class);
                return others.into_iter().find_map(|other| self.fill_or_carve(other)).unwrap();
            }
        }
    }

    /// A block of the class with room; if there is none, a new one from a pool with room.
    fn fill_or_carve(&mut self, class: usize) -> Option<usize> {
        let has_room = |block: &Block| block.class == class && block.mem < block.max_mem;
        if let Some(index) = self.blocks.iter().position(has_room) {
            return Some(index);
        }
        let pool = self
            .pools
            .iter_mut()
            .find(|pool| pool.class == class && pool.room() > 0)?;
        let bytes = self.classes[class].block_size.min(pool.room());
        pool.reserved += bytes;
        self.last_ids[2] += 1;
        self.blocks.push(Block {
            id: self.last_ids[2],
            pool: pool.id,
            class,
            max_mem: bytes,
            mem: 0,
        });
        Some(self.blocks.len() - 1)
    }

    fn carve_pool(&mut self, arena: usize, class: usize) {
        let arena = &mut self.arenas[arena];
        let bytes = self.classes[class].pool_size.min(arena.room());
        arena.reserved += bytes;
        self.last_ids[1] += 1;
        self.pools.push(Parent {
            id: self.last_ids[1],
            parent: arena.id,
            class,
            max_mem: bytes,
            reserved: 0,
        });
    }

    fn carve_arena(&mut self, bytes: u64) {
        self.last_ids[0] += 1;
        self.arenas.push(Parent {
            id: self.last_ids[0],
            parent: 0,
            class: 0,
            max_mem: bytes,
            reserved: 0,
        });
    }
}
