//! The parts of an address that no message may contain.

use std::cmp::Reverse;

use percent_encoding::percent_decode_str;

use super::parts::Parts;

/// The parameters of libpq (up to version 18) whose values are secrets.
const PARAMETERS: [&str; 5] = [
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
];

/// A secret of fewer characters is only replaced where it is a word: replacing each `a` of a
/// message would reveal that it is `a`.
const SHORT: usize = 4;

/// Passwords, as written and decoded, the longest first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(parts: &Parts) -> Self {
        let is_secret = |name: Vec<u8>| PARAMETERS.iter().any(|secret| secret.as_bytes() == name);
        let values = parts
            .parameters
            .iter()
            .filter(|parameter| is_secret(parameter.name()))
            .map(|parameter| &parameter.value);
        let mut all = Vec::new();
        for raw in parts.password.iter().chain(values).filter(|raw| !raw.is_empty()) {
            // Messages are converted in the same way.
            all.push(percent_decode_str(raw).decode_utf8_lossy().into_owned());
            all.push(raw.clone());
        }
        all.sort_unstable_by_key(|secret| Reverse(secret.len()));
        all.dedup();
        Self(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces all of them.
    pub(super) fn mask(&self, message: &str) -> String {
        self.0
            .iter()
            .fold(message.to_owned(), |message, secret| without(&message, secret))
    }
}

fn without(message: &str, secret: &str) -> String {
    const MASK: &str = "***";
    if secret.chars().count() >= SHORT {
        return message.replace(secret, MASK);
    }
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(secret) {
        masked.push_str(before);
        let joins = masked.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        masked.push_str(if joins { secret } else { MASK });
        rest = after;
    }
    masked.push_str(rest);
    masked
}
