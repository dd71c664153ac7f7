//! Owners that have all of their quota, or more than a soft limit.

use super::examine::Examined;
use super::finding::{Figure, Finding, Remedy, Severity};
use crate::models::{Quota, QuotaState};

/// The finding names at most this many owners.
const NAMED: usize = 3;

pub(super) fn quotas(examined: &Examined) -> Option<Finding> {
    let of = |state| move |quota: &&Quota| quota.state() == state;
    let full = examined.quotas.iter().filter(of(QuotaState::Full));
    let over = examined.quotas.iter().filter(of(QuotaState::OverSoft));
    let is_full = full.clone().next().is_some();
    if !is_full && over.clone().next().is_none() {
        return None;
    }
    let mut text =
        "Of {quotas|owner} with a quota, {full} may have no more, and {over_soft} should have less.".to_owned();
    if is_full {
        text.push_str(" What would give more to those that are full is refused.");
    }
    // Not in the sentence, because an owner may have any name.
    let owners = full.clone().chain(over.clone()).take(NAMED);
    let owners: Vec<_> = owners.map(|quota| format!("{}={}", quota.key, quota.value)).collect();
    let figures = vec![
        ("quotas", Figure::Count(examined.quotas.len() as u64)),
        ("full", Figure::Count(full.count() as u64)),
        ("over_soft", Figure::Count(over.count() as u64)),
        ("owners", Figure::Text(owners.join("; "))),
    ];
    let severity = if is_full { Severity::Action } else { Severity::Note };
    Some(Finding::new("quotas", severity, &text, figures, vec![Remedy::Quotas]))
}
