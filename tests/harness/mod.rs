//! Shared by the fault tests: starts this test program again as a child process, which can be
//! killed, limited or locked out without affecting the test that started it.

pub use crate::common::skip::{is_root, possible, skip};

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Starts the ignored test `name` of this program alone, as another process.
pub fn again(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(as_child(name)).stdin(Stdio::null());
    command
}

fn as_child(name: &str) -> [&str; 4] {
    [name, "--exact", "--ignored", "--nocapture"]
}

/// The same, started through a shell script that ends in `exec "$@"`.
pub fn again_through(script: &str, name: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", script, "bash"])
        .arg(std::env::current_exe().unwrap());
    command.args(as_child(name)).stdin(Stdio::null());
    command
}

/// The same in a separate mount namespace, after running `mounts`. Nobody else sees these
/// mounts, and they disappear with the process, however it ends.
pub fn again_with_mounts(mounts: &str, name: &str) -> Command {
    let mut command = with_mounts(mounts);
    command
        .arg(std::env::current_exe().unwrap())
        .args(as_child(name))
        .stdin(Stdio::null());
    command
}

/// Runs its arguments after `mounts`.
fn with_mounts(mounts: &str) -> Command {
    let mut command = Command::new("unshare");
    if !is_root() {
        // Most kernels let any user be root in a new user namespace, and mount there.
        command.args(["--user", "--map-root-user"]);
    }
    let script = format!("set -e; {mounts}; exec \"$@\"");
    command.args(["--mount", "--propagation", "private", "bash", "-c", &script, "bash"]);
    command
}

/// Whether `mounts` work here for `again_with_mounts`. If not, the test is skipped.
#[track_caller]
pub fn possible_mounts(what: &str, mounts: &str) -> bool {
    crate::common::skip::succeeds(what, with_mounts(mounts).arg("true"))
}

/// An environment variable that the parent has set.
pub fn given(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A number that the parent has set.
pub fn given_number(name: &str) -> u64 {
    given(name)
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{name} is not a number"))
}

/// Writes a line to the parent, bypassing the output capture of the test runner.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The lines that a child has written to its output file so far, without an incomplete last one.
pub fn said(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let ended = text.rfind('\n').map_or("", |end| &text[..end]);
    ended.lines().map(str::to_owned).collect()
}

/// Creates a file for a child's output.
pub fn output_file(path: &Path) -> File {
    File::create(path).unwrap()
}

/// A child that exchanges lines with the parent. It is killed on drop.
pub struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Talk {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn say(&mut self, line: &str) {
        let to = self.to.as_mut().unwrap();
        to.write_all(format!("{line}\n").as_bytes()).unwrap();
        to.flush().unwrap();
    }

    /// The rest of the next line that starts with `word`; `None` at the end.
    pub fn hear(&mut self, word: &str) -> Option<String> {
        let mut line = String::new();
        while self.from.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.trim_end().strip_prefix(word) {
                return Some(rest.trim_start().to_owned());
            }
            line.clear();
        }
        None
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the child to end by itself.
    pub fn end(mut self) -> bool {
        drop(self.to.take());
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The next line from the parent, in the child.
pub fn listen() -> Option<String> {
    let mut line = String::new();
    let count = std::io::stdin().read_line(&mut line).unwrap();
    (count > 0).then(|| line.trim_end().to_owned())
}

/// Pseudo-random numbers, reproducible from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
