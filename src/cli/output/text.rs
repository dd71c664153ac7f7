//! Text for output: sizes, counts, and strings that are safe on a terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

use heapledger::{Figure, Timestamp};

/// How tables show sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// `1.5 MiB`
    Human,
    /// `1572864`
    Exact,
}

impl Sizes {
    /// A number of bytes in a column.
    pub fn cell(self, bytes: impl TryInto<u64>) -> String {
        let bytes = bytes.try_into().unwrap_or_default();
        match self {
            Self::Human => Figure::Bytes(bytes).to_string(),
            Self::Exact => bytes.to_string(),
        }
    }

    /// A number of bytes that may be negative.
    pub fn signed(self, bytes: impl Into<i128>) -> String {
        let bytes = bytes.into();
        let size = self.cell(u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX));
        if bytes < 0 { format!("-{size}") } else { size }
    }

    /// A number of bytes in a sentence.
    pub fn phrase(self, bytes: impl TryInto<u64>) -> String {
        match self {
            Self::Human => self.cell(bytes),
            Self::Exact => counted(bytes, "byte"),
        }
    }
}

/// `1 piece`, `2 pieces`.
pub fn counted(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or_default();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A value as it is shown, or an empty text if there is none.
pub fn if_any<T, S: Display>(what: Option<T>, shown: impl FnOnce(T) -> S) -> String {
    what.map_or_else(String::new, |what| shown(what).to_string())
}

/// A number, unless it is 0.
pub fn above_zero(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// A part of a whole: `12.5 %`.
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}

/// A time in whole seconds: `2026-01-31T12:00:00Z`.
pub fn time(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// `text` with control characters and direction marks escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Names in one cell, safe for a terminal.
pub fn name_list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
    names.join(", ")
}

/// A path, safe for a terminal. Bytes that are not UTF-8 are escaped too, so that different paths
/// look different.
pub fn printable_path(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        out.push_str(&printable(chunk.valid()));
        out.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    out
}

/// The same line as `sha256sum` prints, byte for byte, so that its `--check` can read it. A path
/// with a backslash or line feed is escaped, and the line then starts with a backslash.
pub fn sum_line(id: impl Display, path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_encoded_bytes();
    let escaped = path.iter().any(|byte| b"\\\n\r".contains(byte));
    let mut line = format!("{}{id}  ", if escaped { "\\" } else { "" }).into_bytes();
    for byte in path {
        match byte {
            b'\\' => line.extend(br"\\"),
            b'\n' => line.extend(br"\n"),
            b'\r' => line.extend(br"\r"),
            &byte => line.push(byte),
        }
    }
    line
}

/// The bytes of a path as hexadecimal digits, if it is not UTF-8.
pub fn path_bytes(path: &Path) -> Option<String> {
    let is_text = path.to_str().is_some();
    (!is_text).then(|| const_hex::encode(path.as_os_str().as_encoded_bytes()))
}

/// The width of `text` in terminal columns.
pub fn width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// `text` truncated to this number of terminal columns, with a `…`.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    cut_before(text, text.len(), columns)
}

/// The same for a name, of which a path keeps most of its end, because that tells the files of a folder apart.
pub fn cut_name(name: &str, columns: usize) -> Cow<'_, str> {
    let end = match name.contains('/') {
        true => fitting(name.chars().rev(), columns * 2 / 3),
        false => 0,
    };
    cut_before(name, name.len() - end, columns)
}

/// The same, with all of `text` from `end` on.
fn cut_before(text: &str, end: usize, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let end = text.get(end..).unwrap_or_default();
    let start = fitting(text.chars(), columns.saturating_sub(1 + width(end)));
    Cow::Owned(format!("{}…{end}", text.get(..start).unwrap_or_default()))
}

/// Bytes of the characters that fit this number of terminal columns.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut taken = 0;
    let fits = |character: &char| {
        taken += width(character.encode_utf8(&mut [0; 4]));
        taken <= columns
    };
    characters.take_while(fits).map(char::len_utf8).sum()
}

/// Wraps `text` between words into lines of at most `columns`, indented by two more spaces after
/// the first. A longer word stays whole, because it is an id or a path.
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches('\n');
        if width(body) <= columns {
            out.push_str(line);
            continue;
        }
        let indent = body.len() - body.trim_start_matches(' ').len();
        // No deep indentation if it would leave too little room.
        let indent = " ".repeat(if 2 * indent + 2 > columns { 2 } else { indent + 2 });
        let options = textwrap::Options::new(columns)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .subsequent_indent(&indent);
        out.push_str(&textwrap::fill(body, options));
        if line.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}

/// At most `width` characters of `text`, safe for a terminal.
pub fn preview(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => printable(text).into_owned(),
        Some((end, _)) => format!("{}…", printable(text.get(..end).unwrap_or_default())),
    }
}

/// The first digits of an object id: enough to tell objects apart, short enough to read.
pub fn short_id(id: impl Display) -> String {
    id.to_string().chars().take(12).collect()
}

/// Control characters, and marks that are invisible or change the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped() {
        assert_eq!(printable("plain ünïcode 名"), "plain ünïcode 名");
        assert_eq!(printable("\x1b[31mred\n"), "\\u{1b}[31mred\\n");
        assert_eq!(printable("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }

    #[test]
    fn a_preview_never_splits_a_character() {
        assert_eq!(preview("ünïcode", 3), "ünï…");
        assert_eq!(preview("abc", 3), "abc");
    }

    #[test]
    fn a_path_keeps_most_of_its_end_when_it_is_cut_name() {
        assert_eq!(cut_name("photos/2024/summer/IMG_0001.jpg", 20), "photos…/IMG_0001.jpg");
        assert_eq!(cut_name("a long name without folders", 11), "a long nam…");
        assert_eq!(cut_name("名前/名前", 6), "…名前");
        assert_eq!(cut_name("short/path", 10), "short/path");
        assert_eq!(cut("either/or is a text", 11), "either/or …");
        for columns in 0..12 {
            assert!(
                width(&cut_name("名前/ünïcode/x", columns)) <= columns.max(1),
                "{columns}"
            );
        }
    }

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(Sizes::Human.cell(1_572_864u64), "1.5 MiB");
        assert_eq!(Sizes::Human.cell(512i64), "512 B");
        assert_eq!(Sizes::Exact.phrase(1u64), "1 byte");
        assert_eq!(Sizes::Human.signed(-2048i64), "-2.0 KiB");
        assert_eq!(Sizes::Exact.signed(7i64), "7");
        assert_eq!(counted(2u64, "piece"), "2 pieces");
        assert_eq!(time(Timestamp::from_micros(1_000_000)), "1970-01-01T00:00:01Z");
    }
}
