//! What the writer does when its file is near its ceiling: the log has a lower limit, and is copied into
//! the file before a transaction, so that it starts again and the transaction has the room that the log
//! took.

use std::time::Instant;

use diesel::connection::SimpleConnection;

use super::{LOOK_AGAIN, SqliteEngine};
use crate::error::Result;
use crate::models::{signed, unsigned};
use crate::store::engine::NearCeiling;
use crate::store::sqlite::ceiling::{OnDisk, reserve};
use crate::store::sqlite::checkpoint::{self, LONG};
use crate::store::sqlite::log;
use crate::store::sqlite::pages::file_sizes;

/// Room on disk, as a part of the ceiling, below which the file counts as near it.
const NEAR: u64 = 8;
/// At most this much is near: units of work are rarely larger.
const MOST_NEAR: u64 = 32 * 1024 * 1024;
/// With more room than this, the files are looked at again only after [`LOOK_AGAIN`], in which no
/// process writes as much.
const FAR: u64 = 64 * 1024 * 1024;
/// Near the ceiling, the limit of the log as a part of what the file leaves, so that even in a full
/// file the reserve is enough for the log and a unit of work that makes room.
const LIMIT_NEAR: u64 = 2;
/// Near the ceiling, the log is copied if it takes this part of the room: often enough that hardly
/// anything is refused that would fit without it, and rarely enough that copying takes little of the
/// time until the last megabytes.
const LOG_PART: u64 = 32;

/// Three times the bytes of the log for one of many pieces that are given back, each in a block of its
/// own (measured: 0.6 to 1.1 KB in blocks of 512 bytes).
const PIECE: u64 = 3 * 1024;
/// Bytes of free pages that a few units of work can fill.
const FEW_FREE: i64 = 32 * 1024;
/// Bytes on disk that a unit of work without much content needs at most.
const UNIT: u64 = 128 * 1024;

impl NearCeiling for SqliteEngine {
    fn may_share(&self, bytes: u64) -> bool {
        self.shared_room >= needs(bytes)
    }

    fn has_shared(&mut self, bytes: Option<u64>) {
        if self.shared_room < u64::MAX {
            self.shared_room = self.shared_room.saturating_sub(bytes.map_or(u64::MAX, needs));
        }
    }

    fn most_pieces(&self) -> i64 {
        let reserve = self.ceiling.max_file().map(reserve);
        reserve.map_or(i64::MAX, |reserve| signed(reserve / PIECE))
    }

    fn eats_reserve(&mut self) -> Result<bool> {
        let Some(max_file) = self.ceiling.max_file().filter(|_| self.shared_room == 0 && !self.grows) else {
            return Ok(false);
        };
        let sizes = file_sizes(&mut self.conn)?;
        let index = self.ceiling.index_length();
        Ok(sizes.free < FEW_FREE && unsigned(sizes.bytes) + index + reserve(max_file) > max_file)
    }

    fn check_promised(&mut self, bytes: u64) -> Result<()> {
        let Some(max_file) = self.ceiling.max_file().filter(|_| bytes > 0 && self.grows) else {
            return Ok(());
        };
        let sizes = file_sizes(&mut self.conn)?;
        let now = self.ceiling.on_disk().with_file(sizes.bytes);
        // Includes what the rows take, and the log of a part.
        let in_log = bytes.min(log_of_part(max_file)) + UNIT;
        let needed = bytes.saturating_add(bytes / 16).saturating_sub(unsigned(sizes.free)) + in_log;
        let reserve = reserve(max_file);
        if now.without_log().saturating_add(needed) + reserve <= max_file {
            return Ok(());
        }
        Err(now.full(needed, reserve, max_file))
    }

    fn check_room_in_file(&mut self, bytes: u64, part: u64) -> Result<()> {
        let Some(max_file) = self.ceiling.max_file() else {
            return Ok(());
        };
        let sizes = file_sizes(&mut self.conn)?;
        let now = self.ceiling.on_disk().with_file(sizes.bytes);
        let needed = bytes.saturating_sub(unsigned(sizes.free)) + bytes.min(part);
        let reserve = reserve(max_file);
        if now.file + now.index + reserve + needed <= max_file {
            return Ok(());
        }
        Err(now.full(needed, reserve, max_file))
    }
}

impl SqliteEngine {
    /// Called before each transaction.
    pub(super) fn look_at_ceiling(&mut self) {
        self.shared_room = u64::MAX;
        self.keep_log();
        let Some(max_file) = self.ceiling.max_file() else {
            self.location.log_limit = self.log_limit;
            return;
        };
        if self.far_from_ceiling.is_some_and(|seen| seen.elapsed() < LOOK_AGAIN) {
            return;
        }
        let most = max_file.saturating_sub(reserve(max_file));
        let now = self.ceiling.on_disk();
        // At worst, all of the log is still to be copied.
        let room = most.saturating_sub(now.total()).saturating_sub(now.log);
        self.shared_room = room / 2;
        self.far_from_ceiling = (room > FAR).then(Instant::now);
        let is_near = room < (max_file / NEAR).min(MOST_NEAR);
        let mut limit = self.location.log_limit_below(Some(max_file));
        if is_near {
            self.shared_room = 0;
            limit = limit.min(max_file.saturating_sub(now.file + now.index) / LIMIT_NEAR);
        }
        self.location.log_limit = limit.max(1);
        if is_near && now.log > 0 {
            // If this fails, only less fits.
            let _ = self.make_room_of_log(most, now);
        }
    }

    /// Sets how much of the log stays when it is started again. Without a ceiling that is all that a busy
    /// writer usually has by then, because making the file longer again takes time: with half of the limit,
    /// single puts that are not synced took a tenth longer.
    fn keep_log(&mut self) {
        let kept = match self.ceiling.max_file() {
            Some(_) => self.log_limit / LONG,
            None => self.log_limit / 4 * 3,
        };
        if kept == self.log_kept {
            return;
        }
        // If it fails, it is tried again.
        let pragma = format!("PRAGMA journal_size_limit = {kept}");
        if self.conn.batch_execute(&pragma).is_ok() {
            self.log_kept = kept;
        }
    }

    fn make_room_of_log(&mut self, most: u64, now: OnDisk) -> Result<()> {
        let uncopied = log::uncopied(&mut self.conn)?;
        let room = most.saturating_sub(now.file + uncopied + now.index);
        if uncopied > room / LOG_PART {
            self.checkpoints.wait(self.deadline);
            self.stamp = true;
            checkpoint::copy(&mut self.conn)?;
        }
        Ok(())
    }
}

/// The most bytes of log that a part of a large object takes.
fn log_of_part(max_file: u64) -> u64 {
    (max_file / 16).max(UNIT * 4)
}

/// Bytes on disk that a unit of work needs, with its content in the file and in the log.
fn needs(bytes: u64) -> u64 {
    bytes.saturating_mul(3).saturating_add(UNIT)
}
