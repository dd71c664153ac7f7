//! Why a value cannot be written.

use std::fmt::{self, Display};

use serde::ser;

use crate::value::node::Node;

/// Why a value was refused.
#[derive(Debug)]
pub(in crate::value) struct Refused(pub(super) String);

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

pub(super) type Written<T = Node> = Result<T, Refused>;
