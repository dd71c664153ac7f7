//! Progress on standard error, for people at a terminal.
//!
//! It appears by itself once the work takes long, even while a single call waits for a lock or
//! for the disk, and always names the current step.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use heapledger::Phase;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::text::Sizes;

/// The current step and how far it is, shown once the work takes long.
pub struct Progress {
    shown: Option<Shown>,
    enabled: bool,
}

/// Shorter work shows no progress.
const LONG: Duration = Duration::from_secs(1);
/// How often it is drawn.
const TICK: Duration = Duration::from_millis(100);

impl Progress {
    pub fn new(what: &'static str) -> Self {
        let mut progress = Self {
            shown: None,
            enabled: io::stderr().is_terminal(),
        };
        progress.step(what, 0, 0);
        progress
    }

    /// Never shown, for when it would get in the way of the answer.
    pub fn hidden() -> Self {
        Self {
            shown: None,
            enabled: false,
        }
    }

    /// `done` of `total` bytes; a `total` of 0 means unknown.
    pub fn set(&mut self, done: u64, total: u64) {
        if let Some(shown) = &mut self.shown {
            shown.set(done, total);
        }
    }

    /// The same, followed by a wait for the disk at the end.
    fn set_and_sync(&mut self, done: u64, total: u64) {
        if total > 0 && done >= total {
            self.step("writing to disk", 0, 0);
        } else {
            self.set(done, total);
        }
    }

    /// The same for a named step.
    pub fn step(&mut self, what: impl Into<Cow<'static, str>>, done: u64, total: u64) {
        if !self.enabled {
            return;
        }
        let shown = self.shown.get_or_insert_with(Shown::later);
        shown.name(what.into());
        shown.set(done, total);
    }

    /// The same for a phase of a library call.
    pub fn phase(&mut self, phase: Phase, done: u64, total: u64) {
        match phase {
            // What these count is not bytes.
            Phase::RemovingRows if done > 0 => self.step(format!("{phase}, {done} so far"), 0, 0),
            Phase::Applying => self.step(format!("{phase}, slice {} of {total}", done + 1), 0, 0),
            _ => self.step(phase.to_string(), done, total),
        }
    }

    /// Hides it until the next update.
    pub fn hide(&mut self) {
        self.shown = None;
    }

    /// Lets `print` write to the terminal without disturbing the progress line.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.shown {
            Some(shown) => shown.bar.suspend(print),
            None => print(),
        }
    }
}

/// Runs `work`, whose progress is unknown.
pub fn during<R>(what: &'static str, work: impl FnOnce() -> R) -> R {
    let _progress = Progress::new(what);
    work()
}

/// Runs a library call that reports its phases.
pub fn phases<R>(what: &'static str, work: impl FnOnce(&mut dyn FnMut(Phase, u64, u64)) -> R) -> R {
    let mut progress = Progress::new(what);
    work(&mut |phase, done, total| progress.phase(phase, done, total))
}

/// Runs a library call that reports how many bytes it has read, and then waits for the disk.
pub fn bytes<R>(what: &'static str, work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> R) -> R {
    let mut progress = Progress::new(what);
    work(&mut |done, total| progress.set_and_sync(done, total))
}

/// A line on the terminal, drawn by a separate thread after a delay.
struct Shown {
    bar: ProgressBar,
    what: Cow<'static, str>,
    knows: Knows,
    /// Dropped to stop the thread.
    wanted: Option<Sender<()>>,
    timer: Option<JoinHandle<()>>,
}

/// What can be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knows {
    Nothing,
    Done,
    Total,
}

impl Shown {
    fn later() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(Knows::Nothing.style());
        let (wanted, is_wanted) = mpsc::channel();
        let line = bar.clone();
        let timer = thread::spawn(move || {
            if is_wanted.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                line.set_draw_target(ProgressDrawTarget::stderr());
                line.enable_steady_tick(TICK);
            }
        });
        Self {
            bar,
            what: Cow::Borrowed(""),
            knows: Knows::Nothing,
            wanted: Some(wanted),
            timer: Some(timer),
        }
    }

    fn name(&mut self, what: Cow<'static, str>) {
        if self.what != what {
            self.bar.set_message(what.clone());
            self.bar.reset_eta();
            self.what = what;
        }
    }

    fn set(&mut self, done: u64, total: u64) {
        let knows = match (done, total) {
            (0, 0) => Knows::Nothing,
            (_, 0) => Knows::Done,
            _ => Knows::Total,
        };
        if self.knows != knows {
            self.bar.set_style(knows.style());
            self.knows = knows;
        }
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.wanted.take());
        if let Some(timer) = self.timer.take() {
            // A panic there has already been printed.
            let _ = timer.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Knows {
    fn style(self) -> ProgressStyle {
        let template = match self {
            Self::Nothing => "{spinner} {msg} {elapsed}",
            Self::Done => "{spinner} {msg} {done} {elapsed}",
            Self::Total => "{spinner} {msg} [{wide_bar}] {done} of {total} {eta} left",
        };
        // The templates are constants, so the fallback is never used.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let size = |bytes: u64, out: &mut dyn Write| {
            let _ = out.write_str(&Sizes::Human.cell(bytes));
        };
        style
            .progress_chars("=> ")
            .with_key("done", move |state: &ProgressState, out: &mut dyn Write| {
                size(state.pos(), out)
            })
            .with_key("total", move |state: &ProgressState, out: &mut dyn Write| {
                size(state.len().unwrap_or(0), out);
            })
    }
}

/// A reader that shows how much has been read, and the step that follows.
pub struct Reading<R> {
    reader: R,
    done: u64,
    progress: Progress,
    then: &'static str,
}

impl<R> Reading<R> {
    /// `then` is the step after everything was read.
    pub fn new(reader: R, then: &'static str) -> Self {
        Self {
            reader,
            done: 0,
            progress: Progress::new("reading"),
            then,
        }
    }
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done += read as u64;
        if read == 0 {
            self.progress.step(self.then, 0, 0);
        } else {
            self.progress.set(self.done, 0);
        }
        Ok(read)
    }
}
