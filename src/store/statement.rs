//! Statements with a fixed text, for what has no place in Diesel's query builder, or must stay
//! prepared.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, SelectableExpression, TypedExpressionType, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Bool, Double, HasSqlType, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::value::ObjectId;

/// The text of a statement, with `?` for each value.
pub(in crate::store) trait Sql: 'static {
    const TEXT: &'static str;
    /// The same for PostgreSQL, with the same values in the same order.
    #[cfg(feature = "postgres")]
    const POSTGRES: &'static str = Self::TEXT;
}

/// A statement that returns rows of these types.
pub(in crate::store) trait Returning: Sql {
    type Types;
}

/// Declares statements: `Name = "text";`, or `Name: Types = "text";` if it returns rows. If it must
/// be written differently for PostgreSQL, that text follows: `"text", postgres "text"`. A condition
/// is declared in the same way, with the type `Bool`.
macro_rules! sql {
    ($($(#[$doc:meta])* $name:ident $(: $types:ty)? = $text:expr $(, postgres $postgres:expr)?;)*) => {
        $($(#[$doc])*
        struct $name;
        impl $crate::store::statement::Sql for $name {
            const TEXT: &'static str = $text;
            $(#[cfg(feature = "postgres")]
            const POSTGRES: &'static str = $postgres;)?
        }
        $(impl $crate::store::statement::Returning for $name {
            type Types = $types;
        })?)*
    };
}
pub(in crate::store) use sql;

/// A statement whose text never changes. Diesel builds and prepares an `update` again at each
/// call, because its text could differ; this one tells Diesel that it does not, and so stays
/// prepared.
pub(in crate::store) struct Statement<'a, S, const N: usize> {
    values: [Value<'a>; N],
    sql: PhantomData<S>,
}

/// A value, or NULL of its type: a parameter of a prepared statement has one type.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Bool(bool),
    Int(Option<i64>),
    Real(f64),
    Text(Option<&'a str>),
    Blob(Option<&'a [u8]>),
    Id(Option<&'a ObjectId>),
}

impl Value<'_> {
    /// Puts the value into a statement.
    pub(in crate::store) fn push<'b, DB>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: Backend
            + HasSqlType<Bool>
            + HasSqlType<BigInt>
            + HasSqlType<Double>
            + HasSqlType<Text>
            + HasSqlType<Binary>,
        bool: ToSql<Bool, DB>,
        i64: ToSql<BigInt, DB>,
        f64: ToSql<Double, DB>,
        str: ToSql<Text, DB>,
        [u8]: ToSql<Binary, DB>,
        ObjectId: ToSql<Text, DB>,
    {
        match self {
            Value::Bool(value) => out.push_bind_param::<Bool, _>(value),
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Real(value) => out.push_bind_param::<Double, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Blob(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Value::Id(value) => out.push_bind_param::<Nullable<Text>, _>(value),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value))
            }
        }

        impl<'a> From<Option<$type>> for Value<'a> {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from! {
    i64 => Int,
    &'a str => Text,
    &'a [u8] => Blob,
    &'a ObjectId => Id,
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a, S: Sql, const N: usize> Statement<'a, S, N> {
    /// Split at compile time, because Diesel walks through the text each time it collects values.
    const TEXT: Split<N> = split(S::TEXT);
    #[cfg(feature = "postgres")]
    const POSTGRES: Split<N> = split(S::POSTGRES);

    /// The statement `S` with its values.
    pub fn new(values: [Value<'a>; N]) -> Self {
        let sql = PhantomData;
        Self { values, sql }
    }
}

impl<S: Sql, const N: usize> QueryFragment<Sqlite> for Statement<'_, S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let (before, after) = Self::TEXT;
        out.push_sql(before);
        for (value, text) in self.values.iter().zip(after) {
            value.push(&mut out)?;
            out.push_sql(text);
        }
        Ok(())
    }
}

#[cfg(feature = "postgres")]
impl<S: Sql, const N: usize> QueryFragment<diesel::pg::Pg> for Statement<'_, S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        let (before, after) = Self::POSTGRES;
        out.push_sql(before);
        for (value, text) in self.values.iter().zip(after) {
            value.push(&mut out)?;
            out.push_sql(text);
        }
        Ok(())
    }
}

/// The text before the first value and after each one.
type Split<const N: usize> = (&'static str, [&'static str; N]);

/// The text before the first `?` and after each one. Runs at compile time.
#[allow(clippy::indexing_slicing, reason = "out of bounds is an error of the compiler")]
const fn split<const N: usize>(text: &'static str) -> Split<N> {
    let mut after = [""; N];
    let mut rest = text;
    let mut at = text.len();
    let mut values = N;
    while at > 0 {
        at -= 1;
        if text.as_bytes()[at] == b'?' {
            values -= 1;
            after[values] = rest.split_at(at + 1).1;
            rest = rest.split_at(at).0;
        }
    }
    assert!(values == 0, "a statement needs one `?` per value");
    (rest, after)
}

impl<S: Sql, const N: usize> QueryId for Statement<'_, S, N> {
    type QueryId = S;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: Returning, const N: usize> Query for Statement<'_, S, N> {
    type SqlType = S::Types;
}

impl<S: Returning, const N: usize> RunQueryDsl<SqliteConnection> for Statement<'_, S, N> {}

/// As a condition in a query of the query builder, on any table whose columns it names.
impl<S: Returning<Types: TypedExpressionType>, const N: usize> Expression for Statement<'_, S, N> {
    type SqlType = S::Types;
}

impl<S: Returning<Types: TypedExpressionType>, T, const N: usize> AppearsOnTable<T> for Statement<'_, S, N> {}

impl<S: Returning<Types: TypedExpressionType>, T, const N: usize> SelectableExpression<T> for Statement<'_, S, N> {}

impl<S, G, const N: usize> ValidGrouping<G> for Statement<'_, S, N> {
    type IsAggregate = is_aggregate::Never;
}

#[cfg(feature = "postgres")]
impl<S: Returning, const N: usize> RunQueryDsl<PgConnection> for Statement<'_, S, N> {}
