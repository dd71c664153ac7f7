//! Reports how many tests were skipped. Its name makes it run after the other test programs.

#[allow(dead_code, reason = "this program uses only part of it")]
#[path = "harness/skip.rs"]
mod skip;

use std::collections::BTreeMap;

fn main() {
    // To a test runner this program has no tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let file = skip::record_file();
    let lines = std::fs::read_to_string(&file).unwrap_or_default();
    let skipped: BTreeMap<&str, &str> = lines.lines().filter_map(|line| line.split_once(' ')).collect();
    println!("\n{}", total(&skipped));
    if std::env::var_os("HEAPLEDGER_SKIPS").is_none() {
        let _ = std::fs::remove_file(file);
    }
}

fn total(skipped: &BTreeMap<&str, &str>) -> String {
    if skipped.is_empty() {
        return "skipped in all: no test".into();
    }
    let lines = skipped
        .iter()
        .map(|(test, reason)| format!("  {test}: needs {reason}\n"));
    let tests = if skipped.len() == 1 { "test" } else { "tests" };
    format!(
        "{}skipped in all: {} {tests}; the README names what they need, and HEAPLEDGER_NO_SKIP=1 makes a skip an error",
        lines.collect::<String>(),
        skipped.len()
    )
}
