//! Handles Ctrl-C and other signals: removes temporary files, then ends the process by the same
//! signal.

/// Starts waiting for signals. A signal that was ignored when the program started (by `nohup`, or
/// in a script's background job) stays ignored.
#[cfg(unix)]
pub fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    // With a handler that does nothing, a write beyond the limit is an ordinary error.
    let _ = flag::register(SIGXFSZ, std::sync::Arc::default());
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
    let wanted: Vec<_> = wanted.filter(|&signal| !is_ignored(signal)).collect();
    // Without handlers the signals have their default effect; that is no reason to stop.
    let Ok(mut signals) = Signals::new(&wanted) else { return };
    let waiting = std::thread::Builder::new().name("signals".into());
    let spawned = waiting.spawn(move || {
        if let Some(signal) = signals.forever().next() {
            RECEIVED.store(signal, Ordering::SeqCst);
            if heapledger::interrupt() {
                wait_for_the_end(&mut signals);
            }
            end_by(signal);
        }
    });
    if spawned.is_err() {
        for signal in wanted {
            let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
            let _ = flag::register_conditional_default(signal, always);
        }
    }
}

#[cfg(not(unix))]
pub fn watch() {}

/// Ends the process if a signal came; the work is rolled back by now.
pub fn end_if_told() {
    #[cfg(unix)]
    match RECEIVED.load(Ordering::SeqCst) {
        0 => {}
        signal => end_by(signal),
    }
}

#[cfg(unix)]
use std::sync::atomic::{AtomicI32, Ordering};

/// The received signal, or 0.
#[cfg(unix)]
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Gives the command time to roll back, which truncates the write-ahead log. It does not wait
/// long, because the command may be blocked on input, and a second signal ends the wait. A signal
/// right after the first does not count, because `timeout` signals the process and then its group.
#[cfg(unix)]
fn wait_for_the_end(signals: &mut signal_hook::iterator::Signals) {
    use std::time::{Duration, Instant};

    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        let is_another = signals.pending().next().is_some() && since.elapsed() > Duration::from_millis(500);
        if is_another {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes a signal call `restore` before it ends the process, for what would outlive the process.
pub fn before_the_end(restore: fn()) {
    #[cfg(unix)]
    let _ = RESTORE.set(restore);
    #[cfg(not(unix))]
    let _ = restore;
}

#[cfg(unix)]
static RESTORE: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

/// Ends by the default action of the signal, so that a shell sees 128 plus its number.
#[cfg(unix)]
fn end_by(signal: i32) {
    if let Some(restore) = RESTORE.get() {
        restore();
    }
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "there is no safe way to query a signal's action")]
fn is_ignored(signal: i32) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the current one to the given location,
    // completely if it returns 0.
    let found = unsafe {
        if libc::sigaction(signal, std::ptr::null(), found.as_mut_ptr()) != 0 {
            return false;
        }
        found.assume_init()
    };
    found.sa_sigaction == libc::SIG_IGN
}
