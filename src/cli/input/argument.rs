//! A value given on the command line, or in a file named there, because an argument can have at
//! most 128 KiB.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, Result, bail};

use crate::cli::output::text::preview;
use crate::cli::streams;

/// The value, and what to call it in messages.
pub struct Given<'a> {
    pub text: Cow<'a, str>,
    pub label: String,
}

/// A value is in memory as a whole, and more than once.
const LARGEST: u64 = 1 << 30;

/// Reads the value: `-` is standard input, `@FILE` a file, as with curl.
pub fn read(argument: &str) -> Result<Given<'_>> {
    let path = match argument {
        "-" => "-",
        _ => match argument.strip_prefix('@') {
            Some(path) => path,
            None => return Ok(literal(argument)),
        },
    };
    let label = preview(argument, 60);
    let text = match path {
        "-" => streams::input().map_err(Into::into).and_then(text),
        _ => File::open(path)
            .context("cannot be read; --raw takes a value that starts with @ as it is")
            .and_then(text),
    };
    Ok(Given {
        text: text.with_context(|| label.clone())?.into(),
        label,
    })
}

/// Takes the argument as it is.
pub fn literal(argument: &str) -> Given<'_> {
    Given {
        text: argument.into(),
        label: preview(argument, 60),
    }
}

/// Reads a text, without its final line feed.
fn text(reader: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        bail!("is larger than 1 GiB, the limit for a value; `heapledger put` stores files of any size");
    }
    let Ok(mut text) = String::from_utf8(bytes) else {
        bail!("is not UTF-8 text; `heapledger put` stores any bytes");
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
