//! Records a repair in the history, with a new opening if the events no longer add up.

use super::Repair;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::books::fix::Fix;
use crate::books::rules::Stage;
use crate::error::Result;
use crate::models::{HistoryMode, Timestamp};
use crate::store::queries;

impl Repair<'_, '_> {
    pub(super) fn history(&mut self) -> Result<()> {
        let unexplained = self.broken_in(Stage::Books)?;
        if self.corrections.is_empty() && unexplained.is_empty() {
            return Ok(());
        }
        let done = format!("{} corrections", self.corrections.len() + unexplained.len());
        let spaces = self.tx.read(queries::spaces::all)?;
        for space in spaces.into_iter().filter(|space| space.history != HistoryMode::Off) {
            self.enter(space.id)?;
            let (space, id) = (space.id, self.tx.next_event_id()?);
            let reason = &done;
            self.tx.fix(Fix::Event { space, id, reason })?;
        }
        // Also needed if the repair itself moved bytes.
        let unexplained = self.broken_in(Stage::Books)?;
        if !unexplained.is_empty() {
            self.open_books()?;
            self.follow(Stage::History)?;
        }
        for (rule, broken) in unexplained {
            self.note(rule, broken);
        }
        Ok(())
    }

    fn open_books(&mut self) -> Result<()> {
        let spaces = self.tx.read(queries::spaces::all)?;
        for space in spaces.into_iter().filter(|space| space.history != HistoryMode::Off) {
            self.enter(space.id)?;
            self.tx.sign(Signature {
                at: Timestamp::now(),
                ..Signature::default()
            });
            self.tx.apply(Change::BooksOpened)?;
        }
        Ok(())
    }
}
