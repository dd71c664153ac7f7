//! python-diskcache in a child process. It times itself, so that starting Python is not
//! measured. See `benches/diskcache_bench.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cell::{Cell, Work};
use crate::contender::Contender;
use crate::machine::{counts_cpu_time, disk_usage, settle};
use crate::trial::{Sample, Trial};

/// A Python interpreter that can import it.
pub struct Diskcache;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/diskcache_bench.py");
const PYTHON: &str = "python3";

impl Diskcache {
    /// None, with a note, where Python or the package is absent.
    pub fn found() -> Option<Box<dyn Contender>> {
        let mut import = Command::new(PYTHON);
        let status = import.args(["-c", "import diskcache"]).stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Box::new(Self));
        }
        eprintln!("python-diskcache is not installed (`pip install diskcache`) and is left out");
        None
    }
}

impl Contender for Diskcache {
    fn name(&self) -> &'static str {
        "diskcache"
    }

    fn can(&self, cell: &Cell) -> bool {
        cell.work != Work::GetTx
    }

    fn begin(&self, cell: &Cell, dir: &Path) -> Box<dyn Trial> {
        Box::new(Child {
            cell: *cell,
            dir: dir.to_owned(),
        })
    }
}

struct Child {
    cell: Cell,
    dir: PathBuf,
}

#[derive(Deserialize)]
struct Outcome {
    seconds: f64,
    operations: usize,
}

impl Trial for Child {
    fn round(&mut self, round: usize) -> Result<Sample> {
        std::fs::create_dir_all(&self.dir)?;
        let cell = &self.cell;
        let numbers = [cell.size, cell.population, cell.count, cell.batch, round];
        let output = Command::new(PYTHON)
            .arg(SCRIPT)
            .arg(&self.dir)
            .arg(cell.work.to_string())
            .args(numbers.map(|number| number.to_string()))
            .arg(if counts_cpu_time() { "cpu" } else { "clock" })
            .stderr(Stdio::inherit())
            .output()
            .context("python cannot be started")?;
        if !output.status.success() {
            bail!("{SCRIPT} failed");
        }
        let outcome: Outcome = serde_json::from_slice(&output.stdout)?;
        let figure = if cell.work == Work::Space {
            settle();
            disk_usage(&self.dir)? as f64 / (cell.count * cell.size) as f64
        } else {
            outcome.seconds / outcome.operations as f64
        };
        std::fs::remove_dir_all(&self.dir)?;
        Ok(Sample { figure })
    }
}
