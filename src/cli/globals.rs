//! Options of several commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use heapledger::Durability;

use super::input::parse;
use super::output::render::Format;

/// Options of every command, before or after its name.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// The heap: a path, or a URL like sqlite:///folder/heap.db or postgres://user@host/database
    /// [default: HEAPLEDGER_DB or else DATABASE_URL, each from the environment or else from .env,
    /// or else heap.db; a server only from --db or from HEAPLEDGER_DB in the environment]
    #[arg(long, global = true, value_name = "FILE|URL")]
    pub db: Option<PathBuf>,

    /// The space in the heap [default: main]
    #[arg(long, global = true, value_name = "NAME")]
    pub space: Option<String>,

    /// How to print the answer
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,

    /// Show exact bytes instead of KiB, MiB and GiB in tables
    #[arg(long, global = true)]
    pub bytes: bool,

    /// What a commit survives: power loss (full), or a crash of the program (normal)
    #[arg(long, global = true, value_name = "LEVEL", value_parser = durability())]
    pub durability: Option<Durability>,

    /// The reason to record in the history; HEAPLEDGER_ACTOR sets the actor. `log` and `watch` show
    /// only events with it
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,

    /// How long to wait for another writer: 500ms, 30s, 2m
    #[arg(long, global = true, value_name = "TIME", value_parser = parse::duration)]
    pub busy_timeout: Option<Duration>,
}

/// Options of commands that store.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Making {
    /// Create the space given by --space; without this, only the space main is created
    #[arg(long)]
    pub create: bool,
}

fn durability() -> impl TypedValueParser<Value = Durability> {
    parse::one_of([("full", Durability::Full), ("normal", Durability::Normal)])
}
