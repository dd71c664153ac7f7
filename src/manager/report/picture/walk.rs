//! The history of a report: the moments that it shows, and the way back through the events between them.

use super::cells::{self, BlockMap, Grid, MapFrame};
use super::classes::{ClassUse, classes};
use super::flows::{Flows, Summing};
use super::options::ReportOptions;
use crate::error::Result;
use crate::manager::history::events::outside;
use crate::manager::report::layout::{Undone, agree};
use crate::manager::{MemManager, Moment, UsagePoint};
use crate::models::{EventId, HistoryMode, Timestamp, unsigned};
use crate::store::queries::events::{self, Mark};
use crate::store::{ReadTx, queries};

/// What a report has of the history.
pub(super) struct Walked {
    pub map: BlockMap,
    pub usage: Vec<UsagePoint>,
    pub flows: Flows,
    pub classes: Vec<ClassUse>,
    /// Whether no event comes after its moment.
    pub is_now: bool,
}

/// Points of usage over time.
const POINTS: u64 = 400;
/// Cells of all frames together, and rows of blocks that are looked at for them.
const MOST_CELLS: u64 = 1 << 18;
const MOST_BLOCKS: u64 = 1 << 25;

/// Reads the levels, and goes back through the events.
pub(super) fn walk(
    memory: &MemManager,
    tx: &mut ReadTx<'_>,
    options: &ReportOptions,
    now: Timestamp,
) -> Result<Walked> {
    let space = memory.inner.space;
    let span = Span::find(memory, tx, options)?;
    let mut undone = Undone::read(tx, space)?;
    let points = match &span {
        Some(span) => span.points(tx, memory)?,
        None => vec![UsagePoint {
            at: now,
            ..UsagePoint::EMPTY
        }],
    };
    let memram = queries::spaces::get(tx, space)?;
    let ladder = queries::spaces::classes(tx, space)?;
    let reserved = points
        .iter()
        .map(|point| point.capacity.saturating_sub(point.unreserved));
    let arenas = reserved.max().unwrap_or_default().div_ceil(memram.arena_size.max(1));
    let arenas = arenas.max(undone.arenas.len() as u64);
    let least = ladder.iter().map(|class| class.block_size).min().unwrap_or(1);
    let grid = Grid::new(arenas, memram.arena_size, least, options.cells);

    let in_all = MOST_CELLS / grid.cells(arenas, memram.arena_size).max(1);
    let by_work = MOST_BLOCKS / (undone.blocks.len() as u64).max(1);
    let frames = (options.frames as u64).min(in_all).min(by_work).max(2);
    let mut way = Way {
        shown: chosen(points.len(), usize::try_from(frames).unwrap_or(usize::MAX)),
        flows: Summing::new(points.len()),
        step: points.len(),
        points,
        frames: Vec::new(),
        classes: Vec::new(),
        grid,
    };
    if let Some(span) = &span {
        events::each_back_to(tx, space, span.from.id, |event| {
            way.show(&undone, event.id)?;
            if event.id <= span.to.id {
                let step = way.step_of(event.id);
                way.flows.add(&event, step);
            }
            undone.undo(&event, span.moment)
        })?;
    }
    way.show(&undone, EventId(i64::MIN))?;
    let block_sizes: Vec<_> = ladder.iter().map(|class| class.block_size).collect();
    Ok(way.walked(&block_sizes, span.is_none_or(|span| span.is_now)))
}

/// The part of the history that a report is about.
struct Span {
    opening: EventId,
    from: Mark,
    to: Mark,
    /// The end, as it was asked for.
    moment: Moment,
    is_now: bool,
}

impl Span {
    /// `None` without a history, unless a moment was asked for.
    fn find(memory: &MemManager, tx: &mut ReadTx<'_>, options: &ReportOptions) -> Result<Option<Self>> {
        let space = memory.inner.space;
        let is_off = queries::spaces::get(tx, space)?.history == HistoryMode::Off;
        if is_off && options.at.is_none() && options.since.is_none() {
            return Ok(None);
        }
        let opening = memory.opening(tx)?;
        let last = events::last(tx, space)?.unwrap_or(opening.id);
        let moment = options.at.unwrap_or(Moment::Event(last));
        let to = memory.mark(tx, moment)?;
        let mut from = match options.since {
            Some(Moment::Time(since)) if since < opening.at => opening,
            Some(since) => memory.mark(tx, since)?,
            None => opening,
        };
        if let Some(since) = options.since.filter(|_| from.id > to.id) {
            return Err(outside(since, "it is after the end of the report".into()));
        }
        if let Some(repair) = events::last_repair(tx, space, to.id)?.filter(|repair| repair.id > from.id) {
            from = repair;
        }
        Ok(Some(Self {
            opening: opening.id,
            from,
            to,
            moment,
            is_now: to.id >= last,
        }))
    }

    /// Both ends, and rows of events in between, evenly spaced by number. Of the ends, only `mem` is known yet.
    fn points(&self, tx: &mut ReadTx<'_>, memory: &MemManager) -> Result<Vec<UsagePoint>> {
        let space = memory.inner.space;
        let after = |mark: Mark| EventId(mark.id.0.saturating_add(1));
        let rows = events::count(tx, space, after(self.from))? - events::count(tx, space, after(self.to))?;
        let rows = u64::try_from(rows).unwrap_or_default();
        let wanted = rows.min(POINTS);
        let mut points = vec![end(self.from)];
        let (mut seen, mut sum) = (0, UsagePoint::EMPTY);
        events::each_movement(tx, space, self.opening, |movement| {
            sum.add(movement);
            if sum.event_id <= self.from.id || sum.event_id > self.to.id {
                sum.peak_mem = 0;
                return;
            }
            // The last of every `rows / wanted` rows.
            let step = |seen: u64| (seen * wanted).checked_div(rows);
            if step(seen + 1) > step(seen) {
                points.push(sum);
                sum.peak_mem = 0;
            }
            seen += 1;
        })?;
        if points.last().is_some_and(|last| last.event_id < self.to.id) {
            points.push(end(self.to));
        }
        Ok(points)
    }
}

fn end(mark: Mark) -> UsagePoint {
    UsagePoint {
        event_id: mark.id,
        at: mark.at,
        mem: unsigned(mark.mem),
        ..UsagePoint::EMPTY
    }
}

/// What was seen on the way back.
struct Way {
    points: Vec<UsagePoint>,
    /// The points that are still to be shown, the oldest first.
    shown: Vec<usize>,
    /// The point before which the last event happened.
    step: usize,
    grid: Grid,
    /// The newest first.
    frames: Vec<MapFrame>,
    classes: Vec<ClassUse>,
    flows: Summing,
}

impl Way {
    /// Shows the levels as they are at the points from `event` on.
    fn show(&mut self, levels: &Undone, event: EventId) -> Result<()> {
        while let Some(index) = self.shown.pop_if(|index| {
            let point = self.points.get(*index);
            point.is_some_and(|point| point.event_id >= event)
        }) {
            let Some(point) = self.points.get_mut(index) else {
                continue;
            };
            let usage = cells::usage(levels, *point);
            if point.event_id != EventId(0) {
                agree(point.event_id, usage.mem, point.mem)?;
            }
            *point = usage;
            if self.frames.is_empty() {
                self.classes = classes(levels);
            }
            self.frames.push(MapFrame {
                usage,
                arenas: levels.arenas.len() as u64,
                pools: levels.pools.len() as u64,
                blocks: levels.blocks.len() as u64,
                cells: self.grid.frame(levels),
            });
        }
        Ok(())
    }

    /// The step that an event belongs to. Events are passed newest first.
    fn step_of(&mut self, event: EventId) -> usize {
        while let Some(before) = self.step.checked_sub(1) {
            if self.points.get(before).is_none_or(|point| point.event_id < event) {
                break;
            }
            self.step = before;
        }
        self.step
    }

    fn walked(mut self, ladder: &[u64], is_now: bool) -> Walked {
        for &block_size in ladder {
            if !self.classes.iter().any(|class| class.block_size == block_size) {
                self.classes.push(ClassUse::empty(block_size));
            }
        }
        self.classes.sort_by_key(|class| class.block_size);
        self.frames.reverse();
        Walked {
            map: BlockMap {
                cell_bytes: self.grid.cell_bytes,
                arenas_per_cell: self.grid.arenas_per_cell,
                frames: self.frames,
            },
            usage: self.points,
            flows: self.flows.flows(),
            classes: self.classes,
            is_now,
        }
    }
}

/// At most `most` of the indices of this many points, evenly spaced, with the first and the last.
fn chosen(points: usize, most: usize) -> Vec<usize> {
    let Some(last) = points.checked_sub(1) else {
        return Vec::new();
    };
    let steps = most.saturating_sub(1).clamp(1, last.max(1));
    let mut chosen: Vec<_> = (0..=steps).map(|step| step * last / steps).collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn the_first_and_the_last_point_are_always_shown() {
        assert_eq!(chosen(0, 5), [0; 0]);
        assert_eq!(chosen(1, 5), [0]);
        assert_eq!(chosen(3, 5), [0, 1, 2]);
        assert_eq!(chosen(5, 3), [0, 2, 4]);
        assert_eq!(chosen(10, 2), [0, 9]);
        assert_eq!(chosen(400, 64).len(), 64);
    }
}
