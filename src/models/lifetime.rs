//! How long an object is held. An end is a time, or `None` if it never comes.

use std::time::Duration;

use super::Timestamp;

/// How long a hold lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Term {
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// Microseconds that it lasts from each read on, if reads refresh it.
    pub refresh: Option<u64>,
}

impl Term {
    /// The term after a read at this time, or `None` if the read does not make it longer.
    pub fn refreshed(self, read_at: Timestamp) -> Option<Self> {
        let by = Duration::from_micros(self.refresh?);
        let ends = self.ends.filter(|&ends| ends > read_at && read_at + by > ends);
        ends.map(|_| Self {
            ends: Some(read_at + by),
            ..self
        })
    }
}

impl From<Option<Timestamp>> for Term {
    fn from(ends: Option<Timestamp>) -> Self {
        Self { ends, refresh: None }
    }
}

/// What holds an object, and until when: five columns of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lifetime {
    /// Whether it has the anonymous hold.
    pub held: bool,
    /// When that ends.
    pub held_until: Option<Timestamp>,
    /// Microseconds that it lasts from each read on, if reads refresh it.
    pub held_refresh: Option<u64>,
    /// When the last hold ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it is never evicted.
    pub pinned: bool,
}

impl Lifetime {
    /// The same with one more hold.
    pub fn with(self, ends: Option<Timestamp>) -> Self {
        Self {
            expires_at: later(self.expires_at, ends),
            ..self
        }
    }

    /// The same with the anonymous hold, which ends at the later of both times if there is one already.
    pub fn with_hold(self, term: Term) -> Self {
        let (held_until, held_refresh) = match self.held {
            true => (later(self.held_until, term.ends), self.held_refresh.max(term.refresh)),
            false => (term.ends, term.refresh),
        };
        Self {
            held: true,
            held_until,
            held_refresh: held_refresh.filter(|_| held_until.is_some()),
            ..self
        }
        .with(held_until)
    }

    /// The same with other names, of which the last one ends at `names`.
    pub fn with_names(self, names: Option<Ends>) -> Self {
        let hold = self.held.then_some(Ends(self.held_until));
        let last = hold.max(names);
        Self {
            expires_at: last.and_then(|last| last.0),
            ..self
        }
    }
}

/// When something ends; never counts as the latest time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends(pub Option<Timestamp>);

impl Ord for Ends {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |ends: &Self| (ends.0.is_none(), ends.0);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Ends {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The later of two ends.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    Ends(one).max(Ends(other)).0
}

/// Whether an end has come.
pub(crate) fn is_over(ends: Option<Timestamp>, now: Timestamp) -> bool {
    ends.is_some_and(|ends| ends <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros))
    }

    #[test]
    fn an_object_ends_with_its_last_hold() {
        let named = Lifetime {
            expires_at: at(5),
            ..Lifetime::default()
        };
        assert_eq!(named.with(at(3)).expires_at, at(5));
        assert_eq!(named.with(at(8)).expires_at, at(8));
        assert_eq!(named.with(None).expires_at, None);
        let held = named.with_hold(at(9).into());
        assert_eq!((held.held_until, held.expires_at), (at(9), at(9)));
        assert_eq!(held.with_hold(at(7).into()), held, "a second one never shortens it");
        assert_eq!(held.with_hold(None.into()).expires_at, None);
        assert_eq!(held.with_names(Some(Ends(at(12)))).expires_at, at(12));
        assert_eq!(held.with_names(Some(Ends(None))).expires_at, None);
        assert_eq!(held.with_names(None).expires_at, at(9));
    }

    #[test]
    fn a_read_in_time_lets_a_hold_last() {
        let refresh = Some(10);
        let term = Term { ends: at(12), refresh };
        let read_at = |micros| term.refreshed(Timestamp::from_micros(micros)).map(|term| term.ends);
        assert_eq!((read_at(1), read_at(2)), (None, None), "it never ends sooner");
        assert_eq!((read_at(3), read_at(11)), (Some(at(13)), Some(at(21))));
        assert_eq!(read_at(12), None, "it was over");
        assert_eq!(Term::from(at(12)).refreshed(Timestamp::from_micros(3)), None);
        let endless = Term { ends: None, refresh };
        assert_eq!(endless.refreshed(Timestamp::from_micros(3)), None);
        let held = Lifetime::default().with_hold(term);
        assert_eq!(held.with_hold(at(20).into()).held_refresh, refresh);
        assert_eq!(held.with_hold(None.into()).held_refresh, None);
    }

    #[test]
    fn an_end_has_come_at_its_time() {
        let now = Timestamp::from_micros(5);
        assert!(is_over(at(5), now));
        assert!(!is_over(at(6), now));
        assert!(!is_over(None, now));
    }
}
