//! Text, numbers and tables as HTML. Whatever comes from a heap passes through [`text`].

use std::fmt::Display;

use heapledger::{Figure, Hasher, Kind, Timestamp};

use crate::cli::output::text::{preview, printable, time};

/// `text` as the content of an element or of a quoted attribute, with control characters and marks of
/// direction made visible.
pub fn text(text: impl Display) -> String {
    let mut out = String::new();
    for character in printable(&text.to_string()).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A name, isolated from the text direction of what is around it, and cut if it is very long.
pub fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", text(preview(name, 120)))
}

/// `1.5 MiB`
pub fn human(bytes: u64) -> String {
    Figure::Bytes(bytes).to_string()
}

/// `1,572,864`
pub fn grouped(number: u64) -> String {
    Figure::Count(number).to_string()
}

/// `12.5 %`
pub fn share(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    Figure::Share(share).to_string()
}

pub fn plural(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A time that machines can read, too.
pub fn moment(at: Timestamp) -> String {
    let at = time(at);
    format!(
        "<time datetime=\"{at}\">{}</time>",
        at.replace('T', " ").replace('Z', "")
    )
}

/// Fills `{{key}}` in a template. What is filled in is not looked at again.
pub fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (key, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == key);
        debug_assert!(value.is_some(), "the template asks for {key}");
        out.push_str(before);
        out.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A table with these column heads; those that begin with `<` are of text.
pub fn table(caption: &str, heads: &[&str], rows: &[Vec<String>], foot: Option<Vec<String>>) -> String {
    let is_text = |index: usize| heads.get(index).is_some_and(|head| head.starts_with('<'));
    let class = |index: usize| if is_text(index) { " class=\"l\"" } else { "" };
    let row = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(index, cell)| match index {
            0 => format!("<th scope=\"row\"{}>{cell}</th>", class(0)),
            _ if is_text(index) => format!("<td class=\"l w\">{cell}</td>"),
            _ => format!("<td>{cell}</td>"),
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let head = heads.iter().enumerate().map(|(index, head)| {
        let head = head.trim_start_matches('<');
        format!("<th scope=\"col\"{}>{head}</th>", class(index))
    });
    let head: String = head.collect();
    let body: String = rows.iter().map(|cells| row(cells)).collect();
    let foot = foot.map_or(String::new(), |cells| format!("<tfoot>{}</tfoot>", row(&cells)));
    format!(
        "<div class=\"scroll\"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )
}

/// Bytes, human and exact. `key` lets tests and scripts find the number.
pub fn bytes(key: &str, bytes: u64) -> String {
    format!("<data value=\"{bytes}\" data-key=\"{key}\">{}</data>", grouped(bytes))
}

/// A bar of 90 pixels that shows how much of something is used, and the share in words.
pub fn gauge_of(part: u64, whole: u64) -> String {
    let width = if whole == 0 {
        0.0
    } else {
        90.0 * part as f64 / whole as f64
    };
    format!(
        "<svg class=\"use\" viewBox=\"0 0 90 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"f-none\" width=\"90\" height=\"10\"/><rect class=\"b-payload\" width=\"{width:.1}\" height=\"10\"/></svg> <span class=\"share\">{}</span>",
        share(part, whole)
    )
}

/// The SHA-256 of an inline script or style, as a content security policy has it.
pub fn digest(inline: &str) -> String {
    let mut hasher = Hasher::new(Kind::Bytes);
    hasher.update(inline.as_bytes());
    base64(hasher.finish().as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let group = (0..3).fold(0, |group, index| {
            group << 8 | u32::from(part.get(index).copied().unwrap_or_default())
        });
        for index in 0..4 {
            let digit = DIGITS.get((group >> (18 - 6 * index)) as usize & 63);
            let digit = if index <= part.len() { digit } else { Some(&b'=') };
            out.push(char::from(digit.copied().unwrap_or_default()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_only_text() {
        assert_eq!(
            text("</script><b a='\"'>&"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;"
        );
        assert_eq!(text("a\u{202e}b\0\n"), "a\\u{202e}b\\u{0}\\n");
        assert_eq!(name("x"), "<bdi>x</bdi>");
    }

    #[test]
    fn what_is_filled_in_is_not_a_template() {
        let filled = fill("<{{a}}|{{b}}>", &[("a", "{{b}}".into()), ("b", "2".into())]);
        assert_eq!(filled, "<{{b}}|2>");
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
