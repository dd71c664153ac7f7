#![no_main]

#[path = "../../tests/hostile/fuzz_smoke/mutated_file.rs"]
mod mutated_file;

libfuzzer_sys::fuzz_target!(|input: &[u8]| mutated_file::run(input));
