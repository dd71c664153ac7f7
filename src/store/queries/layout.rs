//! The layout of a space: every level below the one above it, and the pieces in the blocks.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::models::{ArenaId, BlockId, MemRamId, PoolId, Stripe};
use crate::store::conn::rows_of;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// A piece with the levels that it is in, or a level without anything in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct LayoutRow {
    pub arena: (ArenaId, Extent),
    pub pool: Option<(PoolId, i64, Extent)>,
    pub block: Option<(BlockId, Extent)>,
    pub piece: Option<LayoutPiece>,
}

/// Bytes of a level, and bytes of content in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Extent {
    pub max_mem: i64,
    pub mem: i64,
}

/// Which part of its object a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
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
    let rows = rows_of!(tx, statement, LayoutRow);
    Ok(rows.map(move |row| {
        age.check()?;
        Ok(row?)
    }))
}

type Sizes = (BigInt, BigInt);
type Piece = (BigInt, BigInt, BigInt);

sql! {
    // Keys and indexes give this order, so nothing is sorted.
    ReadLayout: ((BigInt, Sizes), Nullable<(BigInt, BigInt, Sizes)>, Nullable<(BigInt, Sizes)>, Nullable<Piece>) =
        "SELECT a.id, a.max_mem, a.mem, p.id, p.block_size, p.max_mem, p.mem, \
        b.id, b.max_mem, b.mem, l.seq, l.start, l.allocated_mem FROM arenas a \
        LEFT JOIN pools p ON p.arena_id = a.id LEFT JOIN blocks b ON b.pool_id = p.id \
        LEFT JOIN ledger l ON l.block_id = b.id \
        WHERE a.id > ? AND a.id <= ? ORDER BY a.id, p.id, b.id, l.id";
}
