//! Detects closed standard streams.
//!
//! Rust's runtime opens `/dev/null` in place of a closed standard descriptor, and ignores errors
//! from a descriptor of the wrong direction. So closed input reads as empty, and output that
//! could not be written counts as written: `get >&-` would succeed without output. A closed
//! descriptor can be detected only before the runtime starts; afterwards it looks like a
//! `/dev/null` that was passed on purpose.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, Read, StdinLock};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

static INPUT: AtomicBool = AtomicBool::new(true);
static OUTPUT: AtomicBool = AtomicBool::new(true);
/// Whether the command reads standard input.
static WANTED: AtomicBool = AtomicBool::new(false);

/// How many bytes a refused command still reads from its input, and for how long.
const HEARD_OUT: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a path means standard output. If that goes to a file, the file must not be replaced by another.
pub fn is_output(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Standard input.
///
/// # Errors
/// If it is closed, or open only for writing.
pub fn input() -> io::Result<StdinLock<'static>> {
    WANTED.store(true, Ordering::Relaxed);
    if INPUT.load(Ordering::Relaxed) {
        return Ok(io::stdin().lock());
    }
    Err(io::Error::other("standard input is closed"))
}

/// Standard input, to be stored.
///
/// # Errors
/// Like [`input`].
#[cfg(unix)]
pub fn content() -> io::Result<Interruptible<File>> {
    let stdin = input()?.as_fd().try_clone_to_owned()?;
    Ok(Interruptible(stdin.into()))
}

#[cfg(not(unix))]
pub fn content() -> io::Result<Interruptible<StdinLock<'static>>> {
    input().map(Interruptible)
}

/// A reader that returns [`Interrupted`](io::ErrorKind::Interrupted) from time to time while it waits for its
/// source. This lets the library notice that the program is interrupted, and end in order.
pub struct Interruptible<R>(pub R);

#[cfg(unix)]
impl<R: Read + AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::io::Errno;
        const WAIT: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        // What cannot be polled is read at once.
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&WAIT)) {
            // Nothing came in time, or a signal came, perhaps the one that ends the program.
            Ok(0) | Err(Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
            _ => self.0.read(buffer),
        }
    }
}

#[cfg(not(unix))]
impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Whether the reader of standard output has closed it. A command that only writes when something happens would
/// not notice.
#[cfg(unix)]
pub fn nobody_reads() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = rustix::stdio::stdout();
    let mut asked = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
    let answered = poll(&mut asked, Some(&Timespec::default()));
    let [found] = asked.map(|asked| asked.revents());
    answered.is_ok() && found.intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(not(unix))]
pub fn nobody_reads() -> bool {
    false
}

/// Drains a pipe after a command has failed and reported its error. Otherwise a script that
/// writes a few lines to it would be killed by `SIGPIPE` before it can see the error. A script
/// that writes a lot is still killed, as usual.
pub fn hear_out() {
    if !WANTED.load(Ordering::Relaxed) || !INPUT.load(Ordering::Relaxed) || !input_is_pipe() {
        return;
    }
    let (done, is_done) = mpsc::channel();
    let reading = thread::Builder::new().spawn(move || {
        let _ = io::copy(&mut io::stdin().take(HEARD_OUT), &mut io::sink());
        let _ = done.send(());
    });
    if reading.is_ok() {
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

#[cfg(unix)]
fn input_is_pipe() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(rustix::stdio::stdin()).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Fifo)
}

#[cfg(not(unix))]
fn input_is_pipe() -> bool {
    false
}

/// Fails without a standard output.
///
/// # Errors
/// If it is closed, or open only for reading.
pub fn need_output() -> Result<()> {
    if !OUTPUT.load(Ordering::Relaxed) {
        bail!("standard output is closed, so there is nowhere to write the answer; nothing was done");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod before_main {
    use std::sync::atomic::Ordering;

    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::stdio::{stdin, stdout};

    use super::{INPUT, OUTPUT};

    /// The C library calls the functions in this section before `main`, and so before Rust's runtime.
    // SAFETY: the section contains pointers to functions with the C calling convention that may
    // ignore their arguments, and this is one. It is called once, while there is one thread. It
    // makes two system calls and stores two atomics; it uses nothing of the standard library that
    // the runtime must set up first, and cannot panic.
    #[expect(unsafe_code, reason = "there is no other way to run before the runtime")]
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        let usable = |flags: rustix::io::Result<OFlags>, useless: OFlags| {
            flags.is_ok_and(|flags| !flags.contains(OFlags::PATH) && flags & OFlags::RWMODE != useless)
        };
        INPUT.store(usable(fcntl_getfl(stdin()), OFlags::WRONLY), Ordering::Relaxed);
        OUTPUT.store(usable(fcntl_getfl(stdout()), OFlags::RDONLY), Ordering::Relaxed);
    }
}
