//! Completions and manual pages.

use std::process::{Command, Stdio};

use crate::common::skip::{possible, succeeds};
use crate::support::Cli;

#[test]
fn completions_name_every_command_and_need_no_heap() {
    let cli = Cli::without_heap();
    for shell in ["bash", "zsh", "fish"] {
        let script = cli.ok(["completions", shell]);
        for word in ["put", "drop-space", "busy-timeout", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert!(cli.names().is_empty() && !cli.has_heap());
    assert!(cli.fails(2, ["completions", "tcsh"]).contains("tcsh"));
}

#[test]
fn a_shell_completes_a_command() {
    let cli = Cli::without_heap();
    if !possible("bash", "true") {
        return;
    }
    cli.file("completions", cli.ok(["completions", "bash"]));
    let complete = r#"
        set -eu; . ./completions
        COMP_WORDS=(heapledger rename-) COMP_CWORD=1; _heapledger heapledger rename- heapledger; echo "${COMPREPLY[@]}"
        COMP_WORDS=(heapledger put --expi) COMP_CWORD=2; _heapledger heapledger --expi put; echo "${COMPREPLY[@]}"
    "#;
    let ran = cli.script(complete).output().unwrap();
    let (told, wrong) = (
        String::from_utf8(ran.stdout).unwrap(),
        String::from_utf8(ran.stderr).unwrap(),
    );
    assert_eq!(told, "rename-space\n--expires\n", "{wrong}");
}

#[test]
fn every_command_has_a_manual_page() {
    let cli = Cli::without_heap();
    let put = cli.ok(["man", "put"]);
    assert!(put.starts_with(".ie") && put.contains("heapledger\\-put"), "{put}");
    // Examples are lines, and not filled like a paragraph.
    let (_, notes) = put.split_once(".SH NOTES\n.nf\n").unwrap();
    assert!(notes.contains("\n  heapledger put photo.jpg"), "{notes}");
    assert!(cli.ok(["man"]).contains("heapledger\\-rename\\-space(1)"));
    assert!(cli.ok(["man", "add", "pool"]).contains("heapledger\\-add\\-pool"));
    assert!(cli.fails(2, ["man", "frobnicate"]).contains("frobnicate"));

    assert_eq!(cli.ok(["man", "-o", "pages/man1"]), "");
    let pages: Vec<_> = std::fs::read_dir(cli.path("pages/man1"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(pages.len() > 50, "{} pages", pages.len());
    assert_eq!(cli.read("pages/man1/heapledger-put.1"), put.as_bytes());
    assert!(cli.names() == ["pages"] && !cli.has_heap());

    if !succeeds("groff", Command::new("groff").arg("--version")) {
        return;
    }
    for page in pages {
        let mut groff = Command::new("groff");
        groff
            .args(["-man", "-ww", "-k", "-Tutf8"])
            .arg(page.path())
            .stdout(Stdio::null());
        let warned = String::from_utf8(groff.output().unwrap().stderr).unwrap();
        assert_eq!(warned, "", "{:?}", page.file_name());
    }
}
