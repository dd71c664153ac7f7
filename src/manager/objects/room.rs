//! Whether something fits, and who has the bytes if it does not.

use super::evict::Making;
use super::reclaim;
use crate::books::change::Change;
use crate::books::refusals::Refusal;
use crate::error::{Error, Result};
use crate::manager::{MemManager, unsigned};
use crate::models::{MemRam, Promise, signed};
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// A refusal names at most this many reservations.
const NAMED: i64 = 3;

/// Refuses `bytes` that are not available, even after everything that is due was given back, and what may be
/// evicted was. It gives back as much as is needed, and evicts nothing if that is not enough.
pub(in crate::manager) fn need_room(tx: &mut WriteTx<'_>, object_id: Option<ObjectId>, bytes: u64) -> Result<()> {
    make_room(tx, &mut Making::default(), object_id, bytes)
}

/// The same, with what is evicted chosen by `making`.
pub(in crate::manager) fn make_room(
    tx: &mut WriteTx<'_>,
    making: &mut Making,
    object_id: Option<ObjectId>,
    bytes: u64,
) -> Result<()> {
    while bytes > unsigned(tx.capacity()?.1) {
        if !reclaim::next(tx)? && !making.some(tx, object_id, bytes)? {
            return Err(refuse(tx, object_id, bytes));
        }
    }
    Ok(())
}

/// Records that an allocation is refused. For a batch that continues; if the unit is rolled back,
/// [`MemManager::write`] records it.
pub(in crate::manager) fn refuse(tx: &mut WriteTx<'_>, object_id: Option<ObjectId>, size: u64) -> Error {
    let mut refuse = || {
        let memram = tx.memram()?;
        tx.apply(Change::Refused(Refusal {
            object_id,
            needed: signed(size),
            available: Some(signed(memram.available())),
            quota: None,
        }))?;
        tx.read_rows(|tx| refused(tx, &memram, size))
    };
    refuse().unwrap_or_else(|error| error)
}

/// The refusal of content that has `needed` bytes; `promised_to` is for one that would fit but for
/// promises.
pub(in crate::manager) fn out_of_memory(
    memram: &MemRam,
    needed: u64,
    promised_to: Vec<Promise>,
    expired: u64,
) -> Error {
    // Otherwise something would have been evicted for it.
    let spared = memram.evict.is_some() && needed <= memram.attainable();
    Error::OutOfMemory {
        needed,
        available: memram.available(),
        max_mem: memram.max_mem,
        promised: memram.promised,
        promised_to,
        expired,
        spared,
    }
}

fn fits_but_for_promises(memram: &MemRam, size: u64) -> bool {
    let available = memram.available();
    size > available && size - available <= memram.promised
}

fn refused(tx: &mut ReadTx<'_>, memram: &MemRam, size: u64) -> Result<Error> {
    let promises = match fits_but_for_promises(memram, size) {
        true => queries::reservations::largest_promises(tx, memram.id, NAMED)?,
        false => Vec::new(),
    };
    let expired = queries::objects::expired(tx, memram.id)?;
    let expired = expired.iter().map(|expired| expired.mem).sum();
    Ok(out_of_memory(memram, size, promises, expired))
}

impl MemManager {
    /// Refuses content whose id is not known, because it cannot fit.
    pub(in crate::manager) fn refuse_unread<R>(&self, needed: u64) -> Result<R> {
        // As in any refusal, what is over is not counted as in use.
        self.reclaim_all()?;
        let space = self.inner.space;
        let error = self.inner.readers.snapshot(|tx| {
            let memram = queries::spaces::get(tx, space)?;
            refused(tx, &memram, needed)
        })?;
        self.record_error(&error, None)?;
        Err(error)
    }
}
