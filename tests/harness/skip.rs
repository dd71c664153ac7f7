//! Skips tests that need something not every machine has: root, a loop device, another tool. A
//! skipped test prints a line that the test runner does not hide, is counted by
//! `tests/what_was_skipped.rs` at the end, and fails if `HEAPLEDGER_NO_SKIP=1`.
//!
//! A program that needs nothing else of the harness includes only this file, with `#[path]`.

use std::io::Write;
use std::panic::Location;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Whether `script` works here. If not, the test is skipped, and the caller must return.
#[track_caller]
pub fn possible(what: &str, script: &str) -> bool {
    succeeds(what, Command::new("bash").args(["-ec", script]))
}

#[track_caller]
pub fn succeeds(what: &str, command: &mut Command) -> bool {
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    skip(what, &why);
    false
}

/// Reports and counts the calling test as skipped because it needs `what`.
///
/// # Panics
/// If `HEAPLEDGER_NO_SKIP=1`.
#[track_caller]
pub fn skip(what: &str, why: &str) {
    let reason = match why.lines().collect::<Vec<_>>().join("; ") {
        why if why.is_empty() => what.to_owned(),
        why => format!("{what}: {why}"),
    };
    assert!(
        !forbidden(),
        "skipped: {}: needs {reason}, and HEAPLEDGER_NO_SKIP=1",
        test_name()
    );
    report(&reason);
}

/// The same for a test of the engine that the tests do not run on. It is never an error.
#[track_caller]
pub fn by_design(what: &str, why: &str) {
    report(&format!("{what}: {why}"));
}

#[track_caller]
fn report(reason: &str) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let test = test_name();
    let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if said.contains(&test) {
        return;
    }
    // The runner captures only the output of the print macros.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: needs {reason}");
    if let Err(error) = record(&format!("{test} {reason}\n")) {
        let _ = writeln!(std::io::stderr(), "and that was not counted: {error}");
    }
    said.push(test);
}

fn forbidden() -> bool {
    std::env::var_os("HEAPLEDGER_NO_SKIP").is_some_and(|value| value == "1")
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}

/// The name of this test program, without the hash that cargo appends.
fn binary() -> String {
    let program = std::env::current_exe().ok();
    let stem = program.and_then(|program| Some(program.file_stem()?.to_string_lossy().into_owned()));
    stem.map_or_else(String::new, |stem| {
        stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned())
    })
}

/// The name of the calling test, which is that of its thread. If one thread runs all tests, the
/// line number has to do.
#[track_caller]
fn test_name() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => format!("{}::{name}", binary()),
        _ => format!("{}::{}", binary(), Location::caller()),
    }
}

/// A file shared by all test programs of one `cargo test`, or the one that `HEAPLEDGER_SKIPS`
/// names, which is not deleted.
pub fn record_file() -> PathBuf {
    std::env::var_os("HEAPLEDGER_SKIPS").map_or_else(
        || {
            let parent = std::os::unix::process::parent_id();
            // Process ids are reused, but not together with the same start time.
            let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
            let started = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
            std::env::temp_dir().join(format!("heapledger-skips-{parent}-{}", started.unwrap_or_default()))
        },
        PathBuf::from,
    )
}

fn record(line: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(record_file())?;
    file.write_all(line.as_bytes())
}
