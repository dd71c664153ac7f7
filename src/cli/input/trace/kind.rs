//! The format of a trace file.

use std::path::Path;

use anyhow::{Result, bail};

/// The format of a trace, by its name in libCacheSim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TraceKind {
    /// Text: a request in each line, in columns
    #[value(alias = "txt")]
    Csv,
    /// Binary records of 24 bytes
    #[value(name = "oracleGeneral", alias = "oraclegeneral", alias = "oracle-general")]
    OracleGeneral,
}

impl TraceKind {
    /// The format of a file, by its name.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.contains("oraclegeneral") {
            return Ok(Self::OracleGeneral);
        }
        if [".csv", ".tsv", ".txt"].iter().any(|end| name.ends_with(end)) {
            return Ok(Self::Csv);
        }
        bail!("its name does not say what it is; use --trace-type csv or --trace-type oracleGeneral")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_format() {
        let of = |name: &str| TraceKind::of(Path::new(name)).ok();
        assert_eq!(of("data/io.csv"), Some(TraceKind::Csv));
        assert_eq!(of("io.oracleGeneral.bin"), Some(TraceKind::OracleGeneral));
        assert_eq!(of("w68.oracleGeneral"), Some(TraceKind::OracleGeneral));
        assert_eq!(of("-"), None);
        assert_eq!(of("io.csv.zst"), None);
    }
}
