//! A finding: a sentence built from figures.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::error::grouped;
use crate::value::ObjectId;

/// Something that [`crate::MemManager::doctor`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The code, for programs: `nearly_full`, `free_pages`, ….
    pub code: &'static str,
    /// Whether it needs action.
    pub severity: Severity,
    /// The explanation, for people.
    pub sentence: String,
    /// The exact figures in the sentence.
    pub figures: BTreeMap<&'static str, Figure>,
    /// Calls that fix it or show what could be freed; any one of them is enough. Empty if there is
    /// none.
    pub remedy: Vec<Remedy>,
}

/// A call that fixes a finding, or shows what could be freed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// [`crate::MemManager::plan_free`] of this object tells what freeing it gives back.
    PlanFree(ObjectId),
    /// [`crate::MemManager::resize`] to this many bytes.
    Resize(u64),
    /// [`crate::MemManager::set_max_file`] to this many bytes.
    SetMaxFile(u64),
    /// [`crate::MemManager::set_history`] to [`crate::History::keep_bytes`] of this many bytes.
    LimitHistory(u64),
    /// [`crate::MemManager::reservations`] lists what is promised, and [`crate::Reservation::void`] gives it
    /// up.
    Reservations,
    /// [`crate::MemManager::quotas`] lists who has how much, and [`crate::MemManager::set_quota`] allows more.
    Quotas,
    /// [`crate::MemManager::collect_garbage`]
    CollectGarbage,
    /// [`crate::MemManager::sparse`]
    Sparse,
    /// [`crate::MemManager::compact`]
    Compact,
    /// [`crate::MemManager::space_report`]
    SpaceReport,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlanFree(id) => write!(f, "MemManager::plan_free of {id}"),
            Self::Resize(bytes) => write!(f, "MemManager::resize to {} bytes", grouped(*bytes)),
            Self::SetMaxFile(bytes) => write!(f, "MemManager::set_max_file to {} bytes", grouped(*bytes)),
            Self::LimitHistory(bytes) => write!(
                f,
                "MemManager::set_history to History::keep_bytes of {} bytes",
                grouped(*bytes)
            ),
            Self::Reservations => f.write_str("MemManager::reservations, and Reservation::void"),
            Self::Quotas => f.write_str("MemManager::quotas, and MemManager::set_quota"),
            Self::CollectGarbage => f.write_str("MemManager::collect_garbage"),
            Self::Sparse => f.write_str("MemManager::sparse"),
            Self::Compact => f.write_str("MemManager::compact"),
            Self::SpaceReport => f.write_str("MemManager::space_report"),
        }
    }
}

/// Whether a finding needs action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something should be done: allocations will be refused, or the disk holds unneeded data.
    Action,
    /// Good to know, but harmless.
    Note,
    /// All is well.
    Fine,
}

/// A figure, with its unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Bytes.
    Bytes(u64),
    /// A count.
    Count(u64),
    /// A share of a whole, from 0 to 1.
    Share(f64),
    /// A ratio of two counts.
    Ratio(f64),
    /// The id of an object.
    Id(ObjectId),
    /// Who is meant.
    Text(String),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => human(*bytes).fmt(f),
            Self::Count(count) => grouped(*count).fmt(f),
            Self::Share(share) => write!(f, "{:.1} %", 100.0 * share),
            Self::Ratio(ratio) => write!(f, "{ratio:.2}"),
            Self::Id(id) => id.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// `512 B`, `1.5 MiB`: never four digits before the point, because the next unit is used before
/// that.
fn human(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64;
    let mut unit = "";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        (scaled, unit) = (scaled / 1024.0, next);
        // Larger values would be rounded to 1000.0.
        if scaled < 999.95 {
            break;
        }
    }
    format!("{scaled:.1} {unit}")
}

impl Figure {
    /// With all digits, unlike in the sentence.
    fn exact(&self) -> String {
        match self {
            Self::Bytes(bytes) => grouped(*bytes),
            Self::Share(share) => format!("{share:.4}"),
            Self::Ratio(ratio) => format!("{ratio:.4}"),
            other => other.to_string(),
        }
    }
}

impl Finding {
    /// Writes the finding as [`fmt::Display`] does, but with the given remedies, each after `label`
    /// or `or:`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        &self,
        out: &mut dyn fmt::Write,
        label: &str,
        remedies: impl IntoIterator<Item = String>,
    ) -> fmt::Result {
        writeln!(out, "{}: {}", self.code, self.sentence)?;
        let figures = self.figures.iter();
        let figures: Vec<_> = figures
            .map(|(name, figure)| format!("{name} {}", figure.exact()))
            .collect();
        write!(out, "  figures: {}", figures.join(", "))?;
        for (index, remedy) in remedies.into_iter().enumerate() {
            write!(out, "\n  {}{remedy}", if index == 0 { label } else { "or:      " })?;
        }
        Ok(())
    }

    /// A finding with the sentence `text`, in which `{name}` stands for a figure and `{name|thing}`
    /// for a counted figure, `1 thing` or `2 things`. So a sentence cannot contain a number that is
    /// not among its figures.
    pub(super) fn new(
        code: &'static str,
        severity: Severity,
        text: &str,
        figures: impl IntoIterator<Item = (&'static str, Figure)>,
        remedy: Vec<Remedy>,
    ) -> Self {
        let figures: BTreeMap<_, _> = figures.into_iter().collect();
        let mut sentence = text.to_owned();
        for (name, figure) in &figures {
            sentence = sentence.replace(&format!("{{{name}}}"), &figure.to_string());
            let counted = format!("{{{name}|");
            while let Some((before, after)) = sentence.split_once(&counted) {
                let (thing, after) = after.split_once('}').unwrap_or((after, ""));
                let plural = if *figure == Figure::Count(1) { "" } else { "s" };
                sentence = format!("{before}{figure} {thing}{plural}{after}");
            }
        }
        debug_assert!(!sentence.contains('{'), "{code}: a figure is missing: {sentence}");
        Self {
            code,
            severity,
            sentence,
            figures,
            remedy,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "call:    ", self.remedy.iter().map(ToString::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_never_has_four_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1024, "1.0 KiB"),
            (1_022_976, "999.0 KiB"),
            (1_023_948, "999.9 KiB"),
            (1_023_949, "1.0 MiB"),
            ((1 << 30) - 1, "1.0 GiB"),
            (3 << 29, "1.5 GiB"),
            (i64::MAX as u64, "8.0 EiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Figure::Bytes(bytes).to_string(), shown);
        }
    }
}
