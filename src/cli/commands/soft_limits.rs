//! Warnings about soft limits of quotas.

use anyhow::Result;
use heapledger::MemManager;

use crate::cli::exit;
use crate::cli::output::text::Sizes;

/// Warns of owners that have more than a soft limit, after something was stored or tagged with these tags.
pub fn warn_beyond<'t>(
    memory: &MemManager,
    tags: impl Iterator<Item = (&'t str, &'t str)>,
    sizes: Sizes,
) -> Result<()> {
    for (key, value) in tags {
        let Some(quota) = memory.quota(key, value)? else {
            continue;
        };
        let owner = format!("{key}={value}");
        if let Some(soft) = quota.limits.soft_bytes.filter(|soft| quota.used_bytes > *soft) {
            let (used, soft) = (sizes.phrase(quota.used_bytes), sizes.phrase(soft));
            exit::warn(&format!("{owner} has {used}, more than its soft limit of {soft}"));
        }
        if let Some(soft) = quota.limits.soft_objects.filter(|soft| quota.used_objects > *soft) {
            let used = quota.used_objects;
            exit::warn(&format!(
                "{owner} has {used} objects, more than its soft limit of {soft}"
            ));
        }
    }
    Ok(())
}
