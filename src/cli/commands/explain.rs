//! `heapledger explain`

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use anyhow::Result;
use heapledger::{Block, Event, EventFilter, EventId, EventKind, Kind, Ledger, MemManager, ObjectId, StoredObject};
use serde::Serialize;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::output::terminal;
use crate::cli::output::text::{Sizes, counted, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
In the drawing of a block, █ is this object, ▒ are others, ░ is room.

Examples:
  heapledger explain greeting
  heapledger explain 2cf24dba5fb0 --format json")]
pub struct Args {
    /// A name, an object id, or the first 6 or more digits of one
    #[arg(value_name = "ID|NAME")]
    object: String,
}

/// How an object was split.
#[derive(Serialize)]
struct Explained {
    object_id: ObjectId,
    kind: Kind,
    size: u64,
    /// The sizes of blocks of the space, and the one that this object goes to.
    classes: Vec<u64>,
    per_block: u64,
    block_size: u64,
    /// The event that stored it, if the history still has it.
    event_id: Option<EventId>,
    pieces: Vec<Piece>,
    #[serde(skip)]
    stored: StoredObject,
}

#[derive(Serialize)]
struct Piece {
    seq: u64,
    start: u64,
    allocated_mem: u64,
    arena_id: i64,
    pool_id: i64,
    block_id: i64,
    block_size: u64,
    how: How,
    #[serde(skip)]
    block: Block,
}

/// How a piece found its place.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// A block had room.
    Room,
    /// A block was carved for it, in a pool that was there.
    NewBlock,
    /// A pool was carved, too.
    NewPool,
    /// An arena was carved, too.
    NewArena,
    /// A compaction moved it there.
    Moved,
    /// The history no longer tells.
    Unknown,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    let explained = explained(&memory, memory.find(&args.object)?)?;
    context.answer(&explained, |out| text(out, &explained, context.sizes()))
}

fn explained(memory: &MemManager, id: ObjectId) -> Result<Explained> {
    let stored = memory.object(&id)?;
    let mut origin = Origin::of(memory, id)?;
    let event_id = origin.event;
    let piece = |entry: Ledger| {
        let block = memory.block(entry.block_id)?;
        Ok(Piece {
            seq: entry.seq,
            start: entry.start,
            allocated_mem: entry.allocated_mem,
            arena_id: entry.arena_id.0,
            pool_id: entry.pool_id.0,
            block_id: entry.block_id.0,
            block_size: block.block_size,
            how: origin.how(&block),
            block,
        })
    };
    let geometry = memory.geometry();
    let classes: Vec<_> = geometry.classes().iter().map(|class| class.block_size).collect();
    Ok(Explained {
        object_id: id,
        kind: stored.kind,
        size: stored.size,
        block_size: classes
            .get(geometry.class_for(stored.size))
            .copied()
            .unwrap_or_default(),
        classes,
        per_block: geometry.per_block(),
        event_id,
        pieces: memory.ledger(&id)?.into_iter().map(piece).collect::<Result<_>>()?,
        stored,
    })
}

/// What the history tells about how an object was placed.
#[derive(Default)]
struct Origin {
    event: Option<EventId>,
    /// Levels that were carved for it: their words and ids.
    carved: HashSet<(String, i64)>,
    /// Blocks that got pieces of it when it was stored, and when pieces were moved.
    placed: HashSet<i64>,
    moved: HashMap<i64, EventId>,
}

impl Origin {
    fn of(memory: &MemManager, id: ObjectId) -> Result<Self> {
        let mut origin = Self::default();
        for event in memory.events(EventFilter::default().object(id)) {
            origin.add(&event?);
        }
        Ok(origin)
    }

    fn add(&mut self, event: &Event) {
        let is_move = event.kind == EventKind::Move;
        if !is_move && !matches!(event.kind, EventKind::Allocate | EventKind::Post) {
            return;
        }
        if !is_move {
            // What it was before it was freed does not matter.
            *self = Self::default();
            self.event = Some(event.id);
        }
        let changes: Value = event
            .changes
            .as_deref()
            .and_then(|changes| serde_json::from_str(changes).ok())
            .unwrap_or_default();
        let list = |name: &str| changes.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        for piece in list("pieces") {
            let number = |at: usize| piece.get(at).and_then(Value::as_i64).unwrap_or_default();
            if number(4) > 0 && is_move {
                self.moved.insert(number(0), event.id);
            } else {
                self.placed.insert(number(0));
            }
        }
        for level in list("carved").iter().filter(|_| !is_move) {
            if let (Some(word), Some(id)) = (
                level.get(0).and_then(Value::as_str),
                level.get(1).and_then(Value::as_i64),
            ) {
                self.carved.insert((word.to_owned(), id));
            }
        }
    }

    /// How the next piece came to a block. A new level was carved for the first piece in it.
    fn how(&mut self, block: &Block) -> How {
        let mut is_new = |word: &str, id: i64| self.carved.remove(&(word.to_owned(), id));
        let arena = is_new("arena", block.arena_id.0);
        let pool = is_new("pool", block.pool_id.0);
        let own = is_new("block", block.id.0);
        match () {
            () if self.moved.contains_key(&block.id.0) => How::Moved,
            () if arena => How::NewArena,
            () if pool => How::NewPool,
            () if own => How::NewBlock,
            () if self.placed.contains(&block.id.0) => How::Room,
            () => How::Unknown,
        }
    }
}

/// Pieces explained at most; `ledger` lists all.
const PIECES: usize = 16;
/// Width of the drawing of the content at most, and of that of a block.
const CONTENT: usize = 48;
const BLOCK: usize = 24;

fn text(out: &mut dyn Write, told: &Explained, sizes: Sizes) -> io::Result<()> {
    identity(out, told, sizes)?;
    class(out, told, sizes)?;
    let pieces = counted(told.pieces.len() as u64, "piece");
    writeln!(out, "\n3. Its place. Its {} are in {pieces}.", sizes.phrase(told.size))?;
    if told.pieces.is_empty() {
        return writeln!(out, "   An object without content has no piece.");
    }
    match told.event_id {
        Some(event) => writeln!(
            out,
            "   Event {} stored it, at {}:",
            event.n(),
            time(told.stored.created_at)
        )?,
        None => writeln!(
            out,
            "   It was stored at {}. What was carved for it then, the history does not tell any more:",
            time(told.stored.created_at)
        )?,
    }
    writeln!(out)?;
    let last = sizes.cell(told.size);
    let wide = terminal::columns().map_or(CONTENT, |columns| columns.saturating_sub(3).clamp(12, CONTENT));
    writeln!(out, "   0{last:>width$}", width = wide - 1)?;
    writeln!(out, "   {}", drawn(told, wide))?;
    for piece in told.pieces.iter().take(PIECES) {
        step(out, told, piece, sizes)?;
    }
    if let more @ 1.. = told.pieces.len().saturating_sub(PIECES) {
        let more = counted(more as u64, "more piece");
        writeln!(out, "   … and {more}, which `heapledger ledger` lists")?;
    }
    Ok(())
}

fn identity(out: &mut dyn Write, told: &Explained, sizes: Sizes) -> io::Result<()> {
    let (id, size) = (short_id(told.object_id), sizes.phrase(told.size));
    writeln!(out, "object {id}, of kind {}, {size}", told.kind)?;
    match told.kind {
        Kind::Bytes => writeln!(out, "\n1. Its id is the SHA-256 of its bytes: {}.", told.object_id)?,
        kind => writeln!(
            out,
            "\n1. Its id is the SHA-256 of `{kind}`, a zero byte, and its text: {}.",
            told.object_id
        )?,
    }
    writeln!(
        out,
        "   The same content again would have the same id, so it is stored once."
    )
}

fn class(out: &mut dyn Write, told: &Explained, sizes: Sizes) -> io::Result<()> {
    let classes: Vec<_> = told.classes.iter().map(|&size| sizes.cell(size)).collect();
    let (each, class) = (told.per_block, sizes.cell(told.block_size));
    writeln!(out, "\n2. Its class. The space has blocks of {}.", classes.join(", "))?;
    if told.classes.len() == 1 {
        return writeln!(out, "   There is no choice.");
    }
    let together = told.size.saturating_mul(each);
    let objects = sizes.cell(together);
    if together <= told.block_size {
        writeln!(
            out,
            "   {each} objects of its size have {objects}. Blocks of {class} are the smallest that hold them."
        )
    } else {
        writeln!(
            out,
            "   {each} objects of its size have {objects}, which no block holds. So it goes to the largest, of {class}."
        )
    }
}

/// The content as a bar, in which each piece is drawn as the last digit of its number.
fn drawn(told: &Explained, wide: usize) -> String {
    let mut bar = String::new();
    for cell in 0..wide as u128 {
        let at = u128::from(told.size) * cell / wide as u128;
        let next = told.pieces.partition_point(|piece| u128::from(piece.start) <= at);
        let piece = told.pieces.get(next.saturating_sub(1));
        bar.push_str(&piece.map_or(0, |piece| piece.seq % 10).to_string());
    }
    bar
}

fn step(out: &mut dyn Write, told: &Explained, piece: &Piece, sizes: Sizes) -> io::Result<()> {
    let block = &piece.block;
    let (number, pool, arena) = (block.id.n(), block.pool_id.n(), block.arena_id.n());
    let why = match piece.how {
        How::Room => format!("block {number} had room"),
        How::NewArena => format!("arena {arena}, pool {pool} and block {number} were carved for it"),
        How::NewPool => format!("pool {pool} and block {number} were carved for it"),
        How::NewBlock => format!("block {number} was carved for it"),
        How::Moved => format!("a compaction moved it to block {number}"),
        How::Unknown => format!("it is in block {number}"),
    };
    let other = match block.block_size == told.block_size {
        true => String::new(),
        false => format!(
            ", of the class with {}, because its own had no room",
            sizes.cell(block.block_size)
        ),
    };
    writeln!(
        out,
        "\n   piece {}: {}; {why}{other}",
        piece.seq,
        sizes.phrase(piece.allocated_mem)
    )?;
    let cells = |bytes: u64| (u128::from(bytes) * BLOCK as u128).div_ceil(u128::from(block.max_mem.max(1))) as usize;
    let own = cells(piece.allocated_mem).min(BLOCK);
    let others = cells(block.mem.saturating_sub(piece.allocated_mem)).min(BLOCK - own);
    let room = BLOCK - own - others;
    writeln!(
        out,
        "     [{}{}{}] block {number} of {}, in pool {pool} of arena {arena}; {} in it now",
        "█".repeat(own),
        "▒".repeat(others),
        "░".repeat(room),
        sizes.cell(block.max_mem),
        sizes.cell(block.mem)
    )
}
