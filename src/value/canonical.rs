//! Whether content is what its kind says: the one text that a value of the kind has.
//!
//! Content comes in parts, so that an object larger than memory can be looked at. JSON is
//! followed byte by byte; what is kept is the path down to where it is, with the last key
//! of each map on it.

use std::str::from_utf8;

use super::json::MAX_DEPTH;
use super::{Kind, float};

/// Checks that `content` is valid and canonical for its kind: `int` and `float` are the one
/// text that the number is written as, `bool` is `true` or `false`, `none` is empty, `str`
/// is UTF-8, `json` is a list or a map without blanks, with sorted keys, each once.
/// O(content).
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
#[allow(dead_code, reason = "for contents that are in memory")]
pub(crate) fn validate(kind: Kind, content: &[u8]) -> Result<(), String> {
    let mut validator = Validator::new(kind);
    validator.update(content);
    validator.finish()
}

/// [`validate`] for content that comes in parts.
pub(crate) struct Validator {
    kind: Kind,
    utf8: Utf8,
    /// The whole content of the kinds that are short.
    short: Vec<u8>,
    json: Json,
    wrong: Option<&'static str>,
}

/// Longer than any number.
const SHORT: usize = 64;

impl Validator {
    /// For content of `kind`.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            utf8: Utf8::default(),
            short: Vec::new(),
            json: Json::default(),
            wrong: None,
        }
    }

    /// Looks at the next part.
    pub fn update(&mut self, part: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        let looked = match self.kind {
            Kind::Bytes => Ok(()),
            Kind::Str => self.utf8.update(part),
            Kind::Json => self.utf8.update(part).and_then(|()| self.json.update(part)),
            Kind::Int | Kind::Float | Kind::Bool | Kind::None => {
                let room = SHORT - self.short.len();
                self.short.extend(part.iter().take(room));
                if part.len() > room {
                    Err("it is too long")
                } else {
                    Ok(())
                }
            }
        };
        self.wrong = looked.err();
    }

    /// Whether all parts together are such content.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub fn finish(self) -> Result<(), String> {
        let kind = self.kind;
        let text = from_utf8(&self.short).unwrap_or("?");
        let ended = match (self.wrong, kind) {
            (Some(why), _) => Err(why),
            (None, Kind::Bytes) => Ok(()),
            (None, Kind::Str) => self.utf8.finish(),
            (None, Kind::Json) => self.utf8.finish().and_then(|()| self.json.finish()),
            (None, Kind::Int) => is(is_int(text), "it is not an integer of 64 bits as it is written"),
            (None, Kind::Float) => is(is_float(text), "it is not a float of 64 bits as it is written"),
            (None, Kind::Bool) => is(text == "true" || text == "false", "it is neither true nor false"),
            (None, Kind::None) => is(text.is_empty(), "it is not empty"),
        };
        ended.map_err(|why| format!("content that is not of kind {kind}: {why}"))
    }
}

type Looked = Result<(), &'static str>;

fn is(right: bool, else_: &'static str) -> Looked {
    if right { Ok(()) } else { Err(else_) }
}

fn is_int(text: &str) -> bool {
    let signed = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    signed || text.parse::<u64>().is_ok_and(|number| number.to_string() == text)
}

fn is_float(text: &str) -> bool {
    let Ok(number) = text.parse::<f64>() else { return false };
    number.is_finite() && float::text(number) == text
}

/// UTF-8 in parts that may end within a character.
#[derive(Default)]
struct Utf8 {
    rest: Vec<u8>,
}

const NOT_UTF8: &str = "it is not UTF-8";

impl Utf8 {
    fn update(&mut self, part: &[u8]) -> Looked {
        let mut part = part;
        // A character that the last part began has at most three more bytes.
        while !self.rest.is_empty() {
            let Some((&byte, after)) = part.split_first() else {
                return Ok(());
            };
            self.rest.push(byte);
            part = after;
            match from_utf8(&self.rest) {
                Ok(_) => self.rest.clear(),
                Err(error) if error.error_len().is_some() => return Err(NOT_UTF8),
                Err(_) => {}
            }
        }
        match from_utf8(part) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NOT_UTF8),
            Err(error) => {
                self.rest
                    .extend_from_slice(part.get(error.valid_up_to()..).unwrap_or_default());
                Ok(())
            }
        }
    }

    fn finish(&self) -> Looked {
        is(self.rest.is_empty(), NOT_UTF8)
    }
}

/// Where in JSON the next byte is.
#[derive(Default, Clone, Copy, PartialEq)]
enum At {
    #[default]
    Start,
    Value,
    /// Behind `[`, where a list may end.
    FirstValue,
    Key,
    /// Behind `{`, where a map may end.
    FirstKey,
    Colon,
    /// Behind a value in a list or a map.
    Next,
    Text {
        key: bool,
    },
    /// Behind a backslash, with how many digits of `\u` have come, and their value.
    Escape {
        key: bool,
    },
    Digits {
        key: bool,
        seen: u8,
        code: u8,
    },
    Number,
    Word,
    End,
}

/// A list, or a map with its last key.
enum Level {
    List,
    Map(Option<Vec<u8>>),
}

#[derive(Default)]
struct Json {
    at: At,
    levels: Vec<Level>,
    /// The key, number or word that is being read.
    token: Vec<u8>,
}

const BROKEN: &str = "it is not JSON without blanks";
const NOT_CANONICAL_TEXT: &str = "a text in it is not escaped as it is written";

impl Json {
    fn update(&mut self, part: &[u8]) -> Looked {
        part.iter().try_for_each(|&byte| self.byte(byte))
    }

    fn finish(&self) -> Looked {
        is(self.at == At::End, "it ends before its end")
    }

    fn byte(&mut self, byte: u8) -> Looked {
        match self.at {
            At::Text { key } => self.text(byte, key),
            At::Escape { key } => self.escape(byte, key),
            At::Digits { key, seen, code } => self.digit(byte, key, seen, code),
            At::Number if byte.is_ascii_digit() || b"+-.eE".contains(&byte) => self.number(byte),
            At::Number => {
                self.end_number()?;
                self.byte(byte)
            }
            At::Word => self.word(byte),
            At::Start => match byte {
                b'[' | b'{' => self.value(byte),
                _ => Err("it is neither a list nor a map"),
            },
            At::FirstValue if byte == b']' => self.close(),
            At::FirstValue | At::Value => self.value(byte),
            At::FirstKey if byte == b'}' => self.close(),
            At::FirstKey | At::Key => {
                // A number or word may have stood before it.
                self.token.clear();
                self.at = At::Text { key: true };
                is(byte == b'"', BROKEN)
            }
            At::Colon => {
                self.at = At::Value;
                is(byte == b':', BROKEN)
            }
            At::Next => self.next(byte),
            At::End => Err("it goes on behind its end"),
        }
    }

    fn value(&mut self, byte: u8) -> Looked {
        self.token.clear();
        self.at = match byte {
            b'[' => {
                self.levels.push(Level::List);
                At::FirstValue
            }
            b'{' => {
                self.levels.push(Level::Map(None));
                At::FirstKey
            }
            b'"' => At::Text { key: false },
            b'-' | b'0'..=b'9' => {
                self.token.push(byte);
                At::Number
            }
            b't' | b'f' | b'n' => {
                self.token.push(byte);
                At::Word
            }
            _ => return Err(BROKEN),
        };
        is(
            self.levels.len() <= MAX_DEPTH as usize,
            "it is nested more than 127 deep",
        )
    }

    fn next(&mut self, byte: u8) -> Looked {
        match (byte, self.levels.last()) {
            (b',', Some(Level::List)) => self.at = At::Value,
            (b',', Some(Level::Map(_))) => self.at = At::Key,
            (b']', Some(Level::List)) | (b'}', Some(Level::Map(_))) => return self.close(),
            _ => return Err(BROKEN),
        }
        Ok(())
    }

    fn close(&mut self) -> Looked {
        self.levels.pop();
        self.at = if self.levels.is_empty() { At::End } else { At::Next };
        Ok(())
    }

    fn text(&mut self, byte: u8, key: bool) -> Looked {
        match byte {
            b'"' if key => return self.end_key(),
            b'"' => self.at = At::Next,
            b'\\' => self.at = At::Escape { key },
            0..0x20 => return Err(NOT_CANONICAL_TEXT),
            _ if key => self.token.push(byte),
            _ => {}
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8, key: bool) -> Looked {
        let meant = match byte {
            b'"' | b'\\' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (seen, code) = (0, 0);
                self.at = At::Digits { key, seen, code };
                return Ok(());
            }
            _ => return Err(NOT_CANONICAL_TEXT),
        };
        self.escaped(meant, key)
    }

    /// Only the other controls are written as four digits, `\u0000` to `\u001f`.
    fn digit(&mut self, byte: u8, key: bool, seen: u8, code: u8) -> Looked {
        let digit = match (seen, byte) {
            (0 | 1, b'0') => 0,
            (2, b'0' | b'1') => byte - b'0',
            (3, b'0'..=b'9') => byte - b'0',
            (3, b'a'..=b'f') => byte - b'a' + 10,
            _ => return Err(NOT_CANONICAL_TEXT),
        };
        let code = code * 16 + digit;
        if seen < 3 {
            let seen = seen + 1;
            self.at = At::Digits { key, seen, code };
            return Ok(());
        }
        let has_a_letter = [8, 9, 10, 12, 13].contains(&code);
        is(!has_a_letter, NOT_CANONICAL_TEXT)?;
        self.escaped(code, key)
    }

    fn escaped(&mut self, meant: u8, key: bool) -> Looked {
        if key {
            self.token.push(meant);
        }
        self.at = At::Text { key };
        Ok(())
    }

    fn end_key(&mut self) -> Looked {
        let key = std::mem::take(&mut self.token);
        if let Some(Level::Map(last)) = self.levels.last_mut() {
            match last {
                Some(last) if *last == key => return Err("a map in it has a key twice"),
                Some(last) if *last > key => return Err("the keys of a map in it are not sorted"),
                _ => *last = Some(key),
            }
        }
        self.at = At::Colon;
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Looked {
        self.token.push(byte);
        is(self.token.len() <= SHORT, "a number in it is too long")
    }

    fn end_number(&mut self) -> Looked {
        let text = from_utf8(&self.token).unwrap_or("?");
        self.at = At::Next;
        is(
            is_int(text) || is_float(text),
            "a number in it is not written as integers and floats of 64 bits are",
        )
    }

    fn word(&mut self, byte: u8) -> Looked {
        self.token.push(byte);
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        if words.contains(&self.token.as_slice()) {
            self.at = At::Next;
            return Ok(());
        }
        is(words.iter().any(|word| word.starts_with(&self.token)), BROKEN)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::Encoded;

    fn right(kind: Kind, content: &str) {
        assert_eq!(validate(kind, content.as_bytes()), Ok(()), "{kind} {content}");
        // In parts of every length it is the same.
        for length in 1..=content.len().min(7) {
            let mut validator = Validator::new(kind);
            content
                .as_bytes()
                .chunks(length)
                .for_each(|part| validator.update(part));
            assert_eq!(validator.finish(), Ok(()), "{kind} {content} in parts of {length}");
        }
    }

    fn wrong(kind: Kind, content: &[u8]) {
        let said = validate(kind, content);
        assert!(said.is_err(), "{kind} {}", content.escape_ascii());
        let mut validator = Validator::new(kind);
        content.chunks(1).for_each(|part| validator.update(part));
        assert_eq!(validator.finish(), said);
    }

    #[test]
    fn what_is_stored_is_canonical() {
        let deep = (1..MAX_DEPTH).fold(json!([]), |inner, _| json!([inner]));
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.1),
            json!(-0.0),
            json!(1e300),
            json!(5e-324),
            json!(f64::MAX),
            json!(""),
            json!("grüße 名 \u{10ffff}"),
            json!([]),
            json!({}),
            json!({"a": 1, "b": true, "c": 0}),
            json!([[], {}, [null, true, false, 1, -2, 1.5, 1e-9, u64::MAX]]),
            json!({"": 0, "a": {"b": [1]}, "a\"": "\u{0}\u{1f}\u{8}\t\n\u{c}\r\u{7f}/\\\"", "ä": "é", "\u{1}\n": 1}),
            deep,
        ];
        for value in values {
            let encoded = Encoded::of(&value).unwrap();
            right(encoded.kind, from_utf8(&encoded.content).unwrap());
        }
    }

    #[test]
    fn what_reads_as_something_else_or_not_at_all_is_not() {
        let long = "1".repeat(100);
        for text in [
            "",
            "-",
            "-0",
            "007",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "x",
            "18446744073709551616",
            &long,
        ] {
            wrong(Kind::Int, text.as_bytes());
        }
        for text in [
            "", "1", "1.", "1.50", "01.5", "NaN", "inf", "-inf", "1e999", "1E5", "+1.5", " 1.5",
        ] {
            wrong(Kind::Float, text.as_bytes());
        }
        for text in ["", "TRUE", "true ", "1", "maybe"] {
            wrong(Kind::Bool, text.as_bytes());
        }
        wrong(Kind::None, b"null");
        for bytes in [&b"caf\xe9"[..], b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80"] {
            wrong(Kind::Str, bytes);
        }
    }

    #[test]
    fn json_that_is_written_in_another_way_is_not() {
        let depth = MAX_DEPTH as usize + 1;
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        for text in [
            "",
            "1",
            "null",
            "\"text\"",
            "{\"a\":",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 ]",
            " []",
            "[]\n",
            "[]]",
            "{}{}",
            "{\"a\":1,}",
            "{\"a\" :1}",
            "{\"a\": 1}",
            "{a:1}",
            "{1:1}",
            "{xa\":1}",
            "{\"a\";1}",
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":2}",
            "[1}",
            "{\"a\":1]",
            "{\"a\"}",
            "[\"a\":1]",
            "[tru]",
            "[nul]",
            "[truex]",
            "[nan]",
            "[01]",
            "[-0]",
            "[1.50]",
            "[1e400]",
            "[--1]",
            "[1-1]",
            "[\"\\/\"]",
            "[\"\\u0041\"]",
            "[\"\\u1001\"]",
            "[\"\\u0101\"]",
            "[\"\\u000a\"]",
            "[\"\\u001F\"]",
            "[\"\\ud800\"]",
            "[\"\\x\"]",
            "[\"a\nb\"]",
            "[\"a]",
            "{\"\\u0062\":1}",
            "[18446744073709551616]",
            &deep,
        ] {
            wrong(Kind::Json, text.as_bytes());
        }
        wrong(Kind::Json, b"[\"\xff\"]");
    }
}
