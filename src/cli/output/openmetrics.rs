//! The text format [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/).

use std::fmt::Write;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Gauge,
    Counter,
    Info,
}

/// A text with metrics of this program.
#[derive(Default)]
pub struct Exposition(String);

impl Exposition {
    /// A family of metrics with its samples: their labels and values. Its unit is in its name. Without a
    /// sample, nothing is written.
    pub fn family<const N: usize>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let (word, suffix) = match kind {
            Kind::Gauge => ("gauge", ""),
            Kind::Counter => ("counter", "_total"),
            Kind::Info => ("info", "_info"),
        };
        let name = format!("heapledger_{name}");
        let out = &mut self.0;
        let _ = writeln!(out, "# TYPE {name} {word}");
        if name.ends_with("_bytes") {
            let _ = writeln!(out, "# UNIT {name} bytes");
        }
        let _ = writeln!(out, "# HELP {name} {}", escaped(help));
        for (labels, value) in samples {
            let labels = labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(&value)));
            let labels = match labels.join(",") {
                labels if labels.is_empty() => labels,
                labels => format!("{{{labels}}}"),
            };
            let _ = writeln!(out, "{name}{suffix}{labels} {value}");
        }
    }

    /// The whole text.
    pub fn end(self) -> String {
        format!("{}# EOF\n", self.0)
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_without_samples_left_out() {
        let mut out = Exposition::default();
        out.family(
            "x_bytes",
            Kind::Counter,
            "a \"b\"",
            [([("l", "\\ \n \"".to_owned())], 7)],
        );
        out.family::<0>("y", Kind::Gauge, "", []);
        assert_eq!(
            out.end(),
            "# TYPE heapledger_x_bytes counter\n# UNIT heapledger_x_bytes bytes\n\
             # HELP heapledger_x_bytes a \\\"b\\\"\nheapledger_x_bytes_total{l=\"\\\\ \\n \\\"\"} 7\n# EOF\n"
        );
    }
}
