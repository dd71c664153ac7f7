//! Runs the built binary on a terminal of a given width.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Cli;

impl Cli {
    /// What the command shows on a terminal with this number of columns.
    pub fn on_terminal(&self, columns: u16, args: &[&str]) -> String {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let name = std::ffi::OsStr::from_bytes(name.as_bytes());
        let end = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let stdio = || Stdio::from(end.try_clone().unwrap());
        let mut started = self.program(args);
        started.env("TERM", "xterm").env("NO_COLOR", "1").env_remove("COLUMNS");
        let mut child = started.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        drop((end, started));
        let mut seen = Vec::new();
        // When the last writer is gone, reading a terminal fails instead of reaching an end.
        let _ = File::from(terminal).read_to_end(&mut seen);
        child.wait().unwrap();
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    }
}
