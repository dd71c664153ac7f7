//! The transcripts in README and docs/ show what the built command prints.
//!
//! The ```` ```console ```` blocks of a page are run line by line, in order, in one new folder; blocks
//! with cargo commands are skipped. `HEAPLEDGER_BLESS=1` writes the output into the page instead
//! of comparing it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{README, read};

const LESSON: &str = "docs/lesson.md";

#[test]
fn the_transcripts_match_the_output_of_the_commands() {
    for (page, least) in [(README, 10), (LESSON, 25)] {
        assert_transcripts_match(page, least);
    }
}

fn assert_transcripts_match(page: &str, least: usize) {
    let text = read(page);
    let (run, commands) = run_transcripts(&text);
    assert!(commands > least, "{page} has {commands} commands");
    if std::env::var_os("HEAPLEDGER_BLESS").is_some_and(|bless| !bless.is_empty()) {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(page), run).unwrap();
        return;
    }
    let differ = text.lines().zip(run.lines()).find(|(told, printed)| told != printed);
    if let Some((told, printed)) = differ {
        panic!(
            "{page} says\n  {told}\nand it is\n  {printed}\nHEAPLEDGER_BLESS=1 cargo test --test cli readme writes that into the page"
        );
    }
    assert_eq!(
        text.lines().count(),
        run.lines().count(),
        "a transcript of {page} ends with different lines"
    );
}

/// The text of a page with what the commands in it print, and the number of these commands.
fn run_transcripts(text: &str) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = String::new();
    let mut commands = 0;
    let mut rest = text;
    while let Some((before, block, after)) = next_block(rest) {
        run.push_str(before);
        if block.contains("$ cargo ") {
            run.push_str(block);
        } else {
            for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
                commands += 1;
                run.push_str(&format!("$ {command}\n{}", printed(command, folder.path())));
            }
        }
        rest = after;
    }
    run.push_str(rest);
    (run, commands)
}

/// The text up to a transcript, the transcript, and the text after it.
fn next_block(text: &str) -> Option<(&str, &str, &str)> {
    let opening = "```console\n";
    let start = text.find(opening)? + opening.len();
    let end = start + text.get(start..)?.find("```")?;
    Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
}

/// What a command prints to both streams in a shell, with all times made the same. The next
/// prompt starts a new line.
fn printed(command: &str, folder: &Path) -> String {
    let built = assert_cmd::cargo::cargo_bin("heapledger");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(built.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("bash");
    for variable in ["DATABASE_URL", "HEAPLEDGER_DB", "HEAPLEDGER_ACTOR", "BASH_ENV"] {
        shell.env_remove(variable);
    }
    let output = shell
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(folders).unwrap())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = at_noon(&String::from_utf8(output.stdout).unwrap());
    match printed.as_str() {
        "" => printed,
        text if text.ends_with('\n') => printed,
        text => format!("{text}\n"),
    }
}

/// `text` with every time replaced by the same one, of the same length.
fn at_noon(text: &str) -> String {
    const NOON: &str = "2026-01-31T12:00:00";
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_time = rest.get(..NOON.len()).is_some_and(|found| {
            found.bytes().zip(NOON.bytes()).all(|(found, noon)| match noon {
                b'0'..=b'9' => found.is_ascii_digit(),
                sign => found == sign,
            })
        });
        let taken = if is_time { NOON.len() } else { first.len_utf8() };
        let (part, after) = rest.split_at(taken);
        out.push_str(if is_time { NOON } else { part });
        rest = after;
    }
    out
}

#[test]
fn only_times_are_replaced() {
    assert_eq!(
        at_noon("1  2031-12-01T23:59:01Z  ünd 2031-12-01\n"),
        "1  2026-01-31T12:00:00Z  ünd 2031-12-01\n"
    );
}
