//! Binary traces of libCacheSim: oracleGeneral.

use std::io::Read;

use anyhow::{Context as _, Result, bail};
use heapledger::TraceRequest;

use super::used;

/// Bytes of a record, little-endian: `u32` time, `u64` object, `u32` size, `i64` number of the next
/// request for the object. The last one is not used, because it is wrong in a part of a trace.
const RECORD: usize = 24;

/// The requests of an oracleGeneral file.
pub struct Records<R> {
    reader: R,
    /// Records that were read.
    read: u64,
}

impl<R: Read> Records<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, read: 0 }
    }

    /// The next request, or `None` at the end.
    pub fn next_request(&mut self) -> Result<Option<TraceRequest>> {
        loop {
            let mut record = [0; RECORD];
            let got = fill(&mut self.reader, &mut record).with_context(|| format!("record {}", self.read + 1))?;
            match got {
                0 => return Ok(None),
                RECORD => self.read += 1,
                _ => bail!(
                    "record {} has {got} bytes: an oracleGeneral trace consists of records of {RECORD} bytes",
                    self.read + 1
                ),
            }
            let [_, _, _, _, object @ .., _, _, _, _, _, _, _, _, _, _, _, _] = record;
            let [.., a, b, c, d, _, _, _, _, _, _, _, _] = record;
            let size = u32::from_le_bytes([a, b, c, d]);
            if let Some(request) = used(u64::from_le_bytes(object), size.into()) {
                return Ok(Some(request));
            }
        }
    }
}

/// Reads until the record is full or the input ends.
fn fill(reader: &mut impl Read, record: &mut [u8]) -> std::io::Result<usize> {
    let size = record.len() as u64;
    std::io::copy(&mut reader.take(size), &mut &mut *record).map(|read| read as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(object: u64, size: u32) -> Vec<u8> {
        let (time, next) = (17_u32.to_le_bytes(), (-1_i64).to_le_bytes());
        [&time[..], &object.to_le_bytes(), &size.to_le_bytes(), &next].concat()
    }

    fn read(trace: &[u8]) -> Result<Vec<TraceRequest>> {
        let mut records = Records::new(trace);
        super::super::until_error(move || records.next_request()).collect()
    }

    #[test]
    fn records_are_read() {
        let object = 0x0102_0304_0506_0708;
        let trace = [record(object, 0x0a0b_0c0d), record(5, 0), record(6, 1)].concat();
        let used = |object, size| TraceRequest::Use { object, size };
        assert_eq!(read(&trace).unwrap(), [used(object, 0x0a0b_0c0d), used(6, 1)]);
        assert_eq!(read(&[]).unwrap(), []);
    }

    #[test]
    fn a_record_that_is_cut_off_is_an_error() {
        let trace = [record(1, 1), record(2, 2)].concat();
        let error = read(&trace[..30]).unwrap_err();
        assert!(error.to_string().starts_with("record 2 has 6 bytes"), "{error}");
    }
}
