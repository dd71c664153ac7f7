//! The one text of a number.

use crate::value::float;

/// Longer than the text of any number.
pub(super) const SHORT: usize = 64;

pub(super) type Checked = Result<(), &'static str>;

pub(super) fn is(right: bool, else_: &'static str) -> Checked {
    if right { Ok(()) } else { Err(else_) }
}

pub(super) fn is_int(text: &str) -> bool {
    let signed = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    signed || text.parse::<u64>().is_ok_and(|number| number.to_string() == text)
}

pub(super) fn is_float(text: &str) -> bool {
    let Ok(number) = text.parse::<f64>() else { return false };
    number.is_finite() && float::text(number) == text
}
