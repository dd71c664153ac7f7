//! Shared by the tests of the command line: a temporary folder, and the built binary in it.

#[cfg(unix)]
mod terminal;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::content;

/// A folder in which `heapledger` runs; its heap is `heap.db`, created by the first `put`.
pub struct Cli {
    folder: TempDir,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Cli {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder, and creates the folders on its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names of the folder's entries, without the heap and its side files.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("heap.db")).collect();
        names.sort();
        names
    }

    /// The command, not yet started. Settings of the developer's environment are removed.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        let mut command = Command::cargo_bin("heapledger").unwrap();
        command
            .current_dir(self.folder.path())
            .env_remove("DATABASE_URL")
            .env_remove("HEAPLEDGER_DB")
            .env_remove("HEAPLEDGER_ACTOR")
            .args(args);
        command
    }

    pub fn run_all(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    pub fn run<const N: usize>(&self, args: [&str; N]) -> Ran {
        ran(&mut self.command(args))
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn ok<const N: usize>(&self, args: [&str; N]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
        ran.stdout
    }

    /// Runs a command that must succeed, and returns the JSON that it printed.
    pub fn json<const N: usize>(&self, args: [&str; N]) -> Value {
        let mut command = self.command(args);
        let ran = ran(command.args(["--format", "json"]));
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.stdout))
    }

    /// Runs a command that must fail with `status` and one line of error, and returns the line.
    pub fn fails<const N: usize>(&self, status: i32, args: [&str; N]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, status, "{args:?}: {} {}", ran.stdout, ran.stderr);
        // A command may report a new heap before it fails.
        let notes = ran.stderr.lines().take_while(|line| line.starts_with("made "));
        let notes: usize = notes.map(|line| line.len() + 1).sum();
        let line = ran.stderr[notes..]
            .strip_prefix("heapledger: ")
            .expect("starts with the program's name");
        assert_eq!(line.trim_end().lines().count(), 1, "{args:?}: {line}");
        line.trim_end().to_owned()
    }

    /// Runs a shell script with `heapledger` on its PATH.
    pub fn sh(&self, script: &str) -> Ran {
        let command = self.command([""; 0]);
        let folder = std::path::Path::new(command.get_program()).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .current_dir(self.folder.path())
            .env("PATH", paths.unwrap())
            .env("HOME", self.folder.path())
            .env_remove("DATABASE_URL")
            .env_remove("HEAPLEDGER_DB")
            .env_remove("HEAPLEDGER_ACTOR");
        ran(&mut shell)
    }

    /// An SQL connection to the heap.
    pub fn sql(&self) -> rusqlite::Connection {
        let sql = rusqlite::Connection::open(self.path("heap.db")).unwrap();
        // The guards in the file would refuse the damage that tests do.
        let triggers = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
        sql.set_db_config(triggers, false).unwrap();
        sql
    }
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        status: output.status.code().expect("it was not killed"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Bytes that look random but are always the same.
pub fn noise(length: usize) -> Vec<u8> {
    content(0, length as u64)
}

/// The id that `sha256sum` prints for the bytes `hello`.
pub const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
