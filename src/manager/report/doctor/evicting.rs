//! What a space that evicts has evicted lately.

use super::examine::Examined;
use super::finding::{Figure, Finding, Remedy, Severity};

/// Says what went in the last day, instead of calling the space full, which such a space should be. If that was
/// more than all that it can hold, objects last for less than a day: then it may be too small.
pub(super) fn evicting(examined: &Examined) -> Option<Finding> {
    let (memram, evicted) = (&examined.memram, examined.evicted?);
    let policy = memram.evict?;
    let figures = vec![
        ("used", Figure::Share(examined.used())),
        ("mem", Figure::Bytes(memram.mem)),
        ("max_mem", Figure::Bytes(memram.max_mem)),
        ("evicted_objects", Figure::Count(evicted.count)),
        ("evicted_mem", Figure::Bytes(evicted.bytes)),
    ];
    let mut text = format!(
        "{{used}} of the space is used, {{mem}} of {{max_mem}}, and the {policy} objects go if there is no room. In the \
         last day {{evicted_objects|object}} with {{evicted_mem}} went, according to the history that is kept."
    );
    let mut remedy = Vec::new();
    if evicted.bytes > memram.max_mem {
        text.push_str(" That is more than all that it can hold, so it may be too small: a replay tells what another size would change.");
        remedy.push(Remedy::Resize(memram.max_mem.saturating_mul(2)));
    }
    Some(Finding::new("evicting", Severity::Note, &text, figures, remedy))
}
