#![no_main]

#[path = "../../tests/hostile/fuzz_smoke/cli_values.rs"]
mod cli_values;

libfuzzer_sys::fuzz_target!(|input: &[u8]| cli_values::run(input));
