//! Malicious names.

use std::process::Command;

use crate::common::{files_only, quick, quoted, sql};
use crate::harness::say;
use crate::survey::survey;
use crate::{bounded, is_bounded, specimen};
use heapledger::Hold;

/// Clears the screen, sets the title, and reverses the text direction.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\nname";

#[test]
fn escape_sequences_do_not_reach_a_terminal() {
    let (_dir, path) = specimen();
    let memory = quick().open(&path).unwrap();
    memory.store("\u{1b}[5m blinking", Hold::Name(ESCAPES)).unwrap();
    drop(memory);
    let name = quoted(ESCAPES);
    sql(&path).change(&format!("UPDATE memram SET name = {name} WHERE name = 'other'"));
    // The error for an unknown name shows it.
    let wrong = format!("{ESCAPES}?");
    for arguments in [
        &["ls"][..],
        &["names"],
        &["stats"],
        &["show", ESCAPES],
        &["spaces"],
        &["show", &wrong],
        &["check"],
    ] {
        let output = Command::new(assert_cmd::cargo::cargo_bin("heapledger"))
            .arg("--db")
            .arg(&path)
            .args(arguments)
            .output()
            .unwrap();
        for shown in [output.stdout, output.stderr] {
            let shown = String::from_utf8_lossy(&shown).into_owned();
            let raw = |c: char| c.is_control() && c != '\n';
            assert!(
                !shown.contains(raw) && !shown.contains('\u{202e}'),
                "{arguments:?} shows {shown:?}"
            );
        }
    }
}

#[test]
fn errors_show_names_escaped() {
    let (_dir, path) = specimen();
    let memory = quick().open(&path).unwrap();
    let id = memory.store("named", Hold::Name(ESCAPES)).unwrap().id;
    let errors = [
        memory.free(&id).unwrap_err(),
        memory.unbind("\u{1b}[2J").unwrap_err(),
        memory.find("\u{1b}[2J").unwrap_err(),
        quick().read_only(true).space("\u{1b}[2J").open(&path).unwrap_err(),
    ];
    for error in errors {
        assert!(!error.to_string().contains(char::is_control), "{:?}", error.to_string());
    }
}

/// An index of a server takes no such name.
#[test]
fn a_name_of_ten_megabytes_is_inspected_safely() {
    files_only!(Hostile);
    bounded("names::long_names");
}

#[test]
#[ignore = "the child process"]
fn long_names() {
    if !is_bounded() {
        return;
    }
    for table in ["names", "memram"] {
        let (_dir, path) = specimen();
        let long = "n".repeat(10 << 20);
        sql(&path).damage(&format!(
            "UPDATE {table} SET name = '{long}' WHERE name IN ('other', 'name 2')"
        ));
        say(&format!("look {table}"));
        survey(&path);
    }
}
