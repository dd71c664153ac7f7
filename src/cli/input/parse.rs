//! Sizes and times as people write them.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use jiff::SignedDuration;

/// A file or folder that must have a name: it can be neither standard input nor standard output.
pub fn named_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("- cannot be standard input or output here; write ./- for a file of that name"),
        false => Ok(path),
    })
}

/// A number of bytes: `65536`, `64K`, `1.5GiB`. One letter and `…iB` are powers of
/// 1024, `KB`, `MB` and so on powers of 1000, as in GNU coreutils.
pub fn size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let binary = trimmed.ends_with(|last: char| "kmgtpeKMGTPE".contains(last));
    let spelled = if binary {
        format!("{trimmed}iB")
    } else {
        trimmed.to_owned()
    };
    let bytes = spelled
        .parse::<ByteSize>()
        .map_err(|_| "not a size; write bytes (65536), or a number with a unit (64K, 1.5MiB, 2GiB)".to_owned())?;
    // bytesize saturates instead of refusing larger numbers.
    if bytes.as_u64() == u64::MAX {
        return Err("too large".into());
    }
    Ok(bytes.as_u64())
}

/// A size, or `none`.
pub fn ceiling(text: &str) -> Result<Ceiling, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(Ceiling(None));
    }
    let explained = |why| format!("{why}; or none");
    Ok(Ceiling(Some(size(text).map_err(explained)?)))
}

/// The ceiling of a file in bytes, if it is to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling(pub Option<u64>);

/// One of several things, by its name.
pub fn one_of<T>(all: impl IntoIterator<Item = (&'static str, T)>) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
{
    let all: Vec<_> = all.into_iter().collect();
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    PossibleValuesParser::new(names).try_map(move |text| {
        let found = all.iter().find(|(name, _)| *name == text);
        found.map(|(_, thing)| thing.clone()).ok_or("not one of them")
    })
}

/// A span of time: `500ms`, `30s`, `2m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let explain = || "not a time; write 500ms, 30s or 2m".to_owned();
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let span: SignedDuration = text.parse().map_err(|_| explain())?;
    Duration::try_from(span).map_err(|_| explain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("512B", 512),
            ("64K", 65_536),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("64KB", 64_000),
            ("1.5MiB", 1_572_864),
            ("1GiB", 1 << 30),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn invalid_sizes_are_refused() {
        for text in [
            "",
            "big",
            "-1",
            "-1K",
            "1X",
            "1.2.3K",
            "K",
            "16E",
            "99999999999999999999",
            "iB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ceiling_may_be_none() {
        assert_eq!(ceiling("64K"), Ok(Ceiling(Some(65_536))));
        assert_eq!(ceiling("none"), Ok(Ceiling(None)));
        assert!(ceiling("nothing").unwrap_err().ends_with("or none"));
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        for text in ["", "soon", "-1s", "-5"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
