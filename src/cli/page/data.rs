//! What the script of the page draws, as JSON of a bounded size.

use heapledger::{MapCell, MapFrame, Report};
use serde::Serialize;

use super::chart;
use super::html::{grouped, human, plural, share};
use crate::cli::output::text::time;

/// The most bytes that the frames take; where they would take more, every other one is left out, again and
/// again.
const MOST: usize = 4 << 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    arenas_per_cell: u64,
    /// Sizes within cells are multiples of this.
    unit: u64,
    /// Arenas that the capacity has room for.
    arenas: u64,
    classes: Vec<String>,
    frames: Vec<Frame>,
}

/// A moment. The names are short, because there are many.
#[derive(Serialize)]
struct Frame {
    /// Where it is in the chart, from 0 to 1.
    x: f64,
    text: String,
    lines: String,
    /// Number of cells.
    n: usize,
    /// The cells that differ from those of the frame before, four numbers each: the distance from the previous
    /// such cell, what it is, content and room.
    d: Vec<u64>,
    /// The same for where they are: distance, arena, pool, block, blocks, bytes.
    w: Vec<u64>,
}

/// The JSON for a `<script>`, and how many frames it has.
pub fn data(report: &Report) -> (String, usize) {
    let mut step = 1;
    loop {
        let data = Data::of(report, step);
        let json = serde_json::to_string(&data).unwrap_or_default();
        if json.len() <= MOST || data.frames.len() <= 2 {
            return (within_script(&json), data.frames.len());
        }
        step *= 2;
    }
}

/// JSON that cannot end the `<script>` that it is in.
fn within_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// What the map shows, in a sentence.
pub fn explained(report: &Report) -> String {
    let map = &report.map;
    let Some(frame) = map.frames.last() else {
        return String::new();
    };
    if map.frames.iter().all(|frame| frame.cells.is_empty()) {
        return "No arena is carved yet, so there is nothing to draw.".to_owned();
    }
    let cell = human(map.cell_bytes);
    let smallest = report
        .classes
        .iter()
        .map(|class| class.block_size)
        .min()
        .unwrap_or_default();
    let scale = if map.arenas_per_cell > 1 {
        format!(
            "Each cell stands for {} of {} together",
            plural(map.arenas_per_cell, "arena"),
            cell
        )
    } else if map.cell_bytes > smallest {
        format!("Each cell stands for {cell}, which may be many small blocks, and each group of cells for an arena")
    } else {
        format!(
            "Each cell stands for {cell}, the smallest block, and larger blocks take several; each group of cells is an arena"
        )
    };
    format!(
        "{scale}: {} for {} and {}. Content fills a cell from below, what is above it is room. Yellow with a dot is not \
         carved into blocks yet, grey with a dash not into pools, and dashed arenas are not reserved. What is shown follows the slider.",
        plural(frame.cells.len() as u64, "cell"),
        plural(frame.arenas, "arena"),
        plural(frame.blocks, "block"),
    )
}

impl Data {
    fn of(report: &Report, step: usize) -> Self {
        let map = &report.map;
        let unit = map.cell_bytes.div_ceil(1000).max(1);
        let last = map.frames.len().saturating_sub(1);
        // The last one always stays.
        let kept = map
            .frames
            .iter()
            .enumerate()
            .filter(|(index, _)| (last - index).is_multiple_of(step));
        let classes: Vec<u64> = report.classes.iter().map(|class| class.block_size).collect();
        let nothing: &[MapCell] = &[];
        let mut before = nothing;
        let frames = kept.map(|(_, frame)| {
            let coded = Frame::of(report, frame, before, unit, &classes);
            before = &frame.cells;
            coded
        });
        let frames = frames.collect();
        let arena = match map.arenas_per_cell {
            1 => map.frames.iter().flat_map(|frame| arena_bytes(&frame.cells)).max(),
            _ => None,
        };
        let capacity = report.usage.last().map_or(0, |last| last.capacity);
        Self {
            arenas_per_cell: map.arenas_per_cell,
            unit,
            arenas: arena.map_or(0, |bytes| capacity.div_ceil(bytes.max(1))),
            classes: classes.into_iter().map(human).collect(),
            frames,
        }
    }
}

/// Bytes of each arena, by its cells.
fn arena_bytes(cells: &[MapCell]) -> impl Iterator<Item = u64> {
    cells
        .chunk_by(|one, other| one.arena == other.arena)
        .map(|arena| arena.iter().map(MapCell::bytes).fold(0, u64::saturating_add))
}

impl Frame {
    fn of(report: &Report, frame: &MapFrame, before: &[MapCell], unit: u64, classes: &[u64]) -> Self {
        let point = report
            .usage
            .iter()
            .position(|point| point.event_id == frame.usage.event_id);
        let (mut d, mut w) = (Vec::new(), Vec::new());
        let (mut last_d, mut last_w) = (-1, -1);
        for (index, cell) in (0i64..).zip(&frame.cells) {
            let was = usize::try_from(index).ok().and_then(|index| before.get(index));
            let now = drawn(cell, unit, classes);
            if was.is_none_or(|was| drawn(was, unit, classes) != now) {
                d.push(index.abs_diff(last_d));
                d.extend(now);
                last_d = index;
            }
            let now = place(cell);
            if was.is_none_or(|was| place(was) != now) {
                w.push(index.abs_diff(last_w));
                w.extend(now);
                last_w = index;
            }
        }
        Self {
            x: chart::at(point.unwrap_or_default(), report.usage.len()) / 1000.0,
            text: text(frame),
            lines: lines(frame),
            n: frame.cells.len(),
            d,
            w,
        }
    }
}

/// What a cell looks like: 0 in an arena, 1 in a pool, from 2 on blocks of a class, then content and room.
fn drawn(cell: &MapCell, unit: u64, classes: &[u64]) -> [u64; 3] {
    let class = cell
        .block_size
        .and_then(|size| classes.iter().position(|&class| class == size));
    let kind = match class {
        Some(class) => 2 + class as u64,
        None => u64::from(cell.pool.is_some()),
    };
    // Rounded up, so that less than a unit is not drawn as nothing, and a cell is drawn as full only if it is.
    [kind, cell.mem.div_ceil(unit), cell.room_in_blocks.div_ceil(unit)]
}

fn place(cell: &MapCell) -> [u64; 5] {
    let n = |n: i64| u64::try_from(n).unwrap_or_default();
    [
        n(cell.arena.n()),
        cell.pool.map_or(0, |pool| n(pool.n())),
        cell.block.map_or(0, |block| n(block.n())),
        cell.blocks,
        cell.bytes(),
    ]
}

/// A moment in one line.
fn text(frame: &MapFrame) -> String {
    let usage = &frame.usage;
    format!(
        "{} · content {} ({} bytes, {} of {}) · {}, {}, {}",
        event(frame),
        human(usage.mem),
        grouped(usage.mem),
        share(usage.mem, usage.capacity),
        human(usage.capacity),
        plural(frame.arenas, "arena"),
        plural(frame.pools, "pool"),
        plural(frame.blocks, "block"),
    )
}

fn event(frame: &MapFrame) -> String {
    let at = time(frame.usage.at).replace('T', " ").replace('Z', "");
    match frame.usage.event_id.n() {
        0 => at,
        event => format!("Event {event} · {at}"),
    }
}

/// A moment with all buckets, in several lines.
fn lines(frame: &MapFrame) -> String {
    let usage = &frame.usage;
    let mut lines = event(frame);
    for (what, bytes) in [
        ("content", usage.mem),
        ("room in blocks", usage.room_in_blocks),
        ("uncarved in pools", usage.uncarved_in_pools),
        ("uncarved in arenas", usage.uncarved_in_arenas),
        ("unreserved", usage.unreserved),
    ] {
        lines.push_str(&format!("\n{what} {}", human(bytes)));
    }
    lines
}
