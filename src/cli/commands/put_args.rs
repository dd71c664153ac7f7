//! The command line of `heapledger put`.

use std::path::PathBuf;

use clap::ArgGroup;
use heapledger::{Hold, HoldWith};

use super::expire::Expires;
use super::put_names::PathNames;
use super::put_source::Source;
use super::tags::Tags;
use crate::cli::globals::Making;

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("by_path").args(["names", "sync"]).multiple(true)))]
#[command(after_help = "\
Prints the id and path of every file, like sha256sum, and a summary on standard error.

Examples:
  heapledger put photo.jpg notes.txt
  heapledger put -r ~/photos
  heapledger put -r --names photos && heapledger get -r photos -o copy
  heapledger put -r --sync photos        # only what is new, changed or gone
  tar c src | heapledger put - --name src.tar
  heapledger put --expires 7d report.pdf # gone after a week
  heapledger put --tag owner=ann report.pdf
  heapledger put -r --dry-run ~/photos   # whether it fits, and how")]
pub struct Args {
    /// Files to store; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,

    /// Store the files in directories, without following symbolic links
    #[arg(short, long)]
    pub(super) recursive: bool,

    /// Bind this name to the file, which must be the only one; if another object has it, it moves
    #[arg(short, long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Store nothing if NAME is taken. Without this, it moves, and its old object is freed if
    /// nothing else holds it
    #[arg(short, long, requires = "name")]
    pub(super) keep: bool,

    /// Name each file by its path, with `/` between the parts, without a root; % is written %25, and
    /// bytes that are not UTF-8 %XX. Names that are bound already move
    #[arg(long, conflicts_with = "name")]
    pub(super) names: bool,

    /// The names begin with PREFIX and `/` instead of PATH, which must be the only one
    #[arg(long, value_name = "PREFIX", requires = "by_path")]
    pub(super) prefix: Option<String>,

    /// Make the names below PREFIX, or PATH, follow the folder PATH, by content: store what is new or
    /// has changed, and remove the names of what is gone, first. Implies --names
    #[arg(long, requires = "recursive", conflicts_with = "name")]
    pub(super) sync: bool,

    /// Also store permissions, symbolic links and empty folders, as tags of the names: file-mode=0755,
    /// file-type=link, file-type=folder. `get -r --attributes` makes them again
    #[arg(short, long, requires = "by_path")]
    pub(super) attributes: bool,

    /// With --sync, remove names even if PATH has no files, cannot be read in full, or has more than fits
    #[arg(short, long, requires = "sync")]
    pub(super) force: bool,

    #[command(flatten)]
    pub(super) expires: Expires,

    #[command(flatten)]
    pub(super) tags: Tags,

    /// Store nothing; print what would be stored, and how, or what --sync would change. Exit status 1
    /// if it does not fit, or a quota refuses it, which --sync does not foresee of a quota
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Print no summary, and do not report skipped files
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) making: Making,
}

impl Args {
    /// The hold of a file that gets a name for its path, or none.
    pub(super) fn hold_of<'n>(&'n self, source: &'n Source) -> HoldWith<'n> {
        let kept = source.kept.iter().map(|(key, value)| (*key, value.as_str()));
        self.hold(source.name.as_deref()).tags(kept)
    }

    pub(super) fn hold<'n>(&'n self, name: Option<&'n str>) -> HoldWith<'n> {
        let hold = match (&self.name, name) {
            (Some(name), _) if self.keep => Hold::NewName(name),
            (Some(name), _) => Hold::Name(name),
            (None, Some(name)) => Hold::Name(name),
            (None, None) => Hold::Anonymous,
        };
        hold.expires(self.expires.expiry()).tags(self.tags.pairs())
    }

    pub(super) fn path_names(&self) -> Option<PathNames> {
        (self.names || self.sync).then(|| PathNames::new(self.prefix.as_deref()))
    }
}
