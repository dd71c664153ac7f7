//! Time, disk usage and the page cache of this machine.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Flushes what earlier work left dirty, so that the next fsync does not pay for it. Without a
/// `sync` program the figures are less precise, but not wrong.
pub fn settle() {
    let _ = Command::new("sync").status();
}

/// How long `work` took, and what it returned.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    if CPU_TIME.load(Ordering::Relaxed) {
        let start = cpu_time()?;
        let result = work()?;
        return Ok((cpu_time()?.saturating_sub(start), result));
    }
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

/// Makes `timed` count the CPU time of its thread, including the kernel's, instead of elapsed
/// time.
pub fn count_cpu_time() -> Result<()> {
    CPU_TIME.store(true, Ordering::Relaxed);
    cpu_time().map(drop).context("--cpu needs Linux")
}

pub fn counts_cpu_time() -> bool {
    CPU_TIME.load(Ordering::Relaxed)
}

static CPU_TIME: AtomicBool = AtomicBool::new(false);

fn cpu_time() -> Result<Duration> {
    // The kernel updates the counter at each tick, and when a thread yields.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().context("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

pub fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("… {what}");
}

/// Bytes that the files and folders in `dir` take on the disk.
pub fn disk_usage(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in walkdir::WalkDir::new(dir).min_depth(1) {
        total += allocated(&entry?.metadata()?);
    }
    Ok(total)
}

#[cfg(unix)]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
