//! What came and went.

use heapledger::{ActorFlow, KindFlow, Mover, Report};

use super::html::{grouped, human, moment, name, table};
use super::sections::actor;
use crate::cli::output::text::short_id;

pub fn flows(report: &Report) -> String {
    let flows = &report.flows;
    let inner = match flows.kinds.is_empty() {
        true => "<p class=\"nothing\">No events in this time.</p>".to_owned(),
        false => {
            let kind = |flow: &KindFlow| {
                let kind = flow.kind.as_str().replace('_', " ");
                vec![kind, grouped(flow.events), some(flow.came), some(flow.went)]
            };
            let by = |flow: &ActorFlow| {
                let who = actor(flow.actor.as_deref());
                vec![who, grouped(flow.events), some(flow.came), some(flow.went)]
            };
            let kinds: Vec<_> = flows.kinds.iter().map(kind).collect();
            let actors: Vec<_> = flows.actors.iter().map(by).collect();
            let kinds = table(
                "By kind of event",
                &["<Event", "how often", "came", "went"],
                &kinds,
                None,
            );
            let actors = table("By actor", &["<Actor", "events", "came", "went"], &actors, None);
            let came = movers("The largest that came", &flows.came);
            let went = movers("The largest that went", &flows.went);
            let panel = |part: String| format!("<div class=\"panel\">{part}</div>");
            let (sums, movers) = ([kinds, actors].map(panel).concat(), [came, went].map(panel).concat());
            format!("<div class=\"two\">{sums}</div><div class=\"below stack\">{movers}</div>")
        }
    };
    let span = match (report.usage.first(), report.usage.last()) {
        (Some(first), Some(last)) if first.event_id < last.event_id => format!(
            "From event {} of {} to event {} of {}. What came and went again counts as both.",
            first.event_id.n(),
            moment(first.at),
            last.event_id.n(),
            moment(last.at)
        ),
        _ => "There is nothing to tell without events.".to_owned(),
    };
    format!(
        "<section id=\"flows\" aria-labelledby=\"flows-h\"><h2 id=\"flows-h\">What came and went</h2><p class=\"lead\">{span}</p>{inner}</section>"
    )
}

/// Bytes, or nothing for none.
fn some(bytes: u64) -> String {
    if bytes == 0 { "–".to_owned() } else { human(bytes) }
}

fn movers(caption: &str, movers: &[Mover]) -> String {
    if movers.is_empty() {
        return format!("<h3>{caption}</h3><p class=\"nothing\">None.</p>");
    }
    let row = |mover: &Mover| {
        vec![
            format!(
                "<code title=\"{0}\">{1}</code>",
                mover.object_id,
                short_id(mover.object_id)
            ),
            mover.name.as_deref().map_or(String::new(), name),
            human(mover.size),
            actor(mover.actor.as_deref()),
            mover.event_id.n().to_string(),
            moment(mover.at),
        ]
    };
    let rows: Vec<_> = movers.iter().map(row).collect();
    table(
        caption,
        &["<Object", "<name", "size", "<actor", "event", "when"],
        &rows,
        None,
    )
}
