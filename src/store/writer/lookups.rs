//! What the writer has read before anybody asks for it.

use std::collections::HashMap;

use super::super::engine::Present;
use super::Writer;
use crate::books::batch::Batch;
use crate::books::placement::RoomLevel;
use crate::books::room::Room;
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::models::{StoredObject, StoredObjectId};
use crate::store::queries;
use crate::store::queries::entries::StoredPiece;
use crate::value::ObjectId;

/// Objects that were looked up together, or that a lazy transaction found.
#[derive(Default)]
pub(in crate::store) struct LookedUp {
    objects: HashMap<ObjectId, Option<StoredObject>>,
    /// First pieces of objects.
    pieces: HashMap<StoredObjectId, Vec<StoredPiece>>,
}

impl LookedUp {
    /// An object, if it was looked up.
    pub fn object(&self, id: &ObjectId) -> Option<&Option<StoredObject>> {
        self.objects.get(id)
    }

    /// The first pieces of an object, if they were read. There may be more.
    pub fn take_pieces(&mut self, object: StoredObjectId) -> Option<Vec<StoredPiece>> {
        self.pieces.remove(&object)
    }

    /// Forgets objects that are no longer as they were, now that this batch is written.
    pub fn forget_changed(&mut self, batch: &Batch<'_>) {
        self.pieces.clear();
        self.objects.retain(|id, _| batch.object(id).is_none());
        if !batch.rows().objects_gone.is_empty() || !batch.rows().holds.is_empty() {
            self.objects.clear();
        }
    }

    fn add(&mut self, Present { object, pieces }: Present) {
        if !pieces.is_empty() {
            self.pieces.insert(object.id, pieces);
        }
        if let Ok(id) = object.known_id() {
            self.objects.insert(id, Some(object));
        }
    }
}

impl Writer {
    pub fn geometry_and_room(&mut self) -> Result<(&Geometry, &Room)> {
        let known = self.known.as_ref().ok_or(Error::BatchFailed)?;
        Ok((&self.geometry, &known.room))
    }

    /// Reads the row of the space again, after a statement has changed it in a way that no effect describes.
    pub(super) fn read_space(&mut self) -> Result<()> {
        let memram = queries::spaces::get(&mut self.engine.read(), self.space);
        let memram = self.check(memram)?;
        let known = self.known()?;
        (known.memram, known.last_position) = (memram, None);
        Ok(())
    }

    /// Reads the next page of rows with room at one level.
    pub fn load_room(&mut self, level: RoomLevel) -> Result<()> {
        let known = self.known.as_mut().ok_or(Error::BatchFailed)?;
        let tx = &mut self.engine.read();
        let loaded = queries::room::load(tx, self.space, &self.geometry, &mut known.room, level);
        self.check(loaded)
    }

    /// Rolls back. If a lazy transaction failed only because objects that it stored are there already,
    /// everything that was known is still right, and the transaction can run again, now knowing these objects.
    pub(super) fn abandon_for_objects_present(&mut self) {
        let present = self.engine.take_present();
        let before = self.before.take().filter(|_| !present.is_empty());
        self.abandon();
        self.known = before;
        for present in present {
            self.looked_up.add(present);
        }
    }

    /// Looks objects up together, if that is faster for this engine.
    pub fn look_up(&mut self, ids: &[ObjectId]) -> Result<()> {
        if self.engine.looks_up_together() && !ids.is_empty() {
            let found = queries::objects::find_all(&mut self.engine.read(), self.space, ids);
            let found = self.check(found)?;
            let found = ids.iter().map(|id| (*id, found.get(id).cloned()));
            self.looked_up.objects.extend(found);
        }
        Ok(())
    }
}
