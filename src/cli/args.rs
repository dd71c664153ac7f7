//! The arguments of the command line, and the commands that handle them.

use anyhow::Result;
use clap::{Parser, Subcommand};

use super::commands::{
    add, apply, backup, block, check, compact, completions, copy, diff, doctor, drop_space, du, evict, expire, explain,
    export, free, gc, get, history, import, init, layout, ledger, log, ls, man, map, metrics, names, pin, plan, post,
    put, quota, release, rename_space, replay, report, reserve, restore, set, show, space, spaces, sparse, sql, stats,
    tags, top, tree, usage, watch,
};
use super::context::Context;
use super::exit::Outcome;
use super::globals::Globals;
use super::streams;

/// A bounded, persistent heap in one SQLite file. Every byte is accounted for by a row.
#[derive(Debug, Parser)]
#[command(name = "heapledger", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  heapledger put photo.jpg                # store a file; prints its id
  heapledger get 2cf24dba5fb0 > copy.jpg  # its content, by the start of the id
  heapledger set answer 42                # bind a value to a name
  heapledger ls                           # what is stored
  heapledger tree --depth 2               # where it is
  heapledger check                        # prove that the books balance

Exit status: 0 fine, 1 findings or not found, 2 usage or error (or a full disk), 3 refused by the
budget: the space has no room for it, 4 a plan that is stale. What is refused or fails changes nothing;
of many files or names, those before it stay done.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a space; an existing one is never changed
    Init(init::Args),
    /// Store files, or standard input
    Put(put::Args),
    /// Bind a value to a name
    Set(set::Args),
    /// Write the content of an object, exactly
    #[command(visible_alias = "cat")]
    Get(get::Args),
    /// List the objects
    Ls(ls::Args),
    /// Show the bytes below each folder of names
    Du(du::Args),
    /// Show one object: names, times, and where it is placed
    Show(show::Args),
    /// Bind another name to an object
    Name(names::NameArgs),
    /// Remove a name; an object that nothing else holds is freed
    #[command(visible_alias = "rm")]
    Unname(names::UnnameArgs),
    /// Set when a name or an object stored without one expires
    Expire(expire::ExpireArgs),
    /// Let names last longer
    Touch(expire::TouchArgs),
    /// Tag a name or an object stored without one: whose it is, or what it belongs to
    Tag(tags::TagArgs),
    /// Remove tags
    Untag(tags::UntagArgs),
    /// List the keys and values of all tags
    Tags(tags::ListArgs),
    /// Show or set what an owner may have
    Quota(quota::Args),
    /// Show or set what goes if there is no room for something new
    Evict(evict::Args),
    /// Keep objects from being evicted
    Pin(pin::PinArgs),
    /// Let objects be evicted again
    Unpin(pin::UnpinArgs),
    /// List the objects that are pinned
    Pins(pin::ListArgs),
    /// Free objects: all of them, or none
    Free(free::Args),
    /// Drop the hold that storing without a name took
    Release(release::Args),
    /// Promise bytes to content to come, so that it finds room
    Reserve(reserve::ReserveArgs),
    /// Store the content that bytes were reserved for
    Post(post::Args),
    /// Give up a reservation, or a large object that is being stored
    Void(reserve::VoidArgs),
    /// List which bytes are in which block
    Ledger(ledger::Args),
    /// Show arenas, pools and blocks, and how full they are
    Tree(tree::Args),
    /// Draw all blocks, and what is in them
    Map(map::Args),
    /// Explain how an object was split, step by step
    Explain(explain::Args),
    /// Show what happens now, and step through what happened
    Top(top::Args),
    /// Show one block: its pieces, and their bytes
    Block(block::Args),
    /// Show arenas, pools and blocks as they were at a moment
    Layout(layout::Args),
    /// List what happened
    Log(log::Args),
    /// Print events as lines of JSON as they happen
    Watch(watch::Args),
    /// Print the figures of all spaces for a monitoring system, or serve them
    Metrics(metrics::Args),
    /// Show how much of each level is used, now or over time
    Usage(usage::Args),
    /// Compare two moments, or two files; exit status 1 if a threshold is crossed
    Diff(diff::Args),
    /// Show or set whether and how long events are kept
    History(history::Args),
    /// Show the totals of the space
    Stats(stats::Args),
    /// Write a page to look at: the blocks over time, what holds them, what came and went
    Report(report::Args),
    /// Explain why the heap is full, fragmented or large on disk, and what helps
    Doctor(doctor::Args),
    /// Tell what storing an object of a given size would do
    Plan(plan::Args),
    /// Tell how often caches of other policies and sizes would have had what was asked for
    Replay(replay::Args),
    /// List the objects that occupy nearly empty arenas
    Sparse(sparse::Args),
    /// Ask in SQL, at a prompt or with a query; nothing is changed
    Sql(sql::Args),
    /// Show what takes the bytes of the file
    Space(space::Args),
    /// Give back empty blocks, pools and arenas
    Gc(gc::Args),
    /// Move pieces out of nearly empty arenas, and give these back
    Compact(compact::Args),
    /// Carry out a plan that gc, free, evict or compact has written
    Apply(apply::Args),
    /// Prove that the books balance; exit status 1 if they do not
    Check(check::Args),
    /// Copy the file while it is in use, and check the copy
    Backup(backup::Args),
    /// Replace the heap with a backup
    Restore(restore::Args),
    /// Write the contents of the space as files, with a manifest
    Export(export::Args),
    /// Store the contents of an export
    Import(import::Args),
    /// Copy the heap into another one, on any engine, and compare both
    Copy(copy::Args),
    /// List the spaces in the file
    Spaces(spaces::ListArgs),
    /// Change the capacity of the space
    Resize(spaces::ResizeArgs),
    /// Give a space another name
    RenameSpace(rename_space::Args),
    /// Remove a space with everything in it
    DropSpace(drop_space::Args),
    /// Carve an arena, a pool or a block ahead of need
    Add(add::Args),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Args),
    /// Print a manual page, or write all of them into a folder
    Man(man::Args),
}

impl Cli {
    /// Parses the arguments of this process.
    pub fn read() -> Result<Self, clap::Error> {
        Self::try_parse()
    }

    /// Runs the command.
    pub fn run(&self) -> Result<Outcome> {
        if !matches!(&self.command, Command::Get(args) if args.is_to_file()) {
            streams::need_output()?;
        }
        let context = match &self.command {
            // These concern no heap, and work without one.
            Command::Completions(args) => return completions::run(args),
            Command::Man(args) => return man::run(args),
            _ => Context::new(&self.globals)?,
        };
        match &self.command {
            Command::Completions(_) | Command::Man(_) => Ok(Outcome::Fine),
            Command::Init(args) => init::run(args, &context),
            Command::Put(args) => put::run(args, &context),
            Command::Set(args) => set::run(args, &context),
            Command::Get(args) => get::run(args, &context),
            Command::Ls(args) => ls::run(args, &context),
            Command::Du(args) => du::run(args, &context),
            Command::Show(args) => show::run(args, &context),
            Command::Name(args) => names::name(args, &context),
            Command::Unname(args) => names::unname(args, &context),
            Command::Expire(args) => expire::expire(args, &context),
            Command::Touch(args) => expire::touch(args, &context),
            Command::Tag(args) => tags::add(args, &context),
            Command::Untag(args) => tags::remove(args, &context),
            Command::Tags(args) => tags::list_all(args, &context),
            Command::Quota(args) => quota::run(args, &context),
            Command::Evict(args) => evict::run(args, &context),
            Command::Pin(args) => pin::pin(args, &context),
            Command::Unpin(args) => pin::unpin(args, &context),
            Command::Pins(args) => pin::list(args, &context),
            Command::Free(args) => free::run(args, &context),
            Command::Release(args) => release::run(args, &context),
            Command::Reserve(args) => reserve::reserve(args, &context),
            Command::Post(args) => post::run(args, &context),
            Command::Void(args) => reserve::void(args, &context),
            Command::Ledger(args) => ledger::run(args, &context),
            Command::Tree(args) => tree::run(args, &context),
            Command::Map(args) => map::run(args, &context),
            Command::Explain(args) => explain::run(args, &context),
            Command::Top(args) => top::run(args, &context),
            Command::Block(args) => block::run(args, &context),
            Command::Layout(args) => layout::run(args, &context),
            Command::Log(args) => log::run(args, &context),
            Command::Watch(args) => watch::run(args, &context),
            Command::Metrics(args) => metrics::run(args, &context),
            Command::Usage(args) => usage::run(args, &context),
            Command::Diff(args) => diff::run(args, &context),
            Command::History(args) => history::run(args, &context),
            Command::Stats(args) => stats::run(args, &context),
            Command::Report(args) => report::run(args, &context),
            Command::Doctor(args) => doctor::run(args, &context),
            Command::Plan(args) => plan::run(args, &context),
            Command::Replay(args) => replay::run(args, &context),
            Command::Sparse(args) => sparse::run(args, &context),
            Command::Sql(args) => sql::run(args, &context),
            Command::Space(args) => space::run(args, &context),
            Command::Gc(args) => gc::run(args, &context),
            Command::Compact(args) => compact::run(args, &context),
            Command::Apply(args) => apply::run(args, &context),
            Command::Check(args) => check::run(args, &context),
            Command::Backup(args) => backup::run(args, &context),
            Command::Restore(args) => restore::run(args, &context),
            Command::Export(args) => export::run(args, &context),
            Command::Import(args) => import::run(args, &context),
            Command::Copy(args) => copy::run(args, &context),
            Command::Spaces(args) => spaces::list(args, &context),
            Command::RenameSpace(args) => rename_space::run(args, &context),
            Command::DropSpace(args) => drop_space::run(args, &context),
            Command::Resize(args) => spaces::resize(args, &context),
            Command::Add(args) => add::run(args, &context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("heapledger "), "{} has no example", command.get_name());
        }
    }
}
