//! Where a statement of SQL ends.

use heapledger::find_sign;

/// The statements of a text, read as SQLite or a server would, without their semicolons, and what follows the last
/// one. A command with a dot and the name of a query end with their line, too.
pub fn split(text: &str, on_server: bool) -> (Vec<&str>, &str) {
    let (mut statements, mut rest) = (Vec::new(), text);
    while let Some(end) = end(rest, on_server) {
        let (statement, after) = rest.split_at(end);
        statements.extend(Some(statement.trim()).filter(|statement| !is_blank(statement, on_server)));
        rest = after.get(1..).unwrap_or_default();
    }
    (statements, rest)
}

/// Whether there is nothing but blanks and comments.
pub fn is_blank(text: &str, on_server: bool) -> bool {
    without_first_comments(text, on_server).is_empty()
}

/// The text from the first character on that is neither blank nor in a comment.
pub fn without_first_comments(text: &str, on_server: bool) -> &str {
    let first = find_sign(text, on_server, |_| true);
    first.and_then(|at| text.get(at..)).unwrap_or_default()
}

/// The place of the first semicolon outside of quotes and comments, or of the end of the line of a command or a name.
fn end(text: &str, on_server: bool) -> Option<usize> {
    let command = without_first_comments(text, on_server);
    if command.starts_with(['.', '@']) {
        let start = text.len() - command.len();
        return command.find([';', '\n']).map(|end| start + end);
    }
    find_sign(text, on_server, |sign| sign == ';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Vec<&str>, &str) {
        super::split(text, false)
    }

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
    fn commands_and_names_end_with_their_line() {
        assert_eq!(
            split("-- first\n.format json\nSELECT\n1;\n.show x; SELECT 2;@all\n.tables"),
            (
                vec!["-- first\n.format json", "SELECT\n1", ".show x", "SELECT 2", "@all"],
                ".tables"
            )
        );
    }

    #[test]
    fn comments_are_blank() {
        assert!(is_blank(" -- a\n/* b */\n", false) && is_blank("", false) && !is_blank("-- a\nx", false));
    }
}
