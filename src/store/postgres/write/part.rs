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
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Nullable, Text};

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
pub(super) enum Column<'a> {
    Int(Vec<Option<i64>>),
    Bool(Vec<bool>),
    Text(Vec<Option<&'a str>>),
    Id(Vec<Option<&'a ObjectId>>),
    Blob(Vec<Option<&'a [u8]>>),
}

impl<'a> Part<'a> {
    /// A part with these rows, unless there are none.
    pub fn new<R: Copy>(
        text: &'static Sql,
        rows: impl IntoIterator<Item = R>,
        columns: impl FnOnce(Rows<R>) -> Vec<Column<'a>>,
    ) -> Option<Self> {
        let rows: Vec<R> = rows.into_iter().collect();
        let count = rows.len();
        (count > 0).then(|| Self {
            text,
            rows: count,
            columns: columns(Rows(rows)),
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

/// The rows of a part, to make columns of.
pub(super) struct Rows<R>(Vec<R>);

impl<R: Copy> Rows<R> {
    pub fn int<'a>(&self, of: impl Fn(R) -> i64) -> Column<'a> {
        self.int_if_any(|row| Some(of(row)))
    }

    pub fn int_if_any<'a>(&self, of: impl Fn(R) -> Option<i64>) -> Column<'a> {
        Column::Int(self.each(of))
    }

    pub fn bool<'a>(&self, of: impl Fn(R) -> bool) -> Column<'a> {
        Column::Bool(self.each(of))
    }

    pub fn text<'a>(&self, of: impl Fn(R) -> &'a str) -> Column<'a> {
        self.text_if_any(|row| Some(of(row)))
    }

    pub fn text_if_any<'a>(&self, of: impl Fn(R) -> Option<&'a str>) -> Column<'a> {
        Column::Text(self.each(of))
    }

    pub fn id<'a>(&self, of: impl Fn(R) -> Option<&'a ObjectId>) -> Column<'a> {
        Column::Id(self.each(of))
    }

    pub fn blob<'a>(&self, of: impl Fn(R) -> Option<&'a [u8]>) -> Column<'a> {
        Column::Blob(self.each(of))
    }

    fn each<T>(&self, of: impl Fn(R) -> T) -> Vec<T> {
        self.0.iter().map(|&row| of(row)).collect()
    }
}

impl Column<'_> {
    /// Writes an expression with its only value, or one with a row for each.
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, single: bool) -> QueryResult<()> {
        match self {
            Self::Int(values) => push::<Nullable<BigInt>, _>(values, out, single),
            Self::Bool(values) => push::<Bool, _>(values, out, single),
            Self::Text(values) => push::<Nullable<Text>, _>(values, out, single),
            Self::Id(values) => push::<Nullable<Text>, _>(values, out, single),
            Self::Blob(values) => push::<Nullable<Binary>, _>(values, out, single),
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
