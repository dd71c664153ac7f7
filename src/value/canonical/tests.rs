use serde_json::json;

use super::*;
use crate::value::Encoded;
use crate::value::node::MAX_DEPTH;

fn validate(kind: Kind, content: &[u8]) -> Result<(), String> {
    let mut validator = Validator::new(kind);
    validator.update(content);
    validator.finish()
}

fn right(kind: Kind, content: &str) {
    assert_eq!(validate(kind, content.as_bytes()), Ok(()), "{kind} {content}");
    // How the content is split makes no difference.
    for length in 1..=content.len().min(7) {
        let mut validator = Validator::new(kind);
        content
            .as_bytes()
            .chunks(length)
            .for_each(|part| validator.update(part));
        assert_eq!(validator.finish(), Ok(()), "{kind} {content} in parts of {length}");
    }
}

fn wrong(kind: Kind, content: &[u8]) {
    let said = validate(kind, content);
    assert!(said.is_err(), "{kind} {}", content.escape_ascii());
    let mut validator = Validator::new(kind);
    content.chunks(1).for_each(|part| validator.update(part));
    assert_eq!(validator.finish(), said);
}

#[test]
fn stored_values_are_canonical() {
    let deep = (1..MAX_DEPTH).fold(json!([]), |inner, _| json!([inner]));
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!(-0.0),
        json!(1e300),
        json!(5e-324),
        json!(f64::MAX),
        json!(""),
        json!("grüße 名 \u{10ffff}"),
        json!([]),
        json!({}),
        json!({"a": 1, "b": true, "c": 0}),
        json!([[], {}, [null, true, false, 1, -2, 1.5, 1e-9, u64::MAX]]),
        json!({"": 0, "a": {"b": [1]}, "a\"": "\u{0}\u{1f}\u{8}\t\n\u{c}\r\u{7f}/\\\"", "ä": "é", "\u{1}\n": 1}),
        deep,
    ];
    for value in values {
        let encoded = Encoded::of(&value).unwrap();
        right(encoded.kind, from_utf8(&encoded.content).unwrap());
    }
}

#[test]
fn other_spellings_of_short_kinds_are_refused() {
    let long = "1".repeat(100);
    for text in [
        "",
        "-",
        "-0",
        "007",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "x",
        "18446744073709551616",
        &long,
    ] {
        wrong(Kind::Int, text.as_bytes());
    }
    for text in [
        "", "1", "1.", "1.50", "01.5", "NaN", "inf", "-inf", "1e999", "1E5", "+1.5", " 1.5",
    ] {
        wrong(Kind::Float, text.as_bytes());
    }
    for text in ["", "TRUE", "true ", "1", "maybe"] {
        wrong(Kind::Bool, text.as_bytes());
    }
    wrong(Kind::None, b"null");
    for bytes in [&b"caf\xe9"[..], b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80"] {
        wrong(Kind::Str, bytes);
    }
}

#[test]
fn other_spellings_of_json_are_refused() {
    let depth = MAX_DEPTH as usize + 1;
    let deep = "[".repeat(depth) + &"]".repeat(depth);
    for text in [
        "",
        "1",
        "null",
        "\"text\"",
        "{\"a\":",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 ]",
        " []",
        "[]\n",
        "[]]",
        "{}{}",
        "{\"a\":1,}",
        "{\"a\" :1}",
        "{\"a\": 1}",
        "{a:1}",
        "{1:1}",
        "{xa\":1}",
        "{\"a\";1}",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":2}",
        "[1}",
        "{\"a\":1]",
        "{\"a\"}",
        "[\"a\":1]",
        "[tru]",
        "[nul]",
        "[truex]",
        "[nan]",
        "[01]",
        "[-0]",
        "[1.50]",
        "[1e400]",
        "[--1]",
        "[1-1]",
        "[\"\\/\"]",
        "[\"\\u0041\"]",
        "[\"\\u1001\"]",
        "[\"\\u0101\"]",
        "[\"\\u000a\"]",
        "[\"\\u001F\"]",
        "[\"\\ud800\"]",
        "[\"\\x\"]",
        "[\"a\nb\"]",
        "[\"a]",
        "{\"\\u0062\":1}",
        "[18446744073709551616]",
        &deep,
    ] {
        wrong(Kind::Json, text.as_bytes());
    }
    wrong(Kind::Json, b"[\"\xff\"]");
}
