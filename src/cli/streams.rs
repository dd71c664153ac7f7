//! Whether there are standard streams at all.
//!
//! Rust's runtime opens `/dev/null` where a standard descriptor is closed, and takes one
//! of the wrong direction for an empty file or one that takes everything. So what was
//! closed reads as empty, and what could not be written counts as written: `get >&-`
//! would succeed with nothing. Whether a descriptor was closed can be seen only before
//! the runtime starts; afterwards it is one of `/dev/null`, as many programs pass it on
//! purpose.

use std::io::{self, Read, StdinLock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

static INPUT: AtomicBool = AtomicBool::new(true);
static OUTPUT: AtomicBool = AtomicBool::new(true);
/// The command reads standard input.
static WANTED: AtomicBool = AtomicBool::new(false);

/// So much is still read for a command that was refused, and for so long.
const HEARD_OUT: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Standard input.
///
/// # Errors
/// If it is closed, or open for writing alone.
pub fn input() -> io::Result<StdinLock<'static>> {
    WANTED.store(true, Ordering::Relaxed);
    if INPUT.load(Ordering::Relaxed) {
        return Ok(io::stdin().lock());
    }
    Err(io::Error::other("standard input is closed"))
}

/// For a command that has failed before it read its input, and has said so: reads what comes
/// through a pipe. Else a script that writes a few lines to it would end by `SIGPIPE`, and not
/// see why. Who writes much finds that out as usual.
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

/// Refuses to go on without a standard output.
///
/// # Errors
/// If it is closed, or open for reading alone.
pub fn need_output() -> Result<()> {
    if !OUTPUT.load(Ordering::Relaxed) {
        bail!("standard output is closed: there is nowhere to write the answer to; nothing was done");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod before_main {
    use std::sync::atomic::Ordering;

    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::stdio::{stdin, stdout};

    use super::{INPUT, OUTPUT};

    /// The C library calls what is in this section before `main`, and so before Rust's runtime.
    // SAFETY: the section holds pointers to functions of the C calling convention that
    // may ignore their arguments, and this is one. It is called once, in a process of one
    // thread. It makes two system calls and stores two atomics: it uses nothing of the
    // standard library that its runtime must set up before, and cannot panic.
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
