//! Counts repeated refusals: a program that tries again and again leaves one event.

use std::collections::VecDeque;

use super::events::{Draft, Repeated};
use crate::error::Error;
use crate::models::{EventId, EventKind, OverQuota, QuotaLimit, signed};
use crate::value::ObjectId;

/// How many of the newest events are searched for the same refusal.
pub(crate) const NEWEST: usize = 16;

/// An allocation that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The object's id, if it is known.
    pub object_id: Option<ObjectId>,
    /// Bytes that it needs.
    pub needed: i64,
    /// Bytes that were free; `None` if it was not refused for want of bytes.
    pub available: Option<i64>,
    /// The quota that refuses it; otherwise the space does.
    pub quota: Option<OverQuota>,
}

impl Refusal {
    /// The refusal that an error reports, if it is one.
    pub fn of(error: &Error, object_id: Option<ObjectId>) -> Option<Self> {
        match error {
            Error::OutOfMemory { needed, available, .. } => Some(Self {
                object_id,
                needed: signed(*needed),
                available: Some(signed(*available)),
                quota: None,
            }),
            Error::QuotaExceeded(over) => {
                let is_bytes = over.limit == QuotaLimit::Bytes;
                Some(Self {
                    object_id,
                    needed: if is_bytes { signed(over.needed) } else { 0 },
                    available: is_bytes.then(|| signed(over.hard.saturating_sub(over.used))),
                    quota: Some(over.clone()),
                })
            }
            _ => None,
        }
    }
}

/// A refusal that is already in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownRefusal {
    pub id: EventId,
    pub actor: Option<String>,
    pub reason: Option<String>,
    /// Bytes of its object and its changes.
    pub bytes: i64,
}

/// A refusal in the file that happened again. Its figures become those of the last time.
#[derive(Debug)]
pub(crate) struct RepeatedRefusal {
    pub id: EventId,
    pub last: Draft,
    /// The column `changes` of the last time.
    pub changes: Option<String>,
    pub times: i64,
    /// By how many bytes its row becomes larger.
    pub growth: i64,
}

/// Events once repeated refusals are counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub drafts: Vec<Draft>,
    pub repeated: Vec<RepeatedRefusal>,
}

/// One of the newest events.
enum Newest {
    InFile(KnownRefusal),
    /// By its position.
    Draft(usize),
}

/// Counts a refusal as another time of an earlier one by the same actor and for the same reason, if
/// that is one of the newest events and all events since are refusals, so that nothing has changed in
/// between. `newest` are the newest events of the file as long as they are refusals, the oldest first.
pub(crate) fn count(drafts: Vec<Draft>, newest: Vec<KnownRefusal>) -> Counted {
    let mut counted = Counted::default();
    let mut newest: VecDeque<_> = newest.into_iter().map(Newest::InFile).collect();
    for draft in drafts {
        if draft.kind != EventKind::Refusal {
            newest.clear();
        } else if let Some(earlier) = newest.iter().rev().find(|known| counted.is_same(known, &draft)) {
            counted.repeat(earlier, draft);
            continue;
        } else {
            newest.push_back(Newest::Draft(counted.drafts.len()));
            if newest.len() > NEWEST {
                newest.pop_front();
            }
        }
        counted.drafts.push(draft);
    }
    counted
}

impl Counted {
    fn is_same(&self, known: &Newest, draft: &Draft) -> bool {
        let signature = &draft.signature;
        match known {
            Newest::InFile(known) => {
                known.actor.as_deref() == signature.actor.as_deref()
                    && known.reason.as_deref() == signature.reason.as_deref()
            }
            Newest::Draft(at) => self.drafts.get(*at).is_some_and(|first| {
                first.signature.actor == signature.actor && first.signature.reason == signature.reason
            }),
        }
    }

    fn repeat(&mut self, earlier: &Newest, draft: Draft) {
        match earlier {
            Newest::Draft(at) => {
                if let Some(first) = self.drafts.get_mut(*at) {
                    first.happen_again(draft);
                }
            }
            Newest::InFile(known) => {
                let mut repeated = RepeatedRefusal::new(known, draft);
                if let Some(at) = self.repeated.iter().position(|before| before.id == known.id) {
                    repeated.times += self.repeated.swap_remove(at).times;
                }
                self.repeated.push(repeated);
            }
        }
    }
}

impl RepeatedRefusal {
    fn new(known: &KnownRefusal, mut last: Draft) -> Self {
        let changes = std::mem::take(&mut last.changes).into_json();
        let object = last.object.map_or(0, |object| object.as_bytes().len());
        let bytes = object + changes.as_ref().map_or(0, String::len);
        Self {
            id: known.id,
            times: 1 + last.repeated.map_or(0, |repeated| repeated.times),
            growth: bytes as i64 - known.bytes,
            last,
            changes,
        }
    }
}

impl Draft {
    /// Counts a later refusal, whose figures become those of this one.
    fn happen_again(&mut self, later: Draft) {
        let times = |draft: &Draft| draft.repeated.map_or(0, |repeated| repeated.times);
        self.repeated = Some(Repeated {
            times: times(self) + 1 + times(&later),
            last: later.last_at(),
        });
        self.object = later.object;
        self.bytes = later.bytes;
        self.changes = later.changes;
    }

    /// When it happened last.
    pub fn last_at(&self) -> crate::models::Timestamp {
        self.repeated.map_or(self.signature.at, |repeated| repeated.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::events::Signature;
    use crate::models::Timestamp;

    fn refusal(actor: &str, at: i64) -> Draft {
        let signature = Signature {
            actor: Some(actor.into()),
            reason: None,
            at: Timestamp::from_micros(at),
        };
        let mut draft = Draft::new(EventKind::Refusal, &signature);
        draft.bytes = at;
        draft
    }

    fn known(actor: &str, id: i64) -> KnownRefusal {
        KnownRefusal {
            id: EventId(id),
            actor: Some(actor.into()),
            reason: None,
            bytes: 32,
        }
    }

    /// The actor, the bytes and the count of each event.
    fn told(drafts: &[Draft]) -> Vec<(&str, i64, i64)> {
        let told = |draft: &'_ Draft| (draft.bytes, 1 + draft.repeated.map_or(0, |repeated| repeated.times));
        drafts
            .iter()
            .map(|draft| {
                (
                    draft.signature.actor.as_deref().unwrap_or(""),
                    told(draft).0,
                    told(draft).1,
                )
            })
            .collect()
    }

    #[test]
    fn the_first_is_counted_with_the_figures_of_the_last() {
        let drafts = vec![refusal("a", 1), refusal("b", 2), refusal("a", 3), refusal("a", 4)];
        let counted = count(drafts, Vec::new());
        assert_eq!(told(&counted.drafts), [("a", 4, 3), ("b", 2, 1)]);
        assert_eq!(counted.drafts[0].signature.at, Timestamp::from_micros(1));
        assert_eq!(counted.drafts[0].last_at(), Timestamp::from_micros(4));
    }

    #[test]
    fn one_in_the_file_is_counted_there() {
        let newest = vec![known("a", 7), known("b", 8)];
        let counted = count(vec![refusal("a", 1), refusal("c", 2), refusal("a", 3)], newest);
        assert_eq!(told(&counted.drafts), [("c", 2, 1)]);
        let [repeated] = counted.repeated.as_slice() else {
            panic!("{counted:?}")
        };
        assert_eq!((repeated.id, repeated.times, repeated.last.bytes), (EventId(7), 2, 3));
        assert_eq!(repeated.growth, -32);
    }

    #[test]
    fn another_event_begins_a_new_count() {
        let other = Draft::new(EventKind::Gc, &Signature::default());
        let drafts = vec![other, refusal("a", 1)];
        assert_eq!(count(drafts, vec![known("a", 7)]).drafts.len(), 2);
    }

    #[test]
    fn only_the_newest_events_are_searched() {
        let actors: Vec<_> = (0..NEWEST).map(|number| number.to_string()).collect();
        let mut drafts = vec![refusal("a", 1)];
        drafts.extend(actors.iter().map(|actor| refusal(actor, 1)));
        drafts.push(refusal("a", 2));
        drafts.push(refusal("1", 2));
        let counted = count(drafts, Vec::new());
        assert_eq!(counted.drafts.len(), 1 + NEWEST + 1);
        assert_eq!(told(&counted.drafts)[2], ("1", 2, 2));
    }
}
