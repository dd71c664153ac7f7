//! `put` stores files and prints lines like sha256sum; `get` returns the same bytes.

use std::fs;

use crate::common::server;
use crate::support::{Cli, HELLO, noise, ran};

#[test]
fn a_file_comes_back_as_it_was() {
    let cli = Cli::new();
    cli.file("small", "hello");
    cli.file("empty", "");
    cli.file("large", noise(3_000_000));
    let printed = cli.ok(["put", "small", "empty", "large"]);
    assert!(printed.starts_with(&format!("{HELLO}  small\n")), "{printed}");
    for line in printed.lines() {
        let (id, path) = line.split_once("  ").unwrap();
        let output = cli.command(["get", id]).output().unwrap();
        assert!(output.stdout == cli.read(path), "{path} came back changed");
    }
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn the_start_of_an_id_is_enough() {
    let cli = Cli::new();
    cli.file("file", "hello");
    cli.ok(["put", "file"]);
    assert_eq!(cli.ok(["get", "2cf24d"]), "hello");
    assert_eq!(cli.ok(["get", "2CF24DBA"]), "hello");
    cli.fails(1, ["get", "2cf24"]);
}

#[test]
fn standard_input_is_a_dash() {
    let cli = Cli::new();
    let stored = ran(cli.command(["put", "-", "--name", "greeting"]).write_stdin("hello"));
    assert_eq!(stored.stdout, format!("{HELLO}  -\n"));
    assert_eq!(cli.ok(["get", "greeting"]), "hello");
}

/// A script that pipes a little into a refused command does not die, and can show the reason.
#[cfg(unix)]
#[test]
fn a_refused_put_drains_its_input() {
    let cli = Cli::new();
    cli.file("other.db", "not a heap");
    let script = "mkfifo pipe; heapledger --db other.db put - <pipe 2>why & \
                  exec 7>pipe; while ! [ -s why ]; do sleep 0.01; done; \
                  echo a little >&7; exec 7>&-; wait $!; echo $?";
    let ran = cli.sh(script);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "2\n"), "{}", ran.stderr);
    assert!(String::from_utf8_lossy(&cli.read("why")).contains("not an SQLite database"));
}

#[test]
fn the_summary_distinguishes_new_and_known_objects() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.file("b", "hello");
    cli.ok(["init"]);
    let stored = cli.run(["put", "a", "b"]);
    assert_eq!(
        stored.stderr,
        "stored 2 objects: 1 new in 1 piece (5 B), 1 already known (5 B)\n"
    );
    assert_eq!(cli.run(["put", "a", "--quiet"]).stderr, "");
}

#[test]
fn json_has_one_row_per_file() {
    let cli = Cli::new();
    cli.file("a", "hello");
    let rows = cli.json(["put", "a", "a"]);
    let row = |dedup| {
        serde_json::json!({
            "object_id": HELLO, "path": "a", "path_bytes": null, "name": null, "change": null, "size": 5, "pieces": 1,
            "dedup": dedup, "repaired": 0, "freed": null
        })
    };
    assert_eq!(rows, serde_json::json!([row(false), row(true)]));
}

#[test]
fn a_folder_is_stored_in_order_without_the_heap_in_it() {
    let cli = Cli::new();
    for name in ["c", "a/2", "a/1", "b"] {
        cli.file(name, name);
    }
    assert!(
        cli.run(["put", "a"])
            .stderr
            .contains("heapledger: a: is a directory; use -r\n")
    );
    let printed = cli.ok(["put", "-r", "."]);
    let paths: Vec<_> = printed.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(paths, ["./a/1", "./a/2", "./b", "./c"]);
}

#[test]
fn many_files_are_stored_in_many_batches() {
    let cli = Cli::new();
    for number in 0..1201 {
        cli.file(&format!("d/{number:04}"), format!("file {number}"));
    }
    let printed = cli.ok(["put", "-r", "d"]);
    assert_eq!(printed.lines().count(), 1201);
    assert_eq!(cli.json(["stats"])["objects"], 1201);
}

#[cfg(unix)]
#[test]
fn symbolic_links_and_pipes_in_a_folder_are_skipped() {
    let cli = Cli::new();
    cli.file("d/file", "hello");
    cli.file("outside", "secret");
    std::os::unix::fs::symlink("../outside", cli.path("d/link")).unwrap();
    let stored = cli.run(["put", "-r", "d"]);
    assert_eq!((stored.status, stored.stdout), (0, format!("{HELLO}  d/file\n")));
    assert!(
        stored.stderr.contains("skipped d/link: a symbolic link\n"),
        "{}",
        stored.stderr
    );
    // A link given on the command line is followed.
    assert!(cli.ok(["put", "d/link"]).ends_with("  d/link\n"));
}

#[test]
fn unreadable_files_are_reported_and_the_rest_is_stored() {
    let cli = Cli::new();
    cli.file("good", "hello");
    cli.ok(["init"]);
    let stored = cli.run(["put", "missing", "good"]);
    assert_eq!(stored.status, 2);
    assert_eq!(stored.stdout, format!("{HELLO}  good\n"));
    let lines: Vec<_> = stored.stderr.lines().collect();
    assert!(lines[0].starts_with("heapledger: missing: "), "{lines:?}");
    assert_eq!(lines[2], "heapledger: 1 path could not be stored");
}

#[test]
fn a_mistyped_path_leaves_no_heap_behind() {
    let cli = Cli::new();
    let stored = cli.run(["put", "mistyped"]);
    assert_eq!(
        (stored.status, stored.stderr.lines().count()),
        (2, 2),
        "{}",
        stored.stderr
    );
    assert!(cli.is_untouched());
}

#[test]
fn a_full_space_stores_what_fits_and_names_the_file_that_did_not() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64K", "--arena", "64K", "--classic"]);
    cli.file("1", noise(40_000));
    cli.file("2", noise(40_001));
    cli.file("3", "never read");
    let stored = cli.run(["put", "1", "2", "3"]);
    assert_eq!(stored.status, 3);
    assert_eq!(stored.stdout.lines().count(), 1);
    let line = stored.stderr.lines().last().unwrap();
    assert!(
        line.starts_with("heapledger: stopped at 2: out of memory: 40,001 bytes needed, 25,536 of 65,536 free"),
        "{line}"
    );
    assert_eq!(cli.ok(["check"]), "the books balance\n");
}

#[test]
fn a_name_allows_only_one_file() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["put", "a", "--name", "greeting"]);
    assert_eq!(cli.ok(["get", "greeting"]), "hello");
    cli.fails(2, ["put", "a", "a", "--name", "n"]);
    cli.fails(2, ["put", "-r", ".", "--name", "n"]);
    if server().is_none() {
        assert!(
            cli.run(["put", "heap.db"])
                .stderr
                .contains("heap.db: is the heap itself")
        );
    }
}

#[test]
fn output_appears_only_when_it_is_complete() {
    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["put", "a"]);
    cli.ok(["get", HELLO, "-o", "copy"]);
    assert_eq!(cli.read("copy"), b"hello");
    cli.file("copy", "older and longer");
    cli.ok(["get", HELLO, "--output", "copy"]);
    assert_eq!(cli.read("copy"), b"hello");

    // Damaged content is discarded, and the old file stays.
    cli.sql().change("UPDATE ledger SET data = CAST('jello' AS BLOB)");
    assert!(
        cli.fails(2, ["get", HELLO, "-o", "copy"])
            .starts_with("damaged: the content of object ")
    );
    assert_eq!(cli.read("copy"), b"hello");
    assert_eq!(cli.names(), ["a", "copy"]);
}

#[cfg(unix)]
#[test]
fn an_output_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let cli = Cli::new();
    cli.file("a", "hello");
    cli.ok(["put", "a"]);
    cli.ok(["get", HELLO, "-o", "copy"]);
    let mode = |name| fs::metadata(cli.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("copy"), mode("a"));
}

#[test]
fn output_to_a_folder_is_refused() {
    let cli = Cli::new();
    cli.file("d/a", "hello");
    cli.ok(["put", "d/a"]);
    assert!(cli.fails(2, ["get", HELLO, "-o", "d"]).contains("is a directory"));
    assert!(
        cli.fails(2, ["get", HELLO, "-o", "none/x"])
            .starts_with("none/x cannot be written: ")
    );
}

#[test]
fn a_file_whose_size_cannot_fit_is_refused_unread() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "64KiB"]);
    // Reading it would take minutes.
    fs::File::create(cli.path("sparse")).unwrap().set_len(1 << 40).unwrap();
    let error = refused(&cli, ["put", "sparse"]);
    assert!(
        error.contains("out of memory: 1,099,511,627,776 bytes needed"),
        "{error}"
    );
    let planned = cli.run(["put", "--dry-run", "sparse"]);
    assert_eq!(planned.status, 1, "{planned:?}");
    // A duplicate is accepted, although it would not fit a second time.
    cli.file("most", vec![1; 60 << 10]);
    cli.ok(["put", "-q", "most"]);
    let again = cli.run(["put", "most"]);
    assert!(again.stderr.contains("already known"), "{again:?}");
    cli.file("some", vec![1; 60 << 10]);
    cli.ok(["put", "--dry-run", "some"]);
}

#[test]
fn a_file_that_claims_to_be_empty_is_read_only_as_far_as_it_fits() {
    if !std::path::Path::new("/proc/self/pagemap").exists() {
        return;
    }
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "3MiB"]);
    let error = refused(&cli, ["put", "/proc/self/pagemap"]);
    assert!(error.contains("out of memory: 3,145,729 bytes needed"), "{error}");
    let planned = cli.run(["put", "--dry-run", "/proc/self/pagemap"]);
    assert_eq!(planned.status, 1, "{planned:?}");
    cli.ok(["put", "-q", "/proc/self/status"]);
}

/// The error of a `put` that is refused.
fn refused<const N: usize>(cli: &Cli, args: [&str; N]) -> String {
    let ran = cli.run(args);
    assert_ne!(ran.status, 0, "{ran:?}");
    ran.stderr
}

/// Files whose names are awkward on a line, each containing hello.
#[cfg(unix)]
fn awkward() -> Cli {
    use std::os::unix::ffi::OsStrExt;
    let cli = Cli::new();
    fs::create_dir(cli.path("d")).unwrap();
    let names: [&[u8]; 10] = [
        b"plain",
        b"a\nb",
        b"back\\slash",
        b"\\n",
        b"carriage\rreturn",
        b"tab\tx",
        "fam\u{200d}ily \u{202e}".as_bytes(),
        b"\xff\xfe.bin",
        b" blanks ",
        b"*star",
    ];
    for name in names {
        fs::write(cli.path("d").join(std::ffi::OsStr::from_bytes(name)), "hello").unwrap();
    }
    cli
}

#[cfg(unix)]
#[test]
fn sha256sum_can_check_every_line() {
    let cli = awkward();
    let stored = cli.command(["put", "-r", "d", "--quiet"]).output().unwrap();
    assert_eq!(stored.stdout.split(|&byte| byte == b'\n').count(), 11);
    cli.file("lines", &stored.stdout);
    let mut check = std::process::Command::new("sha256sum");
    let checked = check
        .args(["--check", "--strict", "lines"])
        .current_dir(cli.path(""))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_is_printed_byte_by_byte() {
    use std::os::unix::ffi::OsStrExt;
    let cli = awkward();
    for args in [&["put", "-r", "d"][..], &["put", "-r", "d", "--dry-run"]] {
        let rows = ran(cli.command(args).args(["--format", "json"])).stdout;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
        assert_eq!(rows.len(), 10);
        for row in rows {
            let path = match row["path_bytes"].as_str() {
                Some(digits) => const_hex::decode(digits).unwrap(),
                None => row["path"].as_str().unwrap().as_bytes().to_vec(),
            };
            let path = cli.path("").join(std::ffi::OsStr::from_bytes(&path));
            assert!(path.exists(), "{row}");
        }
    }
}

#[cfg(unix)]
#[test]
fn names_with_escape_sequences_are_escaped_on_a_terminal() {
    let cli = awkward();
    let seen = cli.on_terminal(200, &["put", "-r", "d"]);
    for part in [
        r"  d/\xff\xfe.bin",
        r"  d/a\nb",
        r"  d/carriage\rreturn",
        r"  d/fam\u{200d}ily \u{202e}",
    ] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    assert!(
        !seen.contains(|sign: char| sign.is_control() && sign != '\n'),
        "{seen:?}"
    );
}

#[test]
fn no_folder_for_temporary_files_is_needed() {
    let cli = Cli::new();
    for number in 0..20 {
        cli.file(&format!("d/{number}"), vec![number; 300_000]);
    }
    let without = |args: &[&str]| {
        let mut command = cli.command(args);
        let ran = ran(command
            .env("TMPDIR", "/nonexistent")
            .env("SQLITE_TMPDIR", "/nonexistent"));
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
        ran.stderr
    };
    let planned = without(&["put", "-r", "--dry-run", "d"]);
    // On a server, only `init` creates a heap.
    let is_new = planned.starts_with("there is no such space yet");
    assert_eq!(is_new, server().is_none(), "{planned}");
    assert!(cli.is_untouched());
    without(&["put", "-qr", "d"]);
    for args in [
        "ls",
        "check",
        "space",
        "usage --over-time",
        "sparse",
        "plan 1MiB",
        "gc",
        if server().is_none() {
            "backup b.db"
        } else {
            "copy --to b.db"
        },
        "export x",
    ] {
        without(&args.split(' ').collect::<Vec<_>>());
    }
    without(&["import", "x", "--db", "y.db"]);
}

/// A backup or export that another process is writing, or left behind when it was killed.
#[test]
fn a_folder_is_stored_without_temporary_files_of_heapledger() {
    let cli = Cli::new();
    cli.ok(["init"]);
    for folder in [
        "in/.heapledger-0123abcd-Xy12Zw",
        "in/deep/.heapledger-unknown0-Xy12Zw",
        "in/.heapledger-notes",
    ] {
        fs::create_dir_all(cli.path(folder)).unwrap();
        cli.file(&format!("{folder}/content"), folder);
    }
    cli.file("in/deep/file", "hello");
    // A regular file with such a name is stored.
    cli.file("in/.heapledger-0123abcd-Xy12Zx", "file");
    let put = cli.run(["put", "-r", "in"]);
    assert_eq!(put.status, 0, "{}", put.stderr);
    let stored: Vec<_> = put.stdout.lines().filter_map(|line| line.split_once("  ")).collect();
    let paths: Vec<_> = stored.iter().map(|(_, path)| *path).collect();
    assert_eq!(
        paths,
        [
            "in/.heapledger-0123abcd-Xy12Zx",
            "in/.heapledger-notes/content",
            "in/deep/file"
        ]
    );
    assert_eq!(
        put.stderr.matches("a temporary file of heapledger").count(),
        2,
        "{}",
        put.stderr
    );
    // It is stored if given on the command line.
    let put = cli.run(["put", "-r", "in/.heapledger-0123abcd-Xy12Zw"]);
    assert_eq!((put.status, put.stdout.lines().count()), (0, 1), "{}", put.stderr);
}

#[test]
fn the_file_that_standard_output_goes_to_is_not_replaced() {
    let cli = Cli::new();
    cli.ok(["set", "x", "content"]);
    let written = cli
        .script("(echo before; \"$0\" get x -o /dev/stdout; echo after) > all")
        .status()
        .unwrap();
    assert!(written.success());
    assert_eq!(fs::read_to_string(cli.path("all")).unwrap(), "before\ncontentafter\n");
    let written = cli
        .script("(echo before; \"$0\" report -o /dev/stdout --force; echo after) > page")
        .status()
        .unwrap();
    assert!(written.success());
    let page = fs::read_to_string(cli.path("page")).unwrap();
    assert!(page.starts_with("before\n<!") && page.ends_with("after\n"));
}
