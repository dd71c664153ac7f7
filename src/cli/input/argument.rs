//! A value given on the command line, or in a file that is named there: an argument can
//! have 128 KiB at most.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, Result, bail};

use crate::cli::output::text::preview;
use crate::cli::streams;

/// The value, and what it is called in messages.
pub struct Given<'a> {
    pub text: Cow<'a, str>,
    pub label: String,
}

/// A value is in memory as a whole, more than once.
const LARGEST: u64 = 1 << 30;

/// What `argument` says: `-` is standard input, `@FILE` a file, as with curl.
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

/// The argument as it is.
pub fn literal(argument: &str) -> Given<'_> {
    Given {
        text: argument.into(),
        label: preview(argument, 60),
    }
}

/// All of a text, without the line feed that ends its last line.
fn text(reader: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        bail!("is larger than 1 GiB, the most that a value can have; `heapledger put` stores files of any size");
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
