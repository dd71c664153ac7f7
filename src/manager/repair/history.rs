//! The history after a repair: that it was, and books that explain the balance again.

use super::Repair;
use crate::books::change::Change;
use crate::books::events::Signature;
use crate::error::Result;
use crate::manager::now;
use crate::store::queries;
use crate::store::sqlite::mend::{self, Bind};

impl Repair<'_, '_> {
    pub(super) fn history(&mut self) -> Result<()> {
        let unexplained = self.tx.broken(&mend::HISTORY)?;
        if self.corrections.is_empty() && unexplained.is_empty() {
            return Ok(());
        }
        let done = format!("{} corrections", self.corrections.len() + unexplained.len());
        let spaces = self.tx.read(queries::spaces::all)?;
        for space in spaces.into_iter().filter(|space| space.history != "off") {
            self.enter(space.id)?;
            let event = self.tx.next_event_id()?.0.to_string();
            let binds = [Bind::Int(space.id.0), Bind::Text(&event), Bind::Text(&done)];
            self.tx.mend(mend::REPAIRED, &binds)?;
        }
        // Opened where the repair itself moved bytes, too.
        let unexplained = self.tx.broken(&mend::HISTORY)?;
        if !unexplained.is_empty() {
            self.open_books()?;
            self.rules(&[mend::BOUND_LATER])?;
        }
        for broken in unexplained {
            self.note(&mend::HISTORY, broken);
        }
        Ok(())
    }

    fn open_books(&mut self) -> Result<()> {
        let spaces = self.tx.read(queries::spaces::all)?;
        for space in spaces.into_iter().filter(|space| space.history != "off") {
            self.enter(space.id)?;
            self.tx.sign(Signature {
                at: now(),
                ..Signature::default()
            });
            self.tx.apply(Change::BooksOpened)?;
        }
        Ok(())
    }
}
