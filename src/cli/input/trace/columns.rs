//! Which column has what: `time-col=2, obj-id-col=5, obj-size-col=4`, as for libCacheSim.

use std::str::FromStr;

/// The columns of a trace in text, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub object: usize,
    /// Without one, each object has 1 byte.
    pub size: Option<usize>,
    /// Whether the first line has the names of the columns. `None` to detect it.
    pub has_header: Option<bool>,
    /// `None` to detect it.
    pub delimiter: Option<u8>,
}

/// Time, object and size, as in the traces that libCacheSim writes.
impl Default for Columns {
    fn default() -> Self {
        Self {
            object: 2,
            size: Some(3),
            has_header: None,
            delimiter: None,
        }
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut object = None;
        let mut columns = Self {
            size: None,
            ..Self::default()
        };
        for (key, value) in pairs(text)? {
            match key.as_str() {
                "obj-id-col" => object = Some(column(&key, value)?),
                "obj-size-col" | "size-col" => columns.size = Some(column(&key, value)?),
                "has-header" | "header" => columns.has_header = Some(truth(&key, value)?),
                "delimiter" => columns.delimiter = Some(delimiter(value)?),
                // Not needed here: requests come in order, and ids may be anything.
                "time-col" => drop(column(&key, value)?),
                "obj-id-is-num" => drop(truth(&key, value)?),
                _ => {
                    return Err(format!(
                        "{key:?} is not known; write \"obj-id-col=2, obj-size-col=3\", and if needed time-col, has-header, \
                         delimiter, obj-id-is-num"
                    ));
                }
            }
        }
        columns.object = object.ok_or("obj-id-col is missing")?;
        Ok(columns)
    }
}

/// The keys and values. A comma may also be the value of `delimiter`.
fn pairs(text: &str) -> Result<Vec<(String, &str)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("{rest:?} has no value; write KEY=VALUE, separated by commas"))?;
        let (value, after) = match after.strip_prefix(',') {
            Some(after) => (",", after),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        pairs.push((key.trim().to_lowercase().replace('_', "-"), value));
        rest = after.trim_start_matches([',', ' ']);
    }
    Ok(pairs)
}

fn column(key: &str, value: &str) -> Result<usize, String> {
    let column = value.trim().parse().ok().filter(|&column| column > 0);
    column.ok_or_else(|| format!("{key}={value} is not the number of a column; the first one is 1"))
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    match value.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(format!("{key}={value} is neither true nor false")),
    }
}

fn delimiter(value: &str) -> Result<u8, String> {
    match value.as_bytes() {
        [b'\\', b't'] => Ok(b'\t'),
        [sign] if sign.is_ascii() => Ok(*sign),
        _ => Err(format!("delimiter={value} is not one character")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_libcachesim_are_read() {
        let columns: Columns = "time-col=2, obj-id-col=5, obj-size-col=4".parse().unwrap();
        assert_eq!((columns.object, columns.size), (5, Some(4)));
        let columns: Columns = "obj_id_col=1,delimiter=,, has-header=true".parse().unwrap();
        let expected = Columns {
            object: 1,
            size: None,
            has_header: Some(true),
            delimiter: Some(b','),
        };
        assert_eq!(columns, expected);
        assert_eq!(
            "obj-id-col=1,delimiter=\\t".parse::<Columns>().unwrap().delimiter,
            Some(b'\t')
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "obj-id-col is missing"),
            ("obj-id-col=0", "the first one is 1"),
            ("obj-id-col", "has no value"),
            ("obj-id-col=1,color=2", "\"color\" is not known"),
            ("obj-id-col=1,has-header=maybe", "neither true nor false"),
            ("obj-id-col=1,delimiter=ab", "not one character"),
        ] {
            let error = text.parse::<Columns>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
