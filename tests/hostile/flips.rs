//! Files with corrupted bytes.

use crate::common::files_only;
use std::path::Path;

use crate::harness::{Random, given, say};
use crate::survey::survey;
use crate::{bounded, is_bounded, specimen};

const FILES: u64 = 300;
const PAGE: usize = 4096;

/// Damages the file; the same seed causes the same damage.
fn damage(file: &mut [u8], random: &mut Random) {
    let pages = (file.len() / PAGE) as u64;
    let at = |random: &mut Random, len: usize| random.below(len as u64) as usize;
    match random.below(10) {
        // Flips bits anywhere.
        0..5 => {
            for _ in 0..=random.below(8) {
                let at = at(random, file.len());
                file[at] ^= 1 << random.below(8);
            }
        }
        // Overwrites part of a page header, which counts and locates the cells.
        5..7 => {
            let page = random.below(pages) as usize * PAGE;
            for _ in 0..3 {
                let at = page + random.below(24) as usize;
                file[at] = random.below(256) as u8;
            }
        }
        // Overwrites part of the file header.
        7 => {
            let at = 16 + random.below(84) as usize;
            file[at] = random.below(256) as u8;
        }
        // Replaces one page with another.
        8 => {
            let (from, to) = (random.below(pages) as usize * PAGE, random.below(pages) as usize * PAGE);
            file.copy_within(from..from + PAGE, to);
        }
        // Clears a page.
        _ => {
            let page = random.below(pages) as usize * PAGE;
            file[page..page + PAGE].fill(0);
        }
    }
}

#[test]
fn a_file_with_damaged_bytes_is_inspected_safely() {
    files_only!(Hostile);
    bounded("flips::damaged_files");
}

#[test]
#[ignore = "the child process"]
fn damaged_files() {
    if !is_bounded() {
        return;
    }
    let (place, path) = specimen();
    let whole = std::fs::read(&path).unwrap();
    let first = given("HEAPLEDGER_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut found_whole = 0;
    for seed in first..first + FILES {
        say(&format!("look seed {seed}"));
        let mut file = whole.clone();
        damage(&mut file, &mut Random(seed));
        write(place.folder(), &file);
        found_whole += u64::from(survey(&path));
    }
    // A few changes hit free space or a timestamp; most do not.
    assert!(
        found_whole < FILES / 2,
        "{found_whole} of {FILES} damaged files passed as intact"
    );
}

#[test]
fn a_truncated_file_is_inspected_safely() {
    files_only!(Hostile);
    bounded("flips::cut_files");
}

#[test]
#[ignore = "the child process"]
fn cut_files() {
    if !is_bounded() {
        return;
    }
    let (place, path) = specimen();
    let whole = std::fs::read(&path).unwrap();
    for part in 1..40 {
        let len = whole.len() * part / 40 + [0, 1, 100][part % 3];
        say(&format!("look {len} bytes of {}", whole.len()));
        write(place.folder(), &whole[..len.min(whole.len() - 1)]);
        assert!(!survey(&path), "{len} bytes of {} pass as intact", whole.len());
    }
    for len in [0, 1, 15, 16, 99, 100, 101, 511, 512, 4095] {
        say(&format!("look {len} bytes"));
        write(place.folder(), &whole[..len]);
        // An empty file becomes a heap; all others are refused.
        survey(&path);
    }
}

#[test]
fn a_log_of_garbage_is_inspected_safely() {
    files_only!(Hostile);
    bounded("flips::garbage_logs");
}

#[test]
#[ignore = "the child process"]
fn garbage_logs() {
    if !is_bounded() {
        return;
    }
    let (place, path) = specimen();
    let whole = std::fs::read(&path).unwrap();
    for seed in 0..30 {
        say(&format!("look log {seed}"));
        let mut random = Random(seed);
        let mut log: Vec<u8> = (0..random.below(20_000)).map(|_| random.below(256) as u8).collect();
        let magic = [0x37, 0x7f, 0x06, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0];
        if seed % 2 == 0 && log.len() > magic.len() {
            log[..magic.len()].copy_from_slice(&magic);
        }
        write(place.folder(), &whole);
        std::fs::write(place.folder().join("heap.db-wal"), log).unwrap();
        assert!(survey(&path), "a log without commits changes nothing");
    }
}

fn write(dir: &Path, file: &[u8]) {
    for side_file in ["heap.db-wal", "heap.db-shm", "heap.db-journal"] {
        let _ = std::fs::remove_file(dir.join(side_file));
    }
    std::fs::write(dir.join("heap.db"), file).unwrap();
}
