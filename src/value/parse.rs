//! Parses JSON text (RFC 8259) exactly, or reports what is not exact and where.

use std::collections::BTreeMap;

use super::float;
use super::node::{MAX_DEPTH, Node};

/// Parses `text`. O(text · log keys).
///
/// # Errors
/// What is wrong, as part of a sentence, and at which byte.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser {
        rest: text,
        depth: MAX_DEPTH,
    };
    let parsed = parser.whole();
    parsed.map_err(|why| format!("{why}, at byte {}", text.len() - parser.rest.len()))
}

struct Parser<'t> {
    rest: &'t str,
    /// How many more lists and maps may be opened.
    depth: u32,
}

type Parsed<T> = Result<T, String>;

fn wrong<T>(why: &str) -> Parsed<T> {
    Err(why.to_owned())
}

impl<'t> Parser<'t> {
    fn whole(&mut self) -> Parsed<Node> {
        let node = self.value()?;
        self.blanks();
        if self.rest.is_empty() {
            return Ok(node);
        }
        wrong("something follows the value")
    }

    fn value(&mut self) -> Parsed<Node> {
        self.blanks();
        match self.rest.as_bytes().first() {
            Some(b'{') => self.nested(Self::map),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.text().map(Node::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(_) => wrong("not a JSON value"),
            None => wrong("the text ends where a value should be"),
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Parsed<Node>) -> Parsed<Node> {
        if self.depth == 0 {
            return Err(format!("more than {MAX_DEPTH} nested lists and maps"));
        }
        self.depth -= 1;
        let node = parse(self);
        self.depth += 1;
        node
    }

    fn list(&mut self) -> Parsed<Node> {
        let mut items = Vec::new();
        self.take('[');
        if self.closes(']') {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.closes(']') {
                return Ok(Node::List(items));
            }
            self.expect(',', "expected a comma or ] in a list")?;
        }
    }

    fn map(&mut self) -> Parsed<Node> {
        let mut entries = BTreeMap::new();
        self.take('{');
        if self.closes('}') {
            return Ok(Node::Map(entries));
        }
        loop {
            self.blanks();
            if !self.rest.starts_with('"') {
                return wrong("a map needs a key in double quotes");
            }
            let key = self.text()?;
            if entries.contains_key(&key) {
                return Err(format!("the key {key:?} appears twice in a map"));
            }
            self.expect(':', "expected a colon after a key")?;
            let value = self.value()?;
            entries.insert(key, value);
            if self.closes('}') {
                return Ok(Node::Map(entries));
            }
            self.expect(',', "expected a comma or } in a map")?;
        }
    }

    fn number(&mut self) -> Parsed<Node> {
        let is_part = |sign: char| sign.is_ascii_alphanumeric() || "+-.".contains(sign);
        let end = self.rest.find(|sign| !is_part(sign)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let node = number_of(number)?;
        self.rest = rest;
        Ok(node)
    }

    fn text(&mut self) -> Parsed<String> {
        self.take('"');
        let mut text = String::new();
        loop {
            let end = self.rest.find(|sign: char| sign < ' ' || sign == '"' || sign == '\\');
            let Some((plain, special)) = end.and_then(|end| self.rest.split_at_checked(end)) else {
                self.rest = "";
                return wrong("the text in quotes does not end");
            };
            text.push_str(plain);
            self.rest = special;
            if self.take('"') {
                return Ok(text);
            }
            if !self.take('\\') {
                return wrong("a control character in quotes is not escaped");
            }
            text.push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Parsed<char> {
        let mut signs = self.rest.chars();
        let sign = match signs.next() {
            Some(sign @ ('"' | '\\' | '/')) => sign,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.rest = signs.as_str();
                return self.unicode();
            }
            _ => return wrong("not a JSON escape"),
        };
        self.rest = signs.as_str();
        Ok(sign)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let high = self.four_digits()?;
        if let Some(sign) = char::from_u32(high) {
            return Ok(sign);
        }
        let low = match self.rest.strip_prefix("\\u") {
            Some(rest) if (0xd800..0xdc00).contains(&high) => {
                self.rest = rest;
                self.four_digits()?
            }
            _ => return wrong("half of a surrogate pair is not text"),
        };
        let pair = (0xdc00..0xe000)
            .contains(&low)
            .then(|| 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        pair.and_then(char::from_u32)
            .map_or_else(|| wrong("half of a surrogate pair is not text"), Ok)
    }

    fn four_digits(&mut self) -> Parsed<u32> {
        let (digits, rest) = self.rest.split_at_checked(4).unwrap_or(("", ""));
        if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return wrong("\\u needs four hexadecimal digits");
        }
        self.rest = rest;
        u32::from_str_radix(digits, 16).map_err(|error| error.to_string())
    }

    fn word(&mut self, word: &str, node: Node) -> Parsed<Node> {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                Ok(node)
            }
            None => wrong("not a JSON value"),
        }
    }

    fn closes(&mut self, sign: char) -> bool {
        self.blanks();
        self.take(sign)
    }

    fn expect(&mut self, sign: char, why: &str) -> Parsed<()> {
        if self.closes(sign) { Ok(()) } else { wrong(why) }
    }

    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}

/// Parses a JSON number as an integer or a float.
pub(super) fn number_of(number: &str) -> Parsed<Node> {
    if !is_number(number) {
        return Err(format!("{} is not a JSON number", shortened(number)));
    }
    let refused = |why: String| format!("{} is {why}", shortened(number));
    if number.contains(['.', 'e', 'E']) || number == "-0" {
        return float::parse(number).map(Node::Float).map_err(refused);
    }
    let integer = number.parse::<i128>().ok().and_then(Node::integer);
    integer.ok_or_else(|| {
        refused(format!(
            "an integer beyond 64 bits, outside {} to {}",
            i64::MIN,
            u64::MAX
        ))
    })
}

fn is_number(number: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (number, "0"),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && digits(part) && digits(exponent) && !leads_with_zero
}

fn shortened(number: &str) -> String {
    match number.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", number.get(..end).unwrap_or_default()),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_parsed_to_the_last_digit() {
        for (text, canonical) in [
            (" null ", "null"),
            ("true", "true"),
            ("-0", "-0.0"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1E2", "100.0"),
            ("1e+16", "1e+16"),
            ("[ ]", "[]"),
            ("{\t}", "{}"),
            ("[1,\n2.50]", "[1,2.5]"),
            (r#"{"b":1,"a":[{}],"":0}"#, r#"{"":0,"a":[{}],"b":1}"#),
            (
                r#""\u0041\/\ud83d\ude00\u00e9\b\u001f\"\\""#,
                "\"A/😀é\\b\\u001f\\\"\\\\\"",
            ),
        ] {
            assert_eq!(
                parse(text).map(|node| node.to_string()).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_or_inexact_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "True",
            "'a'",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "]",
            "{",
            "{}}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "[1}",
            "1,",
            "1 2",
            "01",
            "-",
            "+1",
            ".5",
            "5.",
            "1e",
            "1e+",
            "0x10",
            "1_000",
            "NaN",
            "Infinity",
            "-Infinity",
            "1.2.3",
            "--1",
            "\u{feff}1",
            "\"a",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\ud800x\"",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "[{\"x\":{\"a\":1,\"b\":1,\"a\":1}}]",
            "18446744073709551616",
            "-9223372036854775809",
            "[1e400]",
            "1e-400",
            "-1e-400",
            "9007199254740993.0",
            "\u{a0}1",
            "// 1\n1",
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains("at byte "), "{text}: {why}");
        }
    }

    #[test]
    fn nesting_is_limited_before_the_stack_overflows() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let mixed = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        let most = MAX_DEPTH as usize;
        assert!(parse(&nested(most)).is_ok() && parse(&mixed(most)).is_ok());
        assert!(parse(&nested(most + 1)).is_err() && parse(&mixed(most + 1)).is_err());
        assert!(parse(&nested(1_000_000)).is_err() && parse(&"[".repeat(1_000_000)).is_err());
        // Any number of siblings is fine.
        assert!(parse(&format!("[{}]", vec![nested(most - 1); 100].join(","))).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_accepted_or_refused_as_by_serde_json(text in r#"[\[\]{}:,"\\ua-f0-9.eE+\- tn]{0,12}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match parse(&text) {
                Ok(node) => prop_assert_eq!(node.to_string(), theirs.unwrap().to_string()),
                // Only this parser refuses inexact values.
                Err(why) => prop_assert!(
                    theirs.is_err() || ["twice", "beyond", "float"].iter().any(|word| why.contains(word)),
                    "{}: {}", text, why
                ),
            }
        }
    }
}
