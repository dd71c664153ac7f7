//! Names that cannot be bound as they are: the option of `import` and `copy`, and what was done.

use clap::builder::TypedValueParser;
use heapledger::{Conflict, OnConflict};

use crate::cli::exit;
use crate::cli::input::parse;
use crate::cli::output::text::{counted, printable, short_id};

#[derive(Debug, clap::Args)]
pub struct Taken {
    /// What to do with a name that cannot be bound as it is
    #[arg(long, value_name = "WHAT", value_parser = on_conflict())]
    on_conflict: Option<OnConflict>,
}

fn on_conflict() -> impl TypedValueParser<Value = OnConflict> {
    parse::one_of([
        ("skip", OnConflict::Skip),
        ("replace", OnConflict::Replace),
        ("rename", OnConflict::Rename),
    ])
}

impl Taken {
    pub fn on_conflict(&self) -> OnConflict {
        self.on_conflict.unwrap_or_default()
    }

    pub fn is_refused(&self) -> bool {
        self.on_conflict.is_none()
    }
}

/// Names reported on standard error at most; `--format json` has all.
const SHOWN: usize = 20;

/// Reports on standard error what was done.
pub fn note(conflicts: &[Conflict]) {
    for conflict in conflicts.iter().take(SHOWN) {
        exit::note(&told(conflict));
    }
    if let Some(more) = conflicts.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        exit::note(&format!("and {}", counted(more as u64, "more name")));
    }
}

fn told(conflict: &Conflict) -> String {
    let name = printable(&conflict.name);
    let other = conflict.bound_to.map_or_else(String::new, short_id);
    match (conflict.action, &conflict.renamed) {
        (_, Some(renamed)) => format!("renamed {name} to {}", printable(renamed)),
        (OnConflict::Replace, _) if conflict.freed => format!("replaced {name}, and freed {other}"),
        (OnConflict::Replace, _) => format!("replaced {name}, which was bound to {other}"),
        _ if other.is_empty() => format!("skipped {name}: it is not a valid name"),
        _ => format!("skipped {name}: it is bound to {other}"),
    }
}
