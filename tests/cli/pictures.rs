//! `map`, `explain` and `top`: what is where, as pictures.

use heapledger::History;
use serde_json::{Value, json};

use crate::common::content;
use crate::support::Cli;

/// A classic space: two blocks for the first object, of which the second has room.
fn classic() -> Cli {
    let cli = Cli::new();
    cli.ok(["init", "--classic", "--max-mem", "1MiB"]);
    cli.file("first", content(1, 600));
    cli.ok(["put", "-q", "first", "--name", "first", "--tag", "owner=ann"]);
    cli.ok(["set", "second", "hello"]);
    cli
}

#[test]
fn a_map_has_a_cell_for_each_block() {
    let cli = classic();
    let map = cli.ok(["map"]);
    assert!(map.starts_with("      1 █░\n"), "{map}");
    assert!(
        map.contains("█  full: 1 block\n") && map.contains("a cell is a block"),
        "{map}"
    );
    assert!(!map.contains('\x1b'), "{map}");
    let blocks = cli.json(["map", "--by", "class"]);
    let tree = cli.json(["tree"]);
    let in_tree = tree.as_array().unwrap().iter().filter(|node| node["level"] == "block");
    let in_tree: Vec<_> = in_tree.map(|node| (&node["id"], &node["mem"])).collect();
    let in_map: Vec<_> = blocks
        .as_array()
        .unwrap()
        .iter()
        .map(|block| (&block["block_id"], &block["mem"]))
        .collect();
    assert_eq!(in_map, in_tree);
    assert_eq!(blocks[0]["shows"], "blocks of 512 B");
}

#[test]
fn a_map_tells_whose_blocks_they_are_and_how_old() {
    let cli = classic();
    let owners = cli.json(["map", "--by", "owner"]);
    assert_eq!(owners[0]["shows"], "owner=ann (600 B)");
    assert!(cli.ok(["map", "--by", "owner"]).starts_with("      1 AA\n"));
    // In the second block, the first object has most bytes.
    let objects = cli.ok(["map", "--by", "object"]);
    assert!(objects.starts_with("      1 AA\n"), "{objects}");
    let ages = cli.ok(["map", "--by", "age"]);
    assert!(
        ages.starts_with("      1 ''\n") && ages.contains("less than an hour old: 2 blocks"),
        "{ages}"
    );
    cli.ok(["free", "--force", "first"]);
    let ages = cli.ok(["map", "--by", "age"]);
    assert!(ages.starts_with("      1 .'\n"), "{ages}");
    let owners = cli.ok(["map", "--by", "owner"]);
    assert!(
        owners.starts_with("      1 .-\n") && owners.contains("untagged: 1 block"),
        "{owners}"
    );
}

#[test]
fn a_map_shows_where_one_object_is_and_what_was_before() {
    let cli = classic();
    let map = cli.ok(["map", "second"]);
    assert!(
        map.starts_with("      1 ·█\n") && map.contains("piece 0: 5 B in arena 1, pool 1, block 2"),
        "{map}"
    );
    let then = cli.ok(["map", "--at", "@1"]);
    assert!(
        then.starts_with("after event 1 at ") && then.contains("no block is carved"),
        "{then}"
    );
    let blocks = cli.json(["map", "--at", "@2"]);
    assert_eq!(blocks[1]["mem"], 88);
    assert!(
        cli.fails(2, ["map", "--at", "@2", "--by", "owner"])
            .contains("--by use")
    );
    assert_eq!(cli.run(["map", "nothing"]).status, 1);
}

#[test]
fn a_cell_stands_for_several_blocks_where_they_are_many() {
    let cli = Cli::new();
    cli.ok(["init", "--classic", "--max-mem", "4MiB"]);
    let memory = cli.library();
    memory
        .batch(|batch| (0..4000).try_for_each(|seed| batch.allocate_bytes(&content(seed, 512)).map(drop)))
        .unwrap();
    let map = cli.ok(["map"]);
    assert!(
        map.contains("a cell is 2 blocks") && map.contains("full: 4000 blocks"),
        "{map}"
    );
    assert_eq!(map.matches('█').count(), 2000 + 1);
    assert!(map.lines().all(|line| line.chars().count() <= 120), "{map}");
    assert_eq!(cli.json(["map"]).as_array().unwrap().len(), 4000);
}

#[test]
fn colours_are_for_terminals() {
    let cli = classic();
    assert!(cli.coloured(80, &["map"]).contains("\x1b[38;5;208m█\x1b[0m"));
    assert!(!cli.on_terminal(80, &["map"]).contains("\x1b["));
    for columns in [40, 200] {
        let map = cli.on_terminal(columns, &["map", "--by", "object"]);
        let widest = map.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{map}");
    }
}

#[test]
fn the_way_of_an_object_is_explained() {
    let cli = classic();
    let told = cli.ok(["explain", "first"]);
    for part in [
        "of kind bytes, 600 B",
        "Its id is the SHA-256 of its bytes",
        "There is no choice.",
        "Event 2 stored it",
        "piece 0: 512 B; arena 1, pool 1 and block 1 were carved for it",
        "piece 1: 88 B; block 2 was carved for it",
        "block 2 of 512 B, in pool 1 of arena 1; 93 B in it now",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let bar = "0".repeat(41) + "1111111";
    assert!(told.contains(&bar), "{told}");
    let told = cli.ok(["explain", "second"]);
    assert!(
        told.contains("a zero byte, and its text") && told.contains("block 2 had room"),
        "{told}"
    );
    let told = cli.json(["explain", "first"]);
    let how: Vec<_> = told["pieces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|piece| piece["how"].clone())
        .collect();
    assert_eq!(how, ["new_arena", "new_block"]);
    assert_eq!((&told["classes"], &told["event_id"]), (&json!([512]), &json!(2)));

    // What the history does not have, nobody knows.
    let memory = cli.library();
    memory.set_history(History::keep_bytes(History::LEAST_BYTES)).unwrap();
    (0..500).for_each(|number| drop(memory.set("third", &number).unwrap()));
    let told = cli.ok(["explain", "first"]);
    assert!(
        told.contains("the history does not tell any more") && told.contains("it is in block 1"),
        "{told}"
    );
}

#[test]
fn a_choice_of_classes_is_explained() {
    let cli = Cli::new();
    cli.ok(["init", "--max-mem", "4MiB"]);
    cli.file("large", content(1, 300_000));
    cli.ok(["put", "-q", "large", "--name", "large"]);
    cli.ok(["set", "small", "hello"]);
    let small = cli.ok(["explain", "small"]);
    assert!(
        small.contains("8 objects of its size have 40 B. Blocks of 512 B are the smallest that hold them."),
        "{small}"
    );
    let large = cli.ok(["explain", "large"]);
    assert!(
        large.contains("which no block holds. So it goes to the largest, of 256.0 KiB."),
        "{large}"
    );
    cli.ok(["set", "empty", ""]);
    assert!(cli.ok(["explain", "empty"]).contains("no piece"));
}

#[test]
fn top_counts_a_large_object_whose_parts_came_before_it() {
    let cli = Cli::new();
    cli.file("large", content(1, 9 << 20));
    cli.ok(["put", "-q", "large", "--name", "large"]);
    let mover = &cli.json(["top", "--once", "--interval", "10ms"])["movers"][0];
    assert_eq!((&mover["name"], &mover["bytes"]), (&"large".into(), &(9 << 20).into()));
}

#[test]
fn top_prints_its_figures_once() {
    let cli = classic();
    let figures = cli.json(["top", "--once", "--interval", "10ms"]);
    assert_eq!(figures["stats"]["mem"], 605);
    assert_eq!(figures["rates"]["puts"], 0.0);
    assert_eq!(figures["rates"]["gets"], Value::Null);
    assert_eq!(figures["movers"][0]["name"], "first");
    assert!(figures["events"].as_array().unwrap().len() >= 5);
    let screen = cli.ok(["top", "--once", "--interval", "10ms"]);
    for part in [
        "space main",
        "content  [",
        "605 B of 1.0 MiB",
        "per second: 0.0 puts",
        "LARGEST MOVERS BY BYTES",
        "bind",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    assert!(cli.fails(2, ["top"]).contains("--once"));
}

#[test]
fn top_follows_keys() {
    let cli = classic();
    let last = cli.json(["log", "-n", "1"])[0]["id"].as_i64().unwrap();
    let screen = cli.screen("q");
    assert!(
        screen.contains("space main") && screen.contains("no ceiling") || screen.contains("on the server"),
        "{screen}"
    );
    assert!(screen.contains("q quit"), "{screen}");
    assert!(cli.screen("sq").contains("LARGEST MOVERS BY EVENTS"));
    assert!(cli.screen("pq").contains("paused at"));
    // To the last event, then to the one of the first object, when the space had 600 bytes.
    let then = cli.screen("\x1b[Dq");
    assert!(then.contains(&format!("after event {last} (bind) at ")), "{then}");
    let then = cli.screen(&format!("{}q", "\x1b[D".repeat((last - 1) as usize)));
    assert!(
        then.contains("after event 2 (allocate) at ") && then.contains("600 B of"),
        "{then}"
    );
    let before = cli.screen(&format!("{}q", "\x1b[D".repeat(last as usize + 1)));
    assert!(before.contains("after event 1 (opening) at "), "{before}");
    let back = cli.screen("\x1b[D\x1b[D\x1b[C\x1b[Clq");
    assert!(back.contains("per second"), "{back}");
}
