//! `set` infers the kind of a value, or takes it from `--as`.

use crate::support::Cli;

#[test]
fn the_kind_of_a_value_is_inferred() {
    let cli = Cli::new();
    for (value, kind, content) in [
        ("42", "int", "42"),
        ("-5", "int", "-5"),
        ("4.2", "float", "4.2"),
        ("-1e3", "float", "-1000.0"),
        ("true", "bool", "true"),
        ("null", "none", ""),
        ("{\"b\": 1, \"a\": [2]}", "json", "{\"a\":[2],\"b\":1}"),
        ("hello", "str", "hello"),
        ("01234", "str", "01234"),
        ("", "str", ""),
    ] {
        let set = cli.json(["set", "value", value]);
        assert_eq!(
            (set["kind"].as_str(), set["name"].as_str()),
            (Some(kind), Some("value")),
            "{value}"
        );
        assert_eq!(cli.ok(["get", "value"]), content, "{value}");
        assert_eq!(cli.json(["show", "value"])["kind"], kind);
    }
}

#[test]
fn as_says_otherwise() {
    let cli = Cli::new();
    for (value, kind) in [
        ("42", "str"),
        ("42", "float"),
        ("[1]", "json"),
        ("", "none"),
        ("False", "bool"),
        ("7", "int"),
    ] {
        cli.ok(["set", "--as", kind, "value", value]);
        assert_eq!(cli.json(["show", "value"])["kind"], kind);
    }
}

#[test]
fn a_value_invalid_for_its_kind_is_refused_and_creates_nothing() {
    let cli = Cli::new();
    for (kind, value) in [
        ("int", "4.2"),
        ("float", "x"),
        ("bool", "1"),
        ("none", "0"),
        ("json", "{"),
        ("float", "inf"),
    ] {
        let line = cli.fails(2, ["set", "n", value, "--as", kind]);
        assert!(line.starts_with(value), "{line}");
    }
    for value in ["{\"a\":1,}", "123456789012345678901234567890", "1e999"] {
        assert!(cli.fails(2, ["set", "n", value]).contains("--as str"), "{value}");
    }
    assert!(
        cli.fails(2, ["set", "n", "1", "--as", "number"])
            .contains("possible values: int")
    );
    assert!(cli.is_untouched());
}

#[test]
fn setting_a_name_again_moves_it_and_frees_its_object() {
    let cli = Cli::new();
    cli.ok(["set", "answer", "41"]);
    cli.ok(["set", "answer", "42"]);
    assert_eq!(cli.ok(["get", "answer"]), "42");
    assert_eq!(cli.json(["ls"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_value_too_large_for_an_argument_comes_from_a_file_or_a_pipe() {
    let cli = Cli::new();
    let large = format!("{{\"k\":\"{}\"}}", "x".repeat(200_000));
    cli.file("v.json", format!("{large}\r\n"));
    cli.ok(["set", "file", "--as", "json", "@v.json"]);
    assert_eq!(cli.ok(["get", "file"]), large);
    for script in ["heapledger set pipe - <v.json", "heapledger set pipe @- <v.json"] {
        assert_eq!(cli.sh(script).status, 0);
        assert_eq!(cli.ok(["get", "pipe"]), large);
    }
    assert_eq!(
        cli.sh("echo 42 | heapledger set n -").stdout,
        cli.ok(["set", "n", "42"])
    );
    // The kind is inferred from the content of the file, and errors name the file.
    cli.file("bytes", [0xff, 0xfe]);
    cli.file("broken", "{\"a\":1,}");
    for (value, why) in [
        ("@bytes", "@bytes: is not UTF-8"),
        ("@broken", "@broken: "),
        ("@none", "@none: cannot be read; --raw"),
        ("@.", "@.: "),
    ] {
        let line = cli.fails(2, ["set", "n", value]);
        assert!(line.starts_with(why), "{line}");
    }
    assert_eq!(cli.ok(["get", "n"]), "42");
    for value in ["@none", "-", "@-"] {
        cli.ok(["set", "--raw", "n", value]);
        assert_eq!(cli.ok(["get", "n"]), value);
    }
}

#[test]
fn the_answer_names_the_value() {
    let cli = Cli::new();
    let printed = cli.ok(["set", "answer", "42"]);
    let set = cli.json(["set", "answer", "42"]);
    let id = set["object_id"].as_str().unwrap();
    assert_eq!(printed, format!("{}  answer (int)\n", &id[..12]));
    let found = serde_json::json!({"object_id": id, "name": "answer", "kind": "int", "size": 2, "pieces": 1, "dedup": true, "freed": null});
    assert_eq!(set, found);
}
