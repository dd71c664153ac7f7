//! SQLite's own checks.

use std::ops::ControlFlow;

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::books::invariants::Invariant;
use crate::error::Result;
use crate::store::queries::audit::{Found, Violation};
use crate::store::read::ReadTx;

#[derive(QueryableByName)]
struct Message {
    #[diesel(sql_type = Text)]
    message: String,
}

impl ReadTx<'_> {
    /// Passes each finding of SQLite's own checks to `found`: `foreign_key_check` and, unless `quick`,
    /// `integrity_check`. O(file). A server has neither; there, unless `quick`, the rules about single rows
    /// are checked, which `integrity_check` also finds to be broken.
    #[allow(clippy::disallowed_methods, reason = "Diesel has no PRAGMAs")]
    pub fn engine_checks(&mut self, quick: bool, found: Found<'_>) -> Result<ControlFlow<()>> {
        if self.is_on_server() {
            return match quick {
                true => Ok(ControlFlow::Continue(())),
                false => self.broken_rows(found),
            };
        }
        let integrity = "SELECT integrity_check AS message FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
        let foreign_keys = "SELECT printf('row %d of %s has no row in %s', rowid, \"table\", parent) AS message FROM pragma_foreign_key_check";
        let checks = [
            (Invariant::IntegrityCheck, "ok", integrity),
            (Invariant::ForeignKeyCheck, "a parent for each row", foreign_keys),
        ];
        for (invariant, expected, text) in checks.into_iter().skip(usize::from(quick)) {
            let age = self.age();
            for row in diesel::sql_query(text).load_iter::<Message, DefaultLoadingMode>(self.conn()?.sqlite()?)? {
                age.check()?;
                let violation = Violation {
                    invariant,
                    table: "sqlite".to_owned(),
                    id: None,
                    expected: expected.to_owned(),
                    found: row?.message,
                };
                if found(violation).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
