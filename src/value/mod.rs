//! What can be stored, how it is encoded, and how it is identified.

mod canonical;
mod deserialize;
mod encode;
mod float;
mod json;
mod kind;
mod node;
mod object_id;
mod parse;
mod serialize;
mod spelling;

pub(crate) use canonical::Validator;
pub(crate) use encode::{Encoded, decode, read_json};
pub use json::Json;
pub use kind::Kind;
pub use object_id::{Hasher, ObjectId};
pub(crate) use object_id::{ID_DIGITS, spells_id};
