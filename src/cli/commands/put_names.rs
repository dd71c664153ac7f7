//! The names that `heapledger put --names` binds.

use std::path::{Component, Path};

use heapledger::name_of_path;

/// How the paths of files become names.
pub struct PathNames {
    /// What stands for the path that was given.
    prefix: Option<String>,
}

impl PathNames {
    pub fn new(prefix: Option<&str>) -> Self {
        let prefix = prefix.map(|prefix| prefix.trim_end_matches('/').to_owned());
        Self { prefix }
    }

    /// What the names of the files in a folder begin with, before a `/`. `None` if they have nothing in common.
    pub fn base(&self, given: &Path) -> Option<String> {
        let base = match &self.prefix {
            Some(prefix) => Some(prefix.clone()),
            None => name_of_path(&without_root(given)),
        };
        base.filter(|base| !base.is_empty())
    }

    /// The name of the file at `path`, which was found at or below the path that was given.
    ///
    /// # Errors
    /// Why it has none.
    pub fn of(&self, given: &Path, path: &Path) -> Result<String, &'static str> {
        let Some(prefix) = &self.prefix else {
            return name_of_path(&without_root(path)).ok_or("its path has .. in it; give --prefix");
        };
        let below = path.strip_prefix(given).unwrap_or(path);
        // A file that was given itself.
        let below = match below.file_name() {
            None => path.file_name().map_or(below, Path::new),
            Some(_) => below,
        };
        let name = name_of_path(below).ok_or("its path has no name")?;
        Ok(match prefix.as_str() {
            "" => name,
            prefix => format!("{prefix}/{name}"),
        })
    }
}

/// A path without the root, as tar stores it.
fn without_root(path: &Path) -> std::path::PathBuf {
    let is_root = |part: &Component<'_>| matches!(part, Component::Prefix(_) | Component::RootDir);
    path.components().skip_while(is_root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_stands_for_the_path_that_was_given() {
        let name = |prefix, given, path| PathNames::new(prefix).of(Path::new(given), Path::new(path));
        for (prefix, given, path, expected) in [
            (None, "src", "src/a/b", "src/a/b"),
            (None, "./src/", "./src/a", "src/a"),
            (None, ".", "./a", "a"),
            (None, "/home/me", "/home/me/a", "home/me/a"),
            (Some("p"), "src", "src/a/b", "p/a/b"),
            (Some("p/q/"), "/home/me", "/home/me/a", "p/q/a"),
            (Some("p"), "../src", "../src/a", "p/a"),
            (Some("p"), "../a.txt", "../a.txt", "p/a.txt"),
            (Some(""), "src", "src/a", "a"),
        ] {
            assert_eq!(name(prefix, given, path).as_deref(), Ok(expected), "{path}");
        }
        assert!(name(None, "../src", "../src/a").is_err());
    }
}
