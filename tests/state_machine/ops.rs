//! The operations and spaces to test.

use heapledger::{Geometry, Policy, SizeClass};
use proptest::prelude::*;
use proptest::sample::Index;

/// The file and its two spaces.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Bytes and geometry of each.
    pub spaces: [(u64, Geometry); 2],
    /// Whether a file has a ceiling, so low that content of more than 256 KiB is stored and freed in
    /// parts.
    pub in_parts: bool,
}

/// An operation on one of the two spaces.
#[derive(Debug, Clone)]
pub struct Step {
    pub space: usize,
    pub op: Op,
}

#[derive(Debug, Clone)]
pub enum Op {
    Allocate(u8, Size),
    AllocateAgain(Index),
    AllocateAs(u8, u8, Size),
    AllocateStream(u8, Size),
    /// With the anonymous hold for so many minutes.
    AllocateFor(u8, Size, u8),
    /// Under a name for so many minutes.
    AllocateAsFor(u8, u8, Size, u8),
    /// A name expires after so many minutes, or never.
    Expire(u8, Option<u8>),
    /// The same for the anonymous hold of an object.
    ExpireHold(Index, Option<u8>),
    Touch(u8, u8),
    /// A name expires so many minutes after each read of it.
    Idle(u8, u8),
    /// A read by a name.
    GetNamed(u8),
    /// A name gets a tag: its key and its value.
    Tag(u8, u8, u8),
    /// The same for the anonymous hold of an object.
    TagHold(Index, u8, u8),
    Untag(u8, u8),
    /// Under a name, or with the anonymous hold, with a tag.
    AllocateWith(Option<u8>, u8, Size, u8, u8),
    Free(Index),
    ForceFree(Index),
    FreeMissing,
    Bind(u8, Index),
    BindMissing(u8),
    Unbind(u8),
    /// Several of the operations above in one transaction, which is committed or rolled back.
    Batch(Vec<Op>, bool),
    CollectGarbage,
    /// With the share of an arena, and whether pieces are joined.
    Compact(u8, bool),
    /// Plan a collection or, with that, a compaction, and apply the plan that was made before.
    Plan(Option<u8>),
    AddArena,
    AddPool(Index, Index),
    AddBlock(Index),
    Resize(Resize),
    Reserve(u8, Size),
    /// Content for a reservation, from memory or as a stream.
    Post(u8, u8, Size, bool),
    /// Content that is stored already.
    PostAgain(u8, Index),
    Void(u8),
    /// The time of all open reservations is over.
    Lapse,
    /// The owner, by key and value, may have this share of the space and so many objects; or no quota.
    Quota(u8, u8, Option<(u64, u64)>),
    /// The space evicts like this, but nothing for so many minutes.
    Evict(Option<Policy>, u8),
    /// An object is pinned, or no longer.
    Pin(Index, bool),
    /// An object is read.
    Get(Index),
    PlanEviction(Size),
    /// The limit of the history in bytes, or none.
    History(Option<u64>),
    /// So many minutes pass.
    Wait(u8),
    Reopen,
}

/// The size of an object, possibly relative to its space.
#[derive(Debug, Clone)]
pub enum Size {
    Bytes(u64),
    Blocks(u64, i64),
    Share(u64),
    AllThatIsFree,
    OneTooMany,
}

/// The new size of a space.
#[derive(Debug, Clone)]
pub enum Resize {
    Share(u64),
    ToReserved,
    BelowReserved,
    Zero,
}

impl Size {
    pub fn bytes(&self, max_mem: u64, mem: u64) -> u64 {
        match *self {
            Self::Bytes(bytes) => bytes,
            Self::Blocks(blocks, more) => (blocks * 512).saturating_add_signed(more),
            Self::Share(share) => max_mem * share / 100,
            Self::AllThatIsFree => max_mem - mem,
            Self::OneTooMany => max_mem - mem + 1,
        }
    }
}

impl Resize {
    pub fn bytes(&self, max_mem: u64, reserved: u64) -> u64 {
        match *self {
            Self::Share(share) => (max_mem * share / 100).min(700_000),
            Self::ToReserved => reserved,
            Self::BelowReserved => reserved.saturating_sub(1),
            Self::Zero => 0,
        }
    }
}

/// Block, pool and arena sizes with few common divisors.
fn odd() -> Geometry {
    let class = |block_size, pool_size| SizeClass { block_size, pool_size };
    Geometry::new(9240, 3, vec![class(11, 33), class(70, 840), class(1155, 4620)]).unwrap()
}

pub fn setup() -> impl Strategy<Value = Setup> {
    let max_mem = prop_oneof![
        2 => prop::sample::select(vec![1u64, 2, 511, 512, 513, 4095, 4097]),
        3 => prop::sample::select(vec![32_769u64, 100_003, 262_144, 262_145, 900_001]),
        1 => 1u64..300_000,
    ];
    let geometry = prop::sample::select(vec![Geometry::standard(), Geometry::classic(), odd()]);
    let space = (max_mem, geometry);
    (space.clone(), space, any::<bool>()).prop_map(|(first, second, in_parts)| Setup {
        spaces: [first, second],
        in_parts,
    })
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![
        4 => (0u64..700).prop_map(Size::Bytes),
        3 => (1u64..20, -1i64..=1).prop_map(|(blocks, more)| Size::Blocks(blocks, more)),
        3 => (0u64..110).prop_map(Size::Share),
        1 => Just(Size::AllThatIsFree),
        1 => Just(Size::OneTooMany),
    ]
}

/// Operations that a batch also has.
fn write() -> impl Strategy<Value = Op> {
    let (key, name, pick) = (0u8..12, 0u8..4, any::<Index>());
    let minutes = || 1u8..60;
    let perhaps = || prop::option::weighted(0.7, 1u8..60);
    prop_oneof![
        5 => (key.clone(), size(), minutes()).prop_map(|(key, size, minutes)| Op::AllocateFor(key, size, minutes)),
        5 => (name.clone(), key.clone(), size(), minutes()).prop_map(|(name, key, size, minutes)| Op::AllocateAsFor(name, key, size, minutes)),
        2 => (name.clone(), perhaps()).prop_map(|(name, minutes)| Op::Expire(name, minutes)),
        2 => (pick.clone(), perhaps()).prop_map(|(pick, minutes)| Op::ExpireHold(pick, minutes)),
        1 => (name.clone(), minutes()).prop_map(|(name, minutes)| Op::Touch(name, minutes)),
        2 => (name.clone(), minutes()).prop_map(|(name, minutes)| Op::Idle(name, minutes)),
        2 => (name.clone(), 0u8..2, 0u8..3).prop_map(|(name, key, value)| Op::Tag(name, key, value)),
        2 => (pick.clone(), 0u8..2, 0u8..3).prop_map(|(pick, key, value)| Op::TagHold(pick, key, value)),
        1 => (name.clone(), 0u8..2).prop_map(|(name, key)| Op::Untag(name, key)),
        5 => (prop::option::weighted(0.7, name.clone()), key.clone(), size(), 0u8..2, 0u8..3).prop_map(|(name, content, size, key, value)| Op::AllocateWith(name, content, size, key, value)),
        8 => (key.clone(), size()).prop_map(|(key, size)| Op::Allocate(key, size)),
        2 => pick.clone().prop_map(Op::AllocateAgain),
        4 => (name.clone(), key.clone(), size()).prop_map(|(name, key, size)| Op::AllocateAs(name, key, size)),
        2 => (key, size()).prop_map(|(key, size)| Op::AllocateStream(key, size)),
        5 => pick.clone().prop_map(Op::Free),
        2 => pick.clone().prop_map(Op::ForceFree),
        1 => Just(Op::FreeMissing),
        3 => (name.clone(), pick).prop_map(|(name, pick)| Op::Bind(name, pick)),
        1 => name.clone().prop_map(Op::BindMissing),
        3 => name.prop_map(Op::Unbind),
    ]
}

/// What a space evicts, and when an object is not to be.
fn evicting() -> impl Strategy<Value = Op> {
    let policies = [
        Policy::Lru,
        Policy::Sieve,
        Policy::S3Fifo,
        Policy::Largest,
        Policy::Oldest,
    ];
    let policy = prop::option::weighted(0.9, prop::sample::select(policies.to_vec()));
    let min_age = prop_oneof![3 => Just(0u8), 1 => 1u8..30];
    prop_oneof![
        2 => (policy, min_age).prop_map(|(policy, min_age)| Op::Evict(policy, min_age)),
        2 => (any::<Index>(), prop::bool::weighted(0.6)).prop_map(|(pick, pinned)| Op::Pin(pick, pinned)),
        4 => any::<Index>().prop_map(Op::Get),
        2 => size().prop_map(Op::PlanEviction),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let pick = any::<Index>();
    let key = 0u8..8;
    let resize = prop_oneof![
        3 => (30u64..250).prop_map(Resize::Share),
        1 => Just(Resize::ToReserved),
        1 => Just(Resize::BelowReserved),
        1 => Just(Resize::Zero),
    ];
    let quota = prop::option::weighted(0.9, (0u64..40, 1u64..3));
    let batch = (prop::collection::vec(write(), 1..10), prop::bool::weighted(0.7));
    prop_oneof![
        20 => write(),
        6 => evicting(),
        3 => (0u8..4).prop_map(Op::GetNamed),
        5 => batch.prop_map(|(ops, kept)| Op::Batch(ops, kept)),
        2 => Just(Op::CollectGarbage),
        2 => (1u8..=100, any::<bool>()).prop_map(|(under, join)| Op::Compact(under, join)),
        2 => prop::option::weighted(0.7, 1u8..=100).prop_map(Op::Plan),
        1 => Just(Op::AddArena),
        1 => (pick.clone(), pick.clone()).prop_map(|(arena, class)| Op::AddPool(arena, class)),
        1 => pick.prop_map(Op::AddBlock),
        1 => resize.prop_map(Op::Resize),
        1 => prop::option::weighted(0.8, 4096u64..10_000).prop_map(Op::History),
        4 => (0u8..2, 0u8..3, quota).prop_map(|(key, value, limits)| Op::Quota(key, value, limits)),
        5 => (key.clone(), size()).prop_map(|(key, size)| Op::Reserve(key, size)),
        5 => (key.clone(), 0u8..12, size(), any::<bool>()).prop_map(|(key, of, size, stream)| Op::Post(key, of, size, stream)),
        1 => (key.clone(), any::<Index>()).prop_map(|(key, pick)| Op::PostAgain(key, pick)),
        1 => key.prop_map(Op::Void),
        1 => Just(Op::Lapse),
        5 => (1u8..30).prop_map(Op::Wait),
        1 => Just(Op::Reopen),
    ]
}

/// Mostly contents of more than a part, few of which fit, and some that are freed in steps.
pub fn large_step() -> impl Strategy<Value = Step> {
    const MIB: u64 = 1 << 20;
    let size = prop_oneof![
        6 => (9 * MIB..20 * MIB).prop_map(Size::Bytes),
        1 => (64 * MIB..66 * MIB).prop_map(Size::Bytes),
        1 => Just(Size::AllThatIsFree),
        1 => Just(Size::OneTooMany),
    ];
    let (key, pick) = (0u8..3, any::<Index>());
    let op = prop_oneof![
        3 => (key.clone(), size.clone()).prop_map(|(key, size)| Op::Allocate(key, size)),
        2 => (0u8..2, key.clone(), size.clone()).prop_map(|(name, key, size)| Op::AllocateAs(name, key, size)),
        3 => (key.clone(), size.clone()).prop_map(|(key, size)| Op::AllocateStream(key, size)),
        2 => (key.clone(), size.clone()).prop_map(|(key, size)| Op::Reserve(key, size)),
        2 => (key.clone(), key.clone(), size.clone(), any::<bool>()).prop_map(|(key, of, size, stream)| Op::Post(key, of, size, stream)),
        1 => pick.clone().prop_map(Op::AllocateAgain),
        2 => (key, size, 1u8..60).prop_map(|(key, size, minutes)| Op::AllocateFor(key, size, minutes)),
        2 => (1u8..60).prop_map(Op::Wait),
        3 => pick.prop_map(Op::ForceFree),
        2 => op(),
    ];
    (prop::bool::weighted(0.1), op).prop_map(|(second, op)| Step {
        space: second.into(),
        op,
    })
}

/// Mostly what two owners store, tag and let go of, in one space.
pub fn owned_step() -> impl Strategy<Value = Step> {
    let (name, pick, owner) = (0u8..3, any::<Index>(), 0u8..2);
    let minutes = || prop::option::weighted(0.7, 1u8..30);
    let store = (
        prop::option::weighted(0.7, name.clone()),
        0u8..6,
        (0u64..200).prop_map(Size::Bytes),
        owner.clone(),
    );
    let write = prop_oneof![
        10 => store.prop_map(|(name, content, size, owner)| Op::AllocateWith(name, content, size, 0, owner)),
        3 => (name.clone(), owner.clone()).prop_map(|(name, owner)| Op::Tag(name, 0, owner)),
        3 => (pick.clone(), owner.clone()).prop_map(|(pick, owner)| Op::TagHold(pick, 0, owner)),
        1 => name.clone().prop_map(|name| Op::Untag(name, 0)),
        2 => (name.clone(), minutes()).prop_map(|(name, minutes)| Op::Expire(name, minutes)),
        2 => (pick.clone(), minutes()).prop_map(|(pick, minutes)| Op::ExpireHold(pick, minutes)),
        1 => (name.clone(), pick.clone()).prop_map(|(name, pick)| Op::Bind(name, pick)),
        1 => name.prop_map(Op::Unbind),
        1 => pick.clone().prop_map(Op::Free),
        1 => pick.prop_map(Op::ForceFree),
    ];
    let batch = (prop::collection::vec(write.clone(), 1..6), prop::bool::weighted(0.7));
    let limits = prop::option::weighted(0.9, (0u64..15, 1u64..4));
    let op = prop_oneof![
        12 => write,
        3 => batch.prop_map(|(ops, kept)| Op::Batch(ops, kept)),
        3 => (owner, limits).prop_map(|(owner, limits)| Op::Quota(0, owner, limits)),
        2 => (1u8..30).prop_map(Op::Wait),
        1 => Just(Op::CollectGarbage),
        1 => Just(Op::Reopen),
    ];
    op.prop_map(|op| Step { space: 0, op })
}

/// Mostly what is stored and used in one space that evicts, and is nearly always full.
pub fn cache_step() -> impl Strategy<Value = Step> {
    let (name, pick) = (0u8..4, any::<Index>());
    let size = prop_oneof![
        6 => (1u64..900).prop_map(Size::Bytes),
        2 => (4000u64..5000).prop_map(Size::Bytes),
        1 => (0u64..60).prop_map(Size::Share),
        1 => Just(Size::OneTooMany),
    ];
    let store = (prop::option::weighted(0.2, name), 0u8..40, size.clone());
    let write = prop_oneof![
        20 => store.prop_map(|(name, content, size)| match name {
            Some(name) => Op::AllocateAs(name, content, size),
            None => Op::Allocate(content, size),
        }),
        4 => pick.clone().prop_map(Op::AllocateAgain),
        1 => pick.clone().prop_map(Op::ForceFree),
    ];
    let batch = (prop::collection::vec(write.clone(), 1..8), prop::bool::weighted(0.7));
    let op = prop_oneof![
        20 => write,
        12 => pick.prop_map(Op::Get),
        2 => batch.prop_map(|(ops, kept)| Op::Batch(ops, kept)),
        3 => evicting(),
        1 => (1u8..30).prop_map(Op::Wait),
        1 => Just(Op::Reopen),
        1 => (0u8..8, size).prop_map(|(key, size)| Op::Reserve(key, size)),
        1 => (0u8..8).prop_map(Op::Void),
    ];
    op.prop_map(|op| Step { space: 0, op })
}

pub fn step() -> impl Strategy<Value = Step> {
    (prop::bool::weighted(0.3), op()).prop_map(|(second, op)| Step {
        space: second.into(),
        op,
    })
}
