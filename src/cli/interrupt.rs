//! What happens when somebody presses Ctrl-C: temporary files go, and the process ends as the
//! signal demands.

/// Starts to wait for signals. A signal that was ignored when the program started (by
/// `nohup`, or in a script's background job) stays so.
#[cfg(unix)]
pub fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    // With a handler that does nothing, a write beyond the limit is an error like any other.
    let _ = flag::register(SIGXFSZ, std::sync::Arc::default());
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
    let wanted: Vec<_> = wanted.filter(|&signal| !is_ignored(signal)).collect();
    // Without them the signals do what they do to every program; that is no reason to stop.
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

/// Ends the process if it was told to; its work is undone by now.
pub fn end_if_told() {
    #[cfg(unix)]
    match RECEIVED.load(Ordering::SeqCst) {
        0 => {}
        signal => end_by(signal),
    }
}

#[cfg(unix)]
use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that came, or 0.
#[cfg(unix)]
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Gives the work time to be undone: what it wrote to the write-ahead log then goes. Not for
/// long, for it may wait for input, and another signal ends that. One that comes at once is
/// not another: `timeout` signals the process and then its group.
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

/// As if nobody had waited for the signal: a shell then sees 128 and its number.
#[cfg(unix)]
fn end_by(signal: i32) {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "nothing else tells how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action it only writes the present one to where it is told to,
    // and all of it if it returns 0.
    let found = unsafe {
        if libc::sigaction(signal, std::ptr::null(), found.as_mut_ptr()) != 0 {
            return false;
        }
        found.assume_init()
    };
    found.sa_sigaction == libc::SIG_IGN
}
