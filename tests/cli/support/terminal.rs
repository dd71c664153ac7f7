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
        self.at_terminal(columns, args, "", "1")
    }

    /// The same where colours are welcome.
    pub fn coloured(&self, columns: u16, args: &[&str]) -> String {
        self.at_terminal(columns, args, "", "")
    }

    /// The last screen that `top` shows before these keys end it.
    pub fn screen(&self, keys: &str) -> String {
        Screen::of(&self.at_terminal(100, &["top"], keys, "1"))
    }

    /// The same with what was typed at the terminal, where keys have their own meaning.
    pub fn typed(&self, keys: &str, args: &[&str]) -> String {
        self.at_terminal(80, args, keys, "1")
    }

    fn at_terminal(&self, columns: u16, args: &[&str], keys: &str, no_color: &str) -> String {
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
        started
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .env_remove("COLUMNS");
        rustix::io::write(&terminal, keys.as_bytes()).unwrap();
        let mut child = started.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        drop((end, started));
        let mut seen = Vec::new();
        // When the last writer is gone, reading a terminal fails instead of reaching an end.
        let _ = File::from(terminal).read_to_end(&mut seen);
        child.wait().unwrap();
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    }
}

/// What is on a screen after a program has moved the cursor to and fro.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    line: usize,
    column: usize,
}

impl Screen {
    fn of(written: &str) -> String {
        let mut screen = Self::default();
        let mut rest = written;
        while let Some(sign) = rest.chars().next() {
            rest = &rest[sign.len_utf8()..];
            match sign {
                '\x1b' if rest.starts_with('[') => {
                    let end = rest[1..].find(|sign: char| ('@'..='~').contains(&sign)).unwrap() + 1;
                    screen.control(&rest[1..end], &rest[end..=end]);
                    rest = &rest[end + 1..];
                }
                '\n' => (screen.line, screen.column) = (screen.line + 1, 0),
                '\r' => screen.column = 0,
                sign if sign >= ' ' => screen.put(sign),
                _ => {}
            }
        }
        let lines = screen.lines.iter().map(|line| line.iter().collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn control(&mut self, numbers: &str, what: &str) {
        let mut numbers = numbers.split(';').map(|number| number.parse().unwrap_or(1_usize));
        match what {
            "H" => {
                self.line = numbers.next().unwrap_or(1) - 1;
                self.column = numbers.next().unwrap_or(1) - 1;
            }
            "J" => self.lines.clear(),
            _ => {}
        }
    }

    fn put(&mut self, sign: char) {
        if self.lines.len() <= self.line {
            self.lines.resize(self.line + 1, Vec::new());
        }
        let line = &mut self.lines[self.line];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = sign;
        self.column += 1;
    }
}
