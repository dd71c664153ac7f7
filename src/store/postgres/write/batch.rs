//! A batch as statements.

use diesel::prelude::*;
use diesel::result::Error;

use super::statement::{Answer, Head, MISSING, Write};
use super::{derived, effects, events, removals, rows, space, split};
use crate::books::batch::Batch;
use crate::books::effects::SpaceDelta;
use crate::models::MemRamId;
use crate::store::conn::Conn;
use crate::store::engine::Present;
use crate::store::repair;
use crate::store::statement::{Sql, Statement, Value};

/// How a batch is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct How {
    /// The version that the space must have.
    pub version: i64,
    /// The token of the transaction.
    pub token: i64,
    /// Whether it is the first batch of this space in its transaction, which raises the version and
    /// records the token.
    pub is_first: bool,
    /// Whether the one statement is the whole transaction; see [`fits_lazily`]. Then it was assumed, and
    /// not read, that the new objects are not stored yet.
    pub is_lazy: bool,
    /// Whether it takes several statements; see [`split`].
    pub is_split: bool,
}

impl How {
    /// For a space that the batch makes.
    pub const NEW: Self = Self {
        version: 0,
        token: 0,
        is_first: false,
        is_lazy: false,
        is_split: true,
    };
}

/// What became of a batch.
#[derive(Debug, PartialEq)]
pub(in crate::store) enum Written {
    Done,
    /// The space has another version; nothing was written.
    Stale,
    /// These objects of a lazy transaction are stored already; nothing was written.
    Present(Vec<Present>),
}

/// Whether one statement writes all of a batch.
pub(in crate::store) fn fits_lazily(batch: &Batch<'_>) -> bool {
    let history = batch.history();
    batch.rows().space.is_none()
        && batch.rows().space_change.is_none()
        && batch.fix().is_none()
        && !removes_first(batch)
        && history.setting.is_none()
        && history.trimmed.is_none()
        && !batch.events().iter().any(|event| event.is_opening())
}

/// Whether a new row may have the unique key of one that is removed. What a statement removes is still
/// there for its other parts.
fn removes_first(batch: &Batch<'_>) -> bool {
    let reservations = batch.rows().reservations.values();
    replaces_object(batch) || (reservations.clone().any(Option::is_none) && reservations.clone().any(Option::is_some))
}

/// Whether a new object has the content of one that is removed.
fn replaces_object(batch: &Batch<'_>) -> bool {
    let mut gone = batch.rows().objects_gone.values();
    gone.any(|gone| batch.object(&gone.id).is_some())
}

/// Writes a batch of one space: in the open transaction, or, if it fits one statement, by itself.
///
/// First come removals, then new rows and the effects, and last what is computed from the rows.
pub(in crate::store) fn write(conn: &mut Conn, space: MemRamId, how: How, batch: &Batch<'_>) -> QueryResult<Written> {
    if batch.ceiling().is_some() {
        return Err(Error::QueryBuilderError("a server has no such change".into()));
    }
    // The object was assumed to be new, but it was there.
    if how.is_lazy && replaces_object(batch) {
        return Ok(Written::Stale);
    }
    if let Some(fix) = batch.fix() {
        repair::execute(conn, fix)?;
    }
    let conn = postgres(conn)?;
    if let Some(new) = &batch.rows().space {
        split::run(space::make(new), conn)?;
    }
    let unchanged = |version, parts| Write {
        parts,
        ..Write::nothing([space.0, version])
    };
    let removes_first = removes_first(batch);
    let (mut parts, mut entries_gone) = removals::parts(batch, removes_first);
    if removes_first {
        let removals = Write {
            entries_gone: entries_gone.take(),
            ..unchanged(how.version, std::mem::take(&mut parts))
        };
        match run_write(conn, how, removals)? {
            Written::Done => {}
            other => return Ok(other),
        }
    }
    parts.extend(rows::parts(space, batch, removes_first));
    parts.extend(effects::parts(batch));
    parts.extend(events::parts(space, batch));
    let write = Write {
        head: head(how, batch),
        entries_gone,
        ..unchanged(how.version, parts)
    };
    match run_write(conn, how, write)? {
        Written::Done => {}
        other => return Ok(other),
    }
    let version = how.version + i64::from(how.is_first);
    match run_write(conn, how, unchanged(version, derived::parts(batch)))? {
        Written::Done => {}
        other => return Ok(other),
    }
    let changes = batch.rows().space_change.as_ref().map(space::changes);
    run_write(conn, how, unchanged(version, changes.unwrap_or_default()))
}

fn head<'b>(how: How, batch: &'b Batch<'_>) -> Head<'b> {
    let by = batch.effects().space;
    let objects = batch.rows().objects.rows().iter().filter(|_| how.is_lazy);
    let absent: Vec<_> = objects.map(|object| &object.object_id).collect();
    if by == SpaceDelta::default() && !how.is_first {
        return Head::Unchanged;
    }
    let token = how.is_first.then_some(how.token).into_iter().collect();
    Head::Changed { by, token, absent }
}

/// Executes a statement, if it changes anything.
fn run_write(conn: &mut PgConnection, how: How, write: Write<'_>) -> QueryResult<Written> {
    if write.parts.is_empty() && matches!(write.head, Head::Unchanged) {
        return Ok(Written::Done);
    }
    let answers = match how.is_split {
        true => split::run(write, conn),
        false => write.load(conn),
    };
    let answers = answers.map_err(|error| match error {
        Error::DatabaseError(_, info) if info.message().contains(MISSING) => {
            Error::DeserializationError(MISSING.into())
        }
        error => error,
    })?;
    if matches!(answers.first(), Some((Some(_), ..))) {
        return Ok(Written::Done);
    }
    let present = present(answers);
    if present.is_empty() {
        return Ok(Written::Stale);
    }
    Ok(Written::Present(present))
}

/// The objects of the answers. Each answer has an object and one of its pieces.
fn present(answers: Vec<Answer>) -> Vec<Present> {
    let mut found: Vec<Present> = Vec::new();
    for (_, object, piece) in answers {
        let Some(object) = object else { continue };
        match found.last_mut().filter(|last| last.object.id == object.id) {
            Some(last) => last.pieces.extend(piece),
            None => found.push(Present {
                object,
                pieces: piece.into_iter().collect(),
            }),
        }
    }
    found
}

/// Executes a statement. Only the engine can call this, so queries cannot write.
pub(in crate::store::postgres) fn run<S: Sql, const N: usize>(
    conn: &mut Conn,
    values: [Value<'_>; N],
) -> QueryResult<usize> {
    postgres(conn)?.execute_returning_count(&Statement::<S, N>::new(values))
}

fn postgres(conn: &mut Conn) -> QueryResult<&mut PgConnection> {
    match conn {
        Conn::Postgres(conn) => Ok(conn),
        Conn::Sqlite(_) => Err(Error::QueryBuilderError("this heap is in a file".into())),
    }
}
