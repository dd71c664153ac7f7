//! Stores small files together, one transaction for many.

use std::mem;

use anyhow::Result;
use heapledger::Error;

use super::names::explain_taken;
use super::put_files::Put;
use super::put_source::Source;

impl Put<'_> {
    /// Stores the files that wait.
    pub fn store_waiting(&mut self) -> Result<()> {
        let files = mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let (mut rest, mut most) = (files.as_slice(), files.len());
        while let Some(((source, content), others)) = rest.split_first() {
            let (now, later) = rest.split_at_checked(most).unwrap_or((rest, &[]));
            match self.together(now)? {
                None => rest = later,
                // Alone, so that it is refused, and recorded, as what it is.
                Some(0) => {
                    let stored = self.memory.store_bytes(content, self.args.hold_of(source));
                    self.one(source, stored)?;
                    rest = others;
                }
                Some(refused) => {
                    most = refused;
                    continue;
                }
            }
            most = rest.len();
        }
        Ok(())
    }

    /// Stores files in one transaction. If one of them is refused, none is stored, and its position is returned.
    fn together(&mut self, files: &[(Source, Vec<u8>)]) -> Result<Option<usize>> {
        self.report.show_progress();
        let mut refused = None;
        let stored = self.memory.batch(|batch| {
            let mut stored = Vec::with_capacity(files.len());
            for (position, (source, content)) in files.iter().enumerate() {
                match batch.store_bytes(content, self.args.hold_of(source)) {
                    Ok(one) => stored.push(one),
                    Err(error) if self.is_of_one_file(&error) || is_full(&error) => {
                        refused = Some(position);
                        // In a space that evicts it may fit later, so this must not be recorded as a refusal.
                        return Err(Error::BatchFailed);
                    }
                    Err(error) => return Err(error),
                }
            }
            self.report.show_commit();
            Ok(stored)
        });
        if refused.is_some() {
            return Ok(refused);
        }
        let stored = stored.map_err(explain_taken)?;
        let sources = files.iter().map(|(source, _)| source);
        self.report.stored(sources.zip(&stored))?;
        Ok(None)
    }
}

/// Whether there is no room for an object.
fn is_full(error: &Error) -> bool {
    matches!(error, Error::OutOfMemory { .. } | Error::QuotaExceeded(_))
}
