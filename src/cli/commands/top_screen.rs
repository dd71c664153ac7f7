//! Draws `heapledger top`.

use heapledger::{Event, Stats};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::top_state::{State, Then};
use crate::cli::output::levels::Fill;
use crate::cli::output::text::{Sizes, cut, printable, short_id, time};

const KEYS: &str = "q quit  p pause  s sort  ← → step through events  l live";

/// The state on a screen of any size; what does not fit is left out.
pub fn draw(frame: &mut Frame<'_>, state: &State, sizes: Sizes) {
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(6), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let lines = head(state, sizes, usize::from(top.width));
    frame.render_widget(Paragraph::new(lines), top);
    let below = usize::from(middle.height);
    let areas = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]);
    let [left, right] = areas.spacing(2).areas::<2>(middle);
    frame.render_widget(Paragraph::new(events(state, sizes, below)), left);
    sides(frame, state, sizes, right);
    let foot = state.trouble.as_deref().unwrap_or(KEYS);
    frame.render_widget(Paragraph::new(cut(foot, usize::from(bottom.width))), bottom);
}

fn bold(text: impl Into<String>) -> Line<'static> {
    Line::from(Span::styled(text.into(), Style::new().add_modifier(Modifier::BOLD)))
}

fn head(state: &State, sizes: Sizes, width: usize) -> Vec<Line<'static>> {
    let (sample, stats) = (&state.sample, &state.sample.stats);
    let mode = match &state.then {
        Some(then) => title(then),
        None if state.paused => format!("paused at {}", time(sample.at)),
        None => time(sample.at),
    };
    let mut lines = vec![bold(format!("space {}   {mode}", printable(&stats.space)))];
    let (mem, reserved, max_mem) = match &state.then {
        Some(Then { layout, .. }) => (layout.mem, layout.reserved, layout.max_mem),
        None => (stats.mem, stats.reserved, stats.max_mem),
    };
    lines.push(bar("content", mem, reserved, max_mem, sizes, width));
    if state.then.is_some() {
        lines.push(Line::from("files are as they are now"));
    }
    let disk = &stats.disk;
    match disk.max_file {
        Some(max_file) => lines.push(bar("disk", disk.total(), disk.total(), max_file, sizes, width)),
        None if disk.on_server => lines.push(Line::from(format!(
            "tables   {} on the server",
            sizes.cell(disk.file_size)
        ))),
        None => lines.push(Line::from(format!("disk     {}, no ceiling", sizes.cell(disk.total())))),
    }
    if !disk.on_server {
        lines.push(bar(
            "log",
            stats.wal_size,
            stats.wal_size,
            stats.log_limit,
            sizes,
            width,
        ));
        if !sample.log_holders.is_empty() {
            lines.push(Line::from(format!("log read by {}", sample.log_holders.join(", "))));
        }
    }
    let rates = &sample.rates;
    if state.then.is_none() {
        let bytes = |bytes: f64| sizes.cell(bytes as u64);
        lines.push(Line::from(format!(
            "per second: {:.1} puts ({}), {:.1} frees ({}), {:.1} refusals, {:.1} evictions; gets are not counted",
            rates.puts,
            bytes(rates.stored_bytes),
            rates.frees,
            bytes(rates.freed_bytes),
            rates.refusals,
            rates.evictions
        )));
    }
    lines
}

fn title(then: &Then) -> String {
    let layout = &then.layout;
    let kind = then
        .event
        .as_ref()
        .map_or(String::new(), |event| format!(" ({})", event.kind));
    format!("after event {}{kind} at {}", layout.event_id.n(), time(layout.at))
}

fn bar(label: &str, mem: u64, carved: u64, most: u64, sizes: Sizes, width: usize) -> Line<'static> {
    let figures = format!(" {} of {}", sizes.cell(mem), sizes.cell(most));
    let wide = width.saturating_sub(figures.len() + 11).clamp(4, 40);
    let drawn = Fill::new(mem, carved, most).bar(wide);
    Line::from(vec![
        Span::raw(format!("{label:<8} [")),
        Span::styled(drawn, Style::new().fg(Color::Cyan)),
        Span::raw(format!("]{figures}")),
    ])
}

/// The newest events that fit, newest last; the one that is looked at is marked.
fn events(state: &State, sizes: Sizes, height: usize) -> Vec<Line<'static>> {
    let events = &state.sample.events;
    let at = state.then.as_ref().map(|then| then.layout.event_id);
    let shown = at.and_then(|at| events.iter().position(|event| event.id == at));
    let end = shown.map_or(events.len(), |shown| (shown + 1 + height / 2).min(events.len()));
    let start = end.saturating_sub(height.saturating_sub(1));
    let mut lines = vec![bold("EVENT  KIND            SIZE  OBJECT        NAME")];
    for event in events.get(start..end).unwrap_or_default() {
        let line = Line::from(event_line(event, sizes));
        let is_shown = at == Some(event.id);
        lines.push(if is_shown {
            line.style(Style::new().add_modifier(Modifier::REVERSED))
        } else {
            line
        });
    }
    lines
}

fn event_line(event: &Event, sizes: Sizes) -> String {
    let object = event.object.map(short_id).unwrap_or_default();
    let name = event.name.as_deref().map(printable).unwrap_or_default();
    let times = if event.count > 1 {
        format!(" {} times", event.count)
    } else {
        String::new()
    };
    let (id, kind, bytes) = (event.id.n(), event.kind, sizes.signed(event.bytes));
    format!("{id:>5}  {kind:<10} {bytes:>9}  {object:<12}  {name}{times}")
}

fn sides(frame: &mut Frame<'_>, state: &State, sizes: Sizes, area: Rect) {
    let mut lines = vec![bold("CLASS       BLOCKS   FULL       USED")];
    lines.extend(classes(state).into_iter().map(|[class, blocks, full, mem]| {
        Line::from(format!(
            "{:<10} {blocks:>7} {full:>6} {:>10}",
            sizes.cell(class),
            sizes.cell(mem)
        ))
    }));
    lines.push(Line::default());
    lines.push(bold(format!("LARGEST MOVERS BY {}", state.sort.word().to_uppercase())));
    let mut movers = state.sample.movers.clone();
    state.sort.sort(&mut movers);
    for mover in movers {
        let what = match &mover.name {
            Some(name) => printable(name).into_owned(),
            None => short_id(mover.object_id),
        };
        lines.push(Line::from(format!(
            "{:>9} {:>5}  {what}",
            sizes.cell(mover.bytes),
            mover.events
        )));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Of each class, the block size, the number of blocks and of full ones, and the bytes of content.
fn classes(state: &State) -> Vec<[u64; 4]> {
    let Stats { classes, .. } = &state.sample.stats;
    let Some(then) = &state.then else {
        let of = |class: &heapledger::ClassStats| {
            let totals = &class.totals;
            [totals.block_size, totals.blocks, totals.full_blocks, totals.mem]
        };
        return classes.iter().map(of).collect();
    };
    let of = |class: &heapledger::ClassStats| {
        let size = class.totals.block_size;
        let blocks = then.layout.blocks.iter().filter(|block| block.block_size == size);
        blocks.fold([size, 0, 0, 0], |[size, blocks, full, mem], block| {
            [size, blocks + 1, full + u64::from(!block.is_free), mem + block.mem]
        })
    };
    classes.iter().map(of).collect()
}
