//! `ls`, `show`, `ledger`, `tree`, `block` and `stats`: where every byte is.

#[cfg(unix)]
mod terminal;

use std::io::Read;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Cli, HELLO, noise};
use heapledger::Hold;

/// A heap with a small file, one too large for a block, and a value with a name.
fn some() -> Cli {
    let cli = Cli::new();
    cli.file("small", "hello");
    cli.file("large", noise(300_000));
    cli.ok(["put", "small", "large"]);
    cli.ok(["set", "answer", "42"]);
    cli
}

#[test]
fn ls_shows_what_is_stored() {
    let cli = some();
    let table = cli.ok(["ls"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("OBJECT        KIND        SIZE  PIECES  CREATED"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("2cf24dba5fb0  bytes        5 B       1  20"),
        "{table}"
    );
    assert!(lines[2].contains("293.0 KiB       2"), "{table}");
    assert!(lines[3].ends_with("answer  42"), "{table}");
    assert!(cli.ok(["ls", "--bytes"]).contains("  300000       2"));
    assert!(cli.ok(["ls", "--long"]).contains(HELLO));
}

#[test]
fn show_prints_everything_about_an_object() {
    let cli = some();
    let text = cli.ok(["show", "answer"]);
    for part in [
        "kind     int\n",
        "size     2 B in 1 piece\n",
        "name     answer, bound 20",
        "value    42\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let shown = cli.json(["show", "answer"]);
    assert_eq!(shown["bindings"][0]["name"], "answer");
    assert_eq!(shown["ledger"][0]["allocated_mem"], 2);
    assert!(
        cli.ok(["show", "2cf24d"])
            .contains("held     by an allocation without a name\n")
    );
}

#[test]
fn the_ledger_accounts_for_every_byte() {
    let cli = some();
    let all = cli.json(["ledger"]);
    let sum: u64 = all
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["allocated_mem"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 5 + 300_000 + 2);
    let one = cli.json(["ledger", "answer"]);
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert!(all.as_array().unwrap().contains(&one[0]));
}

#[test]
fn the_tree_shows_every_level_down_to_its_depth() {
    let cli = some();
    let text = cli.ok(["tree"]);
    for part in [
        "space main ",
        "├─ arena 1 ",
        "├─ arena 2 ",
        "└─ arena 3 ",
        "└─ pool 2 ",
        "blocks of 256.0 KiB",
        "block 1 ",
        "█",
        "░",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains('\x1b'), "colour without a terminal");
    let levels = |depth| {
        let rows = cli.json(["tree", "--depth", depth]);
        let levels = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["level"].as_str().unwrap().to_owned());
        levels
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(levels("1"), ["arena"]);
    assert_eq!(levels("2"), ["arena", "pool"]);
    assert_eq!(levels("3"), ["arena", "block", "pool"]);
    cli.fails(2, ["tree", "--depth", "4"]);
}

#[test]
fn a_block_lists_the_objects_in_it() {
    let cli = some();
    let text = cli.ok(["block", "1"]);
    assert!(
        text.starts_with("block 1 of pool 1 in arena 1\n7 B of 512 B used by 2 pieces, room for 505 B\n"),
        "{text}"
    );
    assert!(text.contains("\nobject 2cf24dba5fb0, piece 0: 5 B\n"), "{text}");
    assert!(
        text.contains("00000000  68 65 6c 6c 6f                                    |hello|\n00000005\n"),
        "{text}"
    );
    let block = cli.json(["block", "1"]);
    assert_eq!(
        (&block["mem"], &block["pieces"][0]["data"]),
        (&7.into(), &"68656c6c6f".into())
    );
    assert_eq!(
        cli.fails(1, ["block", "99"]),
        "no block 99 in space main; `heapledger tree` shows what exists"
    );
}

#[test]
fn a_large_piece_is_truncated_without_all() {
    let cli = some();
    let text = cli.ok(["block", "2"]);
    assert!(text.ends_with("… and 261632 bytes more; --all shows them\n"), "{text}");
    assert!(cli.ok(["block", "2", "--all"]).lines().count() > 16_000);
}

#[test]
fn stats_add_up() {
    let cli = some();
    assert!(cli.ok(["stats"]).contains("the buckets add up"));
    let stats = cli.json(["stats"]);
    let buckets = stats["buckets"].as_array().unwrap();
    let sum: u64 = buckets.iter().map(|bucket| bucket["bytes"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), stats["max_mem"].as_u64());
    assert_eq!(stats["mem"], 300_007);
}

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let cli = Cli::new();
    let evil = "\u{1b}[2J\u{202e}\n";
    cli.ok(["set", evil, evil]);
    let id = cli.json(["ls"])[0]["object_id"].as_str().unwrap().to_owned();
    for printed in [
        cli.ok(["ls"]),
        cli.ok(["show", evil]),
        cli.ok(["set", evil, evil]),
        cli.ok(["name", evil, evil]),
        cli.ok(["block", "1"]),
        cli.run(["get", "\u{1b}[2J"]).stderr,
        cli.run(["put", "\u{1b}[2J"]).stderr,
        cli.run(["free", &id]).stderr,
        cli.run(["--frog\u{1b}[2J"]).stderr,
        cli.ok(["unname", evil]),
    ] {
        assert!(!printed.contains(['\u{1b}', '\u{202e}']), "{printed:?}");
    }
}

#[test]
fn slowly_read_output_shows_one_state() {
    let cli = Cli::new();
    cli.ok(["init", "--classic", "--max-mem", "8MiB"]);
    let memory = cli.library();
    // More than a pipe buffer, and more than one page of rows, in every list.
    let big = noise(600_000);
    memory.store_bytes(&big, Hold::Name("big")).unwrap();
    for number in 0..600 {
        memory.store(&number, Hold::Name(&format!("name {number}"))).unwrap();
    }
    let commands = [
        &["ls", "--format", "ndjson"][..],
        &["ledger", "--format", "ndjson"],
        &["tree", "--format", "ndjson"],
        &["log", "--format", "ndjson"],
        &["get", "big"],
    ];
    let before: Vec<_> = commands
        .iter()
        .map(|args| cli.command(*args).output().unwrap().stdout)
        .collect();
    let mut running: Vec<_> = commands
        .iter()
        .map(|args| {
            let mut child = cli.program(*args).stdout(Stdio::piped()).spawn().unwrap();
            let mut first = vec![0; 1];
            child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
            (child, first)
        })
        .collect();
    let names: Vec<_> = memory.objects().flat_map(|object| object.unwrap().names).collect();
    memory
        .batch(|batch| names.iter().try_for_each(|name| batch.unbind(name).map(drop)))
        .unwrap();
    memory.collect_garbage().unwrap();
    for ((args, before), (child, read)) in commands.iter().zip(&before).zip(&mut running) {
        child.stdout.as_mut().unwrap().read_to_end(read).unwrap();
        assert!(child.wait().unwrap().success(), "{args:?}");
        assert!(read == before, "{args:?} read {} bytes of {}", read.len(), before.len());
    }
}

#[test]
fn inspection_works_while_a_writer_carves_frees_and_collects() {
    let cli = Cli::new();
    cli.ok(["init", "--classic", "--max-mem", "1MiB"]);
    // The writer may write more than is kept otherwise, and the first event is asked for.
    cli.ok(["history", "on"]);
    cli.ok(["set", "stays", "here"]);
    cli.ok(["copy", "--to", "other.db"]);
    let memory = cli.library();
    // Permanent objects, so that reading all levels takes a while.
    let numbers: Vec<_> = (0..700).map(|number| format!("{number:0700}")).collect();
    let stay = memory.batch(|batch| numbers.iter().try_for_each(|number| batch.allocate(number).map(drop)));
    stay.unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let comes_and_goes = noise(10_000);
            while !done.load(Ordering::Relaxed) {
                let id = memory.allocate_bytes(&comes_and_goes).unwrap();
                memory.free(&id).unwrap();
                memory.collect_garbage().unwrap();
            }
        });
        let mut failed = String::new();
        for _ in 0..3 {
            for args in [
                &["tree"][..],
                &["tree"],
                &["tree"],
                &["tree"],
                &["tree", "--format", "csv"],
                &["ls"],
                &["show", "stays"],
                &["get", "stays"],
                &["ledger"],
                &["ledger", "stays"],
                &["layout", "--at", "now"],
                &["log"],
                &["log", "--object", "stays"],
                &["usage"],
                &["usage", "--over-time"],
                &["diff", "@1"],
                &["diff", "other.db", cli.address().to_str().unwrap()],
                &["history"],
                &["stats"],
                &["spaces"],
                &["space"],
                &["plan", "5000"],
                &["sparse"],
                &["check"],
                // May exit with 1, because there may be findings.
                &["doctor"],
            ] {
                let ran = crate::support::ran(&mut cli.command(args));
                if ran.status > i32::from(args == ["doctor"]) {
                    failed.push_str(&format!("{args:?}: {}", ran.stderr));
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(failed.is_empty(), "{failed}");
    });
}
