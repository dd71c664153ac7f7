//! Settings from the environment and from a project's `.env`.

use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::cli::exit;
use crate::cli::output::text::printable_path;

/// The values of variables. The environment precedes `.env`, and an empty variable counts as
/// unset. The process's environment is not changed, because the other variables in a project's
/// `.env` are not meant for this program.
#[derive(Debug, Default)]
pub struct Variables {
    file: HashMap<String, String>,
    /// The folder of `.env`, unless it is the working folder.
    folder: Option<PathBuf>,
}

/// The value of a variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable or option, for messages.
    pub source: &'static str,
    pub value: OsString,
    /// Whether it comes from `.env`.
    pub in_file: bool,
    /// The base of a relative path in it, unless it is the working folder.
    pub folder: Option<PathBuf>,
}

impl Variables {
    /// Reads the nearest trusted `.env`, in the working folder or above it. If it cannot be read in
    /// full, that is an error, because the missing part might name the file to write to.
    pub fn read() -> Result<Self> {
        let Ok(folder) = env::current_dir() else {
            return Ok(Self::default());
        };
        let Some((path, above)) = find(&folder) else {
            return Ok(Self::default());
        };
        let shown = match above {
            false => ".env".to_owned(),
            true => printable_path(&path),
        };
        let text = fs::read(&path).map_err(|error| anyhow!("{shown} cannot be read: {error}"))?;
        let file = parse(&text).map_err(|why| anyhow!("{shown} cannot be read: {why}"))?;
        let folder = path.parent().filter(|_| above).map(Path::to_owned);
        Ok(Self { file, folder })
    }

    /// The value of a variable.
    pub fn get(&self, name: &'static str) -> Option<Setting> {
        let given = env::var_os(name).filter(|value| !value.is_empty());
        if let Some(value) = given {
            return Some(Setting {
                source: name,
                value,
                in_file: false,
                folder: None,
            });
        }
        let value = self.file.get(name).filter(|value| !value.is_empty())?;
        Some(Setting {
            source: name,
            value: value.into(),
            in_file: true,
            folder: self.folder.clone(),
        })
    }
}

/// The nearest `.env`, and whether it is in a folder above.
fn find(folder: &Path) -> Option<(PathBuf, bool)> {
    folder.ancestors().enumerate().find_map(|(height, folder)| {
        let path = folder.join(".env");
        // A folder of that name is often a virtual environment of Python.
        let there = match fs::metadata(&path) {
            Ok(found) => found.is_file(),
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if !there {
            return None;
        }
        if is_trusted(&path, folder, height > 0) {
            return Some((path, height > 0));
        }
        exit::warn(&format!(
            "{} is not read: it belongs to another user",
            printable_path(&path)
        ));
        None
    })
}

/// Whether the file belongs to this user or, in the working folder, to the folder's owner.
/// Otherwise somebody else could redirect this user's data into a file of their choice.
#[cfg(unix)]
fn is_trusted(path: &Path, folder: &Path, above: bool) -> bool {
    use std::os::unix::fs::MetadataExt;

    let me = rustix::process::geteuid().as_raw();
    let owners = [fs::symlink_metadata(path), fs::metadata(path)].map(|found| found.map(|found| found.uid()));
    let of_folder = fs::metadata(folder).map(|found| found.uid());
    owners.into_iter().all(|owner| match owner {
        Ok(owner) => owner == me || (!above && of_folder.as_ref().is_ok_and(|&of_folder| of_folder == owner)),
        // Reading it will report the error.
        Err(_) => true,
    })
}

#[cfg(not(unix))]
fn is_trusted(_: &Path, _: &Path, _: bool) -> bool {
    true
}

/// Parses the text of an `.env`; the first of several definitions counts.
fn parse(text: &[u8]) -> Result<HashMap<String, String>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = Cell::new(0);
    let mut variables = HashMap::new();
    for variable in dotenvy::from_read_iter(Lines { text, line: &line }) {
        let (name, value) = variable.map_err(|error| match error {
            // The line is not repeated, because it may contain a password.
            dotenvy::Error::LineParse(..) => format!(
                "the entry that ends in line {} is not NAME=VALUE; quote values with spaces or symbols: NAME='two words'",
                line.get()
            ),
            other => other.to_string(),
        })?;
        variables.entry(name).or_insert(value);
    }
    Ok(variables)
}

/// A reader that counts lines, to report the line of an error.
struct Lines<'a> {
    text: &'a str,
    line: &'a Cell<u64>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.text.find('\n').map_or(self.text.len(), |at| at + 1);
        let read = self.text.as_bytes().get(..end).unwrap_or_default().read(buffer)?;
        // A line longer than the buffer may be split inside a character.
        let Some(rest) = self.text.get(read..) else {
            return Err(io::Error::other("a line is too long"));
        };
        self.text = rest;
        if read == end && read > 0 {
            self.line.set(self.line.get() + 1);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_in_full_or_not_at_all() {
        let found = parse(b"\xef\xbb\xbfA=1\n# note\nexport B='two words'\nA=2\n").unwrap();
        assert_eq!((found["A"].as_str(), found["B"].as_str()), ("1", "two words"));
        let why = parse(b"A=1\n\nTITLE=My secret\nB=2\n").unwrap_err();
        assert!(why.contains("line 3 ") && !why.contains("secret"), "{why}");
        assert!(parse(b"A='open\nB=2\n").is_err());
        assert!(parse(b"A\0=\xff\n").unwrap_err().contains("UTF-8"));
    }
}
