//! Reading, one file per subject. Each function is one statement.
//!
//! The queries of the hot path take the connection out of [`super::Conn`] first: through
//! the enum, Diesel writes the text of a query at each call, though it is prepared.

pub(crate) mod audit;
pub(crate) mod diagnosis;
pub(crate) mod entries;
pub(crate) mod events;
pub(in crate::store) mod ids;
pub(crate) mod levels;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod pages;
pub(crate) mod pins;
pub(crate) mod placements;
pub(crate) mod room;
pub(crate) mod spaces;
pub(crate) mod texts;
pub(crate) mod trim;
pub(crate) mod usage;
