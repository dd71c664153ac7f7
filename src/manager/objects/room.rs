//! Whether something fits, and who has the bytes if it does not.

use super::evict::Making;
use super::reclaim;
use crate::books::change::Change;
use crate::books::refusals::Refusal;
use crate::error::{Error, Result};
use crate::manager::{MemManager, unsigned};
use crate::models::{MemRam, MemRamId, signed};
use crate::store::{ReadTx, WriteTx, queries};
use crate::value::ObjectId;

/// A refusal names at most this many reservations.
const NAMED: i64 = 3;

/// Refuses `bytes` that are not available, even after everything that is due was given back, and what may be
/// evicted was evicted. It gives back as much as is needed, and evicts nothing if that would not be enough.
pub(in crate::manager) fn need_room(tx: &mut WriteTx<'_>, object_id: Option<ObjectId>, bytes: u64) -> Result<()> {
    make_room(tx, &mut Making::default(), object_id, bytes)
}

/// The same, but `making` chooses what is evicted.
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

/// Records that an allocation is refused. This is for a batch that continues; if the unit is rolled
/// back, [`MemManager::write`] records it.
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

/// The refusal of content that cannot fit, whatever is removed.
pub(in crate::manager) fn out_of_memory(memram: &MemRam, needed: u64) -> Error {
    Error::OutOfMemory {
        needed,
        available: memram.available(),
        max_mem: memram.max_mem,
        promised: memram.promised,
        promised_to: Vec::new(),
        expired: 0,
        spared: false,
    }
}

fn refused(tx: &mut ReadTx<'_>, memram: &MemRam, needed: u64) -> Result<Error> {
    let available = memram.available();
    let uploads = queries::reservations::written_in(tx, memram.id)?;
    let promised = memram.promised + uploads;
    let promised_to = match needed > available && needed - available <= promised {
        true => queries::reservations::largest_promises(tx, memram.id, NAMED)?,
        false => Vec::new(),
    };
    Ok(Error::OutOfMemory {
        needed,
        available,
        max_mem: memram.max_mem,
        promised,
        promised_to,
        expired: expired_bytes(tx, memram.id)?,
        // Otherwise something would have been evicted for it.
        spared: memram.evict.is_some() && needed <= memram.attainable().saturating_sub(uploads),
    })
}

/// Bytes of the objects of a space that have expired and are still there.
pub(in crate::manager) fn expired_bytes(tx: &mut ReadTx<'_>, space: MemRamId) -> Result<u64> {
    let expired = queries::objects::expired(tx, space)?;
    Ok(expired.iter().map(|expired| expired.mem).sum())
}

impl MemManager {
    /// Refuses content whose id is not known, because it cannot fit.
    pub(in crate::manager) fn refuse_unread<R>(&self, needed: u64) -> Result<R> {
        // As in any refusal, what has expired does not count as in use, unless the clock is suspected.
        self.make_room(needed)?;
        let space = self.inner.space;
        let error = self.inner.readers.snapshot(|tx| {
            let memram = queries::spaces::get(tx, space)?;
            refused(tx, &memram, needed)
        })?;
        self.record_error(&error, None)?;
        Err(error)
    }
}
