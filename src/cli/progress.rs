//! Progress of long work, on standard error and only when that is a terminal.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes that appears once the work turns out to be long.
pub struct Progress {
    what: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
    enabled: bool,
}

/// Work that takes less needs no bar.
const LONG: Duration = Duration::from_millis(400);

impl Progress {
    pub fn new(what: &'static str) -> Self {
        Self::shown(what, io::stderr().is_terminal())
    }

    /// No bar at all, where it would stand in the way of the answer.
    pub fn hidden() -> Self {
        Self::shown("", false)
    }

    fn shown(what: &'static str, enabled: bool) -> Self {
        Self {
            what,
            started: Instant::now(),
            bar: None,
            enabled,
        }
    }

    /// `done` of `total` bytes; a `total` of 0 is not known.
    pub fn set(&mut self, done: u64, total: u64) {
        if !self.enabled || (self.bar.is_none() && self.started.elapsed() < LONG) {
            return;
        }
        let Some(bar) = &self.bar else {
            let bar = new_bar(self.what, total);
            bar.set_position(done);
            // Speed counts from here, or the first one shown would be absurd.
            bar.reset_eta();
            self.bar = Some(bar);
            return;
        };
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Takes the bar away until there is something to show again.
    pub fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Lets `print` write to the terminal without tearing the bar.
    pub fn beside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}

fn new_bar(what: &'static str, total: u64) -> ProgressBar {
    let (bar, template) = match total {
        0 => (ProgressBar::new_spinner(), "{msg} {spinner} {binary_bytes}"),
        _ => (
            ProgressBar::new(total),
            "{msg} [{bar:30}] {binary_bytes} of {binary_total_bytes} {binary_bytes_per_sec} {eta} left",
        ),
    };
    // The template is fixed, so the fallback is never seen.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(what);
    bar
}

/// A reader that shows how much has been read.
pub struct Reading<R> {
    reader: R,
    done: u64,
    progress: Progress,
}

impl<R> Reading<R> {
    pub fn new(what: &'static str, reader: R) -> Self {
        Self {
            reader,
            done: 0,
            progress: Progress::new(what),
        }
    }
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done += read as u64;
        self.progress.set(self.done, 0);
        Ok(read)
    }
}

/// Shows how far `work` has read through a file that it reads `passes` times. The
/// library reads by itself; but a second handle shares the position of the first.
pub fn watch<R>(what: &'static str, file: &mut File, passes: u64, work: impl FnOnce(&mut File) -> R) -> R {
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let handle = file.try_clone().ok().filter(|_| io::stderr().is_terminal());
    let Some(mut handle) = handle else {
        return work(file);
    };
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut progress = Progress::new(what);
            let (mut pass, mut before) = (0, 0);
            while is_done.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let position = handle.stream_position().unwrap_or(before);
                if position < before {
                    pass += 1;
                }
                before = position;
                progress.set(pass * total + position, passes * total);
            }
        });
        let result = work(file);
        drop(done);
        result
    })
}
