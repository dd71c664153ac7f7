//! Writes a batch as several statements, for Citus.
//!
//! Citus takes a statement apart if a CTE inserts: it sends what one part returns to the next one through
//! the other nodes, and commits in two phases. That takes ten times as long, and needs all nodes. If CTEs
//! only update and delete, it runs the whole statement as it is. The same is true of an insertion by itself.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::BigInt;

use super::part::Part;
use super::statement::{Answer, Head, Write};

/// Executes, in the open transaction, first the head, which tests the version, then the insertions,
/// parents first, and then all other parts.
pub(super) fn run(write: Write<'_>, conn: &mut PgConnection) -> QueryResult<Vec<Answer>> {
    let [space, version] = write.space;
    let mut answers = match write.head {
        Head::Unchanged => vec![(Some(version), None, None)],
        Head::New(part) => {
            Insertion {
                space: write.space,
                part,
            }
            .execute(conn)?;
            vec![(Some(version), None, None)]
        }
        head => Write {
            head,
            ..Write::nothing(write.space)
        }
        .load(conn)?,
    };
    let Some(&(Some(version), ..)) = answers.first() else {
        return Ok(answers);
    };
    let (insertions, parts): (Vec<_>, Vec<_>) = write.parts.into_iter().partition(Part::inserts);
    for part in insertions {
        let space = [space, version];
        Insertion { space, part }.execute(conn)?;
    }
    if !parts.is_empty() {
        let others = Write {
            parts,
            entries_gone: write.entries_gone,
            ..Write::nothing([space, version])
        };
        answers = others.load(conn)?;
    }
    Ok(answers)
}

/// A part that inserts, by itself.
struct Insertion<'a> {
    space: [i64; 2],
    part: Part<'a>,
}

impl QueryFragment<Pg> for Insertion<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let [space, version] = &self.space;
        out.push_sql("WITH space AS (SELECT ");
        out.push_bind_param::<BigInt, _>(space)?;
        out.push_sql(" AS id, ");
        out.push_bind_param::<BigInt, _>(version)?;
        out.push_sql(" AS version) ");
        self.part.push_alone(&mut out)
    }
}

impl QueryId for Insertion<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<PgConnection> for Insertion<'_> {}
