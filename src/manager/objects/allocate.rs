//! Allocation.

use std::io::Read;

use serde::Serialize;

use super::announced::Announced;
use super::content::Content;
use super::parts::{LEAST_PART, Parts};
use super::place::Source;
use super::room::need_room;
use super::spool::Spooled;
use super::{admit, expire, place, sweep, vouch};
use crate::books::change::Change;
use crate::error::{Error, Result};
use crate::manager::names::Kept;
use crate::manager::{Freed, Hold, HoldWith, MemManager, Phase, names, unsigned};
use crate::models::{StoredObject, StoredObjectId};
use crate::store::WriteTx;
use crate::value::{Encoded, Kind, ObjectId};

/// The result of an allocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Allocation {
    /// The object's id.
    #[serde(rename = "object_id")]
    pub id: ObjectId,
    /// Bytes of content.
    pub size: u64,
    /// Ledger entries that hold it.
    pub pieces: u64,
    /// Whether the content was already stored; then only the `repaired` bytes were written.
    pub dedup: bool,
    /// Bytes of stored pieces that were damaged and have been rewritten: content that is already stored
    /// is compared with the new content.
    pub repaired: u64,
    /// The object that had the name before, if that freed it.
    pub freed: Option<Freed>,
}

impl MemManager {
    /// Stores a value and takes its anonymous hold. The same value again is a dedup hit and stores
    /// nothing. O(size + log n).
    ///
    /// **An object has at most one anonymous hold**, however often its value was allocated and by
    /// whom: a second allocation changes nothing, and one [`Self::free`] or [`Self::release`] is
    /// enough. (With counted holds, those of a program that died would stay forever.) If it
    /// [expires](Hold::expires_in), a second allocation never lets it do so sooner. Use names for
    /// objects that are shared or should outlive the program: see [`Self::set`] and
    /// [`Hold::Name`]. Allocating and then [binding](Self::bind) leaves both holds.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] exactly if the encoded value is larger than the free
    /// bytes; [`Error::NotStorable`] if it has no exact encoding;
    /// [`Error::KindConflict`] if another kind of content is stored under its id;
    /// [`Error::Damaged`] if it is already stored, but damaged beyond repair;
    /// what [any write](MemManager#errors) fails with.
    #[doc(alias = "allocate_memory_for_object")]
    #[doc(alias = "store_object")]
    pub fn allocate<T: Serialize + ?Sized>(&self, value: &T) -> Result<ObjectId> {
        Ok(self.store(value, Hold::Anonymous)?.id)
    }

    /// Stores a value under a name. A list of bytes would be stored as a value, too; for content that is
    /// bytes, use [`Self::store_bytes`] with [`Hold::Name`]. If the name is already bound it moves to this
    /// value, and its old object is freed if nothing else holds it. The name never expires and has no tags,
    /// even if it did and had some before; use [`Self::store`] with [`Hold::expires_in`] and [`Hold::tag`] for
    /// that. O(size + log n).
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = heapledger::MemManager::open(folder.path().join("heap.db"))?;
    /// memory.set("theme", "light")?;
    /// memory.set("theme", "dark")?;
    /// assert_eq!(memory.get_by_name::<String>("theme")?.as_deref(), Some("dark"));
    /// assert_eq!(memory.stats()?.objects, 1);
    /// # Ok::<(), heapledger::Error>(())
    /// ```
    ///
    /// The old object stays until the new one is stored, so in a space without room for both this fails, or evicts
    /// something else. A caller that can do without the old one [unbinds](crate::Batch::unbind) the name first, in
    /// the same [batch](Self::batch).
    ///
    /// # Errors
    /// Like [`Self::allocate`] and [`Self::bind`].
    #[doc(alias = "insert")]
    #[doc(alias = "put")]
    pub fn set<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<Allocation> {
        self.store(value, Hold::Name(name))
    }

    /// Stores bytes; the id is what `sha256sum` prints. Otherwise like [`Self::allocate`].
    ///
    /// # Errors
    /// Like [`Self::allocate`].
    pub fn allocate_bytes(&self, content: &[u8]) -> Result<ObjectId> {
        Ok(self.store_bytes(content, Hold::Anonymous)?.id)
    }

    /// Stores all bytes of a reader of unknown length, in constant memory. They are read and hashed
    /// once.
    ///
    /// # Large objects
    /// Content of more than 8 MiB (less below a small [ceiling](crate::Options::max_file)) is stored in
    /// parts, each a transaction, whatever method stores it: others write in between. Nobody sees it
    /// before it is complete. Its bytes count as used meanwhile, and if its size is known, it is
    /// promised room for all of it, so that it never fails for want of room halfway. An error or a
    /// panic gives everything back; if the process dies, others do after the
    /// [lease](crate::Options::lease). If the content turns out to be stored already, its parts are
    /// given back too; a stream that does not fit is read to its end to find that out.
    ///
    /// In a [batch](Self::batch) and an [import](Self::import) an object is stored in one transaction.
    ///
    /// # Errors
    /// Like [`Self::allocate`], and [`Error::Io`] if the reader fails,
    /// [`Error::Interrupted`] after [`interrupt`](crate::interrupt),
    /// [`UploadLapsed`](crate::ReservationError::UploadLapsed) if the lease was over before a part was
    /// stored and others needed the room; nothing is stored then.
    /// A reader with more bytes than the whole space is not read to its end: `needed` is then one
    /// byte more than the capacity.
    pub fn allocate_from(&self, reader: impl Read) -> Result<ObjectId> {
        Ok(self.store_from(reader, Hold::Anonymous)?.id)
    }

    /// Like [`Self::allocate`] with the given hold; returns the details.
    ///
    /// # Errors
    /// Like [`Self::allocate`]; [`Error::BadName`], [`Error::NameIsId`] and [`Error::NulInName`]
    /// for an invalid name; [`Error::NameTaken`] for [`Hold::NewName`].
    pub fn store<'h, T: Serialize + ?Sized>(&self, value: &T, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let encoded = Encoded::of(value)?;
        self.store_encoded(&encoded, encoded.object_id(), &hold.into())
    }

    /// Like [`Self::allocate_bytes`] with the given hold; returns the details.
    ///
    /// # Errors
    /// Like [`Self::store`].
    pub fn store_bytes<'h>(&self, content: &[u8], hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let encoded = Encoded::bytes(content);
        // Hashed before the writer's turn, so that others can write.
        self.store_encoded(&encoded, encoded.object_id(), &hold.into())
    }

    /// Like [`Self::allocate_from`] with the given hold; returns the details.
    ///
    /// # Errors
    /// Like [`Self::allocate_from`] and [`Self::store`].
    pub fn store_from<'h>(&self, reader: impl Read, hold: impl Into<HoldWith<'h>>) -> Result<Allocation> {
        let hold = &hold.into();
        self.check_hold(hold)?;
        let mut reader = reader;
        self.store_stream(&mut reader, hold, &mut |_, _, _| {})
    }

    pub(super) fn store_stream(
        &self,
        reader: &mut dyn Read,
        hold: &HoldWith<'_>,
        progress: &mut dyn FnMut(Phase, u64, u64),
    ) -> Result<Allocation> {
        let max_mem = self.memram()?.max_mem;
        // One byte more tells whether there is more than can be stored.
        let mut reader = reader.take(max_mem.saturating_add(1));
        let mut parts = Parts::new(&mut reader, Kind::Bytes, self.part_size()?);
        parts.fill()?;
        if parts.part.total > max_mem {
            return self.refuse_unread(parts.part.total);
        }
        if parts.part.at_end {
            progress(Phase::Waiting, 0, 0);
            let id = parts.part.id();
            return self.write_content(parts.part.total, |tx| {
                store_as(tx, &Encoded::bytes(parts.part.rest()), id, hold)
            });
        }
        self.upload(Announced::bytes(None, None), &mut parts, hold, None, progress)
    }

    /// Stores content whose id was computed before the writer's turn, so that others can write.
    fn store_encoded(&self, encoded: &Encoded<'_>, id: ObjectId, hold: &HoldWith<'_>) -> Result<Allocation> {
        let content = &*encoded.content;
        let is_small = content.len() <= LEAST_PART || content.len() <= self.part_size()?;
        if is_small || self.contains(&id)? || content.len() as u64 > self.memram()?.attainable() {
            return self.write_content(content.len() as u64, |tx| store_as(tx, encoded, id, hold));
        }
        self.check_hold(hold)?;
        let mut reader = content;
        let mut parts = Parts::known(&mut reader, id, self.part_size()?);
        parts.fill()?;
        let announced = Announced::encoded(encoded, id);
        self.upload(announced, &mut parts, hold, None, &mut |_, _, _| {})
    }
}

pub(in crate::manager) fn store(
    tx: &mut WriteTx<'_>,
    encoded: &Encoded<'_>,
    hold: &HoldWith<'_>,
) -> Result<Allocation> {
    store_as(tx, encoded, encoded.object_id(), hold)
}

pub(in crate::manager) fn store_as(
    tx: &mut WriteTx<'_>,
    encoded: &Encoded<'_>,
    id: ObjectId,
    hold: &HoldWith<'_>,
) -> Result<Allocation> {
    let what = Content {
        id,
        kind: encoded.kind,
        type_name: encoded.type_name.as_deref(),
        size: encoded.content.len() as u64,
        whole: None,
    };
    allocate(tx, &what, hold, &mut &*encoded.content)
}

pub(in crate::manager) fn store_spooled(
    tx: &mut WriteTx<'_>,
    spooled: &mut Spooled<'_>,
    whole: Option<StoredObjectId>,
    hold: &HoldWith<'_>,
) -> Result<Allocation> {
    let what = Content {
        id: spooled.id(),
        kind: Kind::Bytes,
        type_name: None,
        size: spooled.size(),
        whole,
    };
    allocate(tx, &what, hold, spooled)
}

/// The unit of work of every allocation: dedup, bound, object, pieces, hold.
pub(in crate::manager) fn allocate(
    tx: &mut WriteTx<'_>,
    what: &Content<'_>,
    hold: &HoldWith<'_>,
    source: &mut dyn Source,
) -> Result<Allocation> {
    names::validate_hold(tx, hold)?;
    let found = match what.size <= unsigned(tx.capacity()?.1) {
        true => tx.find_unless_new(&what.id)?,
        // The stored object may be what would be evicted to make room.
        false => tx.find(&what.id)?,
    };
    if let Some(object) = sweep::living(tx, found)? {
        return dedup(tx, what, &object, hold, source);
    }
    let gain = admit::Gain {
        object: None,
        object_id: Some(what.id),
        size: what.size,
    };
    admit::admit(tx, gain, hold)?;
    need_room(tx, Some(what.id), what.size)?;
    let key = tx.next_object_id(0)?;
    let object = what.object(tx, key, hold)?;
    let kept = Kept::from(&object);
    let (pieces, freed) = tx.whole(|tx| {
        tx.apply(Change::ObjectStored(object))?;
        let pieces = place::place(tx, key, what.size, source)?;
        Ok((pieces, names::take_hold(tx, hold, kept)?))
    })?;
    Ok(Allocation {
        id: what.id,
        size: what.size,
        pieces,
        dedup: false,
        repaired: 0,
        freed,
    })
}

pub(in crate::manager) fn dedup(
    tx: &mut WriteTx<'_>,
    what: &Content<'_>,
    object: &StoredObject,
    hold: &HoldWith<'_>,
    source: &mut dyn Source,
) -> Result<Allocation> {
    if object.kind != what.kind {
        return Err(Error::KindConflict {
            id: what.id,
            stored: object.kind,
            wanted: what.kind,
        });
    }
    admit::admit(tx, object.into(), hold)?;
    let vouched = vouch::vouch(tx, what, object, source)?;
    tx.apply(Change::DedupHit { object })?;
    if hold.hold == Hold::Anonymous {
        expire::hold(tx, object, hold.expiry.term(tx.at())?)?;
    }
    let freed = names::take_hold(tx, hold, object.into())?;
    Ok(Allocation {
        id: what.id,
        size: what.size,
        pieces: vouched.pieces,
        dedup: true,
        repaired: vouched.repaired,
        freed,
    })
}
