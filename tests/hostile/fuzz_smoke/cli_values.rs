//! Sizes and times as people write them: any text is parsed correctly or refused.

#[allow(dead_code)]
#[path = "../../../src/cli/input/parse.rs"]
mod parse;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(bytes) = parse::size(text) {
        // A parsed value can be printed and parsed again.
        assert_eq!(parse::size(&bytes.to_string()), Ok(bytes), "{text:?}");
        assert!(!text.trim().starts_with('-'), "{text:?} is {bytes} bytes");
    } else {
        assert!(!is_plain_number(text), "{text:?} is a number of bytes");
    }
    if let Ok(span) = parse::duration(text) {
        let seconds = span.as_secs();
        if u32::try_from(seconds).is_ok() && span.subsec_nanos() == 0 {
            assert_eq!(parse::duration(&seconds.to_string()), Ok(span), "{text:?}");
        }
    }
}

/// Whether `text` consists of digits only and is below 2⁶⁴ − 1.
fn is_plain_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok_and(|number| number < u64::MAX)
}
