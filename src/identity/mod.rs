//! What identifies an object: its kind and the hash of its content.

mod kind;
mod object_id;

pub use kind::Kind;
pub use object_id::{Hasher, ObjectId};
pub(crate) use object_id::{ID_DIGITS, spells_id};
