//! Finds the heap: a path, or a URL as other programs write it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use super::dotenv::{Setting, Variables};
use super::server;
use crate::cli::output::text::{printable, printable_path};

/// The heap and its access mode.
pub struct Database {
    /// What the library opens. The address of a server may contain a password.
    pub path: PathBuf,
    /// The address of a server, without a password.
    server: Option<String>,
    pub mode: Mode,
    /// Where it was given: `--db` or a variable.
    pub source: &'static str,
}

/// The parameter `mode` of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `ro`
    ReadOnly,
    /// `rw`
    NeverCreate,
    /// `rwc`
    #[default]
    Create,
}

impl Database {
    /// Takes the option, else `HEAPLEDGER_DB`, else `DATABASE_URL`, else `heap.db`. `DATABASE_URL`
    /// comes later because it may be meant for another program.
    pub fn find(option: Option<&Path>, variables: &Variables) -> Result<Self> {
        if let Some(path) = option {
            return Self::named("--db", path);
        }
        let setting = variables.get("HEAPLEDGER_DB").or_else(|| variables.get("DATABASE_URL"));
        setting.map_or_else(|| Self::named("the default", Path::new("heap.db")), Self::of)
    }

    /// The heap that the option or argument `source` names.
    pub fn named(source: &'static str, path: &Path) -> Result<Self> {
        Self::of(Setting {
            source,
            value: path.into(),
            in_file: false,
            folder: None,
        })
    }

    fn of(setting: Setting) -> Result<Self> {
        if server::is_meant(&setting.value.to_string_lossy()) {
            return Ok(Self {
                server: Some(server::checked(&setting)?),
                path: setting.value.into(),
                mode: Mode::NeverCreate,
                source: setting.source,
            });
        }
        let Setting {
            source, value, folder, ..
        } = setting;
        let (path, mode) = match value.to_str() {
            Some(text) => located(text, source == "DATABASE_URL").map_err(|why| anyhow!("{source} {why}"))?,
            None => (PathBuf::from(value), Mode::default()),
        };
        let path = match folder {
            Some(folder) => folder.join(path),
            // The library would take it for an address.
            None if server::is_meant(&path.to_string_lossy()) => Path::new(".").join(path),
            None => path,
        };
        Ok(Self {
            path,
            server: None,
            mode,
            source,
        })
    }

    pub fn is_on_server(&self) -> bool {
        self.server.is_some()
    }

    /// The path or address, for messages.
    pub fn shown(&self) -> String {
        match &self.server {
            Some(address) => printable(address).into_owned(),
            None => printable_path(&self.path),
        }
    }

    /// The address, or the path in a form that `--db` does not take for a URL.
    pub fn as_option(&self) -> String {
        if let Some(address) = &self.server {
            return address.clone();
        }
        let text = self.path.to_string_lossy().into_owned();
        match located(&text, false) {
            Ok((path, _)) if path == self.path => text,
            _ => format!("./{text}"),
        }
    }

    /// Fails if the URL is read-only.
    pub fn may_write(&self) -> Result<()> {
        if self.mode == Mode::ReadOnly {
            bail!("{} has mode=ro, so it is read-only; nothing was changed", self.source);
        }
        Ok(())
    }
}

const OTHERS: &str = "name a heap file: sqlite:///folder/heap.db, HEAPLEDGER_DB or --db FILE";
const IN_MEMORY: &str = "names a database in memory, which would be lost when this command ends; name a file";

/// Schemes of servers, which their programs also accept without `//`.
const SERVERS: [&str; 7] = ["mysql", "mariadb", "mssql", "sqlserver", "mongodb", "redis", "jdbc"];

/// Parses `text`. Errors repeat nothing of a URL except its scheme, because it may contain a
/// password.
fn located(text: &str, is_shared: bool) -> Result<(PathBuf, Mode), String> {
    if text.is_empty() {
        return Err(format!("names no file; {OTHERS}"));
    }
    if text == ":memory:" {
        return Err(IN_MEMORY.into());
    }
    let (scheme, rest) = match scheme(text) {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), text),
    };
    match scheme.as_str() {
        "sqlite" | "sqlite3" => url(rest.strip_prefix("//").unwrap_or(rest)),
        "file" => url(local(rest.split('#').next().unwrap_or_default())?),
        other if rest.starts_with("//") || SERVERS.contains(&other) => Err(format!(
            "is a URL of the kind {other}:, but a heap is an SQLite file or on a PostgreSQL server; {OTHERS}"
        )),
        _ if is_shared && is_server(text) => Err(format!(
            "has the settings of a database server, but is no URL; {OTHERS}"
        )),
        _ => Ok((PathBuf::from(text), Mode::default())),
    }
}

/// `scheme:rest`.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = scheme
        .chars()
        .all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign));
    (fits && scheme.starts_with(|first: char| first.is_ascii_alphabetic())).then_some((scheme, rest))
}

/// `user:password@host/name`, or `host=… password=…`.
fn is_server(text: &str) -> bool {
    let address = text.split_once('@').is_some_and(|(user, _)| user.contains(':'));
    let mut words = text.split(|sign: char| sign.is_whitespace() || sign == ';');
    let names = [
        "host", "server", "dbname", "database", "user", "user id", "password", "pwd",
    ];
    let is_setting = |word: &str| {
        word.split_once('=')
            .is_some_and(|(name, _)| names.contains(&name.to_ascii_lowercase().as_str()))
    };
    address || words.any(is_setting)
}

/// The part after `file:`, without the host, which must be this one.
fn local(rest: &str) -> Result<&str, String> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Ok(rest);
    };
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err("has a host after file://; write file:heap.db, or file:///folder/heap.db".into())
    }
}

/// Parses a percent-encoded path and its parameters. Parameters other than the mode are
/// settings for other programs' drivers, and ignored.
fn url(rest: &str) -> Result<(PathBuf, Mode), String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut mode = Mode::default();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name, value) {
            ("mode", "ro") | ("immutable", "1") => mode = Mode::ReadOnly,
            ("mode", "rw") => mode = Mode::NeverCreate,
            ("mode", "rwc") => mode = Mode::Create,
            ("mode" | "vfs", "memory" | "memdb") => return Err(IN_MEMORY.into()),
            ("mode", _) => return Err("has a mode other than ro, rw and rwc".into()),
            _ => {}
        }
    }
    let path = decoded(path)?;
    if path.is_empty() {
        return Err(format!("names no file; {OTHERS}"));
    }
    let path = PathBuf::from(path);
    if path.file_name().is_some_and(|name| name == ":memory:") {
        return Err(IN_MEMORY.into());
    }
    Ok((path, mode))
}

/// Decodes `%20` and so on.
fn decoded(text: &str) -> Result<OsString, String> {
    let mut codes = text.split('%').skip(1);
    let is_code = |code: &str| {
        code.as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !codes.all(is_code) {
        return Err("has a % without two hexadecimal digits; a per cent sign in a URL is %25".into());
    }
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    if bytes.contains(&0) {
        return Err("has a %00, which no path can contain".into());
    }
    os_string(bytes)
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Result<OsString, String> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Result<OsString, String> {
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(text.into())
}

/// Whether two paths lead to one file that is there.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_the_same_path_as_to_other_programs() {
        for (text, path) in [
            ("heap.db", "heap.db"),
            ("a:b.db", "a:b.db"),
            ("odd?name%20.db", "odd?name%20.db"),
            ("sqlite://heap.db", "heap.db"),
            ("sqlite:heap.db", "heap.db"),
            ("SQLite:///var/heap.db", "/var/heap.db"),
            ("sqlite3:///var/My%20Data/heap.db", "/var/My Data/heap.db"),
            ("sqlite://heap.db?mode=rwc&cache=shared", "heap.db"),
            ("sqlite://100%25.db", "100%.db"),
            ("file:heap.db", "heap.db"),
            ("file:/var/heap.db", "/var/heap.db"),
            ("file:///var/heap.db?cache=shared#there", "/var/heap.db"),
            ("file://localhost/var/heap.db", "/var/heap.db"),
        ] {
            assert_eq!(located(text, true), Ok((path.into(), Mode::Create)), "{text}");
        }
        assert_eq!(located("sqlite:a?mode=ro", true), Ok(("a".into(), Mode::ReadOnly)));
        assert_eq!(located("file:a?mode=rw", true), Ok(("a".into(), Mode::NeverCreate)));
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for text in [
            "mysql://me:secret@host/db",
            "sqlite+aiosqlite:///secret.db",
            "https://me:secret@host/heap.db",
            "jdbc:sqlite:secret.db",
            "me:secret@tcp(host:3306)/db",
            "host=there password=secret",
            "Server=there;Password=secret",
            ":memory:",
            "sqlite::memory:",
            "sqlite://:memory:",
            "file::memory:?cache=shared",
            "sqlite:secret?mode=memory",
            "file:secret?vfs=memdb",
            "sqlite:",
            "sqlite://",
            "file:",
            "file://secret",
            "sqlite:secret%2",
            "sqlite:secret%zz",
            "sqlite:secret%00",
            "sqlite:secret?mode=x",
            "",
        ] {
            let why = located(text, true).unwrap_err();
            assert!(!why.contains("secret"), "{text}: {why}");
        }
        // --db and HEAPLEDGER_DB are not mistaken for another program's settings.
        assert!(located("a:b@c.db", false).is_ok());
    }
}
