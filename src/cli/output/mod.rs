//! Output: tables, drawings, progress.

pub(in crate::cli) mod cells;
pub(in crate::cli) mod chart;
pub(in crate::cli) mod drawing;
pub(in crate::cli) mod fit;
pub(in crate::cli) mod hexdump;
pub(in crate::cli) mod http;
pub(in crate::cli) mod levels;
pub(in crate::cli) mod openmetrics;
pub(in crate::cli) mod progress;
pub(in crate::cli) mod records;
pub(in crate::cli) mod render;
pub(in crate::cli) mod table;
pub(in crate::cli) mod terminal;
pub(in crate::cli) mod text;
