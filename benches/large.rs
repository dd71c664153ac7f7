//! A large put, and what others notice of it.
//!
//! `cargo bench --bench large -- [GIB]` stores a file of random bytes (4 GiB by default) in a heap
//! from one process, while this one does single durable puts of 200 bytes in the same heap. It
//! prints how long the large put took, next to `sha256sum` and `dd` with `fsync` of the same file;
//! how long the small puts waited; the longest log; and the peak memory of the process that stored
//! the file. The files are made in the folder that `HEAPLEDGER_BENCH_DIR` names, or in a temporary
//! one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use heapledger::{Hold, MemManager};

const GIB: u64 = 1 << 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [word, heap, file] = args.as_slice()
        && word == "put"
    {
        return put(Path::new(heap), Path::new(file));
    }
    let gib: u64 = args.first().map_or(Ok(4), |text| text.parse())?;
    let folder = match std::env::var_os("HEAPLEDGER_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let (heap, file) = (folder.path().join("heap.db"), folder.path().join("content"));
    write_random(&file, gib * GIB)?;
    let memory = MemManager::options().max_mem((gib + 1) * GIB).open(&heap)?;

    let copy = timed(Command::new("dd").args(dd(&file, &folder.path().join("copy"))))?;
    std::fs::remove_file(folder.path().join("copy"))?;
    let hashed = timed(Command::new("sha256sum").arg(&file))?;
    println!("dd + fsync    {:>8.2} s", copy.as_secs_f64());
    println!("sha256sum     {:>8.2} s", hashed.as_secs_f64());

    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["put".as_ref(), heap.as_os_str(), file.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut waits = Vec::new();
    let mut most_log = 0;
    while child.try_wait()?.is_none() {
        let content = format!("{:0200}", waits.len());
        let before = Instant::now();
        memory.allocate_bytes(content.as_bytes())?;
        waits.push(before.elapsed());
        most_log = most_log.max(std::fs::metadata(with(&heap, "-wal")).map_or(0, |log| log.len()));
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed();
    let output = child.wait_with_output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    waits.sort();
    let at = |part: f64| {
        waits
            .get((waits.len() as f64 * part) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "put           {:>8.2} s, {:.2} times the larger of sha256sum and 2 dd",
        took.as_secs_f64(),
        took.as_secs_f64() / hashed.as_secs_f64().max(2.0 * copy.as_secs_f64())
    );
    println!(
        "{} small puts meanwhile waited {:.1} ms (median), {:.1} ms (99 of 100), {:.1} ms (longest)",
        waits.len(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        at(1.0 - 1e-9).as_secs_f64() * 1e3
    );
    println!("longest log   {:>8.1} MiB", most_log as f64 / (1 << 20) as f64);
    let alone = timed(
        Command::new(std::env::current_exe()?)
            .args(["put".as_ref(), with(&heap, ".alone").as_os_str(), file.as_os_str()])
            .stdout(Stdio::null()),
    )?;
    println!(
        "put alone     {:>8.2} s, {:.2} times",
        alone.as_secs_f64(),
        alone.as_secs_f64() / hashed.as_secs_f64().max(2.0 * copy.as_secs_f64())
    );
    Ok(())
}

/// The process that stores the file.
fn put(heap: &Path, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let size = std::fs::metadata(file)?.len();
    let options = MemManager::options();
    let options = if heap.exists() {
        options
    } else {
        options.max_mem(size + GIB)
    };
    let memory = options.open(heap)?;
    let stored = memory.store_file(&mut File::open(file)?, Hold::Name("large"))?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: unknown");
    println!(
        "stored        {} bytes in {} pieces; {peak}",
        stored.size, stored.pieces
    );
    Ok(())
}

fn write_random(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut part = vec![0; 1 << 20];
    let mut file = File::create(path)?;
    for _ in 0..bytes >> 20 {
        random.fill(&mut part);
        file.write_all(&part)?;
    }
    file.sync_all()
}

fn dd(from: &Path, to: &Path) -> [String; 4] {
    [
        format!("if={}", from.display()),
        format!("of={}", to.display()),
        "bs=1M".into(),
        "conv=fsync".into(),
    ]
}

fn timed(command: &mut Command) -> std::io::Result<Duration> {
    let started = Instant::now();
    let mut output = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdout) = output.stdout.take() {
        stdout.read_to_end(&mut Vec::new())?;
    }
    output.wait()?;
    Ok(started.elapsed())
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
