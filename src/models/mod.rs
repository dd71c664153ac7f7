//! Rows and their ids, one file per table.
//!
//! Fields are named like the columns. Sizes are in bytes, as `i64`, because SQLite integers are
//! signed 64-bit numbers.

pub(crate) mod amount;
mod arena;
mod block;
mod dropped_space;
mod event;
mod id;
mod if_any;
mod ledger;
mod lifetime;
mod memram;
mod name;
pub(crate) mod policy;
mod pool;
mod quota;
pub(crate) mod rank;
mod reservation;
pub(crate) mod schema;
mod sequence;
mod stored_object;
mod stripe;
mod tag;
mod text;
mod timestamp;

pub use arena::{Arena, ArenaId};
pub use block::{Block, BlockId};
pub use dropped_space::DroppedSpace;
pub use event::{Event, EventId, EventKind};
pub use ledger::{Ledger, LedgerId};
pub use memram::{HistoryMode, KindTotals, MemRam, MemRamId, SizeClassTotals};
pub use name::Name;
pub use policy::{Policy, UnknownPolicy};
pub use pool::{Pool, PoolId};
pub use quota::{OverQuota, Quota, QuotaLimit, QuotaLimits, QuotaState};
pub use reservation::{Promise, ReservationId, ReservationInfo, ReservationState};
pub use stored_object::{StoredObject, StoredObjectId};
pub use timestamp::Timestamp;

pub(crate) use amount::{signed, unsigned};
pub(crate) use id::id;
pub(crate) use ledger::{NewEntry, PlacedEntry};
pub(crate) use lifetime::{Ends, Lifetime, Term, is_over};
pub(crate) use quota::Owner;
pub(crate) use rank::{Rank, RankQueue, Ranked};
pub(crate) use reservation::ReservationRow;
pub(crate) use sequence::Sequence;
pub(crate) use stripe::{Stripe, striped_id};
pub(crate) use tag::{Tag, TagKey};
pub(crate) use text::{Shown, ShownIfAny, ShownList, WrittenTime, named_enum, text_enum};
