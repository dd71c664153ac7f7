//! Summary, findings, trial balance and classes.

use heapledger::{BucketName, ClassUse, Finding, Report, Severity, UsagePoint};

use super::html::{bytes, gauge_of, grouped, human, moment, name, plural, share, table, text};

/// The buckets of a point, with what they look like.
fn buckets(point: &UsagePoint) -> [(BucketName, &'static str, &'static str, u64); 5] {
    [
        (BucketName::Payload, "payload", "bytes of objects", point.mem),
        (BucketName::RoomInBlocks, "room", "free in blocks", point.room_in_blocks),
        (
            BucketName::UncarvedInPools,
            "pools",
            "in pools, not in blocks",
            point.uncarved_in_pools,
        ),
        (
            BucketName::UncarvedInArenas,
            "arenas",
            "in arenas, not in pools",
            point.uncarved_in_arenas,
        ),
        (BucketName::Unreserved, "unreserved", "in no arena", point.unreserved),
    ]
}

/// The moment that the report shows. There always is one.
fn end(report: &Report) -> Option<&UsagePoint> {
    report.usage.last()
}

pub fn summary(report: &Report) -> String {
    let Some(point) = end(report) else { return String::new() };
    let mut at = 0.0;
    let mut bar = String::new();
    for (_, class, _, bytes) in buckets(point) {
        let width = 1000.0 * bytes as f64 / point.capacity.max(1) as f64;
        bar.push_str(&format!(
            "<rect class=\"b-{class}\" x=\"{at:.2}\" width=\"{width:.2}\" height=\"30\"/>"
        ));
        at += width;
    }
    let tiles: String = tiles(report, point)
        .into_iter()
        .map(|(title, figure, below)| format!("<div><dt>{title}</dt><dd>{figure}<small>{below}</small></dd></div>"))
        .collect();
    format!(
        "<section id=\"summary\" aria-label=\"Summary\"><div class=\"panel\"><p class=\"hero\"><b>{}</b><span>used: {} of {}</span></p>\
         <svg class=\"bar\" viewBox=\"0 0 1000 30\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{bar}</svg>\
         <dl class=\"tiles\">{tiles}</dl></div></section>",
        share(point.mem, point.capacity),
        human(point.mem),
        human(point.capacity),
        buckets(point)
            .map(|(bucket, _, _, bytes)| format!("{bucket} {}", human(bytes)))
            .join(", "),
    )
}

fn tiles(report: &Report, point: &UsagePoint) -> Vec<(&'static str, String, String)> {
    let exact = |key: &str, figure: u64| format!("{} B", bytes(key, figure));
    let frame = report.map.frames.last();
    let levels = frame.map_or(String::new(), |frame| {
        format!("{}, {}", plural(frame.pools, "pool"), plural(frame.blocks, "block"))
    });
    let arenas = frame.map_or(0, |frame| frame.arenas);
    let reserved = point.capacity.saturating_sub(point.unreserved);
    let mut tiles = vec![
        ("Content", human(point.mem), exact("mem", point.mem)),
        ("Capacity", human(point.capacity), exact("max_mem", point.capacity)),
        ("Reserved by arenas", human(reserved), exact("reserved", reserved)),
        ("Arenas", bytes("arenas", arenas), levels),
    ];
    let Some(stats) = report.now.as_ref().map(|now| &now.stats) else {
        return tiles;
    };
    tiles.insert(
        2,
        ("Available", human(stats.available), exact("available", stats.available)),
    );
    let pieces = stats
        .pieces_per_object
        .map_or("no pieces".to_owned(), |pieces| format!("{pieces:.2} pieces each"));
    tiles.insert(3, ("Objects", bytes("objects", stats.objects), pieces));
    let reused = format!("{} saved", human(stats.dedup_saved));
    tiles.extend([
        (
            "Most ever used",
            human(stats.peak_mem),
            exact("peak_mem", stats.peak_mem),
        ),
        ("Found already stored", bytes("dedup_hits", stats.dedup_hits), reused),
    ]);
    let disk = match stats.disk.on_server {
        true => "tables on the server".to_owned(),
        false => format!("{} free, log {}", human(stats.free_file_bytes), human(stats.wal_size)),
    };
    tiles.push(("On disk", human(stats.file_size), disk));
    let refused = stats
        .refused
        .as_ref()
        .map_or(("none lately".to_owned(), String::new()), |refused| {
            let last = format!("{} at {}", human(refused.bytes), moment(refused.last_at));
            (grouped(refused.count), last)
        });
    tiles.push(("Refused", refused.0, refused.1));
    tiles
}

pub fn findings(findings: &[Finding], remedies: &[Vec<String>]) -> String {
    let items = findings.iter().enumerate().map(|(index, finding)| {
        let (class, tag) = match finding.severity {
            Severity::Action => ("action", "Needs action"),
            Severity::Note => ("note", "Good to know"),
            Severity::Fine => ("fine", "All is well"),
        };
        let figures: String = finding
            .figures
            .iter()
            .map(|(name, figure)| format!("<div><dt>{}</dt><dd>{}</dd></div>", text(name.replace('_', " ")), text(figure)))
            .collect();
        let commands = remedies.get(index).map(|lines| text(lines.join("\u{1}")).replace("\\u{1}", "\n"));
        let commands = commands.filter(|commands| !commands.is_empty());
        let commands = commands.map_or(String::new(), |commands| format!("<pre>{commands}</pre>"));
        format!(
            "<li class=\"{class}\"><span class=\"tag\">{tag}<code>{}</code></span><p>{}</p><dl>{figures}</dl>{commands}</li>",
            finding.code,
            text(&finding.sentence)
        )
    });
    format!(
        "<section id=\"findings\" aria-labelledby=\"findings-h\"><h2 id=\"findings-h\">Findings</h2>\
         <p class=\"lead\">What <code>doctor</code> says about the space, with the figures behind it.</p><ul class=\"findings\">{}</ul></section>",
        items.collect::<String>()
    )
}

pub fn balance(report: &Report) -> String {
    let Some(point) = end(report) else { return String::new() };
    let rows: Vec<_> = buckets(point)
        .iter()
        .map(|(bucket, class, what, in_it)| {
            let swatch = format!("<svg class=\"sw\" viewBox=\"0 0 15 15\" aria-hidden=\"true\"><rect class=\"b-{class}\" width=\"15\" height=\"15\"/></svg>");
            let key = bucket.as_str().replace(' ', "_");
            vec![
                format!("{swatch}{bucket}<span class=\"soft\">{what}</span>"),
                human(*in_it),
                bytes(&key, *in_it),
                share(*in_it, point.capacity),
            ]
        })
        .collect();
    let total = |of: u64| vec!["capacity".to_owned(), human(of), grouped(of), share(of, of)];
    let heads = ["<", "", "bytes", "share"];
    let mut tables = table(
        "Where each byte of the capacity is",
        &heads,
        &rows,
        Some(total(point.capacity)),
    );
    if let Some(now) = &report.now {
        let rows: Vec<_> = now
            .stats
            .claims
            .iter()
            .map(|claim| {
                let key = format!("claim_{}", claim.claim.as_str());
                vec![
                    claim.claim.to_string(),
                    human(claim.bytes),
                    bytes(&key, claim.bytes),
                    share(claim.bytes, now.stats.max_mem),
                ]
            })
            .collect();
        let whose = table(
            "Whose each byte of the capacity is",
            &heads,
            &rows,
            Some(total(now.stats.max_mem)),
        );
        tables = format!("<div class=\"panel\">{tables}</div><div class=\"panel\">{whose}</div>");
    } else {
        tables = format!("<div class=\"panel\">{tables}</div>");
    }
    format!(
        "<section id=\"balance\" aria-labelledby=\"balance-h\"><h2 id=\"balance-h\">Trial balance</h2>\
         <p class=\"lead\">Every byte is in exactly one line of each table, so both add up to the capacity.</p><div class=\"two\">{tables}</div></section>"
    )
}

/// The button that takes a class into or out of the map.
pub fn chip(index: usize, class: &ClassUse) -> String {
    format!(
        "<button type=\"button\" class=\"chip\" aria-pressed=\"true\"><canvas data-class=\"{index}\" width=\"30\" height=\"30\" aria-hidden=\"true\"></canvas>{}</button>",
        human(class.block_size)
    )
}

pub fn classes(report: &Report) -> String {
    let row = |class: &ClassUse| {
        vec![
            human(class.block_size),
            grouped(class.pools),
            grouped(class.blocks),
            grouped(class.full_blocks),
            grouped(class.empty_blocks),
            human(class.mem),
            human(class.reserved.saturating_sub(class.mem)),
            human(class.pooled.saturating_sub(class.reserved)),
            gauge_of(class.mem, class.reserved),
        ]
    };
    let rows: Vec<_> = report.classes.iter().map(row).collect();
    let heads = [
        "<Blocks of",
        "pools",
        "blocks",
        "full",
        "empty",
        "content",
        "room",
        "not carved",
        "used of blocks",
    ];
    format!(
        "<section id=\"classes-s\" aria-labelledby=\"classes-h\"><h2 id=\"classes-h\">Size classes</h2>\
         <p class=\"lead\">An object goes to blocks of the smallest class that suits its size.</p><div class=\"panel\">{}</div></section>",
        table("Classes, from the smallest", &heads, &rows, None)
    )
}

/// Who did something.
pub fn actor(actor: Option<&str>) -> String {
    actor.map_or("<span class=\"soft\">not given</span>".to_owned(), name)
}
