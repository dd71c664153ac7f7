//! The whole page.
//!
//! Figures, tables and charts are written here, as HTML and SVG, so that they are there without a script, for a printer
//! and for a screen reader; only the map and the slider need the script that is in the page. A library of charts would be
//! larger than all of that, and could not draw the map.

use heapledger::Report;

use super::html::{digest, fill, moment, name, text};
use super::{chart, data, history, objects, sections};

const PAGE: &str = include_str!("page.html");
const MAP: &str = include_str!("map.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("state.js"),
    include_str!("map.js"),
    include_str!("page.js"),
    "})();\n"
);

/// A report to be shown.
pub struct Page<'a> {
    pub report: &'a Report,
    /// The heap, as it may be shown.
    pub heap: String,
    /// For each finding, the commands that help.
    pub remedies: Vec<Vec<String>>,
}

impl Page<'_> {
    /// The page, in less than 5 MB.
    pub fn html(&self) -> String {
        let report = self.report;
        let (data, shown) = data::data(report);
        let mut parts = vec![("summary", "Summary", sections::summary(report))];
        if let Some(now) = &report.now {
            parts.push((
                "findings",
                "Findings",
                sections::findings(&now.findings, &self.remedies),
            ));
        }
        parts.push(("time", "Over time", self.time(shown)));
        parts.push(("map-s", "Block map", String::new()));
        parts.push(("balance", "Trial balance", sections::balance(report)));
        parts.push(("classes-s", "Classes", sections::classes(report)));
        if let Some(now) = &report.now {
            parts.push(("objects", "Objects and holders", objects::objects(report, now)));
        }
        parts.push(("flows", "What came and went", history::flows(report)));
        let link = |(id, title, _): &(&str, &str, String)| format!("<a href=\"#{id}\">{title}</a>");
        let nav: String = parts.iter().map(link).collect();
        fill(
            PAGE,
            &[
                ("title", format!("{} · heapledger report", text(&report.space))),
                (
                    "heading",
                    format!("Space {} <small>{}</small>", name(&report.space), text(&self.heap)),
                ),
                ("when", self.when()),
                ("made_at", moment(report.made_at)),
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("style", STYLE.to_owned()),
                ("style_hash", digest(STYLE)),
                ("script", SCRIPT.to_owned()),
                ("script_hash", digest(SCRIPT)),
                ("nav", nav),
                ("sections", parts.into_iter().map(|(.., html)| html).collect()),
                ("data", data),
            ],
        )
    }

    /// Which moment it shows.
    fn when(&self) -> String {
        let report = self.report;
        let at = report.usage.last().map_or(report.made_at, |last| last.at);
        let event = report.usage.last().map_or(0, |last| last.event_id.n());
        match &report.now {
            None => format!(
                "As it was after event {event} of {}. What only the present tells is left out: objects, holders, claims, and findings.",
                moment(at)
            ),
            Some(_) if event == 0 => format!("As of {}. It keeps no history.", moment(report.made_at)),
            Some(_) => format!(
                "As of {}. The last event is {event} of {}.",
                moment(report.made_at),
                moment(at)
            ),
        }
    }

    fn time(&self, frames: usize) -> String {
        let report = self.report;
        let chart = chart::Chart::of(report);
        let (first, last) = (report.usage.first(), report.usage.last());
        let label = |point: Option<&heapledger::UsagePoint>| {
            point.map_or(String::new(), |point| {
                format!("<span>event {} · {}</span>", point.event_id.n(), moment(point.at))
            })
        };
        let middle = report
            .usage
            .get(report.usage.len() / 2)
            .filter(|_| report.usage.len() > 2);
        let since = first.map_or(String::new(), |first| moment(first.at));
        let lead = match report.usage.len() {
            0 | 1 => "There is one moment only: without events since, nothing can be compared.".to_owned(),
            points => format!(
                "Bytes of each bucket since {since}, at {points} points evenly spaced by events, and below it what came (up) \
                 and went (down) in between. The slider shows the space, and the map below, at {frames} of them."
            ),
        };
        let classes = report.classes.iter().enumerate();
        let chips: String = classes.map(|(index, class)| sections::chip(index, class)).collect();
        fill(
            MAP,
            &[
                ("time_lead", lead),
                ("map_lead", data::explained(report)),
                ("ylabels", chart.labels()),
                ("chart", chart.svg(report)),
                (
                    "xlabels",
                    format!(
                        "{}{}{}",
                        label(first),
                        label(middle),
                        label(last.filter(|_| report.usage.len() > 1))
                    ),
                ),
                ("legend", chart.legend()),
                ("last", frames.saturating_sub(1).to_string()),
                ("class_chips", chips),
            ],
        )
    }
}
