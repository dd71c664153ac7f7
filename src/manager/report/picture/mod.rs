//! A report of a space as a whole: figures, a map of its blocks over time, and what came and went.

mod cells;
mod classes;
mod flows;
mod holders;
mod made;
mod options;
mod walk;

pub use cells::{BlockMap, MapCell, MapFrame};
pub use classes::ClassUse;
pub use flows::{ActorFlow, Flows, KindFlow, Mover};
pub use holders::{HeldBy, Holders};
pub use made::{Report, ReportNow};
pub use options::ReportOptions;
