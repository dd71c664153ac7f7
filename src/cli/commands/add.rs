//! `heapledger add`

use anyhow::Result;
use heapledger::{ArenaId, PoolId};

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::parse;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "\
Examples:
  heapledger add arena
  heapledger add pool 1 --class 4KiB
  heapledger add block 3",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Reserve an arena in the space
    #[command(after_help = "Example:\n  heapledger add arena")]
    Arena,
    /// Carve a pool from an arena
    #[command(after_help = "Example:\n  heapledger add pool 1 --class 4KiB")]
    Pool {
        /// The number of the arena
        #[arg(value_name = "ARENA")]
        arena: i64,
        /// The size of its blocks
        #[arg(long, value_name = "BLOCK_SIZE", value_parser = parse::size)]
        class: u64,
    },
    /// Carve a block from a pool
    #[command(after_help = "Example:\n  heapledger add block 3")]
    Block {
        /// The number of the pool
        #[arg(value_name = "POOL")]
        pool: i64,
    },
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.change()?;
    let sizes = context.sizes();
    match args.what {
        What::Arena => {
            let arena = memory.add_arena()?;
            context.answer(&arena, |out| {
                writeln!(out, "arena {}: {}", arena.id.n(), sizes.phrase(arena.max_mem))
            })
        }
        What::Pool { arena, class } => {
            let pool = memory.add_pool(ArenaId::within(memory.space_id(), arena), class)?;
            context.answer(&pool, |out| {
                let (size, blocks) = (sizes.phrase(pool.max_mem), sizes.cell(pool.block_size));
                writeln!(
                    out,
                    "pool {} in arena {}: {size} for blocks of {blocks}",
                    pool.id.n(),
                    pool.arena_id.n()
                )
            })
        }
        What::Block { pool } => {
            let block = memory.add_block(PoolId::within(memory.space_id(), pool))?;
            context.answer(&block, |out| {
                writeln!(
                    out,
                    "block {} in pool {}: {}",
                    block.id.n(),
                    block.pool_id.n(),
                    sizes.phrase(block.max_mem)
                )
            })
        }
    }
}
