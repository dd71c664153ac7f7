//! The parts of the one statement that writes a batch: each changes the rows of one table.
//!
//! The rows of a part are a subquery named `x`. Diesel can bind one value at a time, so a row would
//! need as many parameters as it has columns, and each number of rows a text of its own; instead a
//! column is one parameter, an array, and `unnest` makes rows of them. In the list of a SELECT it
//! takes the elements from the array as they are needed, while in FROM it would copy them all first.
//!
//! For a single row the parameters are its values, which saves a third of the time of the whole
//! statement.

use std::fmt::Debug;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, HasSqlType, Nullable, Text};

use crate::store::statement::Value;
use crate::value::ObjectId;

/// A part: a data-modifying CTE.
pub(super) struct Part<'a> {
    text: &'static Sql,
    rows: usize,
    columns: Vec<Column<'a>>,
}

/// The text of a part before and after the subquery with its rows.
pub(super) struct Sql(pub &'static str, pub &'static str);

/// The values of a column.
enum Column<'a> {
    Bool(Vec<bool>),
    Int(Vec<Option<i64>>),
    Real(Vec<f64>),
    Text(Vec<Option<&'a str>>),
    Blob(Vec<Option<&'a [u8]>>),
    Id(Vec<Option<&'a ObjectId>>),
}

impl<'a> Part<'a> {
    /// A part with these rows, unless there are none.
    pub fn new<const N: usize>(text: &'static Sql, rows: impl IntoIterator<Item = [Value<'a>; N]>) -> Option<Self> {
        Self::of(text, rows.into_iter().map(IntoIterator::into_iter))
    }

    /// The same without the first value of each row: the space, which the statement knows, or a key that
    /// it computes.
    pub fn without_first<const N: usize>(
        text: &'static Sql,
        rows: impl IntoIterator<Item = [Value<'a>; N]>,
    ) -> Option<Self> {
        Self::of(text, rows.into_iter().map(|row| row.into_iter().skip(1)))
    }

    fn of(text: &'static Sql, mut rows: impl Iterator<Item = impl Iterator<Item = Value<'a>>>) -> Option<Self> {
        let mut columns: Vec<Column<'a>> = rows.next()?.map(Column::from).collect();
        let mut count = 1;
        for row in rows {
            count += 1;
            for (column, value) in columns.iter_mut().zip(row) {
                column.add(value);
            }
        }
        Some(Self {
            text,
            rows: count,
            columns,
        })
    }

    /// Whether it has one row.
    pub fn is_single(&self) -> bool {
        self.rows == 1
    }

    /// Whether it inserts rows.
    pub fn inserts(&self) -> bool {
        self.text.0.contains(" AS (INSERT ")
    }

    /// Writes the part as a statement of its own, after `WITH space AS (…)`.
    pub fn push_alone<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Sql(before, after) = self.text;
        let (_, before) = before.split_once(" AS (").unwrap_or(("", before));
        self.push_text(before, after.strip_suffix(')').unwrap_or(after), out, self.is_single())
    }

    /// Writes the part, with values or with arrays of values.
    pub fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, single: bool) -> QueryResult<()> {
        let Sql(before, after) = self.text;
        self.push_text(before, after, out, single)
    }

    fn push_text<'b>(
        &'b self,
        before: &str,
        after: &str,
        out: &mut AstPass<'_, 'b, Pg>,
        single: bool,
    ) -> QueryResult<()> {
        out.push_sql(before);
        for (index, column) in self.columns.iter().enumerate() {
            out.push_sql(if index == 0 { "(SELECT " } else { ", " });
            column.push(out, single)?;
        }
        out.push_sql(") x ");
        out.push_sql(after);
        Ok(())
    }
}

impl<'a> From<Value<'a>> for Column<'a> {
    fn from(first: Value<'a>) -> Self {
        match first {
            Value::Bool(value) => Self::Bool(vec![value]),
            Value::Int(value) => Self::Int(vec![value]),
            Value::Real(value) => Self::Real(vec![value]),
            Value::Text(value) => Self::Text(vec![value]),
            Value::Blob(value) => Self::Blob(vec![value]),
            Value::Id(value) => Self::Id(vec![value]),
        }
    }
}

impl<'a> Column<'a> {
    fn add(&mut self, value: Value<'a>) {
        match (self, value) {
            (Self::Bool(values), Value::Bool(value)) => values.push(value),
            (Self::Int(values), Value::Int(value)) => values.push(value),
            (Self::Real(values), Value::Real(value)) => values.push(value),
            (Self::Text(values), Value::Text(value)) => values.push(value),
            (Self::Blob(values), Value::Blob(value)) => values.push(value),
            (Self::Id(values), Value::Id(value)) => values.push(value),
            _ => debug_assert!(false, "the values of a column have one type"),
        }
    }

    /// Writes an expression with its only value, or one with a row for each.
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, single: bool) -> QueryResult<()> {
        match self {
            Self::Bool(values) => push::<Bool, _>(values, out, single),
            Self::Int(values) => push::<Nullable<BigInt>, _>(values, out, single),
            Self::Real(values) => push::<Double, _>(values, out, single),
            Self::Text(values) => push::<Nullable<Text>, _>(values, out, single),
            Self::Blob(values) => push::<Nullable<Binary>, _>(values, out, single),
            Self::Id(values) => push::<Nullable<Text>, _>(values, out, single),
        }
    }
}

fn push<'b, ST, T>(values: &'b Vec<T>, out: &mut AstPass<'_, 'b, Pg>, single: bool) -> QueryResult<()>
where
    ST: 'static,
    T: ToSql<ST, Pg> + Debug,
    Pg: HasSqlType<ST>,
{
    if let (true, [value]) = (single, values.as_slice()) {
        return out.push_bind_param::<ST, _>(value);
    }
    out.push_sql("unnest(");
    out.push_bind_param::<Array<ST>, _>(values)?;
    out.push_sql(")");
    Ok(())
}
