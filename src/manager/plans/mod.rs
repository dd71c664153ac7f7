//! Plans that are written down, and carried out later.

pub(super) mod apply;
mod chains;
mod found;
pub(super) mod make;
pub(super) mod slice;
mod text;
pub(super) mod totals;
pub(super) mod work_plan;
