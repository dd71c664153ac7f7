//! Kinds and ids from how they are spelled.

use std::borrow::Cow;
use std::str::FromStr;

use serde::Deserialize;

use super::{ID_DIGITS, Kind, ObjectId};
use crate::error::{Error, Result};

impl FromStr for Kind {
    type Err = Error;

    /// # Errors
    /// [`Error::BadKind`] unless `name` is one that [`Kind::as_str`] returns.
    fn from_str(name: &str) -> Result<Self> {
        let bad = || Error::BadKind { name: name.to_owned() };
        Self::from_name(name).ok_or_else(bad)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::BadObjectId { text: text.to_owned() };
        // A prefix of "0x" would be accepted below. Each row that is read comes through here, so
        // the digits are looked at only once.
        if text.len() != ID_DIGITS {
            return Err(bad());
        }
        let mut digest = [0; 32];
        const_hex::decode_to_slice(text, &mut digest).map_err(|_| bad())?;
        Ok(digest.into())
    }
}

impl TryFrom<&[u8]> for ObjectId {
    type Error = Error;

    /// Takes a digest of 32 bytes, as the column `events.object` holds it.
    fn try_from(digest: &[u8]) -> Result<Self> {
        let bad = |_| Error::BadObjectId {
            text: const_hex::encode(digest),
        };
        <[u8; 32]>::try_from(digest).map(Self::from).map_err(bad)
    }
}
