//! Shared by the tests of the command line: a temporary folder, and the built binary in it.

#[cfg(unix)]
mod terminal;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use assert_cmd::Command;
use heapledger::MemManager;
use serde_json::Value;

use crate::common::{Place, Sql, content, number, quick, server};

/// A folder in which `heapledger` runs. Its heap is `heap.db`, created by the first `put`; on a server it is a
/// schema, created before the first command, which what was printed calls `heap.db` too.
pub struct Cli {
    place: Place,
    has_heap: Cell<bool>,
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
            place: Place::emptied(),
            has_heap: Cell::new(server().is_none()),
        }
    }

    /// The same without a heap, also on a server.
    pub fn without_heap() -> Self {
        Self {
            place: Place::new(),
            has_heap: Cell::new(true),
        }
    }

    pub fn has_heap(&self) -> bool {
        self.place.has_heap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder().join(name)
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
        let entries = fs::read_dir(self.place.folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("heap.db")).collect();
        names.sort();
        names
    }

    /// The command, not yet started.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        Command::from_std(self.program(args))
    }

    /// The same, which can be started without waiting for its end.
    pub fn program<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> process::Command {
        let mut program = process::Command::new(assert_cmd::cargo::cargo_bin("heapledger"));
        program.args(args);
        let inits = program.get_args().any(|arg| arg == "init");
        self.settle(&mut program);
        if !self.has_heap.replace(true) && !inits {
            self.ok(["init"]);
            self.place.has_opened();
        }
        program
    }

    /// A script of bash that starts `heapledger` as `"$0"`, not yet started.
    pub fn script(&self, script: &str) -> process::Command {
        let program = self.program([""; 0]);
        let mut bash = process::Command::new("bash");
        bash.args(["-c", script]).arg(program.get_program());
        self.settle(&mut bash);
        bash
    }

    /// Removes settings of the developer's environment, and names the heap if it is on a server.
    fn settle(&self, command: &mut process::Command) {
        command
            .current_dir(self.place.folder())
            .env_remove("DATABASE_URL")
            .env_remove("HEAPLEDGER_DB")
            .env_remove("HEAPLEDGER_ACTOR");
        if server().is_some() {
            command.env("HEAPLEDGER_DB", self.address());
        }
    }

    /// What `Options::open` takes.
    pub fn address(&self) -> &Path {
        self.place.address()
    }

    /// Whether no command has stored anything: there is no heap or, on a server, an empty one.
    pub fn is_untouched(&self) -> bool {
        match server() {
            None => !self.path("heap.db").exists(),
            Some(_) => number(&self.sql(), "SELECT count(*) FROM stored_objects") == 0,
        }
    }

    /// Opens the heap with the library.
    pub fn library(&self) -> MemManager {
        self.program([""; 0]);
        quick().open(self.address()).unwrap()
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
        let program = self.program([""; 0]);
        let folder = Path::new(program.get_program()).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)));
        let mut shell = process::Command::new("sh");
        shell
            .args(["-c", script])
            .env("PATH", paths.unwrap())
            .env("HOME", self.place.folder());
        self.settle(&mut shell);
        ran(&mut Command::from_std(shell))
    }

    /// Waits until the server has noticed that killed commands are gone.
    pub fn wait_for_the_dead(&self) {
        self.place.wait_for_the_dead();
    }

    /// An SQL connection to the heap, without the guards that would refuse the damage that tests do.
    pub fn sql(&self) -> Sql {
        self.place.sql()
    }
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let address = command.get_envs().find(|(name, _)| *name == "HEAPLEDGER_DB");
    let address = address.and_then(|(_, address)| address?.to_str());
    let text = |printed: &[u8]| without_address(String::from_utf8_lossy(printed).into_owned(), address);
    Ran {
        status: output.status.code().expect("it was not killed"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// What was printed, with the address of a heap on a server replaced by the name of one in a file.
fn without_address(printed: String, address: Option<&str>) -> String {
    let Some((before, rest)) = address.and_then(|address| address.split_once("application_name=")) else {
        return printed;
    };
    // Only what identifies the heap is shown.
    let shown = format!("{before}{}", rest.split_once('&').unwrap().1);
    printed
        .replace(&format!("'{shown}'"), "heap.db")
        .replace(&shown, "heap.db")
}

/// Bytes that look random but are always the same.
pub fn noise(length: usize) -> Vec<u8> {
    content(0, length as u64)
}

/// The id that `sha256sum` prints for the bytes `hello`.
pub const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
