//! Holds.

use std::time::Duration;

use super::expiry::Expiry;
#[cfg(doc)]
use crate::error::Error;
#[cfg(doc)]
use crate::manager::MemManager;
use crate::models::Timestamp;

/// What keeps an object alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold<'a> {
    /// The anonymous hold, of which an object has at most one; [`MemManager::release`] drops it.
    Anonymous,
    /// A name to bind to the object. If another object has it, it moves, and that object is freed
    /// if nothing else holds it.
    Name(&'a str),
    /// A name that must not be bound yet, not even to the same object; otherwise the call fails
    /// with [`Error::NameTaken`] and stores nothing.
    NewName(&'a str),
}

/// A hold together with when it ends and its tags; made from a [`Hold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldWith<'a> {
    pub(in crate::manager) hold: Hold<'a>,
    pub(in crate::manager) expiry: Expiry,
    /// Keys and values.
    pub(in crate::manager) tags: Vec<(&'a str, &'a str)>,
}

impl<'a> From<Hold<'a>> for HoldWith<'a> {
    /// A hold that never ends by itself and has no tags.
    fn from(hold: Hold<'a>) -> Self {
        hold.with(Expiry::Never)
    }
}

impl<'a> Hold<'a> {
    const fn with(self, expiry: Expiry) -> HoldWith<'a> {
        HoldWith {
            hold: self,
            expiry,
            tags: Vec::new(),
        }
    }

    /// The hold, which ends this long after the call that takes it.
    ///
    /// At that time the name is bound to nothing, and an object without another hold is gone: no call
    /// returns it, although its bytes are given back only when they are needed, when
    /// [garbage is collected](MemManager::collect_garbage), or a few at a time by other writes.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    /// use heapledger::{Expiry, Hold};
    ///
    /// let minute = Duration::from_secs(60);
    /// memory.store("a token", Hold::Name("session").expires_in(minute))?;
    /// assert!(memory.names(&memory.resolve("session")?.unwrap())?[0].expires_at.is_some());
    ///
    /// memory.touch("session", 2 * minute)?;
    /// memory.expire("session", Expiry::Never)?;
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    #[must_use = "it is a hold to pass to a call"]
    pub const fn expires_in(self, time: Duration) -> HoldWith<'a> {
        self.with(Expiry::In(time))
    }

    /// The hold, which ends at this time; see [`Self::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub const fn expires_at(self, at: Timestamp) -> HoldWith<'a> {
        self.with(Expiry::At(at))
    }

    /// The hold, which ends as given; see [`Self::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn expires(self, expiry: impl Into<Expiry>) -> HoldWith<'a> {
        self.with(expiry.into())
    }

    /// The hold with a tag, which says whose it is, what it belongs to, or whatever else it is to be found
    /// and counted by. A hold has at most one value for each key.
    ///
    /// A name then has exactly the tags that it was last bound with. The anonymous hold, which several
    /// allocations of the same content share, keeps those that it has; of two values for one key the last one
    /// counts. Tags go when the hold does. [`MemManager::tag`] and [`MemManager::untag`] change them later,
    /// [`MemManager::tagged`] finds what has one, and [`MemManager::usage_by`] counts.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    /// use heapledger::Hold;
    ///
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let hold = Hold::Name("draft").tag("owner", "ann").tag("job", "7").expires_in(day);
    /// memory.store("a report", hold)?;
    /// assert_eq!(memory.tags("draft")?["owner"], "ann");
    /// assert_eq!(memory.usage_by("owner")?[0].bytes, 8);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    #[must_use = "it is a hold to pass to a call"]
    pub fn tag(self, key: &'a str, value: &'a str) -> HoldWith<'a> {
        HoldWith::from(self).tag(key, value)
    }
}

impl<'a> HoldWith<'a> {
    /// The name, if it is one.
    pub(in crate::manager) fn name(&self) -> Option<&'a str> {
        match self.hold {
            Hold::Anonymous => None,
            Hold::Name(name) | Hold::NewName(name) => Some(name),
        }
    }

    /// The same, which ends this long after the call that takes it; see [`Hold::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn expires_in(self, time: Duration) -> Self {
        self.expires(Expiry::In(time))
    }

    /// The same, which ends at this time; see [`Hold::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn expires_at(self, at: Timestamp) -> Self {
        self.expires(Expiry::At(at))
    }

    /// The same, which ends as given; see [`Hold::expires_in`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn expires(self, expiry: impl Into<Expiry>) -> Self {
        let expiry = expiry.into();
        Self { expiry, ..self }
    }

    /// The same, but each read of it lets it last as long again: it ends once the time of [`Hold::expires_in`] has
    /// passed without a read. [`Expiry::Idle`] means the same. A read by the name refreshes a name
    /// ([`MemManager::get_by_name`]), and one by the id of the object refreshes the anonymous hold. Does nothing for a
    /// hold that ends at a fixed time, or never.
    ///
    /// No read waits for a write: what was read is gathered in memory, and written with the next commit of this
    /// manager or a clone, or once a second. So other processes and managers learn of it up to a second late, and a
    /// crash loses about the last second.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// use std::time::Duration;
    /// use heapledger::Hold;
    ///
    /// let half_an_hour = Duration::from_secs(30 * 60);
    /// memory.store("ann", Hold::Name("session").expires_in(half_an_hour).refresh_on_get())?;
    /// // Half an hour from now.
    /// assert_eq!(memory.get_by_name::<String>("session")?.as_deref(), Some("ann"));
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    #[must_use = "it is a hold to pass to a call"]
    pub fn refresh_on_get(self) -> Self {
        match self.expiry {
            Expiry::In(time) => self.expires(Expiry::Idle(time)),
            _ => self,
        }
    }

    /// The same with one more tag; see [`Hold::tag`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn tag(self, key: &'a str, value: &'a str) -> Self {
        self.tags([(key, value)])
    }

    /// The same with more tags; see [`Hold::tag`].
    #[must_use = "it is a hold to pass to a call"]
    pub fn tags(mut self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.tags.extend(tags);
        self
    }
}
