//! `MemManager`, the entry point of the library.

// This order determines that of the methods in rustdoc, where opening a heap comes first.
mod space;

mod handle;
mod history;
mod names;
mod objects;
mod phase;
mod plans;
mod repair;
mod report;
mod reservations;
mod transfer;
mod tree;

pub use handle::MemManager;
pub use history::counts::EventCounts;
pub use history::diff::{ClassDiff, Diff, ObjectSize};
pub use history::events::{Events, Moment};
pub use history::record::History;
pub use history::watch::Watch;
pub use names::NamesWithPrefix;
pub use objects::allocate::Allocation;
pub use objects::batch::Batch;
pub use objects::expiry::{Expiry, Held};
pub use objects::free::Freed;
pub use objects::hold::{Hold, HoldWith};
pub use objects::inspect::{Entries, Objects};
pub use objects::reader::{BatchReader, ObjectReader};
pub use objects::sweep::Expired;
pub use objects::tags::{FreedTagged, TagBucket, TagUsage};
pub use objects::writer::ObjectWriter;
pub use phase::Phase;
pub use plans::apply::Applied;
pub use plans::totals::WorkTotals;
pub use plans::work_plan::{
    InPool, MoveTo, NewBlock, NewPool, PlanEvict, PlanFree, PlanMove, PlanPiece, PlanSlice, Work, WorkKind, WorkPlan,
};
pub use repair::{Correction, Repaired};
pub use report::check::{CheckNote, CheckOptions};
pub use report::disk::{Bound, DiskUse};
pub use report::doctor::{Figure, Finding, Remedy, Severity};
pub use report::layout::Layout;
pub use report::layout_digest::LayoutDigest;
pub use report::picture::{
    ActorFlow, BlockMap, ClassUse, Flows, HeldBy, Holders, KindFlow, MapCell, MapFrame, Mover, Report, ReportNow,
    ReportOptions,
};
pub use report::plan::{Plan, Planner};
pub use report::plan_eviction::{EvictionPlan, Victim};
pub use report::plan_free::FreePlan;
pub use report::space::SpaceReport;
pub use report::sparse::{Occupants, SparseOptions};
pub use report::stats::{ClassStats, Refused, Stats};
pub use report::usage::UsagePoint;
pub use reservations::reservation::Reservation;
pub use reservations::reserve::Reserve;
pub use space::collect::Collected;
pub use space::compact::Compacted;
pub use space::compact_options::CompactOptions;
pub use space::eviction::{EvictOptions, Evicted, Eviction};
pub use space::options::Options;
pub use space::quotas::QuotaUsage;
pub use transfer::backup::Backup;
pub use transfer::conflicts::{Conflict, OnConflict};
pub use transfer::copy::{Copied, CopyOptions};
pub use transfer::copy_item::CopiedSpace;
pub use transfer::export::Exported;
pub use transfer::import::{ImportOptions, Imported};
pub use transfer::restore::Restored;
pub use transfer::snapshot::Snapshot;
pub use transfer::tar::stream::TarStream;
pub use tree::attributes::{FileAttributes, FileType};
pub use tree::path_name::{NotAPath, name_of_path, path_of_name};
pub use tree::save::{SaveTreeOptions, SavedTree, UnsavedName};
pub use tree::store_tar::{StoreTarOptions, StoredTar, UnstoredMember};

use self::handle::Inner;
use crate::models::unsigned;
