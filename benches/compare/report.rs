//! The figures as Markdown tables, aligned for the terminal, or as JSON.

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::cell::{Cell, Work};
use crate::fragmented::Fragmented;
use crate::growth::{BATCH, Point, SIZE};
use crate::machine::counts_cpu_time;
use crate::rounds::{Samples, median};
#[cfg(feature = "postgres")]
use crate::spaces::Spaces;
use crate::store::Durability;
use crate::stores::is_baseline;
#[cfg(feature = "postgres")]
use crate::trips::Trips;

/// All results.
#[derive(Serialize)]
pub struct Report {
    rounds: usize,
    /// Whether times are CPU time.
    cpu: bool,
    comparisons: Vec<Comparison>,
    fragmented: Vec<Fragmented>,
    growth: Vec<Point>,
    #[cfg(feature = "postgres")]
    spaces: Option<Spaces>,
    #[cfg(feature = "postgres")]
    trips: Vec<Trips>,
    #[serde(skip)]
    unprinted: Vec<String>,
}

/// One work: a row per size.
#[derive(Serialize)]
struct Comparison {
    work: Work,
    durability: Durability,
    rows: Vec<Row>,
}

/// One size: an entry per store.
#[derive(Serialize)]
pub struct Row {
    cell: Cell,
    stores: Vec<Entry>,
}

/// One store at one cell: seconds per operation, or bytes per stored byte.
#[derive(Serialize)]
struct Entry {
    store: &'static str,
    median: Option<f64>,
    /// How many times as fast as the baseline (or as small).
    ratio: Option<f64>,
    figures: Vec<f64>,
}

impl Row {
    pub fn new(cell: Cell, results: Vec<Samples>) -> Self {
        let middle = |samples: &Samples| (!samples.figures.is_empty()).then(|| median(samples.figures.clone()));
        let baseline = results
            .iter()
            .find(|samples| is_baseline(samples.store))
            .and_then(middle);
        let entry = |samples: Samples| {
            let median = middle(&samples);
            Entry {
                store: samples.store,
                median,
                ratio: baseline.zip(median).map(|(baseline, own)| baseline / own),
                figures: samples.figures,
            }
        };
        Self {
            cell,
            stores: results.into_iter().map(entry).collect(),
        }
    }

    /// The spread of the baseline's rounds, relative to their median.
    fn noise(&self) -> String {
        let baseline = self.stores.iter().find(|entry| is_baseline(entry.store));
        let Some((median, figures)) = baseline.and_then(|entry| Some((entry.median?, &entry.figures))) else {
            return "–".into();
        };
        let percent = |figure: f64| 100.0 * (figure / median - 1.0);
        let lowest = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = figures.iter().copied().fold(0.0, f64::max);
        format!("{:+.0} % {:+.0} %", percent(lowest), percent(highest))
    }
}

impl Entry {
    fn show(&self, work: Work) -> String {
        let Some(median) = self.median else { return "–".into() };
        let figure = match work {
            Work::Space => format!("{median:.2}"),
            _ => time(median),
        };
        match self.ratio {
            Some(ratio) if !is_baseline(self.store) => format!("{figure}  {ratio:.2}×"),
            _ => figure,
        }
    }
}

impl Report {
    pub fn new(rounds: usize) -> Self {
        Self {
            rounds,
            cpu: counts_cpu_time(),
            comparisons: Vec::new(),
            fragmented: Vec::new(),
            growth: Vec::new(),
            #[cfg(feature = "postgres")]
            spaces: None,
            #[cfg(feature = "postgres")]
            trips: Vec::new(),
            unprinted: Vec::new(),
        }
    }

    pub fn add(&mut self, work: Work, durability: Durability, rows: Vec<Row>) {
        let table = comparison(work, &rows);
        self.unprinted
            .push(format!("\n### {}\n\n{table}", work.title(durability)));
        self.comparisons.push(Comparison { work, durability, rows });
    }

    pub fn add_fragmented(&mut self, results: Vec<Fragmented>) {
        self.unprinted.push(format!(
            "\n### {}\n\n{}",
            Work::Fragmented.title(Durability::Full),
            holes(&results)
        ));
        self.fragmented = results;
    }

    pub fn add_growth(&mut self, points: Vec<Point>) {
        let about = format!("{SIZE} B, {BATCH} per transaction; time per object");
        self.unprinted.push(format!(
            "\n### {} ({about})\n\n{}",
            Work::Growth.title(Durability::Full),
            curve(&points)
        ));
        self.growth = points;
    }

    #[cfg(feature = "postgres")]
    pub fn add_spaces(&mut self, result: Spaces) {
        let per_second = |rate: f64| format!("{rate:.0}/s");
        let line = vec![
            per_second(result.one),
            format!("{}  {:.2}×", per_second(result.several), result.several / result.one),
        ];
        let table = table(&["1 thread, 1 space", "8 threads, 8 spaces"], std::iter::once(line));
        let title = Work::Spaces.title(Durability::Full);
        self.unprinted.push(format!("\n### {title}\n\n{table}"));
        self.spaces = Some(result);
    }

    #[cfg(feature = "postgres")]
    pub fn add_trips(&mut self, results: Vec<Trips>) {
        let lines = results
            .iter()
            .map(|trips| vec![trips.operation.to_owned(), trips.statements.to_string()]);
        let table = table(&["operation", "statements"], lines);
        let title = Work::Trips.title(Durability::Full);
        self.unprinted.push(format!("\n### {title}\n\n{table}"));
        self.trips = results;
    }

    /// Prints the complete tables that were not printed yet.
    pub fn print_new(&mut self) {
        for table in self.unprinted.drain(..) {
            println!("{table}");
        }
    }
}

fn comparison(work: Work, rows: &[Row]) -> Table {
    let stores = rows.first().map_or(&[][..], |row| &row.stores);
    let mut header = vec!["size"];
    header.extend(stores.iter().map(|entry| entry.store));
    let baseline = stores.iter().find(|entry| is_baseline(entry.store));
    let noise = format!("noise of {}", baseline.map_or("–", |entry| entry.store));
    header.push(&noise);
    let lines = rows.iter().map(|row| {
        let mut line = vec![bytes(row.cell.size as u64)];
        line.extend(row.stores.iter().map(|entry| entry.show(work)));
        line.push(row.noise());
        line
    });
    table(&header, lines)
}

fn holes(results: &[Fragmented]) -> Table {
    let lines = results.iter().map(|result| {
        vec![
            format!("{} × {}", result.objects, bytes(result.size as u64)),
            format!("{} of {}", bytes(result.room), bytes(result.max_mem)),
            time(result.empty),
            time(result.in_one),
            format!("{}  {:.2}×", time(result.fragmented), result.in_one / result.fragmented),
        ]
    });
    table(
        &["allocated", "free", "empty heap", "room in one place", "holes"],
        lines,
    )
}

fn curve(points: &[Point]) -> Table {
    let lines = points.iter().map(|point| {
        let baseline = points
            .iter()
            .find(|other| is_baseline(other.store) && other.objects == point.objects);
        let with_ratio = |of: fn(&Point) -> f64| match baseline {
            Some(baseline) if !is_baseline(point.store) => {
                format!("{}  {:.2}×", time(of(point)), of(baseline) / of(point))
            }
            _ => time(of(point)),
        };
        vec![
            format!("{:e}", point.objects),
            point.store.to_owned(),
            with_ratio(|point| point.put),
            with_ratio(|point| point.get),
            with_ratio(|point| point.free),
            time(point.open),
            time(point.stats),
            format!("{:.2}", point.space),
        ]
    });
    table(
        &[
            "objects",
            "store",
            "put",
            "get",
            "free",
            "open()",
            "stats()",
            "bytes per byte",
        ],
        lines,
    )
}

fn table(header: &[&str], lines: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table.add_rows(lines);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `4.0 KiB`, `200 B`.
pub fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).to_string()
}

/// Three digits with a suitable unit.
fn time(seconds: f64) -> String {
    let (figure, unit) = match seconds {
        _ if seconds < 1e-3 => (seconds * 1e6, "µs"),
        _ if seconds < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = match figure {
        _ if figure < 10.0 => 2,
        _ if figure < 100.0 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$} {unit}")
}
