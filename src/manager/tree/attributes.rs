//! What a file is besides its content: tags of its name, which plain SQL can read.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::store::queries::tags::Tags;

/// The key of the tag with the permissions, as four octal digits: `0755`.
const MODE: &str = "file-mode";
/// The key of the tag of what is not a regular file.
const TYPE: &str = "file-type";
const FOLDER: &str = "folder";
const LINK: &str = "link";

/// Permissions that are kept; others, such as setuid, would give rights away.
const KEPT: u32 = 0o777;

/// What a name stands for in a tree of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileType {
    /// A file with the content of the object.
    #[default]
    File,
    /// An empty folder; the object is empty, too.
    Folder,
    /// A symbolic link, whose target is the content of the object.
    Link,
}

/// What a file is besides its content. It is kept in tags of its name: `file-mode`, with the permissions as four
/// octal digits, and `file-type`, which is `folder` or `link`, or missing for a regular file.
///
/// ```
/// use heapledger::{FileAttributes, FileType};
///
/// let script = FileAttributes::new(FileType::File, Some(0o4755));
/// assert_eq!(script.tags(), [("file-mode", "0755".to_owned())]);
/// assert_eq!(FileAttributes::of(&script.tags().into_iter().collect()), script);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FileAttributes {
    /// What it is.
    pub file_type: FileType,
    /// Its permissions, for user, group and others.
    pub mode: Option<u32>,
}

impl FileAttributes {
    /// A link has no permissions of its own, and only the bits for user, group and others are kept.
    pub fn new(file_type: FileType, mode: Option<u32>) -> Self {
        let mode = mode.map(|mode| mode & KEPT).filter(|_| file_type != FileType::Link);
        Self { file_type, mode }
    }

    /// What these tags of a name say; any other tag or value says nothing.
    pub fn of<K: AsRef<str> + Ord, V: AsRef<str>>(tags: &std::collections::BTreeMap<K, V>) -> Self {
        let find = |key| {
            let found = tags.iter().find(|(found, _)| found.as_ref() == key);
            found.map(|(_, value)| value.as_ref())
        };
        let file_type = match find(TYPE) {
            Some(FOLDER) => FileType::Folder,
            Some(LINK) => FileType::Link,
            _ => FileType::File,
        };
        let digits = find(MODE).filter(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        Self::new(file_type, digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()))
    }

    /// The tags that say so.
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        let file_type = match self.file_type {
            FileType::File => None,
            FileType::Folder => Some(FOLDER),
            FileType::Link => Some(LINK),
        };
        let mode = self.mode.map(|mode| (MODE, format!("{mode:04o}")));
        mode.into_iter()
            .chain(file_type.map(|value| (TYPE, value.to_owned())))
            .collect()
    }
}

impl From<&Tags> for FileAttributes {
    fn from(tags: &Tags) -> Self {
        Self::of(tags)
    }
}

/// Whether the link at `path` in a folder may lead out of it. `..` is safe only at the beginning of the target:
/// after a part that is itself a link, it may lead anywhere.
pub(super) fn leads_outside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut is_below = false;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => is_below = true,
            Component::ParentDir if !is_below && depth > 0 => depth -= 1,
            _ => return true,
        }
    }
    false
}

/// A path from the bytes that a tar or the content of a link has. `None` where the system has no such path.
pub(super) fn path_of_bytes(bytes: &[u8]) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
        Some(path.into())
    }
    #[cfg(not(unix))]
    String::from_utf8(bytes.to_vec()).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_outside_if_it_could() {
        for (path, target, outside) in [
            ("a", "b", false),
            ("a", "./b/c", false),
            ("a", "..", true),
            ("d/a", "../b", false),
            ("d/a", "../../b", true),
            ("d/e/a", "../../b", false),
            ("d/a", "/etc/passwd", true),
            // Where b is a link to `.`, this is outside.
            ("d/a", "b/../../x", true),
        ] {
            assert_eq!(
                leads_outside(Path::new(path), Path::new(target)),
                outside,
                "{path} -> {target}"
            );
        }
    }

    #[test]
    fn other_tags_say_nothing() {
        let of = |key: &str, value: &str| FileAttributes::of(&Tags::from([(key.to_owned(), value.to_owned())]));
        for (key, value) in [
            ("file-mode", "755"),
            ("file-mode", "0999"),
            ("file-mode", "rwxr"),
            ("file-type", "socket"),
            ("mode", "0755"),
        ] {
            assert_eq!(of(key, value), FileAttributes::default(), "{key}={value}");
        }
        assert_eq!(of("file-mode", "7777").mode, Some(0o777));
    }
}
