//! What can be stored, and how it is encoded.

mod canonical;
mod deserialize;
mod encode;
mod float;
mod json;
mod node;
mod parse;
mod serialize;
mod spelling;

pub(crate) use canonical::Validator;
pub(crate) use encode::{Encoded, decode, read_json};
pub use json::Json;

pub use crate::identity::{Hasher, Kind, ObjectId};
pub(crate) use crate::identity::{ID_DIGITS, spells_id};
