//! A state machine over the bytes of canonical JSON.

use std::str::from_utf8;

use super::scalar::{Checked, SHORT, is, is_float, is_int};
use crate::value::node::MAX_DEPTH;

/// What the next byte belongs to.
#[derive(Default, Clone, Copy, PartialEq)]
enum At {
    #[default]
    Start,
    Value,
    /// After `[`, where the list may end.
    FirstValue,
    Key,
    /// After `{`, where the map may end.
    FirstKey,
    Colon,
    /// After a value in a list or map.
    Next,
    Text {
        key: bool,
    },
    /// After a backslash.
    Escape {
        key: bool,
    },
    /// In the four digits of `\u`: how many have been seen, and their value.
    Digits {
        key: bool,
        seen: u8,
        code: u8,
    },
    Number,
    Word,
    End,
}

/// An open list, or an open map with its last key.
enum Nesting {
    List,
    Map(Option<Vec<u8>>),
}

#[derive(Default)]
pub(super) struct Scanner {
    at: At,
    open: Vec<Nesting>,
    /// The key, number or word being read.
    token: Vec<u8>,
}

const BROKEN: &str = "it is not JSON without whitespace";
const NOT_CANONICAL_TEXT: &str = "a string in it is not escaped canonically";

impl Scanner {
    pub fn update(&mut self, part: &[u8]) -> Checked {
        part.iter().try_for_each(|&byte| self.byte(byte))
    }

    pub fn finish(&self) -> Checked {
        is(self.at == At::End, "it is incomplete")
    }

    fn byte(&mut self, byte: u8) -> Checked {
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
                // It may still hold a number or word.
                self.token.clear();
                self.at = At::Text { key: true };
                is(byte == b'"', BROKEN)
            }
            At::Colon => {
                self.at = At::Value;
                is(byte == b':', BROKEN)
            }
            At::Next => self.next(byte),
            At::End => Err("something follows it"),
        }
    }

    fn value(&mut self, byte: u8) -> Checked {
        self.token.clear();
        self.at = match byte {
            b'[' => {
                self.open.push(Nesting::List);
                At::FirstValue
            }
            b'{' => {
                self.open.push(Nesting::Map(None));
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
        is(self.open.len() <= MAX_DEPTH as usize, "it is nested more than 127 deep")
    }

    fn next(&mut self, byte: u8) -> Checked {
        match (byte, self.open.last()) {
            (b',', Some(Nesting::List)) => self.at = At::Value,
            (b',', Some(Nesting::Map(_))) => self.at = At::Key,
            (b']', Some(Nesting::List)) | (b'}', Some(Nesting::Map(_))) => return self.close(),
            _ => return Err(BROKEN),
        }
        Ok(())
    }

    fn close(&mut self) -> Checked {
        self.open.pop();
        self.at = if self.open.is_empty() { At::End } else { At::Next };
        Ok(())
    }

    fn text(&mut self, byte: u8, key: bool) -> Checked {
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

    fn escape(&mut self, byte: u8, key: bool) -> Checked {
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

    /// Four digits are canonical only for control characters without a one-letter escape,
    /// `\u0000` to `\u001f`.
    fn digit(&mut self, byte: u8, key: bool, seen: u8, code: u8) -> Checked {
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

    fn escaped(&mut self, meant: u8, key: bool) -> Checked {
        if key {
            self.token.push(meant);
        }
        self.at = At::Text { key };
        Ok(())
    }

    fn end_key(&mut self) -> Checked {
        let key = std::mem::take(&mut self.token);
        if let Some(Nesting::Map(last)) = self.open.last_mut() {
            match last {
                Some(last) if *last == key => return Err("a map in it has a key twice"),
                Some(last) if *last > key => return Err("the keys of a map in it are not sorted"),
                _ => *last = Some(key),
            }
        }
        self.at = At::Colon;
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Checked {
        self.token.push(byte);
        is(self.token.len() <= SHORT, "a number in it is too long")
    }

    fn end_number(&mut self) -> Checked {
        let text = from_utf8(&self.token).unwrap_or("?");
        self.at = At::Next;
        is(
            is_int(text) || is_float(text),
            "a number in it is not the canonical text of a 64-bit integer or float",
        )
    }

    fn word(&mut self, byte: u8) -> Checked {
        self.token.push(byte);
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        if words.contains(&self.token.as_slice()) {
            self.at = At::Next;
            return Ok(());
        }
        is(words.iter().any(|word| word.starts_with(&self.token)), BROKEN)
    }
}
