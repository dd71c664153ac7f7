//! Rows of a query that a person has written.
//!
//! The text becomes a subquery. So it can be nothing else than a query on any engine: no PRAGMA, no `ATTACH`
//! and no second statement. What a query could still change by calling functions is up to the connection: a file
//! is `query_only` and loads no extensions, and on a server the transaction is `READ ONLY`.

use std::ops::ControlFlow;

use diesel::backend::Backend;
use diesel::connection::DefaultLoadingMode;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as Refusal;
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Binary, Double, Untyped};
use diesel::sqlite::{Sqlite, SqliteConnection, SqliteType};
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::store::conn::Conn;
use crate::store::read::{Age, ReadTx};

/// A value in a row of [`MemManager::query`](crate::MemManager::query). It serialises to the value that JSON has
/// for it, and bytes to text: their hexadecimal digits after `\x`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A flag, which only servers have.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text; what is not UTF-8 in it is replaced. On a server also the text of everything else, as of bytes
    /// and times.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Serialize for SqlValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.collect_str(&format_args!("\\x{}", const_hex::encode(bytes))),
        }
    }
}

/// What to do with a row: its columns and its values.
pub type Take<'t> = &'t mut dyn FnMut(&[String], Vec<SqlValue>) -> ControlFlow<()>;

type Fields = Vec<(String, SqlValue)>;

/// Passes the rows of a query to `take`, and returns its columns.
pub fn each_row(tx: &mut ReadTx<'_>, text: &str, take: Take<'_>) -> Result<Vec<String>> {
    let text = text.trim_end_matches(|sign: char| sign == ';' || sign.is_whitespace());
    let age = tx.age();
    let mut columns = Vec::new();
    let mut pass = |row: Fields| {
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        if columns.is_empty() {
            columns = names;
        }
        take(&columns, values)
    };
    let explained = without_words(text, &["EXPLAIN", "QUERY", "PLAN"]);
    match tx.conn()? {
        Conn::Sqlite(conn) => {
            let rows = match explained {
                Some(query) => Written(format!("EXPLAIN QUERY PLAN SELECT * FROM (\n{query}\n)")),
                None => Written(format!("SELECT * FROM (\n{text}\n)")),
            };
            if let Err(refusal) = each_row_of_file(conn, rows, age, &mut pass)? {
                return Err(failed(error_alone(conn, explained.unwrap_or(text)).unwrap_or(refusal)));
            }
            if columns.is_empty() && explained.is_none() {
                // A row without values, which there always is, has the names. The limit keeps the query from running
                // again.
                let one = format!("SELECT q.* FROM (SELECT 1) LEFT JOIN (SELECT * FROM (\n{text}\n) LIMIT 0) q");
                let row = Written(one).get_result::<Named>(conn).map_err(failed)?;
                columns = row.0.into_iter().map(|(name, _)| name).collect();
            }
        }
        #[cfg(feature = "postgres")]
        Conn::Postgres(conn) => server::each_row(conn, text, age, &mut pass)?,
    }
    #[cfg(feature = "postgres")]
    if columns.is_empty() && tx.is_on_server() {
        columns = server::columns(tx.conn()?, text)?;
    }
    Ok(columns)
}

/// Passes the rows of a statement to `pass`. The inner error is that of a text that is not a statement.
fn each_row_of_file(
    conn: &mut SqliteConnection,
    statement: Written,
    age: Age,
    pass: &mut dyn FnMut(Fields) -> ControlFlow<()>,
) -> Result<QueryResult<()>> {
    let rows = match statement.load_iter::<Named, DefaultLoadingMode>(conn) {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for row in rows {
        age.check()?;
        if pass(row.map_err(failed)?.0).is_break() {
            break;
        }
    }
    Ok(Ok(()))
}

/// The rest of a text that begins with these words.
fn without_words<'t>(text: &'t str, words: &[&str]) -> Option<&'t str> {
    words.iter().try_fold(text, |text, word| {
        let (first, rest) = text.trim_start().split_at_checked(word.len())?;
        let is_word = first.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace);
        is_word.then_some(rest)
    })
}

/// The error of SQLite about a query without what was written around it, which a message could name.
fn error_alone(conn: &mut SqliteConnection, text: &str) -> Option<Refusal> {
    let is_query = ["SELECT", "WITH", "VALUES"]
        .iter()
        .any(|word| without_words(text, &[word]).is_some());
    if !is_query {
        return None;
    }
    let explained = Written(format!("EXPLAIN {text}"));
    explained.load_iter::<Named, DefaultLoadingMode>(conn).err()
}

/// The error of a query, which is that of its text, unless it is about the heap.
fn failed(source: Refusal) -> Error {
    let said = source.to_string();
    let is_about_text = match &source {
        // What is malformed may also be JSON.
        Refusal::DatabaseError(diesel::result::DatabaseErrorKind::ReadOnlyTransaction, _) => true,
        _ => said.contains("malformed") && !said.contains("disk image"),
    };
    if is_about_text {
        let what = "the database refused";
        return Error::Database {
            what,
            source: source.into(),
        };
    }
    source.into()
}

/// A statement whose text is only known now.
struct Written(String);

impl<DB: Backend> QueryFragment<DB> for Written {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(&self.0);
        Ok(())
    }
}

impl QueryId for Written {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Written {
    type SqlType = Untyped;
}

impl RunQueryDsl<SqliteConnection> for Written {}

/// A row of SQLite, where each value has its own type.
struct Named(Fields);

impl FromSqlRow<Untyped, Sqlite> for Named {
    fn build_from_row<'a>(row: &impl Row<'a, Sqlite>) -> deserialize::Result<Self> {
        let fields = (0..row.field_count()).map(|at| {
            let field = row.get(at).ok_or("a row has fewer values than columns")?;
            let name = field.field_name().unwrap_or_default().to_owned();
            let Some(value) = field.value() else {
                return Ok((name, SqlValue::Null));
            };
            let value = match value.value_type() {
                None => SqlValue::Null,
                Some(SqliteType::SmallInt | SqliteType::Integer | SqliteType::Long) => {
                    SqlValue::Integer(<i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?)
                }
                Some(SqliteType::Float | SqliteType::Double) => {
                    SqlValue::Real(<f64 as FromSql<Double, Sqlite>>::from_sql(value)?)
                }
                Some(SqliteType::Text) => {
                    let text = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
                    SqlValue::Text(String::from_utf8_lossy(&text).into_owned())
                }
                Some(SqliteType::Binary) => SqlValue::Bytes(<Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?),
            };
            Ok((name, value))
        });
        fields.collect::<deserialize::Result<_>>().map(Self)
    }
}

/// A server knows many more types than a program, so it writes each row as JSON.
#[cfg(feature = "postgres")]
mod server {
    use std::collections::HashSet;
    use std::fmt;

    use diesel::pg::PgRowByRowLoadingMode;
    use diesel::sql_types::{Nullable, Text};
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde_json::Value;

    use super::*;

    /// What is written around a query.
    const BEFORE: &str = "SELECT CAST(row_to_json(q) AS text) FROM (\n";
    const AFTER: &str = "\n) q";

    /// A statement that returns one column of text.
    struct OneText(Written);

    impl<DB: Backend> QueryFragment<DB> for OneText {
        fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
            self.0.walk_ast(out)
        }
    }

    impl QueryId for OneText {
        type QueryId = ();
        const HAS_STATIC_QUERY_ID: bool = false;
    }

    impl Query for OneText {
        type SqlType = Nullable<Text>;
    }

    impl RunQueryDsl<PgConnection> for OneText {}

    pub fn each_row(
        conn: &mut PgConnection,
        text: &str,
        age: Age,
        pass: &mut dyn FnMut(Fields) -> ControlFlow<()>,
    ) -> Result<()> {
        // Its rows are text already.
        let is_plan = without_words(text, &["EXPLAIN"]).is_some();
        let statement = match is_plan {
            true => text.to_owned(),
            false => format!("{BEFORE}{text}{AFTER}"),
        };
        let rows = OneText(Written(statement));
        for row in rows
            .load_iter::<Option<String>, PgRowByRowLoadingMode>(conn)
            .map_err(|refusal| error_alone(refusal, text))?
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

    /// The error about a query without what was written around it.
    fn error_alone(refusal: Refusal, text: &str) -> Error {
        let Refusal::DatabaseError(_, information) = &refusal else {
            return failed(refusal);
        };
        let end = BEFORE.len() + text.chars().count();
        let place = information
            .statement_position()
            .and_then(|place| usize::try_from(place).ok());
        let said = match place {
            Some(place) if place > end => "the query ends too early".to_owned(),
            _ if information.message().contains(AFTER) => information.message().replace(AFTER, ""),
            _ => return failed(refusal),
        };
        Error::Database {
            what: "the database refused",
            source: said.into(),
        }
    }

    pub fn columns(conn: &mut Conn, text: &str) -> Result<Vec<String>> {
        let Conn::Postgres(conn) = conn else {
            return Ok(Vec::new());
        };
        // As for SQLite.
        let statement = format!(
            "SELECT CAST(row_to_json(r) AS text) FROM (SELECT q.* FROM (SELECT 1) one LEFT JOIN \
             (SELECT * FROM (\n{text}\n) a LIMIT 0) q ON true) r"
        );
        let row: Option<String> = OneText(Written(statement)).get_result(conn).map_err(failed)?;
        let fields = fields(row.as_deref().unwrap_or("{}"))?;
        Ok(fields.into_iter().map(|(name, _)| name).collect())
    }

    /// The values in a row that a server has written as JSON. Columns of the same name get others, as those of
    /// SQLite do.
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

    impl From<Value> for SqlValue {
        fn from(value: Value) -> Self {
            match value {
                Value::Null => Self::Null,
                Value::Bool(value) => Self::Bool(value),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(number), _) => Self::Integer(number),
                    (None, Some(number)) => Self::Real(number),
                    (None, None) => Self::Text(number.to_string()),
                },
                Value::String(text) => Self::Text(text),
                other => Self::Text(other.to_string()),
            }
        }
    }

    /// The members of an object, in order and with repeated keys.
    struct InOrder(Vec<(String, Value)>);

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_recognized_in_any_case_and_as_words() {
        let plan = |text| without_words(text, &["EXPLAIN", "QUERY", "PLAN"]);
        assert_eq!(plan(" explain\nQuery plan SELECT 1"), Some(" SELECT 1"));
        assert_eq!(plan("EXPLAIN SELECT 1"), None);
        assert_eq!(plan("explaining"), None);
        assert_eq!(plan("SELECT '✂'"), None);
    }
}
