//! `heapledger block`

use std::io::{self, Write};

use anyhow::Result;
use heapledger::{Block, BlockId, LedgerId, ObjectId, Piece, ReservationId, StoredObjectId};
use serde::Serialize;

use super::ledger::owner;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::hexdump::hex_dump;
use crate::cli::output::terminal;
use crate::cli::output::text::{Sizes, counted, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heapledger block 17
  heapledger block 17 --all | less
  heapledger block 17 --format json")]
pub struct Args {
    /// The number of the block, as `tree` and `ledger` show it
    #[arg(value_name = "N")]
    block: i64,

    /// Show all bytes of every piece, not only the first 512
    #[arg(short, long)]
    all: bool,
}

/// A row of `blocks`, with its rows of `ledger`.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    block: Block,
    pieces: Vec<PieceRow>,
}

#[derive(Serialize)]
struct PieceRow {
    id: LedgerId,
    object_id: Option<ObjectId>,
    reservation_id: Option<ReservationId>,
    stored_object_id: StoredObjectId,
    seq: u64,
    allocated_mem: u64,
    /// Hexadecimal digits
    data: String,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let block = memory.block(BlockId::within(memory.space_id(), args.block))?;
    let pieces = memory.pieces_in(block.id)?;
    let shown = Shown {
        pieces: pieces.iter().map(PieceRow::from).collect(),
        block,
    };
    context.answer(&shown, |out| text(out, &block, &pieces, args.all, context.sizes()))
}

impl From<&Piece> for PieceRow {
    fn from(piece: &Piece) -> Self {
        Self {
            id: piece.entry.id,
            object_id: piece.object_id,
            reservation_id: piece.reservation_id,
            stored_object_id: piece.entry.stored_object_id,
            seq: piece.entry.seq,
            allocated_mem: piece.entry.allocated_mem,
            data: const_hex::encode(&piece.data),
        }
    }
}

const SHOWN_BYTES: usize = 512;

fn text(out: &mut dyn Write, block: &Block, pieces: &[Piece], all: bool, sizes: Sizes) -> io::Result<()> {
    writeln!(
        out,
        "block {} of pool {} in arena {}",
        block.id.n(),
        block.pool_id.n(),
        block.arena_id.n()
    )?;
    let (mem, max_mem, room) = (
        sizes.cell(block.mem),
        sizes.phrase(block.max_mem),
        sizes.phrase(block.room()),
    );
    writeln!(
        out,
        "{mem} of {max_mem} used by {}, room for {room}",
        counted(pieces.len() as u64, "piece")
    )?;
    for piece in pieces {
        let entry = &piece.entry;
        let owner = match piece.object_id {
            Some(id) => format!("object {}", short_id(id)),
            None => owner(None, piece.reservation_id),
        };
        writeln!(
            out,
            "\n{owner}, piece {}: {}",
            entry.seq,
            sizes.phrase(entry.allocated_mem)
        )?;
        let end = if all {
            piece.data.len()
        } else {
            piece.data.len().min(SHOWN_BYTES)
        };
        write!(
            out,
            "{}",
            hex_dump(piece.data.get(..end).unwrap_or_default(), terminal::columns())
        )?;
        match piece.data.len() - end {
            0 => {}
            more => writeln!(out, "… and {} more; --all shows them", counted(more as u64, "byte"))?,
        }
    }
    Ok(())
}
