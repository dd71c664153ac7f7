//! Several sizes: a list, or a range in which each is twice the one before.

use super::parse::size;

/// Sizes in bytes: `64MiB` is one, `256MiB..4GiB` are five.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeRange(pub Vec<u64>);

/// Doubles from the first size, and ends with the last.
pub fn size_range(text: &str) -> Result<SizeRange, String> {
    let Some((first, last)) = text.split_once("..") else {
        return Ok(SizeRange(vec![above_zero(text)?]));
    };
    let (first, last) = (above_zero(first)?, above_zero(last)?);
    if first > last {
        return Err("the first size of the range is larger than the last".into());
    }
    let doubled = std::iter::successors(Some(first), |size| size.checked_mul(2));
    let mut sizes: Vec<_> = doubled.take_while(|&size| size < last).collect();
    sizes.push(last);
    Ok(SizeRange(sizes))
}

fn above_zero(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("a size must be at least 1 byte".into()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_doubles_up_to_its_end() {
        let sizes = |text| size_range(text).unwrap().0;
        assert_eq!(sizes("1K..8K"), [1024, 2048, 4096, 8192]);
        assert_eq!(sizes("1000..3000"), [1000, 2000, 3000]);
        assert_eq!(sizes("64K..64K"), [65_536]);
        assert_eq!(sizes("64K"), [65_536]);
        assert_eq!(sizes("1..9223372036854775807").len(), 64);
    }

    #[test]
    fn invalid_ranges_are_refused() {
        for text in ["", "0", "0..4K", "8K..4K", "..4K", "4K..", "4K..8K..16K", "4K-8K"] {
            assert!(size_range(text).is_err(), "{text}");
        }
    }
}
