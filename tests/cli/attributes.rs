//! Permissions, links and empty folders: `put --attributes`, `get -r --attributes`, and plain tars.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::Cli;

/// A file, a script, a link and an empty folder.
fn tree() -> Cli {
    let cli = Cli::new();
    cli.file("t/notes", "notes");
    cli.file("t/bin/run", "#!/bin/sh");
    fs::set_permissions(cli.path("t/bin/run"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("bin/run", cli.path("t/link")).unwrap();
    fs::create_dir(cli.path("t/empty")).unwrap();
    fs::set_permissions(cli.path("t/empty"), fs::Permissions::from_mode(0o700)).unwrap();
    cli
}

/// Names with their tags.
fn kept(cli: &Cli) -> BTreeMap<String, String> {
    let names = cli.library().names_with_prefix("").map(|name| name.unwrap());
    let tags = |tags: BTreeMap<String, String>| {
        let tags = tags.into_iter().map(|(key, value)| format!("{key}={value}"));
        tags.collect::<Vec<_>>().join(" ")
    };
    names.map(|name| (name.name, tags(name.tags))).collect()
}

fn expected(folder: &str) -> BTreeMap<String, String> {
    [
        ("bin/run", "file-mode=0751"),
        ("empty", "file-mode=0700 file-type=folder"),
        ("link", "file-type=link"),
        ("notes", "file-mode=0644"),
    ]
    .map(|(name, tags)| (format!("{folder}/{name}"), tags.to_owned()))
    .into()
}

fn assert_same(one: &Path, other: &Path) {
    for name in ["notes", "bin/run", "link", "empty"] {
        let [one, other] = [one, other].map(|folder| folder.join(name).symlink_metadata().unwrap());
        assert_eq!(one.mode(), other.mode(), "{name}");
    }
    assert_eq!(fs::read_link(other.join("link")).unwrap(), Path::new("bin/run"));
    assert_eq!(fs::read(other.join("link")).unwrap(), b"#!/bin/sh");
}

#[test]
fn attributes_are_tags_and_come_back() {
    let cli = tree();
    fs::set_permissions(cli.path("t/notes"), fs::Permissions::from_mode(0o644)).unwrap();
    let planned = cli.run(["put", "-r", "--names", "-a", "t", "--dry-run"]);
    assert!(planned.stderr.contains("would store 4 objects"), "{planned:?}");
    cli.ok(["put", "-r", "--names", "-a", "t"]);
    assert_eq!(kept(&cli), expected("t"));
    let said = cli.ok(["get", "-r", "-a", "t", "-o", "copy"]);
    assert!(said.starts_with("copy: 2 files, 1 link, 1 empty folder"), "{said}");
    assert_same(&cli.path("t"), &cli.path("copy"));
    cli.ok(["get", "-r", "-a", "-f", "t", "-o", "copy"]);
    assert_same(&cli.path("t"), &cli.path("copy"));
    let plain = cli.run(["get", "-r", "t", "-o", "plain"]);
    assert_eq!(plain.status, 1, "{plain:?}");
    assert!(plain.stderr.contains("skipped t/link: "), "{plain:?}");
    cli.ok(["check"]);
}

#[test]
fn a_sync_keeps_attributes_in_step() {
    let cli = tree();
    fs::set_permissions(cli.path("t/notes"), fs::Permissions::from_mode(0o644)).unwrap();
    cli.ok(["put", "-r", "--sync", "-a", "t"]);
    assert_eq!(kept(&cli), expected("t"));
    let again = cli.run(["put", "-r", "--sync", "-a", "t"]);
    assert!(again.stderr.contains("4 unchanged"), "{again:?}");
    fs::set_permissions(cli.path("t/notes"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(cli.path("t/link")).unwrap();
    cli.file("t/link", "bin/run");
    fs::set_permissions(cli.path("t/link"), fs::Permissions::from_mode(0o644)).unwrap();
    cli.file("t/empty/file", "x");
    let planned = cli.run(["put", "-r", "--sync", "-a", "t", "--dry-run"]);
    assert!(planned.stderr.contains("would store 3 files"), "{planned:?}");
    let changed = cli.ok(["put", "-r", "--sync", "-a", "t"]);
    assert_eq!(
        changed,
        "gone     t/empty\nnew      t/empty/file\nchanged  t/link\nchanged  t/notes\n"
    );
    let kept = kept(&cli);
    assert_eq!(
        (kept["t/notes"].as_str(), kept["t/link"].as_str()),
        ("file-mode=0600", "file-mode=0644")
    );
    // Without it, what is a link or an empty folder is not seen, and permissions stay as they are.
    symlink("notes", cli.path("t/other")).unwrap();
    let again = cli.run(["put", "-r", "--sync", "t"]);
    assert!(again.stderr.contains("4 unchanged"), "{again:?}");
}

#[test]
fn a_sync_without_attributes_removes_only_links_and_folders_that_are_gone() {
    let cli = tree();
    fs::set_permissions(cli.path("t/notes"), fs::Permissions::from_mode(0o644)).unwrap();
    cli.ok(["put", "-r", "--sync", "-a", "t"]);
    let (link, folder) = (cli.path("t/link"), cli.path("t/empty"));
    assert_eq!(cli.ok(["put", "-r", "--sync", "t", "--dry-run"]), "");
    assert_eq!(cli.ok(["put", "-r", "--sync", "t"]), "");
    assert_eq!(kept(&cli), expected("t"));
    fs::remove_file(&link).unwrap();
    assert_eq!(cli.ok(["put", "-r", "--sync", "t"]), "gone     t/link\n");
    fs::remove_dir(&folder).unwrap();
    assert_eq!(cli.ok(["put", "-r", "--sync", "t"]), "gone     t/empty\n");
}

#[test]
fn a_tar_of_files_is_stored_by_name_and_comes_back() {
    let cli = tree();
    fs::set_permissions(cli.path("t/notes"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = cli.sh("tar c t | heapledger import - --by-name -a --prefix p");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("4 names"), "{}", ran.stdout);
    assert_eq!(kept(&cli), expected("p/t"));
    let ran = cli.sh("heapledger export - --by-name -a --prefix p | (mkdir out && tar -xp -C out)");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_same(&cli.path("t"), &cli.path("out/t"));
    let ran = cli.sh("tar c t | heapledger import - --by-name --prefix q");
    assert!(ran.stderr.contains("skipped t/link: a symbolic link"), "{}", ran.stderr);
    assert_eq!(ran.status, 0);
    let refused = cli.sh("tar c t | heapledger import -");
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("is not an export: it begins with t/") && refused.stderr.contains("import - --by-name"),
        "{}",
        refused.stderr
    );
    let failed = cli.sh("tar cP \"$PWD/t/notes\" | heapledger import - --by-name");
    assert_eq!(failed.status, 2, "{}", failed.stdout);
    assert!(failed.stderr.contains("its path is absolute"), "{}", failed.stderr);
    let refused = cli.fails(2, ["import", "t", "--by-name"]);
    assert!(refused.contains("put -r --names"), "{refused}");
    cli.ok(["check"]);
}
