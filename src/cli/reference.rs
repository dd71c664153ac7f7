//! The page docs/sql.md, as the program quotes it: tables, views, columns, and queries with names.

/// The page, which tests compare with the schema.
const PAGE: &str = include_str!("../../docs/sql.md");

/// A table or a view.
pub struct Relation {
    pub name: &'static str,
    pub is_view: bool,
    /// The first paragraph about it; empty where the columns say all.
    pub about: String,
    /// Each column, and what it means.
    pub columns: Vec<(&'static str, String)>,
    /// All of what the page says, for people.
    pub text: String,
}

/// A query that has a name.
#[derive(serde::Serialize)]
pub struct Named {
    pub name: &'static str,
    pub sql: &'static str,
    /// The question that it answers.
    pub title: &'static str,
}

/// All tables, then all views.
pub fn relations() -> Vec<Relation> {
    let of = |heading, is_view| {
        let parts = section(heading).split("\n### `").skip(1);
        parts.filter_map(move |part| relation(part, is_view))
    };
    of("Tables", false).chain(of("Views", true)).collect()
}

/// The queries with names.
pub fn queries() -> Vec<Named> {
    let blocks = section("Useful queries").split("```sql\n").skip(1);
    let queries = blocks.filter_map(|block| {
        let block = block.split("```").next()?;
        let (title, sql) = block.strip_prefix("-- ")?.split_once('\n')?;
        let (name, title) = title.split_once(": ")?;
        let sql = sql.trim_end().trim_end_matches(';');
        Some(Named { name, title, sql })
    });
    queries.collect()
}

/// What is below a heading, up to the next one of its level.
fn section(heading: &str) -> &'static str {
    let below = PAGE.split("\n## ").find_map(|part| part.strip_prefix(heading));
    below.unwrap_or_default()
}

fn relation(part: &'static str, is_view: bool) -> Option<Relation> {
    let (name, text) = part.split_once("`\n")?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let columns = rows.flat_map(|row| {
        let (names, meaning) = row.split_once(" | ").unwrap_or((row, ""));
        let meaning = plain(meaning.trim_end_matches(" |"));
        let names = names.split(", ").map(|name| name.trim_matches('`'));
        names.map(move |name| (name, meaning.clone()))
    });
    let about = text
        .trim_start()
        .split("\n\n")
        .next()
        .filter(|first| !first.starts_with('|'));
    Some(Relation {
        name,
        is_view,
        about: plain(about.unwrap_or_default()).replace('\n', " "),
        columns: columns.collect(),
        text: lines(text),
    })
}

/// A section for a terminal: its table as a list.
fn lines(text: &str) -> String {
    let mut told = String::new();
    for line in text.trim().lines() {
        let Some(row) = line.strip_prefix("| ") else {
            told.push_str(&plain(line));
            told.push('\n');
            continue;
        };
        if let Some((names, meaning)) = row.split_once(" | ").filter(|(names, _)| names.starts_with('`')) {
            let meaning = plain(meaning.trim_end_matches(" |"));
            told.push_str(&format!("  {}: {meaning}\n", plain(names)));
        }
    }
    told
}

/// Text without links and backticks.
fn plain(text: &str) -> String {
    let mut told = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (earlier, shown) = before.rsplit_once('[').unwrap_or((before, ""));
        told.push_str(earlier);
        told.push_str(shown);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    told.push_str(rest);
    told.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_understood() {
        let relations = relations();
        let objects = relations.iter().find(|relation| relation.name == "objects").unwrap();
        assert!(
            objects.is_view && objects.about.starts_with("Objects with their names"),
            "{}",
            objects.about
        );
        assert_eq!(objects.columns[1], ("object_id", "the key, and the SHA-256".into()));
        assert!(objects.text.contains("  id, object_id: the key"), "{}", objects.text);
        assert!(relations.len() > 25 && relations.iter().all(|relation| !relation.columns.is_empty()));
        assert!(!relations.iter().any(|relation| relation.text.contains(['`', ']'])));
    }

    #[test]
    fn every_query_of_the_page_has_a_name() {
        let queries = queries();
        assert_eq!(queries.len(), section("Useful queries").matches("```sql").count());
        let mut names: Vec<_> = queries.iter().map(|query| query.name).collect();
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|sign| sign.is_ascii_lowercase() || sign == '-'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), queries.len());
    }

    #[test]
    fn links_are_their_texts() {
        assert_eq!(plain("a [b](c.md#d) `e` [f](g)"), "a b e f");
    }
}
