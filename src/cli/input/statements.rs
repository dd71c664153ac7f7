//! Where a statement of SQL ends.

/// The statements of a text, without their semicolons, and what follows the last one.
pub fn split(text: &str) -> (Vec<&str>, &str) {
    let (mut statements, mut start) = (Vec::new(), 0);
    for end in ends(text) {
        statements.extend(
            text.get(start..end)
                .map(str::trim)
                .filter(|statement| !is_blank(statement)),
        );
        start = end + 1;
    }
    (statements, text.get(start..).unwrap_or_default())
}

/// Whether there is nothing but blanks and comments.
pub fn is_blank(text: &str) -> bool {
    without_first_comments(text).is_empty()
}

/// The text from the first sign on that is neither blank nor in a comment.
pub fn without_first_comments(text: &str) -> &str {
    let mut first = None;
    each_sign(text, |at, _| {
        first.get_or_insert(at);
    });
    first.and_then(|at| text.get(at..)).unwrap_or_default()
}

/// The places of semicolons outside of quotes and comments.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    each_sign(text, |at, sign| {
        if sign == ';' {
            ends.push(at);
        }
    });
    ends
}

/// Passes what is neither blank nor in a comment; of what is in quotes, only the quotes.
fn each_sign(text: &str, mut take: impl FnMut(usize, char)) {
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
        if !sign.is_whitespace() {
            take(at, sign);
        }
        rest = inside;
    }
}

/// The text after the first `end` from `from` on; nothing if there is none.
fn after<'t>(text: &'t str, from: usize, end: &str) -> &'t str {
    let text = text.get(from..).unwrap_or_default();
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_outside_of_quotes_and_comments() {
        assert_eq!(
            split("SELECT 1; SELECT 'a;''b';"),
            (vec!["SELECT 1", "SELECT 'a;''b'"], "")
        );
        assert_eq!(
            split("SELECT \";\" -- ;\n, 2; rest"),
            (vec!["SELECT \";\" -- ;\n, 2"], " rest")
        );
        assert_eq!(split("/* ; */ ; [;] ;"), (vec!["[;]"], ""));
        assert_eq!(split("SELECT 'open; "), (vec![], "SELECT 'open; "));
        assert_eq!(split("名;前"), (vec!["名"], "前"));
    }

    #[test]
    fn comments_are_blank() {
        assert!(is_blank(" -- a\n/* b */\n") && is_blank("") && !is_blank("-- a\nx"));
    }
}
