//! The same on a server, which knows many more types than a program, so it writes each row as JSON.

use std::collections::HashSet;
use std::fmt;

use diesel::pg::{Pg, PgRowByRowLoadingMode};
use diesel::sql_types::{Nullable, Text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as JsonValue;

use super::signs::signs;
use super::*;

/// What is written around a query.
const BEFORE: &str = "SELECT CAST(row_to_json(q) AS text) FROM (\n";
const AFTER: &str = "\n) q";

/// A statement that returns one column of text.
struct OneText<'v>(Written<'v>);

impl QueryFragment<Pg> for OneText<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(&self.0.text);
        for (value, text) in &self.0.values {
            push(value, &mut out)?;
            out.push_sql(text);
        }
        Ok(())
    }
}

/// Puts a value into a statement with the type that a literal has, because a server converts a number to a
/// longer type, but not to a shorter one, and NULL to any type only if it has no type of its own.
fn push<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    match value {
        Value::Int(None) => out.push_sql("NULL"),
        Value::Int(Some(number)) if i32::try_from(*number).is_ok() => {
            out.push_sql("CAST(");
            value.push(out)?;
            out.push_sql(" AS integer)");
        }
        _ => value.push(out)?,
    }
    Ok(())
}

impl QueryId for OneText<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for OneText<'_> {
    type SqlType = Nullable<Text>;
}

impl RunQueryDsl<PgConnection> for OneText<'_> {}

pub fn each_row(
    conn: &mut PgConnection,
    text: &str,
    values: &[SqlValue],
    age: Age,
    pass: &mut dyn FnMut(Fields) -> ControlFlow<()>,
) -> Result<()> {
    // Its rows are text already.
    let is_plan = without_words(text, &["EXPLAIN"]).is_some();
    let pieces = sql_query::split(text, values.len(), Dialect::Server)?;
    if sql_query::ends_subquery(text, Dialect::Server) {
        // The text alone is not a statement.
        let alone = OneText(Written::around("EXPLAIN ", &pieces, "", values));
        let refusal = alone.load::<Option<String>>(conn).err();
        return Err(refusal.map_or_else(sql_query::ended, failed));
    }
    let (before, after) = if is_plan { ("", "") } else { (BEFORE, AFTER) };
    // Parameters are longer in the statement than in the text, so the end is known only without values.
    let end = values.is_empty().then(|| BEFORE.len() + text.chars().count());
    let rows = OneText(Written::around(before, &pieces, after, values));
    for row in rows
        .load_iter::<Option<String>, PgRowByRowLoadingMode>(conn)
        .map_err(|refusal| with_operators(error_alone(refusal, end), text, values))?
    {
        age.check()?;
        let row = row.map_err(failed)?.unwrap_or_else(|| "{}".to_owned());
        let fields = match is_plan {
            true => vec![("QUERY PLAN".to_owned(), SqlValue::Text(row))],
            false => fields(&row)?,
        };
        if pass(fields).is_break() {
            break;
        }
    }
    Ok(())
}

/// The error about a query, which ends at `end`, without what was written around the query.
fn error_alone(refusal: Refusal, end: Option<usize>) -> Error {
    let Refusal::DatabaseError(_, information) = &refusal else {
        return failed(refusal);
    };
    let place = information
        .statement_position()
        .and_then(|place| usize::try_from(place).ok());
    let said = match place {
        Some(place) if end.is_some_and(|end| place > end) => "the query ends too early".to_owned(),
        _ if information.message().contains(AFTER) => information.message().replace(AFTER, ""),
        _ => return failed(refusal),
    };
    Error::Database {
        what: "the database refused",
        source: said.into(),
    }
}

/// The error of a query without values, which may have been forgotten.
fn with_operators(error: Error, text: &str, values: &[SqlValue]) -> Error {
    let parameters = signs(text, Dialect::Server).filter(|(_, sign)| *sign == '?').count();
    match error {
        Error::Database { what, source } if values.is_empty() && parameters > 0 => Error::Database {
            what,
            source: format!("{source}; the query has {parameters} `?`, but 0 values were given").into(),
        },
        error => error,
    }
}

pub fn columns(conn: &mut Conn, text: &str, values: &[SqlValue]) -> Result<Vec<String>> {
    let Conn::Postgres(conn) = conn else {
        return Ok(Vec::new());
    };
    // As for SQLite.
    let before = "SELECT CAST(row_to_json(r) AS text) FROM (SELECT q.* FROM (SELECT 1) one LEFT JOIN \
                  (SELECT * FROM (\n";
    let pieces = sql_query::split(text, values.len(), Dialect::Server)?;
    let one = OneText(Written::around(before, &pieces, "\n) a LIMIT 0) q ON true) r", values));
    let row: Option<String> = one.get_result(conn).map_err(failed)?;
    let fields = fields(row.as_deref().unwrap_or("{}"))?;
    Ok(fields.into_iter().map(|(name, _)| name).collect())
}

/// The values in a row that a server has written as JSON. Columns with the same name get new names, as in SQLite.
fn fields(row: &str) -> Result<Fields> {
    let InOrder(found) = serde_json::from_str(row).map_err(|error| Error::Database {
        what: "the database has written a row that is not JSON",
        source: error.into(),
    })?;
    let mut names = HashSet::new();
    let fields = found.into_iter().map(|(name, value)| {
        let others = (1..).map(|number| format!("{name}:{number}"));
        let mut free = std::iter::once(name.clone()).chain(others);
        let name = free.find(|name| names.insert(name.clone())).unwrap_or_default();
        (name, SqlValue::from(value))
    });
    Ok(fields.collect())
}

impl From<JsonValue> for SqlValue {
    fn from(value: JsonValue) -> Self {
        match value {
            JsonValue::Null => Self::Null,
            JsonValue::Bool(value) => Self::Bool(value),
            JsonValue::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Integer(number),
                (None, Some(number)) => Self::Real(number),
                (None, None) => Self::Text(number.to_string()),
            },
            JsonValue::String(text) => Self::Text(text),
            other => Self::Text(other.to_string()),
        }
    }
}

/// The members of an object, in order and with repeated keys.
struct InOrder(Vec<(String, JsonValue)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = InOrder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(InOrder(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
