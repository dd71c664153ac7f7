//! Multi-row INSERTs that stay prepared.
//!
//! Diesel writes a multi-row INSERT anew for each call, because the number of rows is
//! part of its text, and a single-row one costs as much outside SQLite's b-trees as in
//! them. Here the number of rows is part of the type: full chunks, small ones and single
//! rows are three statements, which stay prepared. Measured on batches of small objects,
//! see `benches/RESULTS.md`.

use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::exec::Value;

/// Where rows go: everything of the INSERT before its values.
pub(super) trait Into: 'static {
    const TEXT: &'static str;
}

/// Rows of a full statement: more save little and make the text long.
const FULL: usize = 64;
/// Rows of a smaller one, for what a few writers commit together.
const FEW: usize = 8;

/// Inserts rows of `N` columns, in order.
pub(super) fn insert<T: Into, const N: usize>(conn: &mut SqliteConnection, rows: &[[Value<'_>; N]]) -> QueryResult<()> {
    let full = rows.chunks_exact(FULL);
    let few = full.remainder().chunks_exact(FEW);
    let single = few.remainder().chunks(1);
    for rows in full {
        Insert::<T, FULL, N>::new(rows).execute(conn)?;
    }
    for rows in few {
        Insert::<T, FEW, N>::new(rows).execute(conn)?;
    }
    for row in single {
        Insert::<T, 1, N>::new(row).execute(conn)?;
    }
    Ok(())
}

struct Insert<'a, T, const ROWS: usize, const N: usize> {
    rows: &'a [[Value<'a>; N]],
    into: PhantomData<T>,
}

impl<'a, T, const ROWS: usize, const N: usize> Insert<'a, T, ROWS, N> {
    fn new(rows: &'a [[Value<'a>; N]]) -> Self {
        debug_assert_eq!(rows.len(), ROWS);
        Self {
            rows,
            into: PhantomData,
        }
    }
}

/// What tells the statements apart: the table and the number of rows.
struct Shape<T, const ROWS: usize>(PhantomData<T>);

impl<T: Into, const ROWS: usize, const N: usize> QueryId for Insert<'_, T, ROWS, N> {
    type QueryId = Shape<T, ROWS>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T: Into, const ROWS: usize, const N: usize> QueryFragment<Sqlite> for Insert<'_, T, ROWS, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(T::TEXT);
        out.push_sql(" VALUES ");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            for (index, value) in row.iter().enumerate() {
                if index > 0 {
                    out.push_sql(", ");
                }
                value.push(&mut out)?;
            }
            out.push_sql(")");
        }
        Ok(())
    }
}

impl<T: Into, const ROWS: usize, const N: usize> RunQueryDsl<SqliteConnection> for Insert<'_, T, ROWS, N> {}
