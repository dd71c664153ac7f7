//! Writes a batch: the only code that writes rows on a server.

mod batch;
mod derived;
mod effects;
mod events;
mod part;
mod removals;
mod rows;
mod space;
mod split;
mod statement;
#[cfg(test)]
mod tests;

pub(in crate::store) use batch::{How, write};
pub(in crate::store::postgres) use batch::{Written, fits_lazily, run};
