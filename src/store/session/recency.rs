//! The order of eviction, in a space that evicts by use: what is stored joins it, what is removed leaves it,
//! and what is used moves in it.

use super::WriteTx;
use crate::books::change::Change;
use crate::books::eviction::policy::main_share;
use crate::books::eviction::shelf::Queue;
use crate::error::Result;
use crate::models::{Policy, Rank, RankQueue, Ranked, StoredObjectId, signed};
use crate::store::ahead::Line;
use crate::store::queries::recency;
use crate::value::ObjectId;

/// The most marks that an object can have.
const MOST_MARKS: u8 = 3;

/// Rows of what is gone that are read at a time.
const GONE_PAGE: i64 = 64;

impl WriteTx<'_> {
    /// The policy of the space, if it goes by use. O(1), without a statement: so a space with another one pays nothing.
    pub fn policy_by_use(&mut self) -> Result<Option<Policy>> {
        Ok(self.writer.known()?.memram.evict.filter(|policy| policy.is_by_use()))
    }

    /// What a change does to the order of eviction.
    pub(super) fn ranked_by(&mut self, change: &Change<'_>) -> Result<Option<Change<'static>>> {
        let Some(policy) = self.policy_by_use()? else {
            return Ok(None);
        };
        match change {
            Change::ObjectStored(object) | Change::ObjectPosted { object, .. } if object.size > 0 => {
                let is_remembered = policy == Policy::S3Fifo && self.recall(&object.object_id)?;
                let queue = policy.queue_of_new(is_remembered).into();
                let rank = Rank::at(queue, self.next_position()?, signed(object.size));
                Ok(Some(Change::Ranked {
                    object: object.id,
                    before: None,
                    after: Some(rank),
                }))
            }
            Change::ObjectRemoved { object, size, .. } | Change::ObjectVacated { object, size, .. } if *size > 0 => {
                let before = match policy {
                    Policy::S3Fifo => self.rank(*object)?,
                    // These policies have only one queue, and nobody asks for its bytes.
                    _ => Some(Rank::at(RankQueue::Main, 0, *size)),
                };
                Ok(Some(Change::Ranked {
                    object: *object,
                    before,
                    after: None,
                }))
            }
            Change::DedupHit { object } => {
                let object = object.id;
                match self.rank(object)? {
                    Some(rank) => self.used(policy, Ranked { object, rank }, 1),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// Notes that objects were used, each as often as the number says, in this order. Those that are no longer
    /// there are left out. O(log n) for each.
    pub fn note_uses(&mut self, uses: &[(ObjectId, u8)]) -> Result<()> {
        let Some(policy) = self.policy_by_use()?.filter(|_| !uses.is_empty()) else {
            return Ok(());
        };
        let space = self.space();
        for uses in uses.chunks(256) {
            let ids: Vec<_> = uses.iter().map(|&(id, _)| id).collect();
            let found = self.read_rows(|tx| recency::of_ids(tx, space, &ids))?;
            let found: std::collections::HashMap<_, _> = found.into_iter().collect();
            for (id, count) in uses {
                let Some(&ranked) = found.get(id) else { continue };
                if let Some(change) = self.used(policy, ranked, *count)? {
                    self.apply(change)?;
                }
            }
        }
        Ok(())
    }

    /// What the use of an object changes, as [`Policy::touch`] says.
    fn used(&mut self, policy: Policy, Ranked { object, rank }: Ranked, count: u8) -> Result<Option<Change<'static>>> {
        let mut after = rank;
        match policy {
            Policy::Lru => after.position = self.next_position()?,
            Policy::Sieve => after.marks = 1,
            _ => after.marks = rank.marks.saturating_add(count).min(MOST_MARKS),
        }
        let change = Change::Ranked {
            object,
            before: Some(rank),
            after: Some(after),
        };
        Ok((after != rank).then_some(change))
    }

    /// Whether S3-FIFO remembers the object with this id, which it then forgets. Must be called before room is
    /// made for the object, because that may remove what is remembered. O(log n).
    pub fn recall(&mut self, id: &ObjectId) -> Result<bool> {
        if let Some((_, is_remembered)) = self.recalled.take_if(|(recalled, _)| recalled == id) {
            return Ok(is_remembered);
        }
        let gone = self.gone(id)?;
        if let Some(Ranked { object, rank }) = gone {
            self.apply(Change::Ranked {
                object,
                before: Some(rank),
                after: None,
            })?;
        }
        Ok(gone.is_some())
    }

    /// The place, among the objects that are gone, of the one that had this id. O(log n).
    fn gone(&mut self, id: &ObjectId) -> Result<Option<Ranked>> {
        let space = self.space();
        let gathered = self.writer.gathered();
        if let Some(object) = gathered.iter().find_map(|batch| batch.remembered(id)) {
            let rank = gathered.iter().find_map(|batch| batch.rank(object)).flatten();
            return Ok(rank.map(|rank| Ranked { object, rank }));
        }
        let written = self.read_written(|tx| recency::gone(tx, space, id))?;
        let gathered = self.writer.gathered();
        // A gathered change of this place can only mean that it was forgotten: its key never comes back.
        Ok(written.filter(|gone| gathered.iter().all(|batch| batch.rank(gone.object).is_none())))
    }

    /// Recalls an object that is about to be stored.
    pub fn recall_ahead(&mut self, id: &ObjectId) -> Result<()> {
        if self.policy_by_use()? == Some(Policy::S3Fifo) {
            let is_remembered = self.recall(id)?;
            self.recalled = Some((*id, is_remembered));
        }
        Ok(())
    }

    /// Lets S3-FIFO remember an object that left the trial, and forget the oldest ones for it.
    pub fn remember(&mut self, object: StoredObjectId, id: ObjectId, size: i64) -> Result<()> {
        let memram = self.memram()?;
        let most = signed(main_share(memram.max_mem));
        if size > most {
            return Ok(());
        }
        let mut excess = signed(memram.evict_gone).saturating_add(size) - most;
        while excess > 0 {
            let longest = self.longest_gone(excess)?;
            if longest.is_empty() {
                break;
            }
            for Ranked { object, rank } in longest {
                if excess > 0 {
                    excess -= rank.size;
                    self.apply(Change::Ranked {
                        object,
                        before: Some(rank),
                        after: None,
                    })?;
                }
            }
        }
        let rank = Rank {
            gone: Some(id),
            ..Rank::at(RankQueue::Gone, self.next_position()?, size)
        };
        self.apply(Change::Ranked {
            object,
            before: None,
            after: Some(rank),
        })
    }

    /// Whether S3-FIFO has an object on trial, so that it remembers it if it goes.
    pub fn is_on_trial(&mut self, object: StoredObjectId) -> Result<bool> {
        if self.policy_by_use()? != Some(Policy::S3Fifo) {
            return Ok(false);
        }
        let rank = self.rank(object)?;
        Ok(rank.is_some_and(|rank| rank.queue == RankQueue::Trial))
    }

    /// The objects that have been gone for longest, with at least this many bytes in total if there are.
    fn longest_gone(&mut self, bytes: i64) -> Result<Vec<Ranked>> {
        let ahead = self.ahead(|view| {
            let (waiting, to) = view.after(Line::Ranked(RankQueue::Gone), i64::MIN);
            let (mut found, mut sum) = (Vec::new(), 0);
            for waiting in waiting {
                found.push(waiting.ranked);
                sum += waiting.ranked.rank.size;
                if sum >= bytes {
                    return Ok(found);
                }
            }
            view.miss(Line::Ranked(RankQueue::Gone), to);
            Ok(found)
        })?;
        if let Some(found) = ahead {
            return Ok(found);
        }
        let space = self.space();
        self.read_rows(|tx| recency::longest_gone(tx, space, GONE_PAGE))
    }

    /// The place of an object in the order. O(log n).
    fn rank(&mut self, object: StoredObjectId) -> Result<Option<Rank>> {
        if let Some(rank) = self.writer.gathered().iter().find_map(|batch| batch.rank(object)) {
            return Ok(rank);
        }
        if let Some(rank) = self.writer.known()?.ahead.rank(object) {
            return Ok(Some(rank));
        }
        self.read_written(|tx| recency::rank(tx, object))
    }

    /// A position after all others.
    fn next_position(&mut self) -> Result<i64> {
        let next = self.last_position()?.saturating_add(1);
        self.use_positions(next)?;
        Ok(next)
    }

    /// The last position that is taken. O(1), unless others have written.
    pub fn last_position(&mut self) -> Result<i64> {
        if let Some(last) = self.writer.known()?.last_position {
            return Ok(last);
        }
        let space = self.space();
        let last = self.read_rows(|tx| recency::last_position(tx, space))?;
        self.use_positions(last)?;
        Ok(last)
    }

    /// Notes that all positions up to this one are taken.
    pub fn use_positions(&mut self, last: i64) -> Result<()> {
        self.writer.known()?.last_position = Some(last);
        Ok(())
    }
}

impl From<Queue> for RankQueue {
    fn from(queue: Queue) -> Self {
        match queue {
            Queue::Trial => Self::Trial,
            Queue::Main => Self::Main,
        }
    }
}
