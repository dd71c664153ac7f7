//! Takes displaced objects out of their blocks and places them again.

use std::borrow::Cow;
use std::io::Read;

use super::{Correction, Repair};
use crate::books::change::Change;
use crate::books::fix::Fix;
use crate::books::invariants::Invariant;
use crate::books::rules::Stage;
use crate::error::{Error, Result};
use crate::manager::objects::place::{Source, place};
use crate::manager::unsigned;
use crate::models::{MemRamId, StoredObjectId};
use crate::store::{Spool, queries};

/// The bytes of displaced objects, concatenated.
pub(super) struct Aside {
    objects: Vec<(StoredObjectId, MemRamId, u64)>,
    bytes: Spool,
    buffer: Vec<u8>,
}

impl Repair<'_, '_> {
    /// Reads the displaced objects and takes them out of their blocks.
    pub(super) fn take_out(&mut self) -> Result<Aside> {
        let mut aside = Aside {
            objects: Vec::new(),
            bytes: self.tx.spool(),
            buffer: Vec::new(),
        };
        for (rule, broken) in self.broken_in(Stage::Places)? {
            let key = StoredObjectId(broken.id);
            let space = broken.key.as_deref().and_then(|space| space.parse().ok());
            let size = self.tx.read_written(|tx| aside.read(tx, key))?;
            aside.objects.push((key, MemRamId(space.unwrap_or_default()), size));
            self.tx.fix(Fix::TakeOut { object: key })?;
            self.note(rule, broken);
        }
        Ok(aside)
    }

    /// Places them like new objects, and enlarges the space if they do not fit.
    pub(super) fn place_again(&mut self, mut aside: Aside) -> Result<()> {
        let rewound = aside.bytes.rewind();
        rewound.map_err(Error::io("the bytes set aside cannot be read"))?;
        let mut entered = None;
        for (key, space, size) in std::mem::take(&mut aside.objects) {
            if entered != Some(space) {
                self.enter(space)?;
                entered = Some(space);
            }
            self.make_room(space, size)?;
            // There may be more entries than before, and their keys must be free.
            let new = self.tx.next_object_id(0)?;
            self.tx.fix(Fix::ObjectKey { object: key, key: new })?;
            place(self.tx, new, size, &mut aside)?;
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, space: MemRamId) -> Result<()> {
        let geometry = self.tx.read(|tx| {
            let space = queries::spaces::get(tx, space)?;
            queries::spaces::geometry(tx, &space)
        })?;
        self.tx.enter(space, geometry)
    }

    fn make_room(&mut self, space: MemRamId, size: u64) -> Result<()> {
        let (max_mem, available) = self.tx.capacity()?;
        if size <= unsigned(available) {
            return Ok(());
        }
        let by = (size - unsigned(available)) as i64;
        self.tx.apply(Change::Resized { by })?;
        self.corrections.push(Correction {
            invariant: Invariant::I5,
            table: "memram".to_owned(),
            id: Some(space.0),
            expected: format!("max_mem {}, room for all stored objects", max_mem + by),
            found: format!("max_mem {max_mem}"),
        });
        Ok(())
    }
}

impl Aside {
    fn read(&mut self, tx: &mut crate::store::ReadTx<'_>, key: StoredObjectId) -> Result<u64> {
        let mut size = 0;
        queries::entries::each_piece(tx, key, |data| {
            size += data.len() as u64;
            self.bytes
                .write(&data, "the bytes of a displaced object cannot be set aside")
        })?;
        Ok(size)
    }
}

impl Source for Aside {
    fn take(&mut self, count: usize) -> Result<Cow<'_, [u8]>> {
        self.buffer.resize(count, 0);
        self.bytes
            .read_exact(&mut self.buffer)
            .map_err(Error::io("the bytes set aside cannot be read"))?;
        Ok(Cow::Borrowed(&self.buffer))
    }
}
