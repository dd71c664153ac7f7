//! What the user asked for.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use clap::{Parser, ValueEnum};

use crate::cell::{Scale, Work};
use crate::contender::Contender;
use crate::store::Durability;
use crate::stores;

/// heapledger beside other stores, on the same work.
#[derive(Parser)]
#[command(name = "compare")]
pub struct Args {
    /// Less of everything: under a minute, and rougher
    #[arg(long)]
    quick: bool,
    /// Only this work (may be given again)
    #[arg(long, value_name = "NAME")]
    work: Vec<Work>,
    /// Only contents of this size, as 200B, 4KiB, 16MiB (may be given again)
    #[arg(long, value_name = "BYTES")]
    size: Vec<ByteSize>,
    /// Only this store (may be given again); ratios need `raw`
    #[arg(long = "store", value_name = "NAME")]
    pub stores: Vec<String>,
    /// heapledger alone, with its file system below SQLite and without, all works but
    /// `fragmented` and `growth`, those that write with both durabilities
    #[arg(long, conflicts_with_all = ["stores", "growth"])]
    pub io: bool,
    /// Rounds over which medians are taken
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the files are made; a folder of its own is made there and removed [default: target/tmp]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Count CPU time in place of time: less noise while others use the machine, and
    /// nothing said about the disk; `threads` is left out
    #[arg(long)]
    pub cpu: bool,
    /// Print all of it as JSON at the end, in place of tables
    #[arg(long)]
    pub json: bool,
    /// Decades of objects to grow through, as 1e3..1e7
    #[arg(long, value_name = "FROM..TO")]
    growth: Option<Decades>,
    /// What `cargo bench` passes; without it (`cargo test --benches`) each work runs once, tiny
    #[arg(long, hide = true)]
    bench: bool,
}

/// Powers of ten, from the first to the last.
#[derive(Clone, Debug)]
struct Decades(RangeInclusive<u32>);

impl FromStr for Decades {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (from, to) = text.split_once("..").context("give a range, as 1e3..1e7")?;
        let exponent = |text: &str| -> Result<u32> {
            let digits = text.strip_prefix("1e").context("give powers of ten, as 1e3..1e7")?;
            Ok(digits.parse()?)
        };
        let range = exponent(from)?..=exponent(to)?;
        if range.is_empty() || *range.start() < 3 || *range.end() > 8 {
            bail!("the range starts at 1e3 or above, rises, and ends at 1e8 or below");
        }
        Ok(Self(range))
    }
}

const SIZES: [usize; 6] = [20, 200, 4 << 10, 20 << 10, 200 << 10, 16 << 20];

impl Args {
    pub fn scale(&self) -> Scale {
        match (self.bench, self.quick) {
            (false, _) => Scale::Smoke,
            (true, true) => Scale::Quick,
            (true, false) => Scale::Full,
        }
    }

    pub fn rounds(&self) -> usize {
        let usual = match self.scale() {
            Scale::Full => 5,
            Scale::Quick => 3,
            Scale::Smoke => 1,
        };
        self.rounds.unwrap_or(usual).max(1)
    }

    pub fn works(&self) -> Vec<Work> {
        let mut works = match (&*self.work, &self.growth) {
            ([], None) => Work::value_variants().to_vec(),
            ([], Some(_)) => vec![Work::Growth],
            (works, _) => works.to_vec(),
        };
        works.retain(|&work| !self.cpu || work != Work::Threads);
        works.retain(|&work| !self.io || !matches!(work, Work::Fragmented | Work::Growth));
        works
    }

    /// The durabilities that `work` is measured with.
    pub fn durabilities(&self, work: Work) -> Vec<Durability> {
        if self.io && work.has_other_durability() {
            return vec![Durability::Full, Durability::Normal];
        }
        vec![work.durability()]
    }

    /// Who is measured.
    pub fn contenders(&self) -> Vec<Box<dyn Contender>> {
        if self.io {
            stores::with_and_without_io()
        } else {
            stores::all(&self.stores)
        }
    }

    /// The sizes that `work` is measured at: those asked for, else those that tell most.
    pub fn sizes_for(&self, work: Work) -> Vec<usize> {
        if !self.size.is_empty() {
            return self.size.iter().map(|size| size.as_u64() as usize).collect();
        }
        match self.scale() {
            Scale::Smoke => vec![200],
            Scale::Quick if work.has_few_sizes() => vec![200],
            Scale::Quick => vec![200, 20 << 10],
            Scale::Full if work.has_few_sizes() => vec![200, 4 << 10, 20 << 10],
            Scale::Full => SIZES.to_vec(),
        }
    }

    /// The numbers of objects at which the growing heap is measured.
    pub fn decades(&self) -> Vec<u64> {
        let usual = match self.scale() {
            Scale::Full => 3..=5,
            Scale::Quick => 3..=4,
            Scale::Smoke => 3..=3,
        };
        let exponents = self.growth.clone().map_or(usual, |decades| decades.0);
        exponents.map(|exponent| 10_u64.pow(exponent)).collect()
    }

    /// A fresh folder, removed when dropped. By default under the build folder and not
    /// under `/tmp`, which is memory on many machines, where an fsync costs nothing.
    pub fn work_dir(&self) -> Result<tempfile::TempDir> {
        let usual = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let parent = self.dir.as_ref().unwrap_or(&usual);
        std::fs::create_dir_all(parent)?;
        Ok(tempfile::Builder::new().prefix("compare-").tempdir_in(parent)?)
    }
}
