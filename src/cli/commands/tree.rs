//! `heapledger tree`

use anyhow::Result;
use heapledger::{ArenaId, PoolId};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::drawing::{Drawing, colour};
use crate::cli::output::levels::Levels;
use crate::cli::output::render::{List, Row};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a bar, █ is content, ░ is room in blocks; what is blank is not carved yet, or all is empty.

Examples:
  heapledger tree
  heapledger tree --depth 1              # the arenas alone
  heapledger tree --format csv > tree.csv")]
pub struct Args {
    /// How far down: 1 arenas, 2 pools, 3 blocks
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    depth: u8,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    show(&context.read()?, args.depth, "", context)
}

/// Draws the levels below a title for people, and lists them for programs.
pub fn show(levels: &impl Levels, depth: u8, title: &str, context: &Context<'_>) -> Result<Outcome> {
    let mut output = context.output();
    if output.is_table() {
        let drawing = Drawing {
            sizes: context.sizes(),
            colour: colour(),
            depth,
            columns: output.columns(),
        };
        output.text().write_all(title.as_bytes())?;
        drawing.draw(levels, output.text())?;
        output.flush()?;
    } else {
        let mut list = output.list();
        rows(levels, depth, &mut list)?;
        list.end()?;
    }
    Ok(Outcome::Fine)
}

/// A row of `arenas`, `pools` or `blocks`, each after its parent.
#[derive(Serialize)]
struct Node {
    level: &'static str,
    id: i64,
    arena_id: ArenaId,
    pool_id: Option<PoolId>,
    block_size: Option<u64>,
    max_mem: u64,
    mem: u64,
    reserved: Option<u64>,
    is_free: Option<bool>,
}

impl Row for Node {
    const KEYS: &'static str = "level,id,arena_id,pool_id,block_size,max_mem,mem,reserved,is_free";
}

fn rows(levels: &impl Levels, depth: u8, list: &mut List<'_, Node>) -> Result<()> {
    for arena in levels.arenas()? {
        let of_arena = Node {
            level: "arena",
            id: arena.id.0,
            arena_id: arena.id,
            pool_id: None,
            block_size: None,
            max_mem: arena.max_mem,
            mem: arena.mem,
            reserved: Some(arena.reserved),
            is_free: None,
        };
        list.row(&of_arena)?;
        if depth < 2 {
            continue;
        }
        for pool in levels.pools(&arena)? {
            let of_pool = Node {
                level: "pool",
                id: pool.id.0,
                pool_id: Some(pool.id),
                block_size: Some(pool.block_size),
                max_mem: pool.max_mem,
                mem: pool.mem,
                reserved: Some(pool.reserved),
                ..of_arena
            };
            list.row(&of_pool)?;
            if depth < 3 {
                continue;
            }
            for block in levels.blocks(&pool)? {
                list.row(&Node {
                    level: "block",
                    id: block.id.0,
                    arena_id: block.arena_id,
                    block_size: Some(block.block_size),
                    max_mem: block.max_mem,
                    mem: block.mem,
                    reserved: None,
                    is_free: Some(block.is_free),
                    ..of_pool
                })?;
            }
        }
    }
    Ok(())
}
