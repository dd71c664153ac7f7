//! Reading values.

use serde::de::DeserializeOwned;

use crate::clock;
use crate::error::{Error, Result};
use crate::manager::objects::refresh::ReadHold;
use crate::manager::objects::uses::Uses;
use crate::manager::{MemManager, ObjectReader};
use crate::models::{MemRam, MemRamId, StoredObject, Term, Timestamp, signed};
use crate::store::queries::content::{Found, StoredContent};
use crate::store::queries::objects::ObjectInfo;
use crate::store::{ReadTx, queries};
use crate::value::{ID_DIGITS, ObjectId, decode};

impl MemManager {
    /// Whether an object is stored. O(log n).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with. An unknown object is not an error.
    #[doc(alias = "is_object_stored")]
    pub fn contains(&self, id: &ObjectId) -> Result<bool> {
        self.settle_reads();
        let space = self.inner.space;
        let found = self.inner.readers.single(|tx| queries::objects::find(tx, space, id))?;
        Ok(found.is_some())
    }

    /// The value of an object as `T`. O(log n + size).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::WrongType`], which names both types; [`Error::Damaged`] if
    /// pieces are missing; what [any call](MemManager#errors) fails with.
    #[doc(alias = "get_object")]
    pub fn get<T: DeserializeOwned>(&self, id: &ObjectId) -> Result<T> {
        // On a server it is a single statement.
        if self.inner.location.is_on_server() {
            self.settle_reads();
            return self.inner.readers.single(|tx| self.scope().get(tx, id));
        }
        self.read_again(|snapshot| snapshot.get(id))
    }

    /// The value that a name is bound to, as `T`; `None` if the name is not bound. O(log n + size).
    ///
    /// # Errors
    /// Like [`Self::get`], except for [`Error::NotStored`].
    pub fn get_by_name<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.read_again(|snapshot| snapshot.get_by_name(name))
    }

    /// The content that a name is bound to; `None` if the name is not bound. O(log n + size).
    ///
    /// # Errors
    /// Like [`Self::get_bytes`], except for [`Error::NotStored`].
    pub fn get_bytes_by_name(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.read_again(|snapshot| snapshot.get_bytes_by_name(name))
    }

    /// The stored content of an object of any kind. O(log n + size).
    ///
    /// # Errors
    /// [`Error::NotStored`]; [`Error::Damaged`] if pieces are missing; what
    /// [any call](MemManager#errors) fails with.
    pub fn get_bytes(&self, id: &ObjectId) -> Result<Vec<u8>> {
        self.settle_reads();
        let writer = self.inner.writer.as_ref();
        let short = writer.and_then(|writer| writer.read_if_idle(|tx| self.scope().get_short(tx, id)));
        match short {
            Some(Ok(Some(content))) => Ok(content),
            Some(Err(error @ Error::NotStored { .. })) => Err(error),
            // A reader reads the rest, and reports all other errors.
            _ => self.inner.readers.single(|tx| self.scope().get_bytes(tx, id)),
        }
    }

    /// Reads an object piece by piece, in constant memory; after a seek only the needed pieces are
    /// read.
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn reader(&self, id: &ObjectId) -> Result<ObjectReader> {
        let object = self.object(id)?;
        self.note_use(id);
        let hold = || ReadHold::Anonymous(*id);
        self.inner.uses.note_read(hold, object.term(), clock::now());
        Ok(ObjectReader::new(self.clone(), &object))
    }

    /// Reads the object that a name is bound to, piece by piece, as [`Self::reader`] does; `None` if the name is not
    /// bound. If the name moves meanwhile, the rest is still of that object, or fails if it was freed.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn reader_by_name(&self, name: &str) -> Result<Option<ObjectReader>> {
        self.settle_reads();
        let scope = self.scope();
        let object = self.inner.readers.single(|tx| {
            let found = queries::names::resolve_with_term(tx, scope.space, name)?;
            Ok(found.map(|(object, term)| {
                scope.note_name(name, term, tx.now());
                object
            }))
        })?;
        if let Some(object) = &object {
            self.note_use(&object.known_id()?);
        }
        Ok(object.map(|object| ObjectReader::new(self.clone(), &object)))
    }

    /// An object's row.
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn object(&self, id: &ObjectId) -> Result<StoredObject> {
        self.settle_reads();
        self.inner.readers.single(|tx| self.scope().find(tx, id))
    }

    /// An object's row of the view `objects`.
    ///
    /// # Errors
    /// [`Error::NotStored`]; what [any call](MemManager#errors) fails with.
    pub fn object_info(&self, id: &ObjectId) -> Result<ObjectInfo> {
        self.settle_reads();
        self.inner.readers.snapshot(|tx| {
            let object = self.scope().find(tx, id)?;
            let info = queries::objects::info(tx, object.id)?;
            info.ok_or_else(|| self.scope().not_stored(tx, id))
        })
    }

    /// The object that `text` refers to: the whole id of a stored object, else a name, else the
    /// first six or more digits of one id. O(log n).
    ///
    /// # Errors
    /// [`Error::UnknownReference`] if there is none; [`Error::AmbiguousPrefix`] if several ids start
    /// with the digits; what [any call](MemManager#errors) fails with.
    pub fn find(&self, text: &str) -> Result<ObjectId> {
        self.settle_reads();
        let scope = self.scope();
        self.inner.readers.snapshot(|tx| scope.find_reference(tx, text))
    }

    /// The space's row: capacity, bytes used, lifetime counters. O(1).
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn memram(&self) -> Result<MemRam> {
        let space = self.inner.space;
        self.inner.readers.single(|tx| queries::spaces::get(tx, space))
    }

    /// All spaces of the file.
    ///
    /// # Errors
    /// What [any call](MemManager#errors) fails with.
    pub fn spaces(&self) -> Result<Vec<MemRam>> {
        self.inner.readers.single(queries::spaces::all)
    }

    pub(in crate::manager) fn scope(&self) -> Scope<'_> {
        Scope {
            space: self.inner.space,
            name: &self.inner.name,
            uses: Some(&self.inner.uses),
        }
    }
}

/// The fewest digits accepted as the start of an id.
pub(in crate::manager) const LEAST_DIGITS: usize = 6;

/// The most bytes after the first piece that are read on the writer's connection, while others
/// may wait for it. Of a longer object the first piece is read twice, which is a small part.
const SHORT: i64 = 1024 * 1024;

/// A space to read from.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Scope<'a> {
    pub space: MemRamId,
    pub name: &'a str,
    /// Where to note what is read.
    pub uses: Option<&'a Uses>,
}

impl Scope<'_> {
    pub fn find(self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Result<StoredObject> {
        match queries::objects::find(tx, self.space, id)? {
            Some(object) => Ok(object),
            None => Err(self.not_stored(tx, id)),
        }
    }

    /// The object that `text` refers to; see [`MemManager::find`].
    pub fn find_reference(self, tx: &mut ReadTx<'_>, text: &str) -> Result<ObjectId> {
        let digits = text.to_ascii_lowercase();
        if let Ok(id) = digits.parse::<ObjectId>()
            && queries::objects::find(tx, self.space, &id)?.is_some()
        {
            return Ok(id);
        }
        if let Some(object) = queries::names::resolve(tx, self.space, text)? {
            return object.known_id();
        }
        if !(LEAST_DIGITS..ID_DIGITS).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        {
            return Err(self.unknown(tx, text));
        }
        match queries::objects::with_prefix(tx, self.space, &digits, 100)?.as_slice() {
            [] => Err(self.unknown(tx, text)),
            [id] => Ok(*id),
            several => Err(Error::AmbiguousPrefix {
                text: digits,
                count: several.len(),
            }),
        }
    }

    pub fn get<T: DeserializeOwned>(self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Result<T> {
        let found = queries::content::typed(tx, self.space, id)?;
        let Some((kind, type_name, found)) = found else {
            return Err(self.not_stored(tx, id));
        };
        let bytes = self.whole(tx, id, found.content)?;
        self.note(tx, id, found.is_refreshed)?;
        decode(id, kind, type_name.as_deref(), bytes)
    }

    /// The content of an object, unless it is long.
    fn get_short(self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Result<Option<Vec<u8>>> {
        let content = queries::content::of(tx, self.space, id.digits().as_str(), SHORT)?;
        match content {
            Some(Found {
                content: StoredContent::Whole(bytes),
                is_refreshed,
            }) => {
                self.note(tx, id, is_refreshed)?;
                Ok(Some(bytes))
            }
            Some(_) => Ok(None),
            None => Err(self.not_stored(tx, id)),
        }
    }

    pub fn get_bytes(self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Result<Vec<u8>> {
        let content = queries::content::of(tx, self.space, id.digits().as_str(), i64::MAX)?;
        match content {
            Some(found) => {
                let bytes = self.whole(tx, id, found.content)?;
                self.note(tx, id, found.is_refreshed)?;
                Ok(bytes)
            }
            None => Err(self.not_stored(tx, id)),
        }
    }

    /// Notes a read of an object, which also refreshes its anonymous hold if that asks for it.
    fn note(self, tx: &mut ReadTx<'_>, id: &ObjectId, is_refreshed: bool) -> Result<()> {
        let Some(uses) = self.uses else { return Ok(()) };
        uses.note(id);
        if is_refreshed && let Some(object) = queries::objects::find(tx, self.space, id)? {
            uses.note_read(|| ReadHold::Anonymous(*id), object.term(), tx.now());
        }
        Ok(())
    }

    /// The object that a name is bound to, whose content is about to be read.
    pub fn resolve_to_read(self, tx: &mut ReadTx<'_>, name: &str) -> Result<Option<ObjectId>> {
        let Some((object, term)) = queries::names::resolve_with_term(tx, self.space, name)? else {
            return Ok(None);
        };
        self.note_name(name, term, tx.now());
        object.known_id().map(Some)
    }

    /// Notes a read of a name.
    pub fn note_name(self, name: &str, term: Term, at: Timestamp) {
        if let Some(uses) = self.uses {
            uses.note_read(|| ReadHold::Name(name.to_owned()), term, at);
        }
    }

    /// The bytes of what was found, or why they are not all there.
    fn whole(self, tx: &mut ReadTx<'_>, id: &ObjectId, content: StoredContent) -> Result<Vec<u8>> {
        let missing = match content {
            StoredContent::Whole(bytes) => return Ok(bytes),
            StoredContent::Partial { missing } => missing,
            StoredContent::Nothing => match self.find(tx, id)?.size {
                0 => return Ok(Vec::new()),
                size => signed(size),
            },
        };
        Err(Error::Damaged {
            what: format!("the last {missing} bytes of object {id} are missing"),
        })
    }

    fn not_stored(self, tx: &mut ReadTx<'_>, id: &ObjectId) -> Error {
        let space = self.name.to_owned();
        self.absent(tx, Error::NotStored { id: *id, space })
    }

    fn unknown(self, tx: &mut ReadTx<'_>, text: &str) -> Error {
        let (text, space) = (text.to_owned(), self.name.to_owned());
        self.absent(tx, Error::UnknownReference { text, space })
    }

    /// The error for what is not there: another one if the space is not there, either.
    fn absent(self, tx: &mut ReadTx<'_>, error: Error) -> Error {
        queries::spaces::is_there(tx, self.space).err().unwrap_or(error)
    }
}
