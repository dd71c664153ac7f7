//! Which events to read.

use crate::models::{EventId, EventKind, Timestamp};
use crate::value::ObjectId;

/// A filter for events, which must meet all given conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFilter {
    /// About this object.
    pub object: Option<ObjectId>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// At this time or earlier.
    pub until: Option<Timestamp>,
    /// Of one of these kinds; of any kind if empty.
    pub kinds: Vec<EventKind>,
    /// By this actor.
    pub actor: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// About this name, whatever object it was bound to.
    pub name: Option<String>,
    /// After this event.
    pub after_id: Option<EventId>,
}

impl EventFilter {
    /// Events about this object.
    #[must_use]
    pub fn object(mut self, object: impl Into<Option<ObjectId>>) -> Self {
        self.object = object.into();
        self
    }

    /// Events at this time or later.
    #[must_use]
    pub fn since(mut self, time: impl Into<Option<Timestamp>>) -> Self {
        self.since = time.into();
        self
    }

    /// Events at this time or earlier.
    #[must_use]
    pub fn until(mut self, time: impl Into<Option<Timestamp>>) -> Self {
        self.until = time.into();
        self
    }

    /// Events of these kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Events by this actor.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Events for this reason, which [`MemManager::because`](crate::MemManager::because) records.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Events about this name: when it was bound to which object, unbound, or expired.
    #[must_use]
    pub fn name(mut self, name: impl Into<Option<String>>) -> Self {
        self.name = name.into();
        self
    }

    /// Events after this one.
    #[must_use]
    pub fn after(mut self, event: impl Into<Option<EventId>>) -> Self {
        self.after_id = event.into();
        self
    }
}
