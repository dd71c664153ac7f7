//! Reports: statistics, plans, explanations, and checks of the books.

pub(in crate::manager) mod check;
pub(in crate::manager) mod disk;
pub(in crate::manager) mod doctor;
pub(in crate::manager) mod layout;
pub(in crate::manager) mod layout_digest;
pub(in crate::manager) mod picture;
pub(in crate::manager) mod plan;
pub(in crate::manager) mod plan_eviction;
pub(in crate::manager) mod plan_free;
pub(in crate::manager) mod plan_quotas;
mod query;
mod simulate;
pub(in crate::manager) mod space;
pub(in crate::manager) mod sparse;
pub(in crate::manager) mod stats;
pub(in crate::manager) mod usage;
