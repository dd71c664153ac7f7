//! What finds names and objects: `ls` with its filters and orders, `du`, `log --name`, and names in listings.

use crate::support::Cli;

fn some() -> Cli {
    let cli = Cli::new();
    for (name, size) in [("t/b/large", 5000), ("t/a", 30), ("t/b/c/d", 700), ("u", 2)] {
        cli.file(name, vec![name.len() as u8; size]);
    }
    cli.ok(["put", "-r", "--names", "t", "u"]);
    cli.ok(["set", "value", "{\"a\":1}"]);
    cli.file("unnamed", "unnamed");
    cli.ok(["put", "unnamed"]);
    cli
}

/// The first names of the objects in a listing, or their sizes.
fn listed<const N: usize>(cli: &Cli, args: [&str; N]) -> Vec<String> {
    let rows = cli.json(args);
    let name = |row: &serde_json::Value| {
        row["names"][0]
            .as_str()
            .map_or_else(|| row["size"].to_string(), str::to_owned)
    };
    rows.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn objects_are_listed_in_the_order_that_is_asked_for() {
    let cli = some();
    let stored = ["t/a", "t/b/c/d", "t/b/large", "u", "value", "7"];
    let with = |args: &[&str]| {
        let mut all = vec!["ls"];
        all.extend(args);
        let mut command = cli.command(all);
        let ran = crate::support::ran(command.args(["--format", "json"]));
        let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let name = |row: &serde_json::Value| row["names"][0].as_str().unwrap_or("7").to_owned();
        rows.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(with(&[]), stored);
    assert_eq!(with(&["--limit", "2"]), stored[..2]);
    assert_eq!(with(&["--reverse", "-n", "2"]), ["7", "value"]);
    let by_size = ["t/b/large", "t/b/c/d", "t/a", "value", "7", "u"];
    assert_eq!(with(&["--sort", "size"]), by_size);
    assert_eq!(with(&["--sort", "size", "--limit", "1"]), by_size[..1]);
    assert_eq!(with(&["--sort", "size", "--reverse", "-n", "1"]), ["u"]);
    assert_eq!(
        with(&["--sort", "name"]),
        ["t/a", "t/b/c/d", "t/b/large", "u", "value", "7"]
    );
    assert_eq!(with(&["--sort", "time", "-n", "2"]), ["7", "value"]);
    assert_eq!(
        with(&["--sort", "kind"]),
        ["t/a", "t/b/c/d", "t/b/large", "u", "7", "value"]
    );
    assert_eq!(with(&["--sort", "pieces"]).len(), 6);
}

#[test]
fn objects_are_found_by_name_kind_and_time() {
    let cli = some();
    assert_eq!(listed(&cli, ["ls", "--like", "t/b*"]), ["t/b/c/d", "t/b/large"]);
    assert_eq!(listed(&cli, ["ls", "--like", "?"]), ["u"]);
    assert_eq!(listed(&cli, ["ls", "--like", "*[ad]"]), ["t/a", "t/b/c/d"]);
    assert_eq!(listed(&cli, ["ls", "--unnamed"]), ["7"]);
    assert_eq!(listed(&cli, ["ls", "--kind", "json,str"]), ["value"]);
    assert_eq!(listed(&cli, ["ls", "--since", "1h"]).len(), 6);
    assert_eq!(listed(&cli, ["ls", "--since", "2199-01-01"]), [""; 0]);
    assert_eq!(
        listed(
            &cli,
            ["ls", "--kind", "bytes", "--like", "*", "--sort", "size", "-n", "1"]
        ),
        ["t/b/large"]
    );
    cli.fails(2, ["ls", "--kind", "nothing"]);
    cli.fails(2, ["ls", "--like", "["]);
}

/// The rows of `du`: bytes, names, name.
fn used<const N: usize>(cli: &Cli, args: [&str; N]) -> Vec<(u64, u64, String)> {
    let rows = cli.json(args);
    let row = |row: &serde_json::Value| {
        let number = |key: &str| row[key].as_u64().unwrap();
        (
            number("bytes"),
            number("names"),
            row["name"].as_str().unwrap().to_owned(),
        )
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn du_adds_up_the_bytes_below_each_folder() {
    let cli = some();
    let row = |bytes, names, name: &str| (bytes, names, name.to_owned());
    let all = [
        row(700, 1, "t/b/c"),
        row(5700, 2, "t/b"),
        row(5730, 3, "t"),
        row(5739, 5, "."),
    ];
    assert_eq!(used(&cli, ["du"]), all);
    assert_eq!(used(&cli, ["du", "-d", "1"]), all[2..]);
    assert_eq!(used(&cli, ["du", "--summarize"]), all[3..]);
    assert_eq!(used(&cli, ["du", "t/b/"]), all[..2]);
    assert_eq!(used(&cli, ["du", "-s", "t/b/c/d"]), [row(700, 1, "t/b/c/d")]);
    let files = [row(30, 1, "t/a"), row(5700, 2, "t/b"), row(5730, 3, "t")];
    assert_eq!(used(&cli, ["du", "--all", "--max-depth", "1", "t"]), files);
    cli.fails(1, ["du", "missing"]);

    // Of two names for one object the first one counts.
    cli.ok(["name", "t/b/large", "t/a0"]);
    assert_eq!(used(&cli, ["du", "-d", "1"]), [row(5730, 4, "t"), row(5739, 6, ".")]);
    assert_eq!(used(&cli, ["du", "-s", "t/b"]), [row(5700, 2, "t/b")]);
}

#[test]
fn the_history_of_a_name_goes_through_all_its_objects() {
    let cli = Cli::new();
    for value in ["1", "2", "3"] {
        cli.ok(["set", "it", value]);
    }
    cli.ok(["name", "it", "other"]);
    cli.ok(["rm", "it"]);
    let events = cli.json(["log", "--name", "it"]);
    let events = events.as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["bind", "unbind", "bind", "unbind", "bind", "unbind"]);
    let mut objects: Vec<_> = events
        .iter()
        .map(|event| event["object_id"].as_str().unwrap())
        .collect();
    objects.dedup();
    assert_eq!(objects.len(), 3);
    assert_eq!(cli.json(["log", "--name", "it", "-n", "1"])[0]["kind"], "unbind");
    assert_eq!(cli.json(["log", "--name", "never"]), serde_json::json!([]));
}

#[test]
fn listings_have_the_names_of_objects() {
    let cli = some();
    cli.ok(["name", "u", "alias"]);
    let rows = cli.json(["ledger"]);
    let names: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["names"].to_string())
        .collect();
    assert!(
        names.contains(&r#"["alias","u"]"#.to_owned()) && names.contains(&"[]".to_owned()),
        "{names:?}"
    );
    assert_eq!(cli.json(["ledger", "t/a"])[0]["names"][0], "t/a");
    let freed = cli.json(["free", "--force", "alias"]);
    assert_eq!(freed[0]["names"], serde_json::json!(["alias", "u"]));
}

#[test]
fn a_difference_has_the_names_that_objects_have_or_had() {
    let cli = some();
    let moment = cli.json(["log", "-n", "1"])[0]["id"].to_string();
    cli.ok(["set", "value", "2"]);
    cli.ok(["set", "u", "3"]);
    for moments in [&[moment.as_str()][..], &[&moment, "now"], &["1h", "now"]] {
        let mut command = cli.command([&["diff"], moments, &["--format", "json"]].concat());
        let diff: serde_json::Value = serde_json::from_str(&crate::support::ran(&mut command).stdout).unwrap();
        let names_of = |what: &str| {
            let objects = diff[what].as_array().unwrap().iter();
            objects
                .map(|object| diff["names"][object["object_id"].as_str().unwrap()].to_string())
                .collect::<Vec<_>>()
        };
        if moments[0] == moment {
            assert_eq!(names_of("freed"), [r#"["value"]"#, r#"["u"]"#]);
            assert_eq!(names_of("added").len(), 2);
        }
        assert!(names_of("added").contains(&r#"["u"]"#.to_owned()));
    }
    assert!(cli.ok(["diff", &moment]).contains("value"));
}

#[test]
fn commands_of_other_programs_are_understood_or_explained() {
    let cli = some();
    assert_eq!(cli.ok(["cat", "u"]), "\u{1}\u{1}");
    cli.ok(["rm", "u"]);
    cli.fails(1, ["cat", "u"]);
    for (command, instead) in [
        ("mv", "heapledger name OLD NEW"),
        ("cp", "heapledger name"),
        ("rsync", "put -r --names"),
    ] {
        let line = cli.fails(2, [command, "a", "b"]);
        assert!(line.contains(instead), "{line}");
    }
}
