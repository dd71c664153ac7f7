//! Every command explains itself, with an example.

#![cfg(test)]

mod cli_support;

use cli_support::Cli;

const COMMANDS: [&str; 27] = [
    "init", "put", "set", "get", "ls", "show", "name", "unname", "free", "ledger", "tree", "block", "stats", "gc",
    "check", "spaces", "resize", "add", "doctor", "plan", "pins", "space", "log", "usage", "layout", "diff", "history",
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
fn the_help_of_every_command_has_an_example_of_it() {
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
