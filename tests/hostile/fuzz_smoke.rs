//! A short run of the fuzz targets as an ordinary test: the inputs in `corpus`, mutated slightly
//! from a fixed seed. `fuzz/` itself needs nightly: `cargo +nightly fuzz run operations`. A published
//! package does not contain it, so what its targets do is here.
//!
//! `HEAPLEDGER_FUZZ=n` runs n inputs of each target.

#![allow(clippy::duplicate_mod, reason = "cargo-fuzz needs each target in a separate file")]

mod cli_values;
mod mutated_file;
mod operations;

use crate::common::files_only;
use std::path::Path;

use crate::harness::{Random, given};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile/corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn pass(target: &str, inputs: u64, run: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|input| run(input));
    let inputs = given("HEAPLEDGER_FUZZ")
        .and_then(|inputs| inputs.parse().ok())
        .unwrap_or(inputs);
    for seed in 0..inputs {
        let mut random = Random(seed);
        let mut input = corpus[random.below(corpus.len() as u64) as usize].clone();
        change(&mut input, &mut random);
        if let Err(panic) = std::panic::catch_unwind(|| run(&input)) {
            println!("{target}, seed {seed}: {input:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn change(input: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() as u64 + 1) as usize;
        match random.below(3) {
            0 => input.insert(at, random.below(256) as u8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            _ => input.extend(
                (0..random.below(12))
                    .map(|_| random.below(256) as u8)
                    .collect::<Vec<_>>(),
            ),
        }
    }
}

#[test]
fn operations_match_the_model() {
    files_only!(Hostile);
    pass("operations", 40, operations::run);
}

#[test]
fn a_mutated_file_is_inspected_safely() {
    files_only!(Hostile);
    pass("mutated_file", 60, mutated_file::run);
}

#[test]
fn any_text_is_parsed_or_refused() {
    pass("cli_values", 20_000, cli_values::run);
}
