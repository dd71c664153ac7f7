//! The command-line arguments.

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

/// Compares heapledger with other stores on the same work.
#[derive(Parser)]
#[command(name = "compare")]
pub struct Args {
    /// What heapledger and a hand-written table run on
    #[arg(long, value_name = "NAME", default_value = "sqlite")]
    engine: Engine,
    /// The server, for `--engine postgres`: schemas are created on it and dropped
    #[arg(long, value_name = "URL", required_if_eq("engine", "postgres"))]
    pub url: Option<String>,
    /// Do less: under a minute, and less precise
    #[arg(long)]
    quick: bool,
    /// Only this work (may be repeated)
    #[arg(long, value_name = "NAME")]
    work: Vec<Work>,
    /// Only contents of this size, such as 200B, 4KiB, 16MiB (may be repeated)
    #[arg(long, value_name = "BYTES")]
    size: Vec<ByteSize>,
    /// Only this store (may be repeated); ratios need `raw`
    #[arg(long = "store", value_name = "NAME")]
    pub stores: Vec<String>,
    /// heapledger alone, with its file system below SQLite and without, all works but
    /// `fragmented` and `growth`, those that write with both durabilities
    #[arg(long, conflicts_with_all = ["stores", "growth"])]
    pub io: bool,
    /// Number of rounds; figures are medians over them
    #[arg(long)]
    rounds: Option<usize>,
    /// Where to put the files, in a temporary folder [default: target/tmp]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Count CPU time instead of elapsed time: less noise on a busy machine, but the disk is not
    /// measured; `threads` is left out
    #[arg(long)]
    pub cpu: bool,
    /// Print JSON at the end instead of tables
    #[arg(long)]
    pub json: bool,
    /// Numbers of objects to grow through, such as 1e3..1e7
    #[arg(long, value_name = "FROM..TO")]
    growth: Option<Decades>,
    /// Passed by `cargo bench`; without it (`cargo test --benches`) each work runs once, with
    /// little data
    #[arg(long, hide = true)]
    bench: bool,
}

/// An engine of heapledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Engine {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Engine {
    /// Whether it can do a work.
    fn does(self, work: Work) -> bool {
        match self {
            Self::Sqlite => !matches!(work, Work::Spaces | Work::Trips),
            #[cfg(feature = "postgres")]
            Self::Postgres => !matches!(
                work,
                // In one process, the writers of the table would need connections of their own.
                Work::Threads | Work::Space | Work::Fragmented | Work::Growth
            ),
        }
    }
}

/// Powers of ten, from the first to the last.
#[derive(Clone, Debug)]
struct Decades(RangeInclusive<u32>);

impl FromStr for Decades {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (from, to) = text.split_once("..").context("give a range such as 1e3..1e7")?;
        let exponent = |text: &str| -> Result<u32> {
            let digits = text
                .strip_prefix("1e")
                .context("give powers of ten, such as 1e3..1e7")?;
            Ok(digits.parse()?)
        };
        let range = exponent(from)?..=exponent(to)?;
        if range.is_empty() || *range.start() < 3 || *range.end() > 8 {
            bail!("the range must ascend within 1e3..1e8");
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
        works.retain(|&work| self.engine.does(work));
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

    /// The stores to measure.
    pub fn contenders(&self) -> Vec<Box<dyn Contender>> {
        match self.engine {
            _ if self.io => stores::with_and_without_io(),
            Engine::Sqlite => stores::all(&self.stores),
            #[cfg(feature = "postgres")]
            Engine::Postgres => stores::on_server(),
        }
    }

    /// The sizes to measure `work` at: the requested ones, or else the most informative ones.
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

    /// A temporary folder. By default it is in the build folder and not in `/tmp`, which on many
    /// machines is in memory, where an fsync costs nothing.
    pub fn work_dir(&self) -> Result<tempfile::TempDir> {
        let usual = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let parent = self.dir.as_ref().unwrap_or(&usual);
        std::fs::create_dir_all(parent)?;
        Ok(tempfile::Builder::new().prefix("compare-").tempdir_in(parent)?)
    }
}
