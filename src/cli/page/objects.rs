//! The largest objects, and who holds how much.

use heapledger::{Holders, ObjectInfo, Report, ReportNow, TagBucket};

use super::html::{gauge_of, grouped, human, moment, name, table, text};
use crate::cli::output::text::short_id;

pub fn objects(report: &Report, now: &ReportNow) -> String {
    let mem = now.stats.mem;
    let row = |object: &ObjectInfo| {
        let id = short_id(object.id);
        vec![
            format!("<code title=\"{}\">{id}</code>", object.id),
            holds(object),
            object.kind.to_string(),
            human(object.size),
            gauge_of(object.size, mem),
            grouped(object.pieces),
            moment(object.created),
            object.expires_at.map_or("never".to_owned(), moment),
        ]
    };
    let rows: Vec<_> = now.largest.iter().map(row).collect();
    let heads = [
        "<Object",
        "<held by",
        "<kind",
        "size",
        "of content",
        "pieces",
        "stored",
        "expires",
    ];
    let largest = match rows.is_empty() {
        true => "<p class=\"nothing\">No object of at least 4 KiB.</p>".to_owned(),
        false => table(&format!("The {} largest objects", rows.len()), &heads, &rows, None),
    };
    let kinds = now.stats.kinds.iter().map(|kind| {
        vec![
            kind.kind.to_string(),
            grouped(kind.objects),
            human(kind.mem),
            gauge_of(kind.mem, mem),
        ]
    });
    let kinds = table(
        "By kind",
        &["<Kind", "objects", "bytes", "of content"],
        &kinds.collect::<Vec<_>>(),
        None,
    );
    let holders: String = now.holders.iter().map(|holders| holding(holders, mem)).collect();
    let holders = match holders.is_empty() {
        true => "<div class=\"panel\"><h3>By owner</h3><p class=\"nothing\">No hold has a tag. Tags tell whose an object is: <code>put --tag owner=ann</code>.</p></div>".to_owned(),
        false => holders,
    };
    let lead = match now.stats.objects {
        0 => "Nothing is stored.".to_owned(),
        objects => format!(
            "{} objects in space {}. Values are not on this page.",
            grouped(objects),
            name(&report.space)
        ),
    };
    format!(
        "<section id=\"objects\" aria-labelledby=\"objects-h\"><h2 id=\"objects-h\">Objects and holders</h2><p class=\"lead\">{lead}</p>\
         <div class=\"panel\">{largest}</div><div class=\"two below\"><div class=\"panel\">{kinds}</div>{holders}</div></section>"
    )
}

/// What holds an object.
fn holds(object: &ObjectInfo) -> String {
    const SHOWN: usize = 3;
    let mut holds: Vec<_> = object.names.iter().take(SHOWN).map(|held| name(held)).collect();
    if object.names.len() > SHOWN {
        holds.push(format!("{} more names", grouped((object.names.len() - SHOWN) as u64)));
    }
    if object.held {
        holds.push("<span class=\"soft\">without a name</span>".to_owned());
    }
    holds.join(", ")
}

fn holding(holders: &Holders, mem: u64) -> String {
    let mut rows: Vec<_> = holders
        .largest
        .iter()
        .map(|usage| {
            let who = match usage.bucket {
                TagBucket::Tagged => name(usage.value.as_deref().unwrap_or_default()),
                TagBucket::Shared => "<span class=\"soft\">several of them</span>".to_owned(),
                _ => "<span class=\"soft\">no such tag</span>".to_owned(),
            };
            line(who, usage.objects, usage.bytes, mem)
        })
        .collect();
    let others = &holders.others;
    if others.values > 0 {
        let who = format!("<span class=\"soft\">{} others</span>", grouped(others.values));
        rows.push(line(who, others.objects, others.bytes, mem));
    }
    let caption = format!("By tag <bdi>{}</bdi>", text(&holders.key));
    let table = table(&caption, &["<Value", "objects", "bytes", "of content"], &rows, None);
    format!("<div class=\"panel\">{table}</div>")
}

fn line(who: String, objects: u64, bytes: u64, mem: u64) -> Vec<String> {
    vec![who, grouped(objects), human(bytes), gauge_of(bytes, mem)]
}
