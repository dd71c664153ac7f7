//! `heapledger set`

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use heapledger::{Freed, Hold, Json, ObjectId};
use serde::Serialize;

use super::evicted::Evicted;
use super::expire::Expires;
use super::names::{explain_taken, replaced};
use super::soft_limits;
use super::tags::Tags;
use crate::cli::context::Context;
use crate::cli::exit::{self, Outcome};
use crate::cli::globals::Making;
use crate::cli::input::argument;
use crate::cli::output::text::{printable, short_id};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The kind is inferred: 42 is an int, 4.2 a float, true a bool, null is none,
{…} and […] are JSON, and everything else is a str. --as says otherwise.
A value too large for an argument can come from a file or standard input; a final line
feed is not part of it.

Examples:
  heapledger set answer 42
  heapledger set zip --as str 01234
  heapledger set point '{\"x\": 1, \"y\": 2}'
  heapledger set config --as json @config.json
  date | heapledger set started -        # from standard input
  heapledger set --raw handle @heapledger
  heapledger set --keep owner me         # only if nothing is named owner
  heapledger set --expires 2h token abc  # gone after two hours
  heapledger set --idle 30m session ann  # gone half an hour after the last get
  heapledger set offset -- -x")]
pub struct Args {
    /// The name to bind; if it is already bound it moves to this value, and the old one is freed
    /// if nothing else holds it
    #[arg(value_name = "NAME")]
    name: String,

    /// The value; @FILE reads it from a file, and - from standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: String,

    /// Take the value as it is, even if it is - or starts with @
    #[arg(long)]
    raw: bool,

    /// The kind of the value, instead of inferring it
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<As>,

    /// Fail if the name is taken
    #[arg(short, long)]
    keep: bool,

    #[command(flatten)]
    expires: Expires,

    #[command(flatten)]
    tags: Tags,

    #[command(flatten)]
    making: Making,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum As {
    Int,
    Float,
    Bool,
    None,
    Str,
    Json,
}

#[derive(Serialize)]
struct Set<'a> {
    object_id: ObjectId,
    name: &'a str,
    kind: &'static str,
    size: u64,
    pieces: u64,
    dedup: bool,
    /// The object that had the name before, if that freed it.
    freed: Option<Freed>,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    args.tags.check()?;
    let given = if args.raw {
        argument::literal(&args.value)
    } else {
        argument::read(&args.value)?
    };
    let value = match args.kind {
        Some(kind) => value_as(&given.text, kind),
        None => value_of(&given.text),
    };
    let value = value.context(given.label)?;
    let hold = if args.keep {
        Hold::NewName(&args.name)
    } else {
        Hold::Name(&args.name)
    };
    let hold = hold.expires(args.expires.expiry()).tags(args.tags.pairs());
    let memory = context.store(args.making)?;
    let evicted = Evicted::before(&memory)?;
    let stored = memory.store(&value, hold).map_err(explain_taken)?;
    if let Some(evicted) = evicted {
        evicted.tell(&memory, context.sizes())?;
    }
    soft_limits::warn_beyond(&memory, args.tags.pairs(), context.sizes())?;
    let set = Set {
        object_id: stored.id,
        name: &args.name,
        kind: kind_of(&value),
        size: stored.size,
        pieces: stored.pieces,
        dedup: stored.dedup,
        freed: stored.freed,
    };
    if stored.repaired > 0 {
        let repaired = context.sizes().phrase(stored.repaired);
        exit::note(&format!(
            "already known; {repaired} of it were damaged and have been repaired"
        ));
    }
    context.answer(&set, |out| {
        writeln!(
            out,
            "{}  {} ({})",
            short_id(set.object_id),
            printable(set.name),
            set.kind
        )?;
        match &set.freed {
            Some(freed) => writeln!(out, "{}", replaced(set.name, freed, context.sizes())),
            None => Ok(()),
        }
    })
}

/// Infers the kind of `text` and parses it.
fn value_of(text: &str) -> Result<Json> {
    let enclosed = |open, close| text.starts_with(open) && text.ends_with(close);
    match text {
        "true" | "True" => json("true"),
        "false" | "False" => json("false"),
        "null" | "None" => json("null"),
        _ if enclosed('{', '}') || enclosed('[', ']') => json(text).context("store it as text with --as str"),
        _ if is_int(text) => int(text).context("store it as text with --as str"),
        _ if is_float(text) => float(text).context("store it as text with --as str"),
        _ => Ok(Json::from(text.to_owned())),
    }
}

/// Parses `text` as a value of this kind.
fn value_as(text: &str, kind: As) -> Result<Json> {
    match (kind, text) {
        (As::Str, _) => Ok(Json::from(text.to_owned())),
        (As::Json, _) => json(text),
        (As::Int, _) => int(text),
        (As::Float, _) => float(text),
        (As::Bool, "true" | "True") => json("true"),
        (As::Bool, "false" | "False") => json("false"),
        (As::Bool, _) => bail!("not a bool; write true or false"),
        (As::None, "null" | "none" | "None" | "") => json("null"),
        (As::None, _) => bail!("not none; write null"),
    }
}

/// An optional minus and digits. With a leading zero it is a code, not a number.
fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !leading_zero
}

/// Digits with a point or an exponent; not `nan`, `inf` or `1.2.3`.
fn is_float(text: &str) -> bool {
    let body = text.strip_prefix('-').unwrap_or(text);
    let spelled = body
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let leading_zero = body.starts_with('0') && body.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let starts = body.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    starts && spelled && !leading_zero && !is_int(text) && text.parse::<f64>().is_ok()
}

fn int(text: &str) -> Result<Json> {
    match text.parse::<i128>() {
        Ok(number) => {
            json(&number.to_string()).with_context(|| format!("an int goes from {} to {}", i64::MIN, u64::MAX))
        }
        Err(_) if is_int(text) => bail!("an int goes from {} to {}", i64::MIN, u64::MAX),
        Err(_) => bail!("not an int; write digits"),
    }
}

/// Also accepts what Rust parses but JSON does not: `.5`, `5.`, `42`, `+1.0`.
fn float(text: &str) -> Result<Json> {
    let number: f64 = text.parse().context("not a float; write 4.2 or 1e9")?;
    if !text.contains(|sign: char| sign.is_ascii_digit()) {
        bail!("a float must be finite, and {number} is not");
    }
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = body.split_once(['e', 'E']).unwrap_or((body, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    json(&format!("{sign}{whole:0>1}.{part}0e{exponent}"))
}

fn json(text: &str) -> Result<Json> {
    Ok(text.parse()?)
}

fn kind_of(value: &Json) -> &'static str {
    value.kind().as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_inferred() {
        for (text, kind) in [
            ("42", "int"),
            ("-7", "int"),
            ("0", "int"),
            ("18446744073709551615", "int"),
            ("4.2", "float"),
            ("-1e9", "float"),
            (".5", "float"),
            ("true", "bool"),
            ("None", "none"),
            ("{\"a\": [1]}", "json"),
            ("[]", "json"),
            ("[\"\\\"123456789012345678901234567890\\\\\", 1e30]", "json"),
            ("[draft] plan", "str"),
            ("007", "str"),
            ("00.5", "str"),
            ("1.2.3", "str"),
            ("2026-01-31", "str"),
            ("nan", "str"),
            ("inf", "str"),
            ("-", "str"),
            ("e5", "str"),
            ("+49123", "str"),
            ("", "str"),
            ("hello", "str"),
        ] {
            assert_eq!(kind_of(&value_of(text).unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn inexact_values_are_refused() {
        for text in [
            "123456789012345678901234567890",
            "[1,-99999999999999999999]",
            "1e999",
            "1e-400",
            "-1e-400",
            "0.12345678901234567890123",
            "9007199254740993.0",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "[{\"a\":{\"b\":1,\"\\u0062\":2}}]",
            "[0.1e-400]",
            "[\"\\ud800\"]",
        ] {
            assert!(value_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_requested_kind_is_stored_or_the_value_is_refused() {
        assert_eq!(kind_of(&value_as("42", As::Str).unwrap()), "str");
        for (text, float) in [
            ("42", "42.0"),
            ("-.5", "-0.5"),
            ("5.", "5.0"),
            ("+1.50", "1.5"),
            ("-0", "-0.0"),
            ("1e3", "1000.0"),
            ("00.1E-2", "0.001"),
        ] {
            let value = value_as(text, As::Float).unwrap();
            assert_eq!((kind_of(&value), value.to_string().as_str()), ("float", float));
        }
        for (text, kind) in [
            ("x", As::Int),
            ("x", As::Float),
            ("nan", As::Float),
            ("1", As::Bool),
            ("0", As::None),
            ("x", As::Json),
        ] {
            assert!(value_as(text, kind).is_err(), "{text}");
        }
    }
}
