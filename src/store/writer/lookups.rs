//! Objects that the writer has looked up before it is asked for them.

use super::Writer;
use crate::error::Result;
use crate::models::StoredObject;
use crate::store::queries;
use crate::value::ObjectId;

impl Writer {
    /// Rolls back. If a lazy transaction failed only because objects that it stored are there already,
    /// everything that was known is still right, and it can be done again knowing these.
    pub(super) fn abandon_for_objects_present(&mut self) {
        let present = self.engine.take_present();
        let before = self.before.take().filter(|_| !present.is_empty());
        self.abandon();
        self.known = before;
        for object in present {
            if let Ok(id) = object.known_id() {
                self.looked_up.insert(id, Some(object));
            }
        }
    }

    /// An object that was looked up, if it was.
    pub fn looked_up(&self, id: &ObjectId) -> Option<&Option<StoredObject>> {
        self.looked_up.get(id)
    }

    /// Looks objects up together, if that is faster for this engine.
    pub fn look_up(&mut self, ids: &[ObjectId]) -> Result<()> {
        if self.engine.looks_up_together() && !ids.is_empty() {
            let found = queries::objects::find_all(&mut self.engine.read(), self.space, ids);
            let found = self.check(found)?;
            self.looked_up
                .extend(ids.iter().map(|id| (*id, found.get(id).cloned())));
        }
        Ok(())
    }
}
