//! Published traces: the formats that libCacheSim reads.

mod columns;
mod csv_rows;
mod kind;
mod records;

pub use columns::Columns;
pub use kind::TraceKind;

use std::io::Read;

use anyhow::{Result, bail};
use heapledger::TraceRequest;

use self::csv_rows::CsvRows;
use self::records::Records;

/// The requests of a trace, one after the other.
pub type Requests<'a> = Box<dyn Iterator<Item = Result<TraceRequest>> + 'a>;

/// Reads a trace. Like libCacheSim, it skips requests for 0 bytes.
pub fn requests<'a>(kind: TraceKind, columns: &Columns, reader: impl Read + 'a) -> Result<Requests<'a>> {
    let mut reader = std::io::BufReader::with_capacity(BUFFER, reader);
    refuse_compressed(std::io::BufRead::fill_buf(&mut reader)?)?;
    Ok(match kind {
        TraceKind::Csv => {
            let mut rows = CsvRows::new(columns, reader)?;
            Box::new(until_error(move || rows.next_request()))
        }
        TraceKind::OracleGeneral => {
            let mut records = Records::new(reader);
            Box::new(until_error(move || records.next_request()))
        }
    })
}

/// What `next` returns, up to the end or the first error.
fn until_error<T>(mut next: impl FnMut() -> Result<Option<T>>) -> impl Iterator<Item = Result<T>> {
    let mut ended = false;
    std::iter::from_fn(move || {
        let next = if ended { Ok(None) } else { next() };
        ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    })
}

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

fn refuse_compressed(start: &[u8]) -> Result<()> {
    let program = match start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0x1f, 0x8b, ..] => "gzip",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        _ => return Ok(()),
    };
    bail!("it is compressed; use `{program} -dc TRACE | heapledger replay - --trace-type TYPE`")
}

/// A request for an object, unless it is for 0 bytes.
fn used(object: u64, size: u64) -> Option<TraceRequest> {
    (size > 0).then_some(TraceRequest::Use { object, size })
}
