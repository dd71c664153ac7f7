//! What can be stored, how it is encoded, and how it is identified.

mod encode;
mod finite;
mod kind;
mod object_id;

pub(crate) use encode::{Encoded, decode};
pub use kind::Kind;
pub use object_id::{Hasher, ObjectId};
