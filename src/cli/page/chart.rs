//! Usage and flows over time, as SVG.

use std::fmt::Write;

use heapledger::{Report, UsagePoint};

use super::html::{human, plural};

/// How far the axis of the chart reaches.
pub struct Chart {
    top: u64,
    /// Whether the capacity is within it.
    has_capacity: bool,
    /// The most that came or went between two points, if there are two.
    most_moved: u64,
    has_flows: bool,
}

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 220.0;
/// Half of the height of the chart of flows.
const HALF: f64 = 42.0;

type Part = fn(&UsagePoint) -> u64;

/// The layers from below: their class, what is in them, and its bytes.
const LAYERS: [(&str, &str, Part); 4] = [
    ("b-payload", "content", |point| point.mem),
    ("b-room", "room in blocks", |point| point.room_in_blocks),
    ("b-pools", "uncarved in pools", |point| point.uncarved_in_pools),
    ("b-arenas", "uncarved in arenas", |point| point.uncarved_in_arenas),
];

impl Chart {
    pub fn of(report: &Report) -> Self {
        let most = |of: fn(&UsagePoint) -> u64| report.usage.iter().map(of).max().unwrap_or_default();
        let reserved = most(|point| point.capacity.saturating_sub(point.unreserved)).max(most(|point| point.peak_mem));
        let capacity = most(|point| point.capacity);
        // A small amount in a large space would be a line at the bottom.
        let has_capacity = reserved == 0 || reserved >= capacity / 8;
        Self {
            top: if has_capacity { capacity.max(1) } else { round(reserved) },
            has_capacity,
            most_moved: report
                .flows
                .steps
                .iter()
                .map(|&(came, went)| came.max(went))
                .max()
                .unwrap_or_default(),
            has_flows: report.usage.len() > 1,
        }
    }

    /// The numbers at its side.
    pub fn labels(&self) -> String {
        let label = |part: u64| {
            let bytes = u128::from(self.top) * u128::from(part) / 4;
            let bytes = human(u64::try_from(bytes).unwrap_or(u64::MAX));
            format!("<span class=\"y{part}\">{bytes}</span>")
        };
        let mut labels = [0, 1, 2, 3, 4].map(label).concat();
        if self.has_flows {
            let most = human(self.most_moved);
            let _ = write!(
                labels,
                "<span class=\"yc\">+{most}</span><span class=\"yw\">−{most}</span>"
            );
        }
        labels
    }

    pub fn legend(&self) -> String {
        let mut legend = String::new();
        for (class, what, _) in LAYERS {
            let _ = write!(
                legend,
                "<li><svg class=\"sw\" viewBox=\"0 0 15 15\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"15\" height=\"15\"/></svg>{what}</li>"
            );
        }
        let capacity = if self.has_capacity {
            "capacity"
        } else {
            "capacity: above the chart"
        };
        let _ = write!(
            legend,
            "<li><svg class=\"sw\" viewBox=\"0 0 15 15\" aria-hidden=\"true\"><path class=\"cap\" d=\"M0 7.5H15\"/></svg>{capacity}</li>"
        );
        legend
    }

    fn y(&self, bytes: u64) -> f64 {
        HEIGHT * (1.0 - bytes as f64 / self.top as f64).max(0.0)
    }

    pub fn svg(&self, report: &Report) -> String {
        let points = &report.usage;
        let mut svg = format!(
            "<svg class=\"area\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Usage over time, {}\">",
            plural(points.len() as u64, "point")
        );
        let mut below: Vec<u64> = vec![0; points.len()];
        for (class, _, of) in LAYERS {
            let above: Vec<u64> = below
                .iter()
                .zip(points)
                .map(|(below, point)| below.saturating_add(of(point)))
                .collect();
            let _ = write!(svg, "<path class=\"{class}\" d=\"{}\"/>", self.between(&above, &below));
            below = above;
        }
        let mem: Vec<u64> = points.iter().map(|point| point.mem).collect();
        let _ = write!(svg, "<path class=\"top\" d=\"M{}\"/>", self.steps(&mem).join("L"));
        for part in 0..=4u8 {
            let y = HEIGHT * f64::from(part) / 4.0;
            let _ = write!(svg, "<path class=\"grid\" d=\"M0 {y}H{WIDTH}\"/>");
        }
        if self.has_capacity {
            let capacity: Vec<u64> = points.iter().map(|point| point.capacity).collect();
            let _ = write!(svg, "<path class=\"cap\" d=\"M{}\"/>", self.steps(&capacity).join("L"));
        }
        svg.push_str("</svg>");
        if self.has_flows {
            svg.push_str(&flows(report, self.most_moved.max(1)));
        }
        svg
    }

    /// A line that stays where it is until the next point.
    fn steps(&self, values: &[u64]) -> Vec<String> {
        let mut steps = Vec::with_capacity(2 * values.len());
        for (index, &value) in values.iter().enumerate() {
            let y = self.y(value);
            if let Some(before) = index.checked_sub(1).and_then(|index| values.get(index)) {
                steps.push(format!("{:.1} {:.1}", at(index, values.len()), self.y(*before)));
            }
            steps.push(format!("{:.1} {y:.1}", at(index, values.len())));
        }
        if values.len() == 1 {
            steps.extend(values.iter().map(|&value| format!("{WIDTH} {:.1}", self.y(value))));
        }
        steps
    }

    fn between(&self, above: &[u64], below: &[u64]) -> String {
        let mut back = self.steps(below);
        back.reverse();
        format!("M{}L{}Z", self.steps(above).join("L"), back.join("L"))
    }
}

/// At least this many bytes, and a quarter of them is a round number.
fn round(bytes: u64) -> u64 {
    let quarter = bytes.div_ceil(4).max(1);
    let unit = (0..6)
        .map(|power| 1 << (10 * power))
        .rev()
        .find(|&unit| unit <= quarter)
        .unwrap_or(1);
    let decade = [100, 10, 1]
        .into_iter()
        .find(|decade| unit * decade <= quarter)
        .unwrap_or(1);
    // Above 500 of a unit, fractions of the next one are round numbers.
    let step = unit * if quarter > 500 * unit { 256 } else { decade };
    let rounded = [2, 3, 4, 5, 6, 8, 10, 12, 15, 20].map(|halves: u64| step.saturating_mul(halves) / 2);
    let rounded = rounded.into_iter().find(|&rounded| rounded >= quarter);
    rounded.unwrap_or(quarter).saturating_mul(4)
}

/// Where a point is.
pub fn at(index: usize, points: usize) -> f64 {
    match points.checked_sub(1) {
        None | Some(0) => 0.0,
        Some(last) => WIDTH * index as f64 / last as f64,
    }
}

/// What came, upwards, and what went, downwards, between two points.
fn flows(report: &Report, most: u64) -> String {
    let steps = &report.flows.steps;
    let mut svg = format!(
        "<svg class=\"flow\" viewBox=\"0 0 {WIDTH} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"What came and went between the points, at most {}\">",
        2.0 * HALF,
        human(most)
    );
    for (index, &(came, went)) in steps.iter().enumerate().skip(1) {
        let (from, to) = (at(index - 1, steps.len()), at(index, steps.len()));
        let width = (to - from) * 0.86;
        let scaled = |bytes: u64| {
            if bytes == 0 {
                0.0
            } else {
                (HALF * bytes as f64 / most as f64).max(1.0)
            }
        };
        let (up, down) = (scaled(came), scaled(went));
        if came > 0 {
            let _ = write!(
                svg,
                "<path class=\"came\" d=\"M{from:.1} {:.1}h{width:.1}v{up:.1}h-{width:.1}z\"/>",
                HALF - up
            );
        }
        if went > 0 {
            let _ = write!(
                svg,
                "<path class=\"went\" d=\"M{from:.1} {HALF}h{width:.1}v{down:.1}h-{width:.1}z\"/>"
            );
        }
    }
    let _ = write!(svg, "<path class=\"grid\" d=\"M0 {HALF}H{WIDTH}\"/></svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn the_axis_has_round_numbers() {
        for (bytes, top) in [
            (0, 4),
            (5, 8),
            (3000, 3 << 10),
            (19_000_000, 20 << 20),
            (200 << 20, 200 << 20),
            (201 << 20, 240 << 20),
            (4000 << 20, 4 << 30),
        ] {
            assert_eq!(round(bytes), top, "{bytes}");
        }
        assert!(round(u64::MAX) == u64::MAX);
    }
}
