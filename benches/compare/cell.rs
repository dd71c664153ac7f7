//! One cell of the comparison: a work, a content size, and a number of objects.

use std::fmt;

use clap::ValueEnum;

use crate::store::Durability;

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Full,
    Quick,
    Smoke,
}

/// The works that stores are compared on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Put, 1,000 objects (or 16 MiB) per transaction
    BatchPut,
    /// Put, one transaction each, safe from power loss
    PutFull,
    /// Put, one transaction each, safe from a crash of the program
    PutNormal,
    /// Get in random order, one at a time
    Get,
    /// Get in random order, in one read transaction
    GetTx,
    /// Free in random order, 1,000 objects per transaction
    Free,
    /// 70 % get, 20 % put, 10 % free, one transaction each
    Mixed,
    /// Put in batches, nine out of ten already known
    Dedup,
    /// Put from 8 threads, one transaction each
    Threads,
    /// Bytes on disk per stored byte
    Space,
    /// Allocation in a nearly full heap with scattered holes
    Fragmented,
    /// The cost of each operation as the heap grows
    Growth,
    /// Put from 8 threads, each into a space of its own, against one into one (on a server)
    Spaces,
    /// Statements per operation (on a server)
    Trips,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}

impl Work {
    /// The title of the table.
    pub fn title(self, durability: Durability) -> String {
        let value = self.to_possible_value();
        let help = value.and_then(|value| value.get_help().map(ToString::to_string));
        let durability = match durability {
            _ if matches!(self, Self::Get | Self::GetTx | Self::Space | Self::Trips) => "",
            Durability::Full => " [Full]",
            Durability::Normal => " [Normal]",
        };
        format!("{self}{durability}: {}", help.unwrap_or_default())
    }

    pub fn durability(self) -> Durability {
        match self {
            Self::PutNormal | Self::Mixed | Self::Get | Self::GetTx | Self::Space => Durability::Normal,
            _ => Durability::Full,
        }
    }

    /// Whether the other durability is worth measuring too. Reads do not commit, and single puts
    /// have a work for each.
    pub fn has_other_durability(self) -> bool {
        matches!(
            self,
            Self::BatchPut | Self::Free | Self::Mixed | Self::Dedup | Self::Threads
        )
    }

    /// Works for which content size matters little.
    pub fn has_few_sizes(self) -> bool {
        matches!(self, Self::Mixed | Self::Dedup | Self::Threads)
    }
}

pub const THREADS: usize = 8;

const BATCH_OBJECTS: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;

/// How much of a work is done in one round.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Cell {
    pub work: Work,
    pub durability: Durability,
    pub size: usize,
    /// Objects stored before the clock starts.
    pub population: usize,
    /// Measured operations.
    pub count: usize,
    /// Objects per transaction.
    pub batch: usize,
}

impl Cell {
    pub fn new(work: Work, durability: Durability, size: usize, scale: Scale) -> Self {
        let within = |objects: usize, bytes: usize| objects.min(bytes / size).max(3);
        let (population, count) = match work {
            Work::BatchPut | Work::Dedup | Work::Space => (0, within(20_000, 64 << 20)),
            Work::PutFull => (0, within(300, 48 << 20)),
            Work::Threads => (0, within(800, 48 << 20).next_multiple_of(THREADS)),
            Work::PutNormal => (0, within(4_000, 48 << 20)),
            Work::Get | Work::GetTx => (within(20_000, 64 << 20), within(10_000, 256 << 20)),
            Work::Free => (within(10_000, 64 << 20), within(5_000, 32 << 20)),
            Work::Mixed => (within(5_000, 64 << 20), within(4_000, 64 << 20)),
            Work::Fragmented | Work::Growth | Work::Spaces | Work::Trips => (0, 0),
        };
        let cell = Self {
            work,
            durability,
            size,
            population,
            count,
            batch: (BATCH_BYTES / size).clamp(1, BATCH_OBJECTS),
        };
        match scale {
            Scale::Full => cell,
            Scale::Quick => cell.at_most(5_000),
            Scale::Smoke => cell.at_most(48),
        }
    }

    /// The same work on fewer objects, see [`crate::store::Store::AT_MOST`].
    pub fn at_most(self, objects: usize) -> Self {
        Self {
            population: self.population.min(objects),
            count: self.count.min(objects),
            ..self
        }
    }
}
