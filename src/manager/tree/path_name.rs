//! How paths are spelled as names.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::attributes::path_of_bytes;
use crate::temporary;

/// Limit of a part of a path, in bytes, of the usual file systems.
const MOST_PART: usize = 255;

/// The name that stands for a relative path: its parts with `/` between them, and in these `%` as `%25` and
/// each byte that is not UTF-8 as `%XX`. It is the same on every engine and system, different paths have
/// different names, and [`path_of_name`] is the way back. `None` if the path is absolute, empty or has `..` in
/// it.
///
/// ```
/// use std::path::Path;
/// use heapledger::{name_of_path, path_of_name};
///
/// assert_eq!(name_of_path(Path::new("./notes/100%.txt")).as_deref(), Some("notes/100%25.txt"));
/// assert_eq!(path_of_name("notes/100%25.txt").unwrap(), Path::new("notes/100%.txt"));
/// assert_eq!(name_of_path(Path::new("../notes")), None);
/// ```
pub fn name_of_path(path: &Path) -> Option<String> {
    let mut name = String::new();
    for part in path.components() {
        match part {
            Component::CurDir => continue,
            Component::Normal(part) => {
                if !name.is_empty() {
                    name.push('/');
                }
                escape(part.as_encoded_bytes(), &mut name);
            }
            _ => return None,
        }
    }
    (!name.is_empty()).then_some(name)
}

fn escape(bytes: &[u8], into: &mut String) {
    for chunk in bytes.utf8_chunks() {
        into.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a string never fails.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// Why a name stands for no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAPath {
    /// It begins with `/`.
    #[error("it is an absolute path")]
    Absolute,
    /// A part is empty: before, between or after its slashes.
    #[error("a part of it is empty")]
    EmptyPart,
    /// A part is `.` or `..`, or what the system reads as a drive or the like.
    #[error("a part of it is . or .., or means another folder here")]
    NotBelow,
    /// A part has more than 255 bytes.
    #[error("a part of it has more than 255 bytes")]
    LongPart,
    /// It contains U+0000.
    #[error("it contains U+0000")]
    Nul,
    /// It has a `%` that [`name_of_path`] does not write.
    #[error("a % in it is neither %25 nor a byte that is not UTF-8")]
    Escape,
    /// A part is named like a temporary folder of this library, which would be removed.
    #[error("a part of it is named like a temporary folder of heapledger")]
    Temporary,
}

/// The path that a name stands for. It is relative and leads nowhere but down; the way back from
/// [`name_of_path`].
///
/// # Errors
/// [`NotAPath`] if no path has this name, or none that can be created.
pub fn path_of_name(name: &str) -> Result<PathBuf, NotAPath> {
    if name.starts_with('/') {
        return Err(NotAPath::Absolute);
    }
    name.split('/').map(part).collect()
}

fn part(text: &str) -> Result<OsString, NotAPath> {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    let mut again = String::new();
    escape(&bytes, &mut again);
    if again != text {
        return Err(NotAPath::Escape);
    }
    if bytes.is_empty() {
        return Err(NotAPath::EmptyPart);
    }
    if bytes.contains(&0) {
        return Err(NotAPath::Nul);
    }
    if bytes.len() > MOST_PART {
        return Err(NotAPath::LongPart);
    }
    let part = path_of_bytes(&bytes).ok_or(NotAPath::Escape)?.into_os_string();
    let mut components = Path::new(&part).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == part => {}
        _ => return Err(NotAPath::NotBelow),
    }
    if part.to_str().is_some_and(temporary::is_ours) {
        return Err(NotAPath::Temporary);
    }
    Ok(part)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_name_says_what_it_cannot_be() {
        let long = "x".repeat(256);
        for (name, why) in [
            ("/etc/passwd", NotAPath::Absolute),
            ("", NotAPath::EmptyPart),
            ("a//b", NotAPath::EmptyPart),
            ("a/", NotAPath::EmptyPart),
            ("..", NotAPath::NotBelow),
            ("a/../b", NotAPath::NotBelow),
            ("a/./b", NotAPath::NotBelow),
            (&long, NotAPath::LongPart),
            ("a\0b", NotAPath::Nul),
            ("100%", NotAPath::Escape),
            ("%41", NotAPath::Escape),
            ("%2e%2e/x", NotAPath::Escape),
            ("%2F", NotAPath::Escape),
            ("%ff", NotAPath::Escape),
            ("%C3%A9", NotAPath::Escape),
            (".heapledger-12345678-abcdef/x", NotAPath::Temporary),
        ] {
            assert_eq!(path_of_name(name), Err(why), "{name:?}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_have_no_name() {
        for path in ["/a", "..", "a/../b", "", "."] {
            assert_eq!(name_of_path(Path::new(path)), None, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn each_path_has_a_name_of_its_own_and_the_name_leads_back(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 1..4),
        ) {
            let is_part = |part: &Vec<u8>| !part.contains(&0) && !part.contains(&b'/') && !matches!(part.as_slice(), b"." | b"..");
            prop_assume!(parts.iter().all(is_part));
            let path: PathBuf = parts.iter().map(|part| OsStr::from_bytes(part)).collect();
            let name = name_of_path(&path).unwrap();
            prop_assert_eq!(path_of_name(&name).unwrap(), path);
        }

        #[test]
        fn a_name_with_a_path_is_the_name_of_that_path(name in "[a%/2F5.é]{0,8}") {
            if let Ok(path) = path_of_name(&name) {
                prop_assert_eq!(name_of_path(&path), Some(name));
            }
        }
    }
}
