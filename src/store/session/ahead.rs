//! What goes next, without writing what is gathered.

use super::WriteTx;
use crate::error::Result;
use crate::models::StoredObject;
use crate::store::ahead::{Line, PAGE, View, Waiting};
use crate::store::queries::{eviction, recency};

/// How often rows are read for one eviction before all rows are searched instead.
const MOST_READS: usize = 4;

impl WriteTx<'_> {
    /// Asks what is known of the objects that go next, and reads more of their rows if that is not enough. `None`
    /// if it still is not, so that all rows have to be searched. O(1), mostly without a statement.
    pub fn ahead<R>(&mut self, mut ask: impl FnMut(&mut View<'_>) -> Result<R>) -> Result<Option<R>> {
        if !self.writer.known()?.ahead.may_help() {
            return Ok(None);
        }
        for _ in 0..MOST_READS {
            let mut view = View::of(&self.writer.known()?.ahead);
            let answer = ask(&mut view)?;
            let Some((line, after)) = view.missed() else {
                return Ok(Some(answer));
            };
            if !self.read_ahead(line, after)? {
                break;
            }
        }
        self.writer.known()?.ahead.rest();
        Ok(None)
    }

    /// Reads rows of a line after a position. Returns whether there are any.
    fn read_ahead(&mut self, line: Line, after: i64) -> Result<bool> {
        let space = self.space();
        let rows: Vec<_> = self.read_rows(|tx| {
            Ok(match line {
                Line::Stored => {
                    let found = eviction::stored_after(tx, space, after, PAGE)?;
                    found.into_iter().map(Waiting::stored).collect()
                }
                Line::Ranked(queue) => recency::after(tx, space, queue, after, PAGE)?
                    .into_iter()
                    .map(|(ranked, object): (_, Option<StoredObject>)| Waiting { ranked, object })
                    .collect(),
            })
        })?;
        let found = !rows.is_empty();
        self.writer.known()?.ahead.add(line, after, rows);
        Ok(found)
    }
}
