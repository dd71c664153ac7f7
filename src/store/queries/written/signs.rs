//! Signs of a text in SQL that are neither in a comment nor in quotes.

/// The place of the first sign that `is_meant`. Blanks, comments and what is inside quotes are passed over.
pub fn find_sign(text: &str, is_meant: impl Fn(char) -> bool) -> Option<usize> {
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let at = text.len() - rest.len();
        let inside = match sign {
            '\'' | '"' | '`' => after(rest, 1, sign.encode_utf8(&mut [0; 4])),
            '[' => after(rest, 1, "]"),
            '-' if rest.starts_with("--") => {
                rest = after(rest, 2, "\n");
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = after(rest, 2, "*/");
                continue;
            }
            _ => rest.get(sign.len_utf8()..).unwrap_or_default(),
        };
        if !sign.is_whitespace() && is_meant(sign) {
            return Some(at);
        }
        rest = inside;
    }
    None
}

/// The text after the first `end` from `from` on; nothing if there is none.
fn after<'t>(text: &'t str, from: usize, end: &str) -> &'t str {
    let text = text.get(from..).unwrap_or_default();
    text.split_once(end).map_or("", |(_, rest)| rest)
}
