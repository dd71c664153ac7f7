//! Finds text that is not UTF-8, for the check of the whole file.

use std::ops::ControlFlow;

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use crate::error::Result;
use crate::models::EventId;
use crate::store::conn::rows_of;
use crate::store::read::ReadTx;
use crate::store::statement::{Statement, sql};

/// A row with a text that is not UTF-8.
pub(crate) struct GarbledRow {
    pub table: &'static str,
    pub id: Option<i64>,
    /// Its texts, one per line.
    pub texts: Vec<u8>,
}

/// For each table with text columns except `names`, a query for the keys and texts of its rows.
const TEXTS: [(&str, &str); 7] = [
    (
        "memram",
        "SELECT id, CAST(name || char(10) || history AS BLOB) AS texts FROM memram",
    ),
    (
        "other_kinds",
        "SELECT memram_id AS id, CAST(kind AS BLOB) AS texts FROM other_kinds",
    ),
    (
        "stored_objects",
        "SELECT id, CAST(object_id || char(10) || kind || char(10) || coalesce(type_name, '') AS BLOB) AS texts \
         FROM stored_objects",
    ),
    (
        "sequences",
        "SELECT NULL AS id, CAST(name AS BLOB) AS texts FROM sequences",
    ),
    (
        "tags",
        "SELECT stored_object_id AS id, CAST(name || char(10) || key || char(10) || value AS BLOB) AS texts FROM tags",
    ),
    (
        "quotas",
        "SELECT NULL AS id, CAST(key || char(10) || value AS BLOB) AS texts FROM quotas",
    ),
    (
        "events",
        "SELECT id, CAST(kind || char(10) || coalesce(actor, '') || char(10) || coalesce(reason, '') || char(10) || \
         coalesce(name, '') || char(10) || coalesce(changes, '') AS BLOB) AS texts FROM events",
    ),
];

#[derive(QueryableByName)]
struct Texts {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    texts: Option<Vec<u8>>,
}

impl ReadTx<'_> {
    /// Every row with a text that is not UTF-8, except names, until `found` breaks. O(rows).
    pub fn each_garbled_row(
        &mut self,
        mut found: impl FnMut(GarbledRow) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        // A server accepts no others.
        let texts = if self.is_on_server() { &[][..] } else { &TEXTS };
        for (table, text) in texts {
            let broken = each(self, text, |id, texts| {
                if std::str::from_utf8(&texts).is_ok() {
                    return ControlFlow::Continue(());
                }
                found(GarbledRow { table, id, texts })
            })?;
            if broken.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The column `changes` of every event that has one, until `visit` breaks. O(events).
    pub fn each_event_changes(
        &mut self,
        mut visit: impl FnMut(EventId, &str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let age = self.age();
        for row in rows_of!(self, Statement::<EventChanges, 0>::new([]), (EventId, Vec<u8>)) {
            age.check()?;
            let (id, changes) = row?;
            if visit(id, &String::from_utf8_lossy(&changes)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

sql! {
    EventChanges: (BigInt, Binary) = "SELECT id, CAST(changes AS BLOB) FROM every_event WHERE changes IS NOT NULL",
        postgres "SELECT id, convert_to(changes, 'UTF8') FROM every_event WHERE changes IS NOT NULL";
}

#[allow(clippy::disallowed_methods, reason = "Diesel has no CAST")]
fn each(
    tx: &mut ReadTx<'_>,
    text: &str,
    mut visit: impl FnMut(Option<i64>, Vec<u8>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let query = diesel::sql_query(text);
    let age = tx.age();
    for row in query.load_iter::<Texts, DefaultLoadingMode>(tx.conn()?.sqlite()?)? {
        age.check()?;
        let Texts { id, texts } = row?;
        if visit(id, texts.unwrap_or_default()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
