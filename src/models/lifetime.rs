//! How long an object is held. An end is a time, or `None` if it never comes.

use super::Timestamp;

/// What holds an object, and until when: four columns of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lifetime {
    /// Whether it has the anonymous hold.
    pub held: bool,
    /// When that ends.
    pub held_until: Option<Timestamp>,
    /// When the last hold ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it is never evicted.
    pub pinned: bool,
}

impl Lifetime {
    /// With one more hold.
    pub fn with(self, ends: Option<Timestamp>) -> Self {
        Self {
            expires_at: later(self.expires_at, ends),
            ..self
        }
    }

    /// With the anonymous hold, which ends at the later of both times if there is one already.
    pub fn with_hold(self, ends: Option<Timestamp>) -> Self {
        let held_until = if self.held { later(self.held_until, ends) } else { ends };
        Self {
            held: true,
            held_until,
            ..self
        }
        .with(held_until)
    }

    /// With other names, of which the last one ends at `names`.
    pub fn with_names(self, names: Option<Ends>) -> Self {
        let hold = self.held.then_some(Ends(self.held_until));
        let last = hold.max(names);
        Self {
            expires_at: last.and_then(|last| last.0),
            ..self
        }
    }
}

/// When something ends. Never is the latest time.
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
        let held = named.with_hold(at(9));
        assert_eq!((held.held_until, held.expires_at), (at(9), at(9)));
        assert_eq!(held.with_hold(at(7)), held, "a second one never shortens it");
        assert_eq!(held.with_hold(None).expires_at, None);
        assert_eq!(held.with_names(Some(Ends(at(12)))).expires_at, at(12));
        assert_eq!(held.with_names(Some(Ends(None))).expires_at, None);
        assert_eq!(held.with_names(None).expires_at, at(9));
    }

    #[test]
    fn an_end_has_come_at_its_time() {
        let now = Timestamp::from_micros(5);
        assert!(is_over(at(5), now));
        assert!(!is_over(at(6), now));
        assert!(!is_over(None, now));
    }
}
