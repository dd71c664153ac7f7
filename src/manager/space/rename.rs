//! Renaming a space.

use crate::books::change::Change;
use crate::books::rows::SpaceChange;
use crate::error::{Error, Result};
use crate::manager::space::options::Purpose;
use crate::manager::{MemManager, Options};
use crate::models::MemRam;
use crate::store::{WriteTx, queries};

impl MemManager {
    /// Gives a space of the heap, which may be this one, another name, and returns its row. O(log n).
    ///
    /// A manager knows its space by its key. So one that has the space open goes on, in this process and in
    /// others; only [`Self::space`] and messages still have the name that the space had when it was opened.
    /// Its history has an event of kind `rename` with the name that it had.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("heap.db");
    /// let memory = heapledger::MemManager::open(&path)?;
    /// memory.set("greeting", "hello")?;
    /// memory.rename_space("main", "old")?;
    /// assert_eq!(memory.memram()?.name, "old");
    /// assert_eq!(memory.get_by_name::<String>("greeting")?.as_deref(), Some("hello"));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownSpace`]; [`Error::SpaceExists`] if another space has the new name;
    /// [`Error::BadSpaceName`] and [`Error::NulInName`] as when a space is created; what
    /// [any write](MemManager#errors) fails with.
    pub fn rename_space(&self, name: &str, to: &str) -> Result<MemRam> {
        self.group()?;
        Options::default().space(to).check_name()?;
        let space = MemManager::options().space(name).open_next_to(self, Purpose::Change)?;
        let renamed = space.write_apart(|tx| rename(tx, to));
        match renamed {
            Ok(true) => space.memram(),
            Ok(false) => Err(space.name_taken(to)),
            // Somebody has just created a space of this name, or renamed another one.
            Err(error) => match space.inner.readers.single(|tx| queries::spaces::by_name(tx, to))? {
                Some(_) => Err(space.name_taken(to)),
                None => Err(error),
            },
        }
    }

    fn name_taken(&self, name: &str) -> Error {
        Error::SpaceExists {
            space: name.to_owned(),
            path: self.inner.location.named().to_owned(),
            why: "it was not changed".into(),
        }
    }
}

/// Returns false if another space has the name.
fn rename(tx: &mut WriteTx<'_>, to: &str) -> Result<bool> {
    let before = tx.memram()?.name;
    if before == to {
        return Ok(true);
    }
    if tx.read(|tx| queries::spaces::by_name(tx, to))?.is_some() {
        return Ok(false);
    }
    let name = to.to_owned();
    tx.apply(Change::SpaceChanged(SpaceChange::Renamed { name, before }))?;
    Ok(true)
}
