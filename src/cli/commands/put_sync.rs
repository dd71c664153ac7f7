//! `heapledger put --sync`: names follow a folder.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use heapledger::{Error, FileAttributes, FileType, MemManager, NameInfo, ObjectId, path_of_name};

use super::put_args::Args;
use super::put_files::Put;
use super::put_names::PathNames;
use super::put_report::Report;
use super::put_source::{Change, Source};
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::sources::{self, Found, Sources, is_empty_folder, whole_reads};
use crate::cli::output::progress::Progress;
use crate::cli::output::text::{Sizes, counted, printable_path};

/// Names removed in one transaction.
const TOGETHER: usize = 500;

pub fn run(args: &Args, path: &Path, sources: &Sources, context: &Context<'_>) -> Result<Outcome> {
    let names = PathNames::new(args.prefix.as_deref());
    let Some(base) = names.base(path) else {
        bail!("--sync removes names, so it must know which; give a --prefix");
    };
    if !path.is_dir() {
        bail!("{}: --sync follows a folder, and this is none", printable_path(path));
    }
    // The heap may be in the folder, where it is recognized only while it is open. One that cannot be opened is
    // reported below.
    let opened = context.follow_any();
    let tree = Tree::read(path, &names, sources, args)?;
    drop(opened);
    let memory = open(args, context)?;
    let known = memory
        .as_ref()
        .map_or(Ok(BTreeMap::new()), |memory| known(memory, &base))?;
    let mut sync = tree.compare(
        known,
        args.expires.given().is_none() && args.tags.pairs().next().is_none(),
    );
    sync.keep_skipped(path, &base);
    if let Some((path, why)) = sync.unread.first().filter(|_| !args.force && !sync.gone.is_empty()) {
        bail!(
            "{}: {why}; nothing was changed, because names would be removed first; --force does so",
            printable_path(path)
        );
    }

    let missing = match &memory {
        Some(memory) if !args.force => sync.missing(memory)?,
        _ => 0,
    };
    if missing > 0 && !args.dry_run {
        exit::warn(&format!(
            "{} too few for all that is new; nothing was changed, because names would be removed first; --force stores \
             what fits",
            context.sizes().phrase(missing)
        ));
        return Ok(Outcome::NoRoom);
    }

    let mut output = context.output();
    let mut report = Report::new(&mut output, args.quiet);
    for (path, why) in &tree.skipped {
        report.skipped(path, why);
    }
    let failed = tree.failed.iter().chain(&sync.unread);
    let failures = failed.clone().count();
    for (path, why) in failed {
        report.failed(path, why);
    }
    let gone = sync.gone.iter().map(|name| (gone(path, &base, name), name));
    let Some(memory) = memory.filter(|_| !args.dry_run) else {
        for (source, name) in gone {
            report.change(&source, Some(name.object_id), name.size)?;
        }
        for (source, size) in &sync.stored {
            report.change(source, None, *size)?;
        }
        report.end_list()?;
        if !args.quiet {
            exit::note(&sync.summary(context.sizes()));
        }
        if failures > 0 {
            bail!("{} could not be planned", counted(failures, "path"));
        }
        if missing > 0 {
            let missing = context.sizes().phrase(missing);
            exit::warn(&format!("{missing} too few for all that is new"));
            return Ok(Outcome::Findings);
        }
        return Ok(Outcome::Fine);
    };
    report.unchanged(sync.unchanged);
    let gone: Vec<_> = gone.collect();
    let mut put = Put::new(&memory, args, report)?;
    let done = remove(&memory, &gone, &mut put.report).and_then(|()| {
        for (source, size) in sync.stored {
            put.file(source, size)?;
        }
        put.store_waiting()
    });
    put.end(done, context)
}

/// The heap; `None` if it is not there yet and nothing is to be stored.
fn open(args: &Args, context: &Context<'_>) -> Result<Option<MemManager>> {
    if !args.dry_run {
        return context.store(args.making).map(Some);
    }
    match context.read() {
        Ok(memory) => Ok(Some(memory)),
        Err(error) => match error.downcast_ref() {
            Some(Error::NoFile { .. } | Error::UnknownSpace { .. }) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The names below another one.
fn known(memory: &MemManager, base: &str) -> Result<BTreeMap<String, NameInfo>> {
    let names = memory.names_with_prefix(&format!("{base}/"));
    Ok(names
        .map(|name| name.map(|name| (name.name.clone(), name)))
        .collect::<Result<_, _>>()?)
}

/// Where the file of a name was, if the name is a path.
fn gone(path: &Path, base: &str, name: &NameInfo) -> Source {
    let below = name.name.get(base.len() + 1..).unwrap_or_default();
    Source {
        name: Some(name.name.clone()),
        change: Some(Change::Gone),
        ..Source::of(path_of_name(below).map_or_else(|_| PathBuf::new(), |below| path.join(below)))
    }
}

fn remove(memory: &MemManager, gone: &[(Source, &NameInfo)], report: &mut Report<'_>) -> Result<()> {
    for some in gone.chunks(TOGETHER) {
        let freed = memory.batch(|batch| {
            let freed = some.iter().map(|(_, name)| match batch.resolve(&name.name)? {
                Some(_) => batch.unbind(&name.name),
                // Somebody else was faster.
                None => Ok(None),
            });
            freed.collect::<Result<Vec<_>, _>>()
        })?;
        for ((source, name), freed) in some.iter().zip(&freed) {
            report.gone(source, name.object_id, name.size, freed.as_ref())?;
        }
    }
    Ok(())
}

/// The files of a folder.
struct Tree {
    files: Vec<(Source, u64)>,
    skipped: Vec<(PathBuf, &'static str)>,
    failed: Vec<(PathBuf, String)>,
}

impl Tree {
    /// Looks at a folder.
    ///
    /// # Errors
    /// If names would be removed only because it is empty, or was not read in full.
    fn read(path: &Path, names: &PathNames, sources: &Sources, args: &Args) -> Result<Self> {
        let mut tree = Self {
            files: Vec::new(),
            skipped: Vec::new(),
            failed: Vec::new(),
        };
        let mut unread = None;
        for found in sources.find(path) {
            let size = match &found {
                Found::File(_, size) => Some(*size),
                Found::Link(_, target) => Some(target.as_os_str().len() as u64),
                Found::Folder(_) => Some(0),
                _ => None,
            };
            match found {
                found if let Some(size) = size => match names.of(path, found.path()) {
                    Ok(name) => {
                        let source = Source::found(found, Some(name), args.attributes);
                        tree.files.push((source, size));
                    }
                    Err(why) => tree.failed.push((found.path().to_owned(), why.to_owned())),
                },
                Found::Skipped(file, why) => tree.skipped.push((file, why)),
                Found::Failed(file, why) => {
                    unread.get_or_insert_with(|| format!("{}: {why}", printable_path(&file)));
                    tree.failed.push((file, why));
                }
                _ => {}
            }
        }
        match unread {
            _ if args.force => Ok(tree),
            Some(why) => bail!(
                "{why}; nothing was changed, because the names of what is below would be removed; --force does so"
            ),
            None if tree.files.is_empty() => bail!(
                "{} has no files; nothing was changed, because all its names would be removed; --force does so",
                printable_path(path)
            ),
            None => Ok(tree),
        }
    }

    /// What is new, changed and gone. With `skips`, names that already have their contents are left alone.
    fn compare(&self, mut known: BTreeMap<String, NameInfo>, skips: bool) -> Sync {
        let mut progress = Progress::new("comparing");
        let mut done = 0;
        let (mut stored, mut unchanged, mut replaced) = (Vec::new(), 0, 0);
        let mut unread = Vec::new();
        let mut seen = HashSet::new();
        for (source, size) in &self.files {
            progress.set(done, 0);
            let name = source.name.clone().unwrap_or_default();
            let before = known.get(&name);
            let is_same = |name: &NameInfo| {
                name.size == *size && has_attributes(name, source) && hash(source).is_ok_and(|id| id == name.object_id)
            };
            if skips && before.is_some_and(is_same) {
                unchanged += 1;
            } else if let Err(why) = can_be_read(source) {
                unread.push((source.path.clone(), why.to_string()));
            } else {
                let change = before.map_or(Change::New, |_| Change::Changed);
                replaced += before.map_or(0, |before| before.size);
                let source = Source {
                    change: Some(change),
                    ..source.clone()
                };
                stored.push((source, *size));
            }
            done += size;
            seen.insert(name);
        }
        known.retain(|name, _| !seen.contains(name));
        Sync {
            stored,
            unread,
            gone: known.into_values().collect(),
            unchanged,
            replaced,
        }
    }
}

/// Fails if a file cannot be opened.
fn can_be_read(source: &Source) -> io::Result<()> {
    match source.content {
        Some(_) => Ok(()),
        None => File::open(&source.path).map(drop),
    }
}

/// Whether a name has the type of what was found, and its permissions if these are wanted.
fn has_attributes(name: &NameInfo, source: &Source) -> bool {
    let before = FileAttributes::of(&name.tags);
    let now = FileAttributes::of(&source.kept.iter().cloned().collect());
    before.file_type == now.file_type && (source.kept.is_empty() || before.mode == now.mode)
}

/// The id of the content of what was found. What cannot be read is reported when it is stored.
fn hash(source: &Source) -> io::Result<ObjectId> {
    if let Some(content) = &source.content {
        return Ok(ObjectId::of_bytes(content));
    }
    Ok(sources::hash(whole_reads(File::open(&source.path)?))?.0)
}

/// What makes names follow a folder.
struct Sync {
    stored: Vec<(Source, u64)>,
    /// New and changed files that cannot be read, and why.
    unread: Vec<(PathBuf, String)>,
    gone: Vec<NameInfo>,
    unchanged: u64,
    /// Bytes of the objects that changed names are bound to.
    replaced: u64,
}

impl Sync {
    /// Keeps the names of links and empty folders that are still there. Only with --attributes are they among the
    /// files of the folder.
    fn keep_skipped(&mut self, path: &Path, base: &str) {
        self.gone.retain(|name| {
            let at = gone(path, base, name).path;
            match FileAttributes::of(&name.tags).file_type {
                FileType::Link => !at.is_symlink(),
                FileType::Folder => !is_empty_folder(&at),
                _ => true,
            }
        });
    }

    /// Bytes by which all of it together does not fit, even if everything that names lose is freed. 0 in a space
    /// that evicts.
    fn missing(&self, memory: &MemManager) -> Result<u64> {
        let gone: u64 = self.gone.iter().map(|name| name.size).sum();
        let more = self.bytes().saturating_sub(gone + self.replaced);
        if more == 0 || memory.eviction()?.is_some() {
            return Ok(0);
        }
        let missing = memory.plan_allocation(more)?.shortfall;
        // Perhaps some of it is stored already, or is there twice.
        Ok(if missing > 0 {
            missing.saturating_sub(self.known_bytes(memory)?)
        } else {
            0
        })
    }

    /// Bytes of what is to be stored whose content is stored, or is that of another file.
    fn known_bytes(&self, memory: &MemManager) -> Result<u64> {
        let (mut seen, mut known) = (HashSet::new(), 0);
        for (source, size) in &self.stored {
            // What cannot be read is reported when it is stored.
            let Ok(id) = hash(source) else { continue };
            if !seen.insert(id) || memory.contains(&id)? {
                known += size;
            }
        }
        Ok(known)
    }

    fn bytes(&self) -> u64 {
        self.stored.iter().map(|(_, size)| size).sum()
    }

    /// `would store 2 files (1.2 MiB): 1 new, 1 changed; would remove 3 names; 7 unchanged`
    fn summary(&self, sizes: Sizes) -> String {
        let new = self
            .stored
            .iter()
            .filter(|(source, _)| source.change == Some(Change::New));
        let (files, new) = (self.stored.len(), new.count());
        let bytes = self.bytes();
        format!(
            "would store {} ({}): {new} new, {} changed; would remove {}; {} unchanged",
            counted(files, "file"),
            sizes.phrase(bytes),
            files - new,
            counted(self.gone.len(), "name"),
            self.unchanged
        )
    }
}
