//! What can be stored, how it is encoded, and how it is identified.

mod canonical;
mod encode;
mod finite;
mod kind;
mod object_id;

pub(crate) use canonical::Validator;
#[allow(unused_imports, reason = "for contents that are in memory")]
pub(crate) use canonical::validate;
pub(crate) use encode::{Encoded, decode};
pub use kind::Kind;
pub use object_id::{Hasher, ObjectId};
pub(crate) use object_id::{ID_DIGITS, spells_id};
