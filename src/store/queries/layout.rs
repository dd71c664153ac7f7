//! The layout of a space: every level below the one above it, and the pieces in the blocks.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::models::{ArenaId, BlockId, MemRamId, PoolId, Stripe};
use crate::store::conn::rows_of;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// A piece with the levels that it is in, or a level without anything in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutRow {
    pub arena: (ArenaId, Extent),
    pub pool: Option<(PoolId, i64, Extent)>,
    pub block: Option<(BlockId, Extent)>,
    pub piece: Option<LayoutPiece>,
}

/// Bytes of a level, and bytes of content in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub max_mem: i64,
    pub mem: i64,
}

/// Which part of its object a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutPiece {
    pub seq: i64,
    pub start: i64,
    pub bytes: i64,
}

/// The arenas of a space, the pools in each, the blocks in each of these, and their pieces, all in the
/// order of their keys. They are read lazily, and with one statement, so they are of one state.
pub fn rows(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<impl Iterator<Item = Result<LayoutRow>>> {
    let age = tx.age();
    let stripe = Stripe::of(space);
    let statement = Statement::<ReadLayout, 2>::new([stripe.before().into(), stripe.last().into()]);
    let rows = rows_of!(tx, statement, Columns);
    Ok(rows.map(move |row| {
        age.check()?;
        Ok(row?.into())
    }))
}

/// Each column by itself: the compiler takes ten seconds for tuples in tuples that may be NULL.
#[derive(Queryable)]
struct Columns {
    arena: ArenaId,
    arena_max: i64,
    arena_mem: i64,
    pool: Option<PoolId>,
    block_size: Option<i64>,
    pool_max: Option<i64>,
    pool_mem: Option<i64>,
    block: Option<BlockId>,
    block_max: Option<i64>,
    block_mem: Option<i64>,
    seq: Option<i64>,
    start: Option<i64>,
    bytes: Option<i64>,
}

impl From<Columns> for LayoutRow {
    fn from(row: Columns) -> Self {
        let extent = |max_mem: Option<i64>, mem: Option<i64>| {
            Some(Extent {
                max_mem: max_mem?,
                mem: mem?,
            })
        };
        let arena = Extent {
            max_mem: row.arena_max,
            mem: row.arena_mem,
        };
        let pool = || Some((row.pool?, row.block_size?, extent(row.pool_max, row.pool_mem)?));
        let block = || Some((row.block?, extent(row.block_max, row.block_mem)?));
        let piece = || {
            Some(LayoutPiece {
                seq: row.seq?,
                start: row.start?,
                bytes: row.bytes?,
            })
        };
        Self {
            arena: (row.arena, arena),
            pool: pool(),
            block: block(),
            piece: piece(),
        }
    }
}

type Number = Nullable<BigInt>;

sql! {
    // Keys and indexes give this order, so nothing is sorted.
    ReadLayout: (BigInt, BigInt, BigInt, Number, Number, Number, Number, Number, Number, Number, Number, Number, Number) =
        "SELECT a.id, a.max_mem, a.mem, p.id, p.block_size, p.max_mem, p.mem, \
        b.id, b.max_mem, b.mem, l.seq, l.start, l.allocated_mem FROM arenas a \
        LEFT JOIN pools p ON p.arena_id = a.id LEFT JOIN blocks b ON b.pool_id = p.id \
        LEFT JOIN ledger l ON l.block_id = b.id \
        WHERE a.id > ? AND a.id <= ? ORDER BY a.id, p.id, b.id, l.id";
}
