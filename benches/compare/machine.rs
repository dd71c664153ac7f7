//! The machine around the clock.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Writes out what earlier work left dirty, so that the next fsync does not pay for it.
/// Where there is no `sync` program the figures are rougher, not wrong.
pub fn settle() {
    let _ = Command::new("sync").status();
}

/// How long `work` took, and what it returned.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

pub fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("… {what}");
}

/// Bytes that the files and folders under `dir` take on the disk.
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
