//! `heapledger put --dry-run`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use heapledger::{Error, MemRam, ObjectId, Plan, Planner, Quota};
use serde::Serialize;

use super::names::explain_taken;
use super::plan::placement;
use super::put_args::Args;
use super::put_names::PathNames;
use super::quota;
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::input::sources::{self, Found, Sources, whole_reads};
use crate::cli::output::progress::Reading;
use crate::cli::output::render::{List, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::output::text::{Sizes, counted, if_any, path_bytes, printable_path, short_id};
use crate::cli::streams;

/// Plans the paths in order, each after the previous ones.
pub fn run(args: &Args, sources: &Sources, context: &Context<'_>) -> Result<Outcome> {
    let (mut output, quiet) = (context.output(), args.quiet);
    let mut planning = Planning {
        args,
        names: args.path_names(),
        rows: output.list(),
        totals: Plan::default(),
        objects: 0,
        dedup: 0,
        failed: 0,
        refused: None,
        quotas: Vec::new(),
        most: Most::default(),
        may_evict: false,
        evicts: false,
        new: 0,
    };
    let ((), is_new) = context.plan(args.making, |planner| {
        planner.hold(args.hold(None)).map_err(explain_taken)?;
        planning.most = Most::of(planner.memram());
        planning.may_evict = planner.memram().evict.is_some();
        planning.all(sources, planner)?;
        planning.quotas = planner.quotas()?;
        Ok(())
    })?;
    let summary = planning.summary(context.sizes());
    planning.rows.end()?;
    if !quiet {
        if is_new {
            exit::note("there is no such space yet: put would create it");
        }
        exit::note(&summary);
        for planned in planning.quotas.iter().filter(|_| planning.refused.is_none()) {
            exit::note(&format!("would leave {}", quota::left(planned, context.sizes())));
        }
    }
    if planning.evicts && planning.refused.is_none() {
        return evictions(planning.new, planning.failed, context);
    }
    if let Some(path) = planning.refused {
        let path = printable_path(&path);
        if let Some(over) = &planning.totals.over_quota {
            exit::warn(&format!("{over}: nothing from {path} on would be stored"));
            return Ok(Outcome::Findings);
        }
        let (missing, below) = match planning.totals.shortfall {
            0 => (
                planning.totals.file_shortfall_estimated,
                " below the ceiling of the file, by estimate",
            ),
            shortfall => (shortfall, ""),
        };
        let sizes = context.sizes();
        let promised = match planning.totals.fits_but_for_promises() {
            true => format!(
                " ({} are promised to reservations)",
                sizes.phrase(planning.totals.promised)
            ),
            false => String::new(),
        };
        exit::warn(&format!(
            "{} too few{below}{promised}: nothing from {} on would be stored",
            sizes.phrase(missing),
            path
        ));
        return Ok(Outcome::Findings);
    }
    none_failed(planning.failed)
}

fn none_failed(failed: u64) -> Result<Outcome> {
    if failed > 0 {
        bail!("{} could not be planned", counted(failed, "path"));
    }
    Ok(Outcome::Fine)
}

/// Says what would go for this many new bytes, in a space that evicts.
fn evictions(new: u64, failed: u64, context: &Context<'_>) -> Result<Outcome> {
    let plan = context.read()?.plan_eviction(new)?;
    let sizes = context.sizes();
    if !plan.fits() {
        let missing = sizes.phrase(plan.shortfall);
        exit::warn(&format!(
            "{missing} too few for all of it, even if all that may go went"
        ));
        return Ok(Outcome::Findings);
    }
    let victims = counted(plan.victims.len(), "object");
    exit::note(&format!(
        "would evict {victims} ({}) to make room",
        sizes.phrase(plan.evicted)
    ));
    none_failed(failed)
}

struct Planning<'a> {
    args: &'a Args,
    names: Option<PathNames>,
    rows: List<'a, Planned>,
    totals: Plan,
    objects: u64,
    dedup: u64,
    failed: u64,
    /// The first path that does not fit.
    refused: Option<PathBuf>,
    /// What the owners would have.
    quotas: Vec<Quota>,
    most: Most,
    /// Whether the space evicts objects if there is no room.
    may_evict: bool,
    /// Whether it would.
    evicts: bool,
    /// Bytes that are not stored already.
    new: u64,
}

/// Sizes above which content can neither fit nor be already stored.
#[derive(Clone, Copy, Default)]
struct Most {
    /// For content of known size.
    known: u64,
    /// For content whose size is known only by reading it.
    read: u64,
}

impl Most {
    fn of(space: &MemRam) -> Self {
        Self {
            known: space.mem.max(space.available()),
            read: space.max_mem,
        }
    }
}

/// What is known about a content.
enum Content {
    Whole(ObjectId, u64),
    /// It has at least this many bytes, which is too many.
    TooLarge(u64),
}

fn whole(content: &[u8]) -> Content {
    Content::Whole(ObjectId::of_bytes(content), content.len() as u64)
}

impl Planning<'_> {
    fn all(&mut self, sources: &Sources, planner: &mut Planner<'_>) -> Result<()> {
        for path in &self.args.paths {
            for found in sources.find(path) {
                match self.unnamed(path, &found, planner) {
                    Some(why) => self.fail(found.path(), &why)?,
                    None => self.found(found, planner)?,
                }
            }
        }
        Ok(())
    }

    /// Plans what was found at or below a path with its name, if it needs one. Returns why it cannot have it.
    fn unnamed(&self, given: &Path, found: &Found, planner: &mut Planner<'_>) -> Option<String> {
        let (Some(names), false) = (
            &self.names,
            matches!(found, Found::Skipped(..) | Found::Failed(..) | Found::Stdin),
        ) else {
            return None;
        };
        match names.of(given, found.path()) {
            Err(why) => Some(why.to_owned()),
            Ok(name) => planner
                .hold(self.args.hold(Some(&name)))
                .err()
                .map(|error| error.to_string()),
        }
    }

    fn found(&mut self, found: Found, planner: &mut Planner<'_>) -> Result<()> {
        let most = self.most.read;
        let (path, hashed) = match found {
            Found::File(path, size) if size > self.most.known => (path, Ok(Content::TooLarge(size))),
            Found::File(path, _) | Found::Stream(path) => {
                let hashed = File::open(&path).and_then(|file| hash(whole_reads(file), most));
                (path, hashed)
            }
            Found::Link(path, target) => (path, Ok(whole(target.as_os_str().as_encoded_bytes()))),
            Found::Folder(path) => (path, Ok(whole(b""))),
            Found::Stdin => ("-".into(), streams::input().and_then(|input| hash(input, most))),
            Found::Skipped(path, why) => {
                if !self.args.quiet {
                    exit::note(&format!("skipped {}: {why}", printable_path(&path)));
                }
                return Ok(());
            }
            Found::Failed(path, why) => return self.fail(&path, &why),
        };
        match hashed {
            Err(error) => self.fail(&path, &error.to_string()),
            Ok(Content::TooLarge(size)) => self.planned(path, None, planner.allocate_size(size)?),
            Ok(Content::Whole(id, size)) => match planner.allocate_hashed(id, size) {
                Ok(plan) => self.planned(path, Some(id), plan),
                Err(error @ Error::KindConflict { .. }) => self.fail(&path, &error.to_string()),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// `would store 3 objects: 2 new (1.2 MiB) in 5 pieces: …; 1 already known (3 B)`
    fn summary(&self, sizes: Sizes) -> String {
        let totals = &self.totals;
        let (stored, new) = (counted(self.objects, "object"), self.objects - self.dedup);
        let bytes = sizes.phrase(totals.size - totals.dedup_saved);
        let mut text = format!("would store {stored}: {new} new ({bytes})");
        // Where they would be depends on what would go.
        if !self.evicts {
            text.push_str(&format!(" in {}", placement(totals)));
        }
        if self.dedup > 0 {
            let saved = sizes.phrase(totals.dedup_saved);
            text.push_str(&format!("; {} already known ({saved})", self.dedup));
        }
        text
    }

    fn fail(&mut self, path: &Path, why: &str) -> Result<()> {
        self.failed += 1;
        exit::warn(&format!("{}: {why}", printable_path(path)));
        Ok(())
    }

    fn planned(&mut self, path: PathBuf, id: Option<ObjectId>, plan: Plan) -> Result<()> {
        let totals = &mut self.totals;
        if self.refused.is_none() {
            totals.over_quota.clone_from(&plan.over_quota);
        }
        totals.shortfall = totals.shortfall.max(plan.shortfall);
        totals.promised = plan.promised;
        totals.file_shortfall_estimated = totals.file_shortfall_estimated.max(plan.file_shortfall_estimated);
        let only_room = plan.over_quota.is_none() && plan.file_shortfall_estimated == 0;
        let evicts = self.may_evict && plan.shortfall > 0 && only_room;
        self.evicts |= evicts;
        self.new += if plan.dedup { 0 } else { plan.size };
        if (plan.fits() || evicts) && self.refused.is_none() {
            self.objects += 1;
            self.dedup += u64::from(plan.dedup);
            totals.size += plan.size;
            totals.dedup_saved += plan.dedup_saved;
            totals.blocks_reused += plan.blocks_reused;
            totals.new_blocks += plan.new_blocks;
            totals.new_pools += plan.new_pools;
            totals.new_arenas += plan.new_arenas;
            if !plan.dedup {
                totals.pieces += plan.pieces;
            }
        } else if self.refused.is_none() {
            self.refused = Some(path.clone());
        }
        self.rows.row(&Planned {
            object_id: id,
            path: path.to_string_lossy().into_owned(),
            path_bytes: path_bytes(&path),
            shown: printable_path(&path),
            evicts,
            plan,
        })?;
        Ok(())
    }
}

fn hash(reader: impl Read, most: u64) -> io::Result<Content> {
    let reader = Reading::new(reader.take(most.saturating_add(1)), "planning");
    Ok(match sources::hash(reader)? {
        (_, size) if size > most => Content::TooLarge(size),
        (id, size) => Content::Whole(id, size),
    })
}

#[derive(Serialize)]
struct Planned {
    /// `None` if it was too large to be read to its end.
    object_id: Option<ObjectId>,
    path: String,
    /// Hexadecimal digits, if `path` is not UTF-8.
    path_bytes: Option<String>,
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    evicts: bool,
    #[serde(flatten)]
    plan: Plan,
}

impl Row for Planned {
    const KEYS: &'static str = "object_id,path,path_bytes,size,block_size,pieces,blocks_reused,new_blocks,new_pools,\
        new_arenas,dedup,dedup_saved,available,promised,due,shortfall,file_fits_estimated,file_shortfall_estimated,\
        first_bound,over_quota";
    columns! { self, sizes,
        Head::left("OBJECT") => if_any(self.object_id, short_id),
        Head::right("SIZE").worth(6) => sizes.cell(self.plan.size),
        Head::right("CLASS").worth(2) => sizes.cell(self.plan.block_size),
        Head::right("PIECES").worth(5) => self.plan.pieces,
        Head::right("REUSED").worth(1) => self.plan.blocks_reused,
        Head::right("BLOCKS").worth(4) => self.plan.new_blocks,
        Head::right("POOLS").worth(3) => self.plan.new_pools,
        Head::right("ARENAS").worth(3) => self.plan.new_arenas,
        Head::left("NOTE").worth(7).cut_to(13) => note(&self.plan, self.evicts, sizes),
        Head::left("PATH").worth(8).cut_to(12).of_names() => self.shown,
    }
}

fn note(plan: &Plan, evicts: bool, sizes: Sizes) -> String {
    match plan {
        _ if evicts => "evicts".into(),
        _ if plan.over_quota.is_some() => "over quota".into(),
        _ if plan.shortfall > 0 => format!("{} too few", sizes.phrase(plan.shortfall)),
        _ if !plan.fits() => "file full".into(),
        _ if plan.dedup => "already known".into(),
        _ => String::new(),
    }
}
