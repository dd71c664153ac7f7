//! docs/invariants.md is generated from the catalogue: `HEAPLEDGER_BLESS=1` writes it.

use heapledger::Invariant;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/invariants.md");

const HEAD: &str = "\
# Invariants

The properties of every heap at every commit. The view `violations` lists violations, a row for each, with the number and
the name of the rule; `heapledger check` and `MemManager::check` also find what SQL cannot; `check --repair` and
`MemManager::repair` correct them, in the order of the rules, and discard no byte. This page is generated from the
catalogue that they share, `src/books/rules.rs`.

";

#[test]
fn the_page_of_invariants_matches_the_catalogue() {
    let written = page();
    if std::env::var_os("HEAPLEDGER_BLESS").is_some() {
        std::fs::write(PAGE, &written).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PAGE).unwrap(), written);
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for invariant in Invariant::ALL {
        let (name, sentence) = (invariant.name(), invariant.sentence());
        let found = invariant.found_by();
        page.push_str(&format!(
            "## {name}\n\n**{}.**\n\nFound by {found}. A repair:\n\n",
            capital(sentence)
        ));
        for repaired in invariant.repaired_by() {
            page.push_str(&format!("- {repaired}\n"));
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn capital(sentence: &str) -> String {
    let (first, rest) = sentence.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}
