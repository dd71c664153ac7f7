//! Traces in text.

use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, Chain};

use anyhow::{Context as _, Result, anyhow};
use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use heapledger::TraceRequest;

use super::columns::Columns;
use super::used;

/// The requests of a CSV file.
pub struct CsvRows<R> {
    rows: Reader<Chain<R, &'static [u8]>>,
    row: ByteRecord,
    columns: Columns,
    /// Whether the next row may be a header.
    may_be_header: bool,
}

impl<R: BufRead> CsvRows<R> {
    pub fn new(columns: &Columns, mut reader: R) -> Result<Self> {
        let delimiter = match columns.delimiter {
            Some(delimiter) => delimiter,
            None => delimiter_of(reader.fill_buf()?),
        };
        let mut rows = ReaderBuilder::new();
        // The message about a missing column says what should be in it.
        rows.flexible(true).has_headers(columns.has_header == Some(true));
        // With a line feed after every row, the reader knows the line that it has read. A carriage
        // return before it is trimmed.
        rows.terminator(Terminator::Any(b'\n'));
        Ok(Self {
            rows: rows.delimiter(delimiter).from_reader(reader.chain(b"\n".as_slice())),
            row: ByteRecord::new(),
            columns: columns.clone(),
            may_be_header: columns.has_header.is_none(),
        })
    }

    /// The next request, or `None` at the end.
    pub fn next_request(&mut self) -> Result<Option<TraceRequest>> {
        loop {
            if !self.rows.read_byte_record(&mut self.row)? {
                return Ok(None);
            }
            let is_blank = self.row.len() == 1 && self.row.as_slice().trim_ascii().is_empty();
            if is_blank {
                continue;
            }
            let line = self.rows.position().line().saturating_sub(1);
            let may_be_header = std::mem::take(&mut self.may_be_header);
            match self.request() {
                Err(_) if may_be_header && !self.has_number() => {}
                Ok(None) => {}
                request => return request.with_context(|| format!("line {line}")),
            }
        }
    }

    fn request(&self) -> Result<Option<TraceRequest>> {
        let object = number_of(self.column(self.columns.object, "the object")?);
        let size = match self.columns.size {
            None => 1,
            Some(column) => size_of(self.column(column, "the size")?, column)?,
        };
        Ok(used(object, size))
    }

    fn has_number(&self) -> bool {
        let is_number = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|cell| cell.trim().parse::<f64>().is_ok());
        self.row.iter().any(is_number)
    }

    fn column(&self, column: usize, what: &str) -> Result<&[u8]> {
        let cell = self.row.get(column - 1).map(<[u8]>::trim_ascii);
        cell.filter(|cell| !cell.is_empty()).ok_or_else(|| {
            let of = self.row.len();
            anyhow!("there is nothing in column {column} of {of}, where {what} should be")
        })
    }
}

/// The most frequent delimiter in the first line; a comma if there is none.
fn delimiter_of(start: &[u8]) -> u8 {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|&byte| byte == delimiter).count();
    // Of several that are equally frequent the last one is taken.
    let known = [b':', b'|', b'\t', b','];
    known.into_iter().max_by_key(count).unwrap_or(b',')
}

/// A number stands for itself, other text for its hash.
fn number_of(id: &[u8]) -> u64 {
    let text = std::str::from_utf8(id).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        hasher.write(id);
        hasher.finish()
    })
}

fn size_of(cell: &[u8], column: usize) -> Result<u64> {
    let text = String::from_utf8_lossy(cell);
    text.parse()
        .map_err(|_| anyhow!("{text:?} in column {column} is not a size in bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: &str, text: &str) -> Result<Vec<(u64, u64)>> {
        let columns: Columns = columns.parse().map_err(anyhow::Error::msg)?;
        let mut rows = CsvRows::new(&columns, text.as_bytes())?;
        super::super::until_error(move || rows.next_request())
            .map(|request| match request? {
                TraceRequest::Use { object, size } => Ok((object, size)),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn delimiters_and_headers_show_by_themselves() {
        let expected = [(7, 10), (8, 20)];
        for text in [
            "time,id,size\n1,7,10\n2,8,20\n",
            "1,7,10\n2,8,20",
            "1\t7\t10\r\n2\t8\t20\r\n",
            "1|7|10\n2| 8 |20\n",
        ] {
            assert_eq!(read("obj-id-col=2,obj-size-col=3", text).unwrap(), expected, "{text}");
        }
        assert_eq!(read("obj-id-col=1", "5\n6\n5\n").unwrap(), [(5, 1), (6, 1), (5, 1)]);
        assert_eq!(read("obj-id-col=1,has-header=true", "5\n6\n").unwrap(), [(6, 1)]);
    }

    #[test]
    fn ids_may_be_text() {
        let read = read("obj-id-col=1,obj-size-col=2", "a,1\nb,2\na,1\n").unwrap();
        assert_eq!(read[0], read[2]);
        assert_ne!(read[0].0, read[1].0);
    }

    #[test]
    fn requests_for_nothing_are_skipped() {
        assert_eq!(read("obj-id-col=1,obj-size-col=2", "1,0\n2,5\n").unwrap(), [(2, 5)]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, why) in [
            ("1,10\n2,many\n", "line 2: \"many\" in column 2 is not a size in bytes"),
            (
                "id,size\n1,10\n2\n",
                "line 3: there is nothing in column 2 of 1, where the size should be",
            ),
            (
                "1,10\n,5\n",
                "line 2: there is nothing in column 1 of 2, where the object should be",
            ),
            ("a,b\nc,d\n", "line 2: \"d\" in column 2 is not a size in bytes"),
            (
                "1,10\r\n2,10\r\n3,many\r\n",
                "line 3: \"many\" in column 2 is not a size in bytes",
            ),
            (
                "1,10\n\n\n4,many\n",
                "line 4: \"many\" in column 2 is not a size in bytes",
            ),
            (
                "1,10\r\n\r\n,\r\n",
                "line 3: there is nothing in column 1 of 2, where the object should be",
            ),
            ("1,huge\n", "line 1: \"huge\" in column 2 is not a size in bytes"),
            (
                "1",
                "line 1: there is nothing in column 2 of 1, where the size should be",
            ),
            (
                "\n\nid,size\n4,many\n",
                "line 4: \"many\" in column 2 is not a size in bytes",
            ),
            ("1,-4\n2,-4\n", "line 1: \"-4\" in column 2 is not a size in bytes"),
        ] {
            let error = read("obj-id-col=1,obj-size-col=2", text).unwrap_err();
            assert_eq!(format!("{error:#}"), why, "{text}");
        }
    }
}
