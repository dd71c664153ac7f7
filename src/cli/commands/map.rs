//! `heapledger map`

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use clap::ValueEnum;
use heapledger::{ArenaId, BlockId, EntryInfo, MemManager, PoolId, SqlValue, StoredObjectId, Timestamp};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::when::When;
use crate::cli::output::cells::{COLOURS, Cell, Entry, Field, GREY};
use crate::cli::output::drawing::colour;
use crate::cli::output::levels::{Levels, Then};
use crate::cli::output::progress;
use crate::cli::output::render::Row;
use crate::cli::output::text::{Sizes, counted, printable, short_id, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Blocks are in the order in which they are carved, in pools and arenas; what is not carved has
no cell. Signs tell the same as colours, which are left out with NO_COLOR and in a pipe.

Examples:
  heapledger map                    # how full each block is
  heapledger map --by class
  heapledger map --by owner         # whose it is: tags with the key owner
  heapledger map --at @200          # how full they were just after event 200
  heapledger map greeting           # where one object is")]
pub struct Args {
    /// Show where this object is: a name, its id, or the id's first digits
    #[arg(value_name = "ID|NAME", conflicts_with_all = ["by", "at"])]
    object: Option<String>,

    /// What signs and colours tell
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    by: By,

    /// The blocks as they were: an event (@123), a time (2026-01-31T12:00:00Z), or how long ago (2h, 30d)
    #[arg(long, value_name = "EVENT|TIME")]
    at: Option<When>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum By {
    /// How full a block is
    #[default]
    Use,
    /// The block size
    Class,
    /// How long ago the newest object in a block was stored
    Age,
    /// The value of the tag `owner` that has most bytes of a block
    Owner,
    /// The object that has most bytes of a block
    Object,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let memory = context.read()?;
    if let Some(at) = args.at {
        if !matches!(args.by, By::Use | By::Class) {
            bail!("the history tells how full blocks were, and not whose bytes they had; use --by use or --by class");
        }
        let layout = progress::during("looking back", || memory.layout_at(at.moment(&memory)?))?;
        let title = format!("after event {} at {}\n", layout.event_id.n(), time(layout.at));
        let blocks = blocks(&Then::from(layout))?;
        let told = told(args.by, &blocks, &memory, context.sizes())?;
        return print(&blocks, told, &title, context);
    }
    let blocks = blocks(&memory)?;
    let told = match &args.object {
        Some(object) => where_is(object, &memory, context.sizes())?,
        None => told(args.by, &blocks, &memory, context.sizes())?,
    };
    print(&blocks, told, "", context)
}

/// A row of `blocks`, with what its sign means.
#[derive(Serialize)]
struct Block {
    arena_id: ArenaId,
    pool_id: PoolId,
    block_id: BlockId,
    block_size: u64,
    max_mem: u64,
    mem: u64,
    shows: String,
}

impl Row for Block {
    const KEYS: &'static str = "arena_id,pool_id,block_id,block_size,max_mem,mem,shows";
}

fn blocks(levels: &impl Levels) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for arena in levels.arenas()? {
        for pool in levels.pools(&arena)? {
            blocks.extend(levels.blocks(&pool)?.into_iter().map(|block| Block {
                arena_id: arena.id,
                pool_id: pool.id,
                block_id: block.id,
                block_size: block.block_size,
                max_mem: block.max_mem,
                mem: block.mem,
                shows: String::new(),
            }));
        }
    }
    Ok(blocks)
}

/// A legend, and the entry of each block; those without one are in the first.
struct Told {
    legend: Vec<Entry>,
    of: HashMap<BlockId, usize>,
    /// Lines below it.
    notes: Vec<String>,
}

impl Told {
    fn new(legend: Vec<Entry>, of: impl Iterator<Item = (BlockId, usize)>) -> Self {
        let (of, notes) = (of.collect(), Vec::new());
        Self { legend, of, notes }
    }
}

fn print(blocks: &[Block], told: Told, title: &str, context: &Context<'_>) -> Result<Outcome> {
    let entry = |block: &Block| told.of.get(&block.block_id).copied().unwrap_or_default();
    let mut output = context.output();
    if !output.is_table() {
        let shown = blocks.iter().map(|block| Block {
            shows: told
                .legend
                .get(entry(block))
                .map_or(String::new(), |entry| entry.meaning.clone()),
            ..*block
        });
        return context.list(shown);
    }
    let cells: Vec<_> = blocks
        .iter()
        .map(|block| Cell {
            arena: block.arena_id.n(),
            max_mem: block.max_mem,
            entry: entry(block),
        })
        .collect();
    let field = Field {
        columns: output.columns().unwrap_or(80),
        lines: LINES,
        colour: colour(),
    };
    let out = output.text();
    write!(out, "{title}")?;
    if cells.is_empty() {
        writeln!(out, "no block is carved")?;
    } else {
        field.draw(&cells, &told.legend, out)?;
        writeln!(out)?;
        field.legend(&cells, &told.legend, out)?;
    }
    for note in &told.notes {
        writeln!(out, "{note}")?;
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

/// With more lines of cells than this, a cell stands for several blocks.
const LINES: usize = 40;

fn empty() -> Entry {
    Entry::new('.', GREY, "empty")
}

fn told(by: By, blocks: &[Block], memory: &MemManager, sizes: Sizes) -> Result<Told> {
    match by {
        By::Use => Ok(by_use(blocks)),
        By::Class => Ok(by_class(blocks, sizes)),
        By::Age => by_age(memory),
        By::Owner => by_owner(memory, sizes),
        By::Object => by_object(memory, sizes),
    }
}

fn by_use(blocks: &[Block]) -> Told {
    let legend = vec![
        empty(),
        Entry::new('░', 31, "less than a third full"),
        Entry::new('▒', 37, "less than two thirds full"),
        Entry::new('▓', 215, "more"),
        Entry::new('█', 208, "full"),
    ];
    let entry = |block: &Block| match u128::from(block.mem) * 3 / u128::from(block.max_mem.max(1)) {
        _ if block.mem == 0 => 0,
        _ if block.mem >= block.max_mem => 4,
        0 => 1,
        1 => 2,
        _ => 3,
    };
    Told::new(legend, blocks.iter().map(|block| (block.block_id, entry(block))))
}

fn by_class(blocks: &[Block], sizes: Sizes) -> Told {
    let mut classes: Vec<_> = blocks.iter().map(|block| block.block_size).collect();
    classes.sort_unstable();
    classes.dedup();
    let named = classes.iter().zip('a'..='z').zip(COLOURS.iter().cycle());
    let legend = named.map(|((&class, sign), &colour)| {
        let meaning = format!("blocks of {}", sizes.cell(class));
        Entry::new(sign, colour, meaning)
    });
    let entry = |block: &Block| classes.binary_search(&block.block_size).unwrap_or_default();
    let of = blocks.iter().map(|block| (block.block_id, entry(block)));
    Told::new(legend.collect(), of)
}

/// Passes each piece of the space to `take`, in the order of objects.
fn each_piece(memory: &MemManager, mut take: impl FnMut(&EntryInfo)) -> Result<()> {
    progress::during("reading the ledger", || {
        for entry in memory.entries() {
            take(&entry?);
        }
        Ok(())
    })
}

fn by_age(memory: &MemManager) -> Result<Told> {
    // Hours, and the sign, which is shorter for younger objects.
    const AGES: [(i64, char, &str); 5] = [
        (1, '\'', "less than an hour old"),
        (24, ':', "less than a day old"),
        (7 * 24, '+', "less than a week old"),
        (30 * 24, 'o', "less than 30 days old"),
        (i64::MAX, '#', "older"),
    ];
    let mut newest = HashMap::<BlockId, Timestamp>::new();
    // Both are in the order of objects.
    let (mut objects, mut current, mut failed) = (memory.objects(), None, Ok(()));
    each_piece(memory, |entry| {
        // Nobody knows the age of an upload.
        let Some(id) = entry.object_id else { return };
        while current.is_none_or(|(known, _)| known != id) {
            match objects.next() {
                Some(Ok(object)) => current = Some((object.id, object.created)),
                Some(Err(error)) => return failed = Err(error),
                None => return,
            }
        }
        if let Some((_, created)) = current {
            let known = newest.entry(entry.block_id).or_insert(created);
            *known = created.max(*known);
        }
    })?;
    failed?;
    let now = Timestamp::now().as_micros();
    let entry = |created: Timestamp| {
        let hours = now.saturating_sub(created.as_micros()) / 3_600_000_000;
        1 + AGES
            .iter()
            .position(|&(most, ..)| hours < most)
            .unwrap_or(AGES.len() - 1)
    };
    let ages = AGES.iter().zip([226, 220, 214, 208, 130]);
    let ages = ages.map(|(&(_, sign, meaning), colour)| Entry::new(sign, colour, meaning));
    let legend = std::iter::once(empty()).chain(ages).collect();
    let of = newest.into_iter().map(|(block, created)| (block, entry(created)));
    Ok(Told::new(legend, of))
}

fn by_owner(memory: &MemManager, sizes: Sizes) -> Result<Told> {
    let space = memory.space().replace('\'', "''");
    let query = format!(
        "SELECT stored_object_id, min(value), max(value) FROM tagged WHERE space = '{space}' AND key = 'owner' \
         GROUP BY stored_object_id"
    );
    let mut owners = HashMap::new();
    memory.query(&query, |_, values| {
        if let [SqlValue::Integer(object), SqlValue::Text(least), SqlValue::Text(most)] = &values[..] {
            let owner = if least == most {
                format!("owner={}", printable(least))
            } else {
                "shared".to_owned()
            };
            owners.insert(StoredObjectId(*object), owner);
        }
        ControlFlow::Continue(())
    })?;
    let mut bytes = HashMap::<(BlockId, Option<&String>), u64>::new();
    each_piece(memory, |entry| {
        let owner = owners.get(&entry.stored_object_id);
        *bytes.entry((entry.block_id, owner)).or_default() += entry.allocated_mem;
    })?;
    let pieces = bytes
        .into_iter()
        .map(|((block, owner), bytes)| (block, owner.cloned(), bytes));
    Ok(largest(pieces, "untagged", sizes))
}

fn by_object(memory: &MemManager, sizes: Sizes) -> Result<Told> {
    let mut pieces = Vec::new();
    each_piece(memory, |entry| {
        let object = entry.object_id.map(|id| format!("object {}", short_id(id)));
        pieces.push((entry.block_id, object, entry.allocated_mem));
    })?;
    Ok(largest(pieces.into_iter(), "uploads", sizes))
}

/// Letters for those that have most bytes. A block belongs to the one that has most of it.
fn largest(pieces: impl Iterator<Item = (BlockId, Option<String>, u64)>, none: &str, sizes: Sizes) -> Told {
    let mut sums = BTreeMap::<Option<String>, u64>::new();
    let mut most = HashMap::<BlockId, (u64, Option<String>)>::new();
    for (block, whose, bytes) in pieces {
        *sums.entry(whose.clone()).or_default() += bytes;
        let known = most.entry(block).or_default();
        if bytes > known.0 || (bytes == known.0 && whose < known.1) {
            *known = (bytes, whose);
        }
    }
    let mut ranked: Vec<_> = sums.iter().filter(|(whose, _)| whose.is_some()).collect();
    ranked.sort_by_key(|&(whose, &bytes)| (std::cmp::Reverse(bytes), whose.clone()));
    let signs = ('A'..='Z').zip(COLOURS.iter().cycle());
    let mut legend = vec![empty(), Entry::new('-', GREY, none), Entry::new('*', GREY, "others")];
    let mut entries = HashMap::new();
    for ((whose, bytes), (sign, &colour)) in ranked.into_iter().zip(signs) {
        entries.insert(whose.clone(), legend.len());
        let meaning = format!("{} ({})", whose.as_deref().unwrap_or_default(), sizes.cell(*bytes));
        legend.push(Entry::new(sign, colour, meaning));
    }
    let entry = |whose: &Option<String>| match whose {
        None => 1,
        whose => entries.get(whose).copied().unwrap_or(2),
    };
    let of = most.iter().map(|(&block, (_, whose))| (block, entry(whose)));
    Told::new(legend, of)
}

/// Pieces listed at most; `ledger` lists all.
const PIECES: usize = 16;

fn where_is(object: &str, memory: &MemManager, sizes: Sizes) -> Result<Told> {
    let id = memory.find(object)?;
    let pieces = memory.ledger(&id)?;
    let mut notes = vec![format!(
        "object {} in {}:",
        short_id(id),
        counted(pieces.len() as u64, "piece")
    )];
    notes.extend(pieces.iter().take(PIECES).map(|piece| {
        let (arena, pool, block) = (piece.arena_id.n(), piece.pool_id.n(), piece.block_id.n());
        format!(
            "  piece {}: {} in arena {arena}, pool {pool}, block {block}",
            piece.seq,
            sizes.phrase(piece.allocated_mem)
        )
    }));
    if let more @ 1.. = pieces.len().saturating_sub(PIECES) {
        notes.push(format!(
            "  and {}, which `heapledger ledger` lists",
            counted(more as u64, "more piece")
        ));
    }
    let whole = pieces.iter().map(|piece| (piece.block_id, 1));
    Ok(Told {
        legend: vec![
            Entry::new('·', GREY, "other blocks"),
            Entry::new('█', 214, "has a piece of it"),
        ],
        of: whole.collect(),
        notes,
    })
}
