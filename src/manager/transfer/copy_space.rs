//! Copies the objects of a space into another space.

use std::collections::HashMap;
use std::mem;

use super::conflicts::OnConflict;
use super::copy_item::{CopiedSpace, Item, Known, bad_name, by_object, hold_tags, read_contents, settle, store};
use super::source::Source;
use super::whole::Whole;
use crate::clock;
use crate::error::{Error, Result};
use crate::manager::objects::announced::Announced;
use crate::manager::objects::parts::Parts;
use crate::manager::{MemManager, Phase};
use crate::models::{MemRam, StoredObject, StoredObjectId, Stripe};
use crate::store::queries::names::KeptName;
use crate::store::queries::tags::Tags;
use crate::store::queries::transfer;
use crate::store::{ReadTx, queries};
use crate::temporary::go_on;
use crate::value::ObjectId;

/// Objects read in one query, and stored in one transaction.
const PAGE: usize = 1000;
/// Bytes of content and names stored in one transaction.
const BATCH_BYTES: u64 = 8 << 20;

/// A running copy of a space.
pub(super) struct SpaceCopy<'a> {
    /// The space to copy into.
    target: MemManager,
    /// Larger objects are stored in parts of this size.
    part: usize,
    /// Whether the target was empty, so that nothing need be looked up.
    is_new: bool,
    on_conflict: OnConflict,
    /// Gets the bytes that are done.
    progress: &'a mut dyn FnMut(u64),
    passed: u64,
    done: CopiedSpace,
    batch: Batch,
}

/// Objects for the next transaction.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    bytes: u64,
    /// The run of the next object. The contents of a run are read with one query.
    run: u64,
}

impl<'a> SpaceCopy<'a> {
    pub fn new(target: MemManager, on_conflict: OnConflict, progress: &'a mut dyn FnMut(u64)) -> Result<Self> {
        let part = target.part_size()?;
        let is_new = target.memram()?.objects() == 0;
        let done = CopiedSpace {
            space: target.space().to_owned(),
            ..CopiedSpace::default()
        };
        Ok(Self {
            target,
            part,
            is_new,
            on_conflict,
            progress,
            passed: 0,
            done,
            batch: Batch::default(),
        })
    }

    /// Copies the objects of `space` in the order of their keys.
    pub fn run(mut self, source: &mut Source<'_, '_>, space: &MemRam) -> Result<(MemManager, CopiedSpace)> {
        let mut after = StoredObjectId(Stripe::of(space.id).before());
        loop {
            go_on()?;
            let (page, names, mut tags, now) = source.read(|tx| {
                let page = transfer::objects_after(tx, space.id, after, PAGE as i64)?;
                let names = match (page.first(), page.last()) {
                    (Some(first), Some(last)) => transfer::names_between(tx, first.id, last.id)?,
                    _ => Vec::new(),
                };
                let ids: Vec<_> = page.iter().map(|object| object.id).collect();
                Ok((page, names, queries::tags::of_objects(tx, &ids)?, tx.now()))
            })?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut names = by_object(names, &mut tags);
            let known = self.known(&page)?;
            for object in page {
                let Some(object) = object.seen_at(now) else {
                    // No other object may come between those of a run.
                    self.batch.run += 1;
                    continue;
                };
                let names = names.remove(&object.id).unwrap_or_default();
                let found = known.get(&object.object_id).filter(|found| found.is(&object));
                let tags = hold_tags(object.id, &mut tags);
                self.object(source, object, (names, tags), found)?;
            }
        }
        self.flush(source)?;
        Ok((self.target, self.done))
    }

    /// Those of the objects that are already in the target.
    fn known(&self, page: &[StoredObject]) -> Result<HashMap<ObjectId, Known>> {
        if self.is_new {
            return Ok(HashMap::new());
        }
        let ids: Vec<_> = page.iter().map(|object| object.object_id).collect();
        let inner = &self.target.inner;
        inner.readers.snapshot(|tx| {
            let (mut objects, now) = (queries::objects::find_all(tx, inner.space, &ids)?, tx.now());
            objects.retain(|_, object| object.clone().seen_at(now).is_some());
            let keys: Vec<_> = objects.values().map(|object| object.id).collect();
            let mut tags = queries::tags::of_objects(tx, &keys)?;
            let mut names = by_object(transfer::names_of(tx, &keys)?, &mut tags);
            let known = objects.into_iter().map(|(id, object)| {
                let names = names.remove(&object.id).unwrap_or_default();
                let names = names.into_iter().map(|kept| (kept.name.clone(), kept)).collect();
                let hold_tags = hold_tags(object.id, &mut tags);
                (
                    id,
                    Known {
                        object,
                        names,
                        hold_tags,
                    },
                )
            });
            Ok(known.collect())
        })
    }

    fn object(
        &mut self,
        source: &mut Source<'_, '_>,
        object: StoredObject,
        (names, hold_tags): (Vec<KeptName>, Tags),
        found: Option<&Known>,
    ) -> Result<()> {
        if found.is_some_and(|found| found.is_complete(&object, &names, &hold_tags)) {
            self.done.already += 1;
            self.batch.run += 1;
            return self.pass(object.size);
        }
        let mut item = Item {
            object,
            names,
            hold_tags,
            is_there: found.is_some(),
            run: self.batch.run,
            content: Vec::new(),
        };
        if item.is_there {
            // It is a run of its own.
            item.run += 1;
            self.batch.run += 2;
        } else if item.object.size > self.part as u64 {
            self.flush(source)?;
            return self.large(source, &item);
        }
        self.batch.bytes += item.bytes();
        self.batch.items.push(item);
        if self.batch.items.len() >= PAGE || self.batch.bytes >= BATCH_BYTES.min(self.part as u64) {
            self.flush(source)?;
        }
        Ok(())
    }

    /// Counts bytes that are done.
    fn pass(&mut self, bytes: u64) -> Result<()> {
        self.passed += bytes;
        (self.progress)(self.passed);
        go_on()
    }

    /// Stores the batch in one transaction.
    fn flush(&mut self, source: &mut Source<'_, '_>) -> Result<()> {
        let Batch { mut items, .. } = mem::take(&mut self.batch);
        if items.is_empty() {
            return Ok(());
        }
        let changes = source.changes();
        source.read(|tx| {
            if changes {
                retain(tx, &mut items)?;
            }
            let mut runs = items.chunk_by_mut(|one, next| one.run == next.run);
            runs.try_for_each(|run| read_contents(tx, run))
        })?;
        let target = &self.target;
        let on_conflict = self.on_conflict;
        let ids: Vec<_> = items.iter().map(|item| item.object.object_id).collect();
        let done = target.write_apart(|tx| {
            tx.look_up(&ids)?;
            let mut done = CopiedSpace::default();
            for item in &items {
                store(tx, target, item, on_conflict, &mut done)?;
            }
            Ok(done)
        })?;
        self.done.add(done);
        self.pass(items.iter().map(|item| item.object.size).sum())
    }

    /// Stores an object in parts, as they are read.
    fn large(&mut self, source: &mut Source<'_, '_>, item: &Item) -> Result<()> {
        let Item { object, .. } = item;
        let target = self.target.clone();
        let (inner, bad) = (&target.inner, bad_name(&target));
        let mut incoming = item.incoming(&bad);
        if !incoming.without_ended(clock::now()) {
            self.done.left_out += 1;
            return self.pass(object.size);
        }
        let settled = inner.readers.snapshot(|tx| {
            let resolve = &mut |name: &str| queries::names::resolve(tx, inner.space, name);
            incoming.settle(resolve, self.on_conflict)
        })?;
        let mut done = CopiedSpace::default();
        if settled.is_wanted(&incoming) {
            let mut content = Whole::new(source, object);
            let mut parts = Parts::known(&mut content, object.object_id, self.part);
            let announced = Announced {
                kind: object.kind,
                type_name: object.type_name.as_deref(),
                size: Some(object.size),
                id: Some(object.object_id),
            };
            let (progress, passed) = (&mut self.progress, self.passed);
            let progress = &mut |phase, bytes, _| {
                if phase == Phase::Storing {
                    progress(passed + bytes);
                }
            };
            let filled = parts.fill();
            let stored = filled.and_then(|()| {
                let hold = &settled.first_hold(&incoming);
                target.upload(announced, &mut parts, hold, None, progress)
            });
            match stored.map_err(own_error) {
                Ok(stored) => done.count(object, stored.dedup),
                Err(error) if source.has_lost(object, &error)? => return self.pass(object.size),
                Err(error) => return Err(error),
            }
        }
        target.write_apart(|tx| settle(tx, &incoming, settled, item, false, &mut done))?;
        self.done.add(done);
        self.pass(object.size)
    }
}

/// The error of the heap that was copied, if that is why its content could not be read.
fn own_error(error: Error) -> Error {
    match error {
        Error::Io { what, source } => match source.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => Error::Io { what, source },
        },
        error => error,
    }
}

/// Leaves out the objects of a space that were freed since they were listed.
fn retain(tx: &mut ReadTx<'_>, items: &mut Vec<Item>) -> Result<()> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return Ok(());
    };
    let there = transfer::keys_between(tx, first.object.id, last.object.id)?;
    items.retain(|item| there.binary_search(&item.object.id).is_ok());
    Ok(())
}
