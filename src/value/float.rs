//! The canonical text of a float, and exact parsing.
//!
//! serde_json's float format depends on the versions of the crates it uses, and ids must not
//! change with them. The standard library finds the fewest digits that read back as the same
//! float; this module decides where the point goes, and which of two equally near numbers is
//! written.

use std::fmt::LowerExp;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Numbers with these decimal exponents are written without an exponent.
const FIXED: RangeInclusive<i32> = -5..=15;
/// The same for 32-bit floats, which are written as such only in map keys.
const FIXED_32: RangeInclusive<i32> = -6..=12;
/// Significant digits that any 64-bit float has at most, written out in full.
const MOST_DIGITS: usize = 767;

/// `0.1`, `1.0`, `1e+16`, `5e-324`. The float must be finite.
pub(super) fn text(float: f64) -> String {
    layout(&shortest(float), &FIXED)
}

/// The same for a 32-bit float: `0.1`, where the 64-bit text would be
/// `0.10000000149011612`.
pub(super) fn text_32(float: f32) -> String {
    layout(&shortest(float), &FIXED_32)
}

/// The fewest digits that read back as the same float. Of two equally near numbers, such as
/// 0.62 and 0.63 for 0.625, it takes the one that ends in an even digit, as serde_json does;
/// the standard library takes the larger one.
fn shortest<F: LowerExp + FromStr + PartialEq>(float: F) -> String {
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let count = significant(mantissa).len();
    let is_tie = || {
        let exact = significant(&format!("{float:.MOST_DIGITS$e}"));
        exact.len() == count + 1 && exact.ends_with('5')
    };
    // Few floats are near a tie, and writing out all digits is slow.
    if format!("{float:.count$e}").contains("5e") && is_tie() {
        let mut even = mantissa.to_owned();
        let last = even.pop().and_then(|digit| digit.to_digit(10)).unwrap_or(0);
        let even = format!("{even}{}e{exponent}", last - last % 2);
        if even.parse().is_ok_and(|read: F| read == float) {
            return even;
        }
    }
    text
}

fn layout(scientific: &str, fixed: &RangeInclusive<i32>) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !fixed.contains(&exponent) {
        return format!("{mantissa}e{exponent:+}");
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let before = usize::try_from(exponent + 1).unwrap_or(0);
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    match digits.split_at_checked(before) {
        Some((whole, part)) if !part.is_empty() => format!("{sign}{whole}.{part}"),
        _ => format!("{sign}{digits:0<before$}.0"),
    }
}

/// Parses a decimal number to the nearest float, provided that rounding the float to the same
/// number of digits gives the same number. This accepts the output of every correct float printer,
/// and never drops a digit silently.
///
/// # Errors
/// What is wrong, as part of a sentence.
pub(super) fn parse(number: &str) -> Result<f64, String> {
    let float: f64 = number.parse().map_err(|_| "not a number".to_owned())?;
    if !float.is_finite() {
        return Err("a number too large for a 64-bit float, which ends at 1.8e308".into());
    }
    let digits = significant(number);
    if digits.is_empty() {
        return Ok(float);
    }
    if float == 0.0 {
        return Err("a number too small for a 64-bit float, which starts at 5e-324".into());
    }
    // The fewest digits may round a tie the other way.
    let exact = digits.len() <= MOST_DIGITS
        && (rounded(float, digits.len()) == digits || significant(&format!("{float:e}")) == digits);
    if exact {
        return Ok(float);
    }
    let nearest = text(float);
    Err(format!(
        "a number with more digits than a 64-bit float holds; the nearest is {nearest}"
    ))
}

/// The first digits of a float, correctly rounded, without trailing zeros.
fn rounded(float: f64, count: usize) -> String {
    significant(&format!("{:.*e}", count - 1, float))
}

/// The digits of a number without leading and trailing zeros.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_numbers_that_a_float_holds_exactly_are_accepted() {
        for (number, float) in [
            ("0.1", 0.1),
            ("0.10000000000000001", 0.1),
            ("0.1000000000000000055511151231257827021181583404541015625", 0.1),
            ("1.50e0", 1.5),
            ("0.100000000000000000000000000", 0.1),
            ("4.9e-324", 5e-324),
            ("4.9406564584124654e-324", 5e-324),
            ("1e23", 1e23),
            ("0e-400", 0.0),
            ("-0.0", -0.0),
            ("9007199254740992.0", 9_007_199_254_740_992.0),
        ] {
            assert_eq!(parse(number).map(f64::to_bits), Ok(f64::to_bits(float)), "{number}");
        }
        let long = format!("0.{}1", "3".repeat(100_000));
        for number in [
            "1e400",
            "-1e309",
            "1e-400",
            "2e-324",
            "3e-324",
            "9007199254740993.0",
            "3.14159265358979323846",
            "0.1000000000000000055511151231257827021181583404541015625e-400",
            "0.12345678901234567890123",
            &long,
        ] {
            assert!(parse(number).is_err(), "{number}");
        }
    }

    #[test]
    fn a_tie_between_two_texts_goes_to_the_even_digit() {
        assert_eq!(text_32(-3_206_909.0 / 8.0), "-400863.62");
        assert_eq!(text_32(3_206_907.0 / 8.0), "400863.38");
        // Every tie of this size: eighths from 2^18 on. Some have a shorter text.
        for eighths in (1 << 21)..(1 << 21) + 100_000 {
            let float = eighths as f32 / 8.0;
            assert_eq!(text_32(float), serde_json::to_string(&float).unwrap());
        }
    }

    proptest! {
        #[test]
        fn floats_are_written_as_serde_json_writes_them(bits: u64, bits_32: u32) {
            let (float, float_32) = (f64::from_bits(bits), f32::from_bits(bits_32));
            prop_assume!(float.is_finite() && float_32.is_finite());
            prop_assert_eq!(text(float), serde_json::to_string(&float).unwrap());
            prop_assert_eq!(text_32(float_32), serde_json::to_string(&float_32).unwrap());
            prop_assert_eq!(parse(&text(float)).unwrap().to_bits(), bits);
            let seventeen = format!("{float:.16e}");
            prop_assert_eq!(parse(&seventeen).unwrap().to_bits(), bits);
        }

        #[test]
        fn floats_of_every_size_are_written_as_serde_json_writes_them(digits in 1u32..100_000, exponent in -12i32..25) {
            let float: f64 = format!("{digits}e{exponent}").parse().unwrap();
            prop_assert_eq!(text(float), serde_json::to_string(&float).unwrap());
            prop_assert_eq!(text_32(float as f32), serde_json::to_string(&(float as f32)).unwrap());
        }
    }
}
