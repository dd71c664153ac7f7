//! The width of the terminal, and wrapping of lines.

use std::io::{self, Write};

use terminal_size::{Height, Width};

use super::text::wrapped;

/// The width of standard output; `None` if it is not a terminal, or one of unknown width.
pub fn columns() -> Option<usize> {
    wide(terminal_size::terminal_size_of(io::stdout()))
}

/// The same for standard error.
pub fn columns_of_stderr() -> Option<usize> {
    wide(terminal_size::terminal_size_of(io::stderr()))
}

fn wide(size: Option<(Width, Height)>) -> Option<usize> {
    size.map(|(Width(columns), _)| usize::from(columns))
        .filter(|&columns| columns > 0)
}

/// Wraps long lines between words; a terminal would break them anywhere.
pub struct Wrapping<W> {
    out: W,
    /// `None` if lines may have any length.
    columns: Option<usize>,
    /// An incomplete line.
    line: Vec<u8>,
}

impl<W> Wrapping<W> {
    pub fn new(out: W, columns: Option<usize>) -> Self {
        Self {
            out,
            columns,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Write for Wrapping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(columns) = self.columns else {
            return self.out.write(bytes);
        };
        let (now, later) = match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => bytes.split_at(end + 1),
            None => (&[][..], bytes),
        };
        for part in now.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            let line = std::mem::take(&mut self.line);
            self.out
                .write_all(wrapped(&String::from_utf8_lossy(&line), columns).as_bytes())?;
        }
        self.line.extend_from_slice(later);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words_however_they_are_written() {
        let mut out = Wrapping::new(Vec::new(), Some(12));
        for part in ["the books", " balance\n  indented ", "words\nshort\nno end"] {
            out.write_all(part.as_bytes()).unwrap();
        }
        out.flush().unwrap();
        assert_eq!(
            String::from_utf8(out.out).unwrap(),
            "the books\n  balance\n  indented\n    words\nshort\nno end"
        );
        let mut out = Wrapping::new(Vec::new(), None);
        out.write_all(b"the books balance\n").unwrap();
        assert_eq!(out.out, b"the books balance\n");
    }
}
