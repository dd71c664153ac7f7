//! Every command has help with examples that work.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{files_only, server};
use crate::support::Cli;

#[rustfmt::skip]
const COMMANDS: [&str; 41] = [
    "init", "put", "set", "get", "ls", "show", "name", "unname", "free", "ledger", "tree", "block", "stats", "gc",
    "check", "spaces", "resize", "add", "doctor", "plan", "sparse", "space", "log", "usage", "layout", "diff",
    "history", "replay", "report", "drop-space", "rename-space", "compact", "apply", "watch",
    "metrics", "sql", "completions", "man", "map", "explain", "top",
];

#[test]
fn help_lists_every_command() {
    let help = Cli::new().ok(["--help"]);
    for command in COMMANDS {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command}"
        );
    }
    assert!(help.contains("Exit status: 0"), "{help}");
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let cli = Cli::new();
    for command in COMMANDS {
        let help = cli.ok([command, "--help"]);
        let (_, examples) = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command} has none"));
        let used = examples
            .lines()
            .any(|line| line.contains("heapledger") && line.contains(command));
        assert!(used, "{command}: {examples}");
    }
    for part in ["arena", "pool", "block"] {
        assert!(
            cli.ok(["add", part, "--help"])
                .contains(&format!("heapledger add {part}"))
        );
    }
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(
        Cli::new().ok(["--version"]),
        format!("heapledger {}\n", env!("CARGO_PKG_VERSION"))
    );
}

/// The subcommands of `command`, recursively, each with its help.
fn helps(cli: &Cli, command: &str, into: &mut BTreeMap<String, String>) {
    let help = cli.sh(&format!("heapledger {command} --help")).stdout;
    let (_, below) = help.split_once("Commands:\n").unwrap_or_default();
    let below = below.lines().take_while(|line| !line.is_empty());
    let starts = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in starts.filter_map(|line| line.split_whitespace().next()) {
        if name != "help" {
            helps(cli, format!("{command} {name}").trim(), into);
        }
    }
    into.insert(command.to_owned(), help);
}

fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("Example").unwrap_or_default();
    let lines = examples.lines().skip(1).take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// Creates everything that the examples mention, and a heap.
const FIXTURE: &str = r#"
set -e
mkdir photos src many bin backups
printf hello > photo.jpg; printf world > notes.txt; printf picture > photos/one.jpg
printf report > report.pdf; printf code > src/main.rs; tar -cf backup.tar src; printf '{"a": 1}' > config.json
for number in $(seq 210); do printf "$number" > many/$number; done
for tool in jq less; do
    command -v $tool >/dev/null || { printf '#!/bin/sh\ncat >/dev/null\n' > bin/$tool; chmod +x bin/$tool; }
done
heapledger init --max-mem 64MiB
for arena in 1 2 3; do heapledger add arena; done
heapledger add pool 1 --class 512
heapledger add pool 2 --class 4KiB
heapledger add pool 3 --class 32KiB
heapledger add block 3
for block in 1 2 3 4 5 6 7 8; do heapledger add block 1; heapledger add block 2; done
heapledger put -q -r many photo.jpg notes.txt
heapledger name 2cf24dba5fb0 hello
heapledger name 2cf24dba5fb0 greeting
heapledger set block $(printf '%08d' $(seq 500))
heapledger put -q --name backup.tar backup.tar
heapledger reserve 64KiB --key report
heapledger reserve 1MiB --key sources
heapledger reserve 64KiB --key draft
printf '1,7,100\n2,8,100\n' > requests.csv; gzip -k requests.csv; printf '1,2,r,512,9\n' > io.csv
heapledger --db old.db set x 1; heapledger --db new.db set x 2
heapledger --db cache.db init
heapledger --space cache set --create x 1
"#;

#[test]
fn every_example_works_as_written() {
    files_only!(Transcripts);
    let cli = Cli::new();
    let made = cli.sh(FIXTURE);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let mut commands = BTreeMap::new();
    helps(&cli, "", &mut commands);
    let mut failed = Vec::new();
    assert!(commands.len() > 30, "{:?}", commands.keys());
    for (command, help) in &commands {
        let examples = examples(help);
        assert!(!examples.is_empty(), "{command} has no example");
        for example in examples {
            assert!(example.chars().count() <= 77, "too wide for a terminal: {example}");
            let code = example.split(" # ").next().unwrap().trim_end();
            assert!(!code.contains("  "), "a comment needs a #: {example}");
            failed.extend(run_example(&cli, command, &example));
        }
    }
    assert!(failed.is_empty(), "{}", failed.concat());
}

/// Runs the example in a copy of the folder, so that all start from the same state.
fn run_example(cli: &Cli, command: &str, example: &str) -> Option<String> {
    let prepare = match command {
        "init" => "rm -f heap.db* cache.db*",
        "plan" | "evict" if example.contains("--evict") || example.contains("--free") => {
            "heapledger evict oldest >/dev/null"
        }
        "apply" => "heapledger gc --plan p.json >/dev/null",
        "import" => "heapledger export files >/dev/null; heapledger export - 2>/dev/null >heap.tar",
        "restore" => "heapledger backup heap-copy.db >/dev/null",
        "free" if example.contains(" 2cf24dba5fb0") => {
            "heapledger unname greeting >/dev/null && heapledger unname hello >/dev/null"
        }
        "get" | "du" if example.contains(" photos") => "heapledger put -r --names photos >/dev/null",
        "history on" => "heapledger history off >/dev/null",
        _ => "true",
    };
    fs::write(cli.path("example"), example).unwrap();
    let script = format!(
        "rm -rf ../copy; cp -a . ../copy && cd ../copy && export HOME=$PWD PATH=$PWD/bin:$PATH && {prepare} && \
         timeout --kill-after=5 2 sh ./example </dev/null"
    );
    let folder = tempfile::tempdir().unwrap();
    let script = script.replace("../copy", folder.path().join("copy").to_str().unwrap());
    let ran = cli.sh(&script);
    let wanted = match command {
        "watch" => &[124, 137],
        _ if example.contains("--follow") || example.contains("--listen") => &[124, 137][..],
        // Status 1 means findings, a threshold, or that something does not fit.
        "doctor" | "diff" | "plan" => &[0, 1],
        _ => &[0],
    };
    for name in ["photo.jpg", "notes.txt", "photos/one.jpg", "config.json", "backup.tar"] {
        let copy = fs::read(folder.path().join("copy").join(name)).unwrap();
        assert!(copy == cli.read(name), "{example} overwrites {name}");
    }
    (!wanted.contains(&ran.status)).then(|| format!("{example}: {} {}", ran.status, ran.stderr))
}

#[test]
fn every_remedy_of_doctor_is_a_working_command() {
    let cli = Cli::new();
    cli.file("it's a folder/large", vec![7; 600_000]);
    cli.file("it's a folder/-", "");
    let fill = r#"
        set -e; cd "it's a folder"
        heapledger --db full.db init --max-mem 600KiB
        head -c 600000 /dev/urandom > f; heapledger --db full.db put -q f
        heapledger --db 'it is $HOME.db' --space 'a b' init --max-mem 1MiB
        heapledger --db 'it is $HOME.db' --space 'a b' put -q f --name f
        heapledger --db 'it is $HOME.db' --space 'a b' unname f
        head -c 9000000 /dev/urandom > g
        heapledger --db=-free.db put -q g --name g; heapledger --db=-free.db unname g
        mkdir many; for n in $(seq 5000); do printf "$n" > many/$n; done
        heapledger --db 'file%3Asmall.db' put -q -r many
        HEAPLEDGER_DB=sqlite:file%253Asmall.db heapledger put -q -r many
        heapledger --db sparse.db init
        mkdir wide; for n in $(seq 160); do head -c 32768 /dev/urandom > wide/$n; done
        heapledger --db sparse.db put -q -r wide
        rm wide/*0; heapledger --db sparse.db free $(sha256sum wide/* | cut -d' ' -f1) >/dev/null
    "#;
    let on_server = r#"
        set -e; cd "it's a folder"
        heapledger --space full init --max-mem 600KiB
        head -c 600000 /dev/urandom > f; heapledger --space full put -q f
        heapledger --space 'a $HOME' init --max-mem 1MiB
        heapledger --space 'a $HOME' put -q f --name f; heapledger --space 'a $HOME' unname f
        mkdir wide; for n in $(seq 160); do head -c 32768 /dev/urandom > wide/$n; done
        heapledger put -q -r wide
        rm wide/*0; heapledger free $(sha256sum wide/* | cut -d' ' -f1) >/dev/null
    "#;
    let in_files = [
        "--db full.db",
        "--db 'it is $HOME.db' --space 'a b'",
        "--db=-free.db",
        "--db 'file%3Asmall.db'",
        "--db sparse.db",
    ];
    let (fill, heaps, expected) = match server() {
        None => (fill, &in_files[..], &["gc", "resize", "free", "sparse", "space"][..]),
        Some(_) => (
            on_server,
            &["--space full", "--space 'a $HOME'", ""][..],
            &["gc", "resize", "free", "sparse"][..],
        ),
    };
    let filled = cli.sh(fill);
    assert_eq!(filled.status, 0, "{}", filled.stderr);
    let mut run = Vec::new();
    for heap in heaps {
        let folder = "cd \"it's a folder\" && ";
        let table = cli.sh(&format!("{folder}heapledger {heap} doctor"));
        let json = cli.sh(&format!("{folder}heapledger {heap} doctor --format json"));
        assert!(table.status <= 1 && json.status <= 1, "{heap}: {}", json.stderr);
        let findings: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let remedies = findings.as_array().unwrap().iter();
        let remedies = remedies.flat_map(|finding| finding["remedy"].as_array().unwrap());
        let remedies: Vec<_> = remedies.map(|remedy| remedy.as_str().unwrap()).collect();
        let printed = table.stdout.lines().map(str::trim);
        let printed = printed.filter_map(|line| line.strip_prefix("run:").or_else(|| line.strip_prefix("or:")));
        assert_eq!(printed.map(str::trim).collect::<Vec<_>>(), remedies, "{heap}");
        for remedy in remedies {
            // What was printed is without the address.
            let remedy = remedy.replace("--db heap.db", "--db \"$HEAPLEDGER_DB\"");
            let ran = cli.sh(&format!("{folder}{remedy}"));
            assert_eq!(ran.status, 0, "{remedy}: {}", ran.stderr);
            run.extend(
                remedy
                    .split_whitespace()
                    .filter(|word| word.chars().all(|sign| sign.is_ascii_lowercase()))
                    .map(str::to_owned),
            );
        }
    }
    for command in expected {
        assert!(
            run.iter().any(|word| word == command),
            "{command} was never a remedy: {run:?}"
        );
    }
}
