//! Everything that the documentation refers to exists: files, headings, and items in files.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

struct Page {
    path: PathBuf,
    text: String,
}

/// README, its siblings, and everything in docs/.
fn pages() -> Vec<Page> {
    let in_docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let at_the_top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut paths: Vec<_> = in_docs.map(|entry| entry.unwrap().path()).collect();
    paths.extend(at_the_top.map(|name| Path::new(ROOT).join(name)));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let read = |path: PathBuf| Page {
        text: prose(&fs::read_to_string(&path).unwrap()),
        path,
    };
    paths.into_iter().map(read).collect()
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    let parts = text.split("```");
    parts.step_by(2).collect()
}

/// The links of a page: their texts and targets.
fn links(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (target, next) = after.split_once(')').unwrap();
        let shown = before.rsplit_once('[').unwrap().1;
        found.push((shown, target));
        rest = next;
    }
    found
}

/// The texts between single backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The fragment under which GitHub shows a heading.
fn fragment(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars();
    let kept = kept.filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| fragment(heading) == wanted)
}

/// Whether a file of Rust or SQL defines an item: `Type::method`, `Enum::Variant`, a function,
/// a table.
fn defines(source: &str, item: &str) -> bool {
    const KEYWORDS: [&str; 12] = [
        "fn", "struct", "enum", "trait", "type", "const", "static", "mod", "TABLE", "VIEW", "TRIGGER", "INDEX",
    ];
    let name = item.trim_end_matches("()").rsplit("::").next().unwrap();
    source.lines().map(str::trim_start).any(|line| {
        let words = line.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        let is_declared = words
            .windows(2)
            .any(|pair| KEYWORDS.contains(&pair[0]) && pair[1] == name);
        // A variant, or an item made by a macro: its name starts a line.
        let variant = line.strip_prefix(name).filter(|_| name.starts_with(char::is_uppercase));
        is_declared || variant.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '(', ' ']))
    })
}

#[test]
fn every_link_has_a_target() {
    let mut checked = 0;
    for Page { path, text } in pages() {
        let folder = path.parent().unwrap();
        for (shown, target) in links(&text) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(file.exists(), "{}: no file for [{shown}]({target})", path.display());
            if !heading.is_empty() {
                let linked = prose(&fs::read_to_string(&file).unwrap());
                assert!(
                    has_heading(&linked, heading),
                    "{}: no heading for [{shown}]({target})",
                    path.display()
                );
            }
            if let Some(item) = shown.strip_prefix('`').and_then(|shown| shown.strip_suffix('`'))
                && file.extension().is_some_and(|kind| kind == "rs" || kind == "sql")
            {
                let source = fs::read_to_string(&file).unwrap();
                assert!(
                    defines(&source, item),
                    "{}: {target} does not define {item}",
                    path.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "the pages have {checked} links");
}

#[test]
fn every_path_in_a_page_exists() {
    const FOLDERS: [&str; 7] = [
        "src/",
        "tests/",
        "docs/",
        "examples/",
        "benches/",
        "migrations/",
        "fuzz/",
    ];
    for Page { path, text } in pages() {
        for named in code(&text) {
            // A published package does not contain the fuzz targets.
            let is_left_out = named.starts_with("fuzz/") && !Path::new(ROOT).join("fuzz").exists();
            if FOLDERS.iter().any(|folder| named.starts_with(folder)) && !is_left_out {
                let (file, _) = named.split_once("::").unwrap_or((named, ""));
                assert!(
                    Path::new(ROOT).join(file).exists(),
                    "{}: there is no `{named}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_test_in_a_page_exists() {
    let tests = Path::new(ROOT).join("tests");
    for Page { path, .. } in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for command in text.split("cargo test").skip(1) {
            let line = command.split(['`', '\n']).next().unwrap();
            let words: Vec<_> = line.split_whitespace().collect();
            for target in words.windows(2).filter(|pair| pair[0] == "--test").map(|pair| pair[1]) {
                let is_there =
                    tests.join(format!("{target}.rs")).exists() || tests.join(target).join("main.rs").exists();
                assert!(is_there, "{}: there is no test {target}", path.display());
            }
            // A test filter must be the file, or the path of the module, of the tests to run.
            if let ["--test", target, file] = words[..] {
                let is_there = tests
                    .join(target)
                    .join(format!("{}.rs", file.replace("::", "/")))
                    .exists();
                assert!(
                    is_there,
                    "{}: there is no file {file} of the tests {target}",
                    path.display()
                );
            }
        }
    }
}

/// The first cell of each row of the table under a heading.
fn first_cells<'p>(text: &'p str, heading: &str) -> Vec<&'p str> {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('|').nth(1).unwrap()).collect()
}

#[test]
fn the_page_about_the_original_has_all_its_names() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/original.md")).unwrap();
    let named = |heading| {
        first_cells(&text, heading)
            .into_iter()
            .flat_map(code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        named("Models"),
        ["MemRam", "Arena", "Pool", "Block", "StoredObject", "Ledger"]
    );
    assert_eq!(
        named("Listeners"),
        ["update_block_and_pool", "update_arena_mem", "update_arena_memram"]
    );
    let methods = named("Methods");
    for name in [
        "find_suitable_block",
        "allocate_to_block",
        "allocate_to_new_block",
        "add_arena",
    ] {
        assert!(methods.contains(&name), "{name}");
    }
    // Every rustdoc alias is a name of the original, or one of these.
    const COMMON: [&str; 4] = ["insert", "put", "transaction", "unhold"];
    for alias in aliases(&Path::new(ROOT).join("src")) {
        let is_original = methods.contains(&alias.as_str()) || alias == "MemoryManager";
        assert!(
            is_original || COMMON.contains(&alias.as_str()),
            "{alias} is not on the page"
        );
    }
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        assert!(!links(row).is_empty(), "no place for {row}");
    }
}

/// The steps of a numbered list under a heading.
fn steps<'p>(text: &'p str, heading: &str) -> Vec<&'p str> {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let starts = section.match_indices('\n').filter(|&(at, _)| {
        let line = section[at + 1..].split('\n').next().unwrap();
        line.split_once(". ")
            .is_some_and(|(number, _)| number.parse::<usize>().is_ok())
    });
    let starts: Vec<_> = starts.map(|(at, _)| at).chain([section.len()]).collect();
    starts.windows(2).map(|pair| &section[pair[0]..pair[1]]).collect()
}

#[test]
fn a_put_and_a_get_take_few_steps_and_each_names_its_file() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    for (way, most) in [("The way of a put", 8), ("The way of a get", 5)] {
        let steps = steps(&text, way);
        assert!(steps.len() > 2 && steps.len() <= most, "{way}: {steps:#?}");
        for step in steps {
            let is_named = links(step).iter().any(|(_, target)| target.contains("src/"));
            assert!(is_named, "no place for {step}");
        }
    }
}

/// The rustdoc aliases in a folder.
fn aliases(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(aliases(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(path).unwrap();
            let words = source.split("#[doc(alias = \"").skip(1);
            found.extend(words.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn the_checks_of_this_file_can_fail() {
    assert_eq!(links("[a](b.md) and [`C`](d.rs#e)"), [("a", "b.md"), ("`C`", "d.rs#e")]);
    assert!(has_heading(
        "# Top\n## What is there, and why\n",
        "what-is-there-and-why"
    ));
    assert!(!has_heading("# Top\n", "bottom"));
    assert_eq!(
        steps("\n## A\nso\n1. x\n   y\n2. z\n## B\n3. w", "A"),
        ["\n1. x\n   y", "\n2. z"]
    );
    let source = "pub(crate) fn place(x: u8) {}\nenum Step {\n    Fill { bytes: i64 },\n}\n";
    assert!(defines(source, "place") && defines(source, "Step::Fill") && defines(source, "Step"));
    assert!(!defines(source, "bytes") && !defines(source, "Carve") && !defines(source, "Fil"));
}
