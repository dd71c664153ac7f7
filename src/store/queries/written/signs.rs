//! Signs of a text in SQL that are neither in a comment nor in quotes.

/// How a text is read: SQLite and PostgreSQL have different quotes and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    File,
    Server,
}

/// The place of the first sign that `is_meant`. Blanks, comments and what is inside quotes are passed over.
pub fn find_sign(text: &str, on_server: bool, is_meant: impl Fn(char) -> bool) -> Option<usize> {
    let mut found = signs(text, Dialect::of(on_server)).filter(|(_, sign)| !sign.is_whitespace() && is_meant(*sign));
    found.next().map(|(at, _)| at)
}

/// The signs of a text and their places, without comments, and of what is in quotes only the first sign.
pub fn signs(text: &str, dialect: Dialect) -> impl Iterator<Item = (usize, char)> {
    let (mut at, mut word) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            if let Some(length) = dialect.comment(rest) {
                at += length;
                word = at;
                continue;
            }
            let sign = rest.chars().next()?;
            let place = at;
            let before = text.get(word..at).unwrap_or_default();
            at += dialect.quoted(rest, before).unwrap_or(sign.len_utf8());
            if !is_of_name(sign) {
                word = at;
            }
            return Some((place, sign));
        }
    })
}

/// Whether a sign can be in a name.
pub fn is_of_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_' || !sign.is_ascii()
}

impl Dialect {
    pub fn of(on_server: bool) -> Self {
        if on_server { Self::Server } else { Self::File }
    }

    /// The length of the comment that the text begins with.
    fn comment(self, text: &str) -> Option<usize> {
        if text.starts_with("--") {
            let ends: &[char] = if self == Self::Server { &['\n', '\r'] } else { &['\n'] };
            return Some(text.find(ends).unwrap_or(text.len()));
        }
        if !text.starts_with("/*") {
            return None;
        }
        let (mut at, mut depth) = (2, 1);
        while depth > 0 {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find("*/").unwrap_or(rest.len());
            // Comments of PostgreSQL can be nested.
            match rest.find("/*").filter(|&begin| self == Self::Server && begin < end) {
                Some(begin) => (at, depth) = (at + begin + 2, depth + 1),
                None => (at, depth) = ((at + end + 2).min(text.len()), depth - 1),
            }
            if at == text.len() {
                break;
            }
        }
        Some(at)
    }

    /// The length of the quotes that the text begins with, and of what is in them; `before` are the letters before.
    fn quoted(self, text: &str, before: &str) -> Option<usize> {
        let ended = |end: &str, from: usize| {
            let inside = text.get(from..).unwrap_or_default();
            inside.find(end).map_or(text.len(), |at| from + at + end.len())
        };
        match (text.chars().next()?, self) {
            ('\'', Self::Server) if before.eq_ignore_ascii_case("e") => Some(escaped(text)),
            (quote @ ('\'' | '"'), _) | (quote @ '`', Self::File) => Some(ended(quote.encode_utf8(&mut [0; 4]), 1)),
            ('[', Self::File) => Some(ended("]", 1)),
            ('$', Self::Server) if before.is_empty() => {
                let name = text.get(1..)?.split_once('$')?.0;
                let is_name = name.chars().all(is_of_name) && !name.starts_with(|first: char| first.is_ascii_digit());
                let tag = text.get(..name.len() + 2).filter(|_| is_name)?;
                Some(ended(tag, tag.len()))
            }
            _ => None,
        }
    }
}

/// The length of a text in quotes in which a backslash makes the next sign an ordinary one.
fn escaped(text: &str) -> usize {
    let mut signs = text.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(text: &str, dialect: Dialect) -> String {
        let signs = signs(text, dialect).map(|(_, sign)| sign);
        signs.filter(|sign| !sign.is_whitespace()).collect()
    }

    #[test]
    fn quotes_and_comments_are_those_of_the_engine() {
        for (text, file, server) in [
            ("a 'b;''c' \"d;\" e", "a''\"e", "a''\"e"),
            ("x[1] `y`", "x[`", "x[1]`y`"),
            ("E'it\\'s' ?", "E's'", "E'?"),
            ("e'\\\\' ?", "e'?", "e'?"),
            ("note'a\\' ?", "note'?", "note'?"),
            ("$$a;b$$ ?", "$$a;b$$?", "$?"),
            ("$x$ $y$ ; $x$ ?", "$x$$y$;$x$?", "$?"),
            ("$1 + a$b$ ?", "$1+a$b$?", "$1+a$b$?"),
            ("/* a /* b */ c */ ?", "c*/?", "?"),
            ("a -- b\rc", "a", "ac"),
            ("a -- '\n?", "a?", "a?"),
            ("/* open", "", ""),
            ("'open", "'", "'"),
        ] {
            assert_eq!(outside(text, Dialect::File), file, "{text}");
            assert_eq!(outside(text, Dialect::Server), server, "{text}");
        }
    }
}
