//! The prompt of `heapledger sql`.

use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use crate::cli::exit;
use crate::cli::input::statements;
use crate::cli::reference;

const COMMANDS: [&str; 7] = [".tables", ".schema", ".help", ".queries", ".show", ".format", ".quit"];

/// Asks for statements and passes each to `one`, until the end of the input. One that fails does not end it.
pub fn run(on_server: bool, mut one: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut editor = Editor::<Words, DefaultHistory>::new()?;
    editor.set_helper(Some(Words::known()));
    exit::note("queries end with a semicolon; .help lists what else there is");
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { "sql> " } else { "...> " };
        match editor.readline(prompt) {
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            // Gives up what was begun.
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // Commands and names end with their line.
        if text.starts_with(['.', '@']) && !text.contains(';') {
            text.insert(text.trim_end().len(), ';');
        }
        let (ready, rest) = statements::split(&text, on_server);
        if !ready.is_empty() {
            editor.add_history_entry(text.trim())?;
        }
        for statement in ready {
            if statement == ".quit" {
                return Ok(());
            }
            if let Err(error) = one(statement) {
                if exit::is_broken_pipe(&error) {
                    return Err(error);
                }
                exit::warn(&exit::one_line(&error));
            }
        }
        text = if statements::is_blank(rest, on_server) {
            String::new()
        } else {
            rest.trim_start().to_owned()
        };
    }
}

/// What Tab completes.
struct Words(Vec<String>);

impl Words {
    fn known() -> Self {
        let relations = reference::relations();
        let columns = relations
            .iter()
            .flat_map(|relation| relation.columns.iter().map(|(name, _)| *name));
        let names = relations
            .iter()
            .map(|relation| relation.name)
            .chain(columns)
            .chain(COMMANDS);
        let queries = reference::queries().into_iter().map(|query| format!("@{}", query.name));
        let mut words: Vec<_> = names.map(str::to_owned).chain(queries).collect();
        words.sort_unstable();
        words.dedup();
        Self(words)
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..at).unwrap_or_default();
        let is_part = |sign: char| sign.is_alphanumeric() || "_.@-".contains(sign);
        let begun = before.trim_end_matches(is_part).len();
        let word = before.get(begun..).unwrap_or_default();
        let fitting = self.0.iter().filter(|known| known.starts_with(word));
        Ok((begun, fitting.cloned().collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
