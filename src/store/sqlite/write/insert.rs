//! Multi-row statements that stay prepared.
//!
//! Diesel writes the text of a multi-row INSERT again for each call, because the number of rows is
//! part of its text, and a single-row one costs as much outside SQLite's b-trees as in
//! them. Here the number of rows is part of the type: full chunks, small ones and single
//! rows are three statements, which stay prepared. So are those that delete by key.
//! Measured on batches of small objects, see `benches/RESULTS.md`.

use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::store::statement::{Sql, Value};

/// The target of an INSERT: its text before the values.
pub(super) trait Target: 'static {
    const TEXT: &'static str;
    /// Columns in which the rows of a batch mostly have equal values. If they do, only the first row
    /// binds them and the others refer to it, because binding a value takes longer than writing it.
    const ALIKE: &'static [usize];
}

macro_rules! target {
    ($($name:ident = $text:expr, alike in $alike:expr;)*) => {
        $(struct $name;
        impl Target for $name {
            const TEXT: &'static str = $text;
            const ALIKE: &'static [usize] = &$alike;
        })*
    };
}
pub(super) use target;

/// Rows of a full statement; more would save little and make the text long.
const FULL: usize = 64;
/// Rows of a smaller statement, for a few writers that share a commit.
const FEW: usize = 8;

/// Inserts rows of `N` columns, in order.
pub(super) fn insert<'v, T: Target, const N: usize>(
    conn: &mut SqliteConnection,
    rows: impl Iterator<Item = [Value<'v>; N]>,
) -> QueryResult<()> {
    let rows: Vec<_> = rows.collect();
    let full = rows.chunks_exact(FULL);
    let few = full.remainder().chunks_exact(FEW);
    let single = few.remainder().chunks(1);
    for rows in full {
        insert_chunk::<T, FULL, N>(conn, rows)?;
    }
    for rows in few {
        insert_chunk::<T, FEW, N>(conn, rows)?;
    }
    for row in single {
        Insert::<T, 1, N, false>::new(row).execute(conn)?;
    }
    Ok(())
}

fn insert_chunk<T: Target, const ROWS: usize, const N: usize>(
    conn: &mut SqliteConnection,
    rows: &[[Value<'_>; N]],
) -> QueryResult<usize> {
    let first = rows.first();
    let alike = |row: &[_; N]| {
        T::ALIKE
            .iter()
            .all(|&at| row.get(at) == first.and_then(|row| row.get(at)))
    };
    if rows.iter().all(alike) {
        Insert::<T, ROWS, N, true>::new(rows).execute(conn)
    } else {
        Insert::<T, ROWS, N, false>::new(rows).execute(conn)
    }
}

/// Deletes the rows with these keys, in order. The text of `T` is followed by `(key, ...)`.
pub(super) fn delete<T: Sql>(conn: &mut SqliteConnection, keys: impl Iterator<Item = i64>) -> QueryResult<()> {
    let keys: Vec<_> = keys.collect();
    let full = keys.chunks_exact(FULL);
    let single = full.remainder().chunks(1);
    for keys in full {
        Delete::<T, FULL>::new(keys).execute(conn)?;
    }
    for key in single {
        Delete::<T, 1>::new(key).execute(conn)?;
    }
    Ok(())
}

struct Insert<'a, T, const ROWS: usize, const N: usize, const ALIKE: bool> {
    rows: &'a [[Value<'a>; N]],
    into: PhantomData<T>,
}

impl<'a, T, const ROWS: usize, const N: usize, const ALIKE: bool> Insert<'a, T, ROWS, N, ALIKE> {
    fn new(rows: &'a [[Value<'a>; N]]) -> Self {
        debug_assert_eq!(rows.len(), ROWS);
        Self {
            rows,
            into: PhantomData,
        }
    }
}

/// Distinguishes the statements: the table, the number of rows, and whether values are shared.
struct Shape<T, const ROWS: usize, const ALIKE: bool>(PhantomData<T>);

impl<T: Target, const ROWS: usize, const N: usize, const ALIKE: bool> QueryId for Insert<'_, T, ROWS, N, ALIKE> {
    type QueryId = Shape<T, ROWS, ALIKE>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T: Target, const ROWS: usize, const N: usize, const ALIKE: bool> QueryFragment<Sqlite>
    for Insert<'_, T, ROWS, N, ALIKE>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(T::TEXT);
        out.push_sql(" VALUES ");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            for ((column, value), &first) in row.iter().enumerate().zip(FIRST) {
                if column > 0 {
                    out.push_sql(", ");
                }
                if ALIKE && index > 0 && T::ALIKE.contains(&column) {
                    out.push_sql(first);
                } else {
                    value.push(&mut out)?;
                }
            }
            out.push_sql(")");
        }
        Ok(())
    }
}

/// References to the values of the first row.
const FIRST: &[&str] = &[
    "?1", "?2", "?3", "?4", "?5", "?6", "?7", "?8", "?9", "?10", "?11", "?12", "?13", "?14", "?15", "?16", "?17",
    "?18", "?19", "?20",
];

impl<T: Target, const ROWS: usize, const N: usize, const ALIKE: bool> RunQueryDsl<SqliteConnection>
    for Insert<'_, T, ROWS, N, ALIKE>
{
}

struct Delete<'a, T, const ROWS: usize> {
    keys: &'a [i64],
    from: PhantomData<T>,
}

impl<'a, T, const ROWS: usize> Delete<'a, T, ROWS> {
    fn new(keys: &'a [i64]) -> Self {
        debug_assert_eq!(keys.len(), ROWS);
        Self {
            keys,
            from: PhantomData,
        }
    }
}

impl<T: Sql, const ROWS: usize> QueryId for Delete<'_, T, ROWS> {
    type QueryId = Shape<T, ROWS, false>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T: Sql, const ROWS: usize> QueryFragment<Sqlite> for Delete<'_, T, ROWS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(T::TEXT);
        for (index, key) in self.keys.iter().enumerate() {
            out.push_sql(if index == 0 { " (" } else { ", " });
            out.push_bind_param::<BigInt, _>(key)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl<T: Sql, const ROWS: usize> RunQueryDsl<SqliteConnection> for Delete<'_, T, ROWS> {}
