#![no_main]

#[path = "../../tests/hostile/fuzz_smoke/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|input: &[u8]| operations::run(input));
