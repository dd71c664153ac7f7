//! `heapledger sql`

use std::io::{self, IsTerminal, Read};
use std::ops::ControlFlow;

use anyhow::{Result, anyhow, bail};
use heapledger::{Error, MemManager, SqlQuery, SqlValue};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::sql_prompt;
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::statements;
use crate::cli::output::render::{Format, Output, Row, columns};
use crate::cli::output::table::Head;
use crate::cli::reference::{self, Named, Relation};
use crate::cli::streams;

/// The commands that begin with a dot, each on a line that begins with `$indent`.
macro_rules! dot_commands {
    ($indent:literal) => {
        concat!(
            $indent,
            ".tables           the tables and views\n",
            $indent,
            ".schema [NAME]    the columns of all of them or of one, and what they mean\n",
            $indent,
            ".help [NAME]      these commands, or all about one table or view\n",
            $indent,
            ".queries          the queries that have a name, for @NAME\n",
            $indent,
            ".show NAME        the text of such a query\n",
            $indent,
            ".format FORMAT    how to print: table, json, ndjson or csv\n",
            $indent,
            ".quit             the end, as Ctrl-D is\n",
        )
    };
}

#[derive(Debug, clap::Args)]
#[command(after_help = concat!("\
Without a query, it asks for some at a terminal, or else reads them from standard input; each
ends with a semicolon. The tables and views have the rows of all spaces. Nothing is ever
changed: only queries are accepted (SELECT, WITH, VALUES, EXPLAIN QUERY PLAN).

", dot_commands!("  "), "
Bytes are shown as their hexadecimal digits after \\x. With --format json each query prints
an array of its own. A VALUE of digits is a number: write CAST(? AS TEXT) to find it as text,
and -- before values that begin with a dash.

Examples:
  heapledger sql 'SELECT kind, count(*) FROM objects GROUP BY kind'
  heapledger sql @largest --format csv > largest.csv
  heapledger sql --list                         # @NAME for each of these
  heapledger sql 'SELECT * FROM names WHERE name = ?' report.pdf
  heapledger sql '.schema ledger'
  echo 'SELECT 1; SELECT 2;' | heapledger sql
  heapledger sql --datasette > metadata.json    # for datasette -m"))]
pub struct Args {
    /// A query, @NAME for one that has a name, or a command that begins with a dot
    // It may begin with a comment, `-- why`.
    #[arg(value_name = "QUERY", conflicts_with_all = ["list", "datasette"], allow_hyphen_values = true)]
    query: Option<String>,

    /// A value for each `?` of the query, in order; digits are a number, anything else is text
    // Only numbers, so that options may come last; others follow `--`.
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    values: Vec<String>,

    /// List the queries that have a name
    #[arg(long)]
    list: bool,

    /// Print metadata for datasette: what tables and columns mean, and the queries with names
    #[arg(long, conflicts_with = "list")]
    datasette: bool,
}

/// Whether a query can only be an unknown option.
fn is_option(query: &str) -> bool {
    query.starts_with('-') && !query.contains(char::is_whitespace)
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    if args.datasette {
        if context.is_on_server() {
            bail!("datasette reads heaps in files");
        }
        let metadata = metadata(&context.db().file_stem().unwrap_or_default().to_string_lossy());
        io::Write::write_all(&mut io::stdout(), format!("{metadata:#}\n").as_bytes())?;
        return Ok(Outcome::Fine);
    }
    let mut format = context.format();
    if args.list {
        tell(".queries", &mut format, context)?;
        return Ok(Outcome::Fine);
    }
    if let Some(told) = args
        .query
        .as_deref()
        .filter(|query| query.trim_start().starts_with('.') && args.values.is_empty())
    {
        tell(told.trim(), &mut format, context)?;
        return Ok(Outcome::Fine);
    }
    if let Some(option) = args.query.as_deref().filter(|query| is_option(query)) {
        bail!("unexpected argument '{option}'; see `heapledger sql --help`");
    }
    if context.names_space() {
        bail!("a query is about all spaces; leave out --space, and name the space in the query");
    }
    // So any space will do.
    let mut session = Session {
        memory: context.any()?,
        context,
        format,
        ran: 0,
    };
    match &args.query {
        Some(text) if !args.values.is_empty() => session.with_values(text, &args.values)?,
        Some(text) => session.all(text)?,
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            sql_prompt::run(context.is_on_server(), |statement| session.one(statement, Vec::new()))?
        }
        None => {
            let mut text = String::new();
            streams::input()?.read_to_string(&mut text)?;
            session.all(&text)?;
        }
    }
    Ok(Outcome::Fine)
}

/// The heap that queries are asked of, and how to print what it answers.
struct Session<'c> {
    memory: MemManager,
    context: &'c Context<'c>,
    format: Format,
    ran: u64,
}

/// Only digits that are written as the number would be: `007` is text.
fn value(written: &str) -> SqlValue {
    let number = written.parse::<i64>().ok();
    let number = number.filter(|number| number.to_string() == written);
    number.map_or_else(|| written.into(), SqlValue::from)
}

impl Session<'_> {
    /// Runs the only statement of a text with values.
    fn with_values(&mut self, text: &str, values: &[String]) -> Result<()> {
        let on_server = self.context.is_on_server();
        let (statements, rest) = statements::split(text, on_server);
        let rest = Some(rest).filter(|rest| !statements::is_blank(rest, on_server));
        let mut statements = statements.into_iter().chain(rest);
        match (statements.next(), statements.next()) {
            (Some(query), None) if !query.trim_start().starts_with('.') => {
                self.one(query, values.iter().map(|written| value(written)).collect())
            }
            _ => bail!("values are for one query, not for a command or for several queries"),
        }
    }

    /// Runs all statements of a text, the last of which needs no semicolon.
    fn all(&mut self, text: &str) -> Result<()> {
        let on_server = self.context.is_on_server();
        let (statements, rest) = statements::split(text, on_server);
        for statement in statements {
            self.one(statement, Vec::new())?;
        }
        if statements::is_blank(rest, on_server) {
            Ok(())
        } else {
            self.one(rest, Vec::new())
        }
    }

    /// Runs a query, a query with a name, or a command with a dot.
    fn one(&mut self, statement: &str, values: Vec<SqlValue>) -> Result<()> {
        let on_server = self.context.is_on_server();
        let statement = statements::without_first_comments(statement, on_server).trim();
        if statement.starts_with('.') {
            return tell(statement, &mut self.format, self.context);
        }
        let query = match statement.strip_prefix('@') {
            Some(name) => named(name)?.sql,
            None => statement,
        };
        let mut output = Output::new(self.format, self.context.sizes());
        if self.ran > 0 && output.is_table() {
            writeln!(output.text())?;
        }
        self.ran += 1;
        let memory = &self.memory;
        let asked = values.into_iter().fold(SqlQuery::new(query), SqlQuery::bind);
        let mut source = |take: &mut dyn FnMut(&[String], Vec<_>) -> ControlFlow<()>| memory.query(asked.clone(), take);
        let answered = output.records(&mut source);
        // For such a text, the database's message is about the subquery that the text was turned into.
        answered.map_err(
            |error| match (error.downcast_ref(), other_statement(query, on_server)) {
                (Some(Error::Database { .. }), Some(word)) => {
                    anyhow!("only queries are accepted: SELECT, WITH, VALUES, EXPLAIN QUERY PLAN; not {word}")
                }
                _ => error,
            },
        )
    }
}

/// The first word of a text that was not meant as a query, to explain why it was refused.
fn other_statement(text: &str, on_server: bool) -> Option<&str> {
    let text = statements::without_first_comments(text, on_server);
    let first = text.trim_start_matches('(').split_whitespace().next()?;
    let is_query = ["SELECT", "WITH", "VALUES", "EXPLAIN"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    (!is_query).then_some(first)
}

fn named(name: &str) -> Result<Named> {
    let mut queries = reference::queries().into_iter();
    match queries.find(|query| query.name == name) {
        Some(query) => Ok(query),
        None => bail!("there is no query @{name}; `heapledger sql --list` lists them"),
    }
}

fn relation(name: &str) -> Result<Relation> {
    let mut relations = reference::relations().into_iter();
    match relations.find(|relation| relation.name == name) {
        Some(relation) => Ok(relation),
        None => bail!("heapledger has no table or view {name}; `.tables` lists them"),
    }
}

/// Carries out a command that begins with a dot.
fn tell(command: &str, format: &mut Format, context: &Context<'_>) -> Result<()> {
    let mut output = Output::new(*format, context.sizes());
    let words: Vec<_> = command.split_whitespace().collect();
    match words[..] {
        [".tables"] => output.rows(reference::relations().iter().map(Table::from))?,
        [".schema"] => output.rows(reference::relations().iter().flat_map(columns))?,
        [".schema", name] => output.rows(columns(&relation(name)?))?,
        [".queries"] => output.rows(reference::queries())?,
        [".show", name] => writeln!(output.text(), "{}", named(name.trim_start_matches('@'))?.sql)?,
        [".help"] => output.text().write_all(dot_commands!("").as_bytes())?,
        [".help", name] => output.text().write_all(relation(name)?.text.as_bytes())?,
        [".format", name] => match clap::ValueEnum::from_str(name, true) {
            Ok(other) => *format = other,
            Err(_) => bail!("there is no format {name}; take table, json, ndjson or csv"),
        },
        _ => bail!("there is no command {command} like this; `.help` lists them"),
    }
    Ok(output.flush()?)
}

#[derive(Serialize)]
struct Table {
    name: &'static str,
    kind: &'static str,
    about: String,
}

impl From<&Relation> for Table {
    fn from(relation: &Relation) -> Self {
        Self {
            name: relation.name,
            kind: if relation.is_view { "view" } else { "table" },
            about: relation.about.clone(),
        }
    }
}

impl Row for Table {
    const KEYS: &'static str = "name,kind,about";
    columns! { self, _,
        Head::left("NAME") => self.name,
        Head::left("KIND") => self.kind,
        Head::left("ABOUT").cut_to(8) => self.about,
    }
}

#[derive(Serialize)]
struct ColumnOf {
    table: &'static str,
    column: &'static str,
    meaning: String,
}

fn columns(relation: &Relation) -> Vec<ColumnOf> {
    let table = relation.name;
    let columns = relation.columns.iter().cloned();
    columns
        .map(|(column, meaning)| ColumnOf { table, column, meaning })
        .collect()
}

impl Row for ColumnOf {
    const KEYS: &'static str = "table,column,meaning";
    columns! { self, _,
        Head::left("TABLE") => self.table,
        Head::left("COLUMN") => self.column,
        Head::left("MEANING").cut_to(8) => self.meaning,
    }
}

impl Row for Named {
    const KEYS: &'static str = "name,sql,title";
    columns! { self, _,
        Head::left("QUERY") => format!("@{}", self.name),
        Head::left("WHAT IT TELLS").cut_to(8) => self.title,
    }
}

/// What datasette shows about a database of this name.
fn metadata(database: &str) -> Value {
    let tables = reference::relations().into_iter().map(|relation| {
        let columns = relation.columns.into_iter();
        let columns: Map<_, _> = columns
            .map(|(column, meaning)| (column.to_owned(), meaning.into()))
            .collect();
        (
            relation.name.to_owned(),
            json!({"description": relation.about, "columns": columns}),
        )
    });
    let queries = reference::queries().into_iter().map(|query| {
        let about = json!({"title": query.title, "sql": query.sql});
        (query.name.to_owned(), about)
    });
    let (tables, queries) = (tables.collect::<Map<_, _>>(), queries.collect::<Map<_, _>>());
    json!({"databases": {database: {
        "description": "A heap of heapledger. Sizes are in bytes, times in microseconds since 1970 UTC.",
        "tables": tables,
        "queries": queries,
    }}})
}
