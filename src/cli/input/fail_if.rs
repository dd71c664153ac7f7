//! Thresholds for `heapledger diff`: `added > 100MiB`, `freed objects >= 1`.

use std::fmt;
use std::str::FromStr;

use heapledger::{Diff, ObjectSize};
use serde::{Serialize, Serializer};

use super::parse;
use crate::cli::output::text::{Sizes, counted};

/// A bound on a figure of the diff.
#[derive(Debug, Clone)]
pub struct Threshold {
    what: What,
    unit: Unit,
    compare: Compare,
    limit: i128,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Added,
    Freed,
    Moved,
    /// Added minus freed.
    Growth,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Bytes,
    Objects,
}

type Compare = fn(&i128, &i128) -> bool;

/// Longer ones first, because `>=` starts with `>`.
const COMPARISONS: [(&str, Compare); 6] = [
    (">=", i128::ge),
    ("<=", i128::le),
    ("==", i128::eq),
    (">", i128::gt),
    ("<", i128::lt),
    ("=", i128::eq),
];

impl Threshold {
    /// The actual figure, if it crosses the threshold.
    pub fn crossed_by(&self, diff: &Diff) -> Option<Crossed<'_>> {
        let found = self.what.of(diff, self.unit);
        (self.compare)(&found, &self.limit).then_some(Crossed { threshold: self, found })
    }
}

/// A crossed threshold with the actual figure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Crossed<'a> {
    #[serde(serialize_with = "as_written")]
    threshold: &'a Threshold,
    found: i128,
}

impl Crossed<'_> {
    /// `threshold crossed: freed objects > 0 (freed 1 object)`
    pub fn in_words(&self, sizes: Sizes) -> String {
        let Threshold { what, unit, text, .. } = self.threshold;
        let minus = if self.found < 0 { "-" } else { "" };
        let found = match unit {
            Unit::Bytes => sizes.signed(self.found),
            Unit::Objects => format!("{minus}{}", counted(self.found.unsigned_abs(), "object")),
        };
        format!("threshold crossed: {text} ({what} {found})")
    }
}

fn as_written<S: Serializer>(threshold: &Threshold, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&threshold.text)
}

impl What {
    fn of(self, diff: &Diff, unit: Unit) -> i128 {
        let sum = |objects: &[ObjectSize]| match unit {
            Unit::Bytes => objects.iter().map(|object| i128::from(object.size)).sum(),
            Unit::Objects => objects.len() as i128,
        };
        match self {
            Self::Added => sum(&diff.added),
            Self::Freed => sum(&diff.freed),
            Self::Moved => sum(&diff.moved),
            Self::Growth => sum(&diff.added) - sum(&diff.freed),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Freed => "freed",
            Self::Moved => "moved",
            Self::Growth => "growth",
        })
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let at = text
            .find(['<', '>', '='])
            .ok_or_else(|| "it has no comparison; write it like 'added > 100MiB' or 'freed objects >= 1'".to_owned())?;
        let (subject, rest) = text.split_at(at);
        let (sign, compare) = COMPARISONS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or("the comparison must be one of >, >=, <, <= and =")?;
        let (what, unit) = subject_of(subject)?;
        let limit = rest.get(sign.len()..).unwrap_or_default().trim();
        Ok(Self {
            what,
            unit,
            compare,
            limit: limit_of(limit, unit)?,
            text: text.to_owned(),
        })
    }
}

fn subject_of(text: &str) -> Result<(What, Unit), String> {
    let mut words = text.split_whitespace();
    let what = match words.next() {
        Some("added") => What::Added,
        Some("freed") => What::Freed,
        Some("moved") => What::Moved,
        Some("growth") => What::Growth,
        other => {
            let other = other.unwrap_or_default();
            return Err(format!(
                "{other:?} cannot be compared; added, freed, moved and growth can"
            ));
        }
    };
    match (words.next(), words.next()) {
        (None | Some("bytes"), None) => Ok((what, Unit::Bytes)),
        (Some("objects"), None) => Ok((what, Unit::Objects)),
        (Some(other), _) => Err(format!("{other:?} cannot be counted; bytes and objects can")),
        (None, Some(_)) => Err("words are missing".into()),
    }
}

/// Parses the limit. A negative one makes sense only for growth.
fn limit_of(text: &str, unit: Unit) -> Result<i128, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let limit = match unit {
        Unit::Bytes => parse::size(digits).map_err(|why| format!("{text:?} is {why}"))?,
        Unit::Objects => digits
            .parse()
            .map_err(|_| format!("{text:?} is not a whole number of objects; write digits"))?,
    };
    Ok(sign * i128::from(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(size: u64) -> ObjectSize {
        let object_id = heapledger::ObjectId::of_bytes(&size.to_le_bytes());
        ObjectSize::new(object_id, size)
    }

    fn crosses(threshold: &str) -> bool {
        let mut diff = Diff::default();
        diff.added = vec![object(1000), object(24)];
        diff.freed = vec![object(2048)];
        let threshold: Threshold = threshold.parse().unwrap();
        threshold.crossed_by(&diff).is_some()
    }

    #[test]
    fn figures_beyond_a_threshold_cross_it() {
        for crossed in [
            "added > 1023",
            "added >= 1KiB",
            "added bytes = 1K",
            "added objects > 1",
            "freed == 2048",
            "freed objects<=1",
            "moved < 1",
            "growth < 0",
            "growth <= -1K",
            "growth objects > 0",
        ] {
            assert!(crosses(crossed), "{crossed}");
        }
        for kept in ["added > 1K", "moved objects > 0", "growth > 0", "growth < -1K"] {
            assert!(!crosses(kept), "{kept}");
        }
    }

    #[test]
    fn the_actual_figure_is_shown() {
        let mut diff = Diff::default();
        diff.freed = vec![object(2048)];
        let shown = |text: &str| {
            let threshold: Threshold = text.parse().unwrap();
            threshold.crossed_by(&diff).unwrap().in_words(Sizes::Human)
        };
        assert_eq!(shown("growth < 0"), "threshold crossed: growth < 0 (growth -2.0 KiB)");
        assert_eq!(
            shown("growth objects<0"),
            "threshold crossed: growth objects<0 (growth -1 object)"
        );
        assert_eq!(
            shown("freed objects > 0"),
            "threshold crossed: freed objects > 0 (freed 1 object)"
        );
    }

    #[test]
    fn invalid_thresholds_are_refused_with_the_reason() {
        for (text, why) in [
            ("added", "no comparison"),
            ("size > 1", "added, freed, moved and growth can"),
            ("> 1", "added, freed, moved and growth can"),
            ("added pieces > 1", "bytes and objects can"),
            ("added objects more > 1", "bytes and objects can"),
            ("added > lots", "not a size"),
            ("added >", "not a size"),
            ("added objects > 1K", "not a whole number of objects"),
            ("added => 1", "not a size"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
