//! Checks that content is the canonical text of a value of its kind.
//!
//! Content arrives in parts, so an object larger than memory can be checked. JSON is
//! scanned byte by byte; only the path to the current position is held, with the last key
//! of each map on it.

mod json;
mod scalar;

use std::str::from_utf8;

use super::Kind;
use json::Scanner;
use scalar::{Checked, SHORT, is, is_float, is_int};

/// Checks content in parts. `int` and `float` must be the one text that the number is
/// written as, `bool` is `true` or `false`, `none` is empty, `str` is UTF-8, and `json` is a
/// list or a map without whitespace whose keys are sorted and unique. O(content).
pub(crate) struct Validator {
    kind: Kind,
    utf8: Utf8,
    /// The whole content, for `int`, `float`, `bool` and `none`.
    short: Vec<u8>,
    json: Scanner,
    wrong: Option<&'static str>,
}

impl Validator {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            utf8: Utf8::default(),
            short: Vec::new(),
            json: Scanner::default(),
            wrong: None,
        }
    }

    /// Checks the next part.
    pub fn update(&mut self, part: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        let checked = match self.kind {
            Kind::Bytes => Ok(()),
            Kind::Unknown => Err("no kind is known"),
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
        self.wrong = checked.err();
    }

    /// Whether all parts together are valid content of the kind.
    ///
    /// # Errors
    /// What is wrong, as part of a sentence.
    pub fn finish(self) -> Result<(), String> {
        let kind = self.kind;
        let text = from_utf8(&self.short).unwrap_or("?");
        let ended = match (self.wrong, kind) {
            (Some(why), _) => Err(why),
            (None, Kind::Bytes) => Ok(()),
            (None, Kind::Unknown) => Err("no kind is known"),
            (None, Kind::Str) => self.utf8.finish(),
            (None, Kind::Json) => self.utf8.finish().and_then(|()| self.json.finish()),
            (None, Kind::Int) => is(is_int(text), "it is not the canonical text of a 64-bit integer"),
            (None, Kind::Float) => is(is_float(text), "it is not the canonical text of a 64-bit float"),
            (None, Kind::Bool) => is(text == "true" || text == "false", "it is neither true nor false"),
            (None, Kind::None) => is(text.is_empty(), "it is not empty"),
        };
        ended.map_err(|why| format!("content that is not of kind {kind}: {why}"))
    }
}

/// Checks UTF-8 in parts, which may split a character.
#[derive(Default)]
struct Utf8 {
    rest: Vec<u8>,
}

const NOT_UTF8: &str = "it is not UTF-8";

impl Utf8 {
    fn update(&mut self, part: &[u8]) -> Checked {
        let mut part = part;
        // First complete the character that the last part began: at most three more bytes.
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

    fn finish(&self) -> Checked {
        is(self.rest.is_empty(), NOT_UTF8)
    }
}

#[cfg(test)]
mod tests;
