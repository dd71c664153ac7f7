//! What a space has refused lately.

use super::examine::Examined;
use super::finding::{Figure, Finding, Severity};

/// Says what the newest events have of refusals, which the present figures may not explain any more.
pub(super) fn refused(examined: &Examined) -> Option<Finding> {
    let refused = examined.refused.as_ref()?;
    let text = "An object was refused in the last day, {refused_times|time}; it needed {refused_bytes}. Now \
                {available} are free.";
    let figures = [
        ("refused_times", Figure::Count(refused.count)),
        ("refused_bytes", Figure::Bytes(refused.bytes)),
        ("available", Figure::Bytes(examined.memram.available())),
    ];
    Some(Finding::new("refused", Severity::Note, text, figures, Vec::new()))
}
