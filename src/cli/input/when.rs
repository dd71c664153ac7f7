//! Parsing of moments and spans of time.

use std::str::FromStr;
use std::time::Duration;

use heapledger::{EventFilter, EventId, Expiry, MemManager, Moment, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo};

/// A point in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the last event.
    Now,
    /// After this event, by its number in the space or its id: `@123`, or `123`.
    Event(i64),
    /// At this time.
    Time(Timestamp),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let digits = text.strip_prefix('@').unwrap_or(text);
        if let Some(event) = digits.parse::<i64>().ok().filter(|&event| event >= 0) {
            return Ok(Self::Event(event));
        }
        let why = "not a moment; write an event (@123), a time (2026-01-31T12:00:00Z), or how long ago (2h, 30d)";
        time(text).map(Self::Time).map_err(|_| why.to_owned())
    }
}

impl When {
    /// The moment in the history of a space.
    pub fn moment(self, memory: &MemManager) -> heapledger::Result<Moment> {
        match self {
            Self::Event(event) => Ok(Moment::Event(EventId::within(memory.space_id(), event))),
            Self::Time(time) => Ok(Moment::Time(time)),
            Self::Now => {
                // By number, because after the clock was set back the last event lies in the future.
                let last = memory.newest_events(&EventFilter::default(), 1)?.pop();
                let none = EventId::within(memory.space_id(), 0);
                Ok(Moment::Event(last.map_or(none, |event| event.id)))
            }
        }
    }
}

/// A time: `2026-01-31T12:00:00Z`, `2026-01-31 12:00` and `2026-01-31` in UTC, or a span
/// before now.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Some(time) = absolute(text)? {
        return Ok(time);
    }
    let explain = || "not a time; write 2026-01-31T12:00:00Z, or how long ago: 90s, 2h, 30d".to_owned();
    let ago = span(text).map_err(|_| explain())?;
    let time = jiff::Timestamp::now().checked_sub(ago).map_err(|_| explain())?;
    Ok(of(time))
}

fn of(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_microsecond())
}

/// A time that does not depend on the current one, if it is one.
fn absolute(text: &str) -> Result<Option<Timestamp>, String> {
    if let Ok(time) = text.parse() {
        return Ok(Some(of(time)));
    }
    let Ok(time) = text.parse::<DateTime>() else {
        return Ok(None);
    };
    let time = time.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(Some(of(time.timestamp())))
}

/// A time ahead: `+7d`, `2h`, or a time.
pub fn ahead(text: &str) -> Result<Timestamp, String> {
    if let Ok(span) = span(text.strip_prefix('+').unwrap_or(text)) {
        return Ok(Timestamp::now() + span);
    }
    let why = "not a time ahead; write +2h, +7d or 2099-12-31T12:00:00Z";
    absolute(text)?.ok_or_else(|| why.to_owned())
}

/// When something expires: a span from now on, a time, or `never`.
pub fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    if let Ok(span) = span(text) {
        return Ok(Expiry::In(span));
    }
    let why = "not a time to expire; write how long it lasts (90s, 2h, 7d), a time (2026-01-31T12:00:00Z), or never";
    absolute(text)?.map(Expiry::At).ok_or_else(|| why.to_owned())
}

/// How long something lasts from each read on.
pub fn idle(text: &str) -> Result<Expiry, String> {
    span(text).map(Expiry::Idle)
}

/// A span of time: `90s`, `2h`, `30d`, `1w 12h`. A day has 24 hours.
pub fn span(text: &str) -> Result<Duration, String> {
    let explain = || "not a span of time; write 90s, 2h, 30d or 4w".to_owned();
    let span: Span = text.parse().map_err(|_| explain())?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let span = Duration::try_from(span.map_err(|_| explain())?).map_err(|_| explain())?;
    if span.is_zero() { Err(explain()) } else { Ok(span) }
}

/// The same, or nothing: `0s`.
pub fn age(text: &str) -> Result<Duration, String> {
    match text {
        "0s" | "0" => Ok(Duration::ZERO),
        text => span(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_parsed() {
        let at = |micros| When::Time(Timestamp::from_micros(micros));
        for (text, when) in [
            ("now", When::Now),
            ("@123", When::Event(123)),
            ("7", When::Event(7)),
            ("1970-01-01T00:00:01Z", at(1_000_000)),
            ("1970-01-01T01:00:01.5+01:00", at(1_500_000)),
            ("1970-01-01 00:01", at(60_000_000)),
            ("1970-01-02", at(86_400_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(when), "{text}");
        }
        for text in ["", "@", "@x", "-1", "yesterday", "old.db", "2026-13-01"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_expiry_is_ahead() {
        assert!(ahead("+7d").unwrap() > Timestamp::now());
        assert_eq!(ahead("1970-01-02"), Ok(Timestamp::from_micros(86_400_000_000)));
        assert!(ahead("soon").is_err());
        assert_eq!(expiry("never"), Ok(Expiry::Never));
        assert_eq!(expiry("7d"), Ok(Expiry::In(Duration::from_secs(7 * 86_400))));
        let at = Timestamp::from_micros(86_400_000_000);
        assert_eq!(expiry("1970-01-02"), Ok(Expiry::At(at)));
        for text in ["", "0s", "-2h", "soon", "2"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_go_back_from_now() {
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(span("4w"), Ok(Duration::from_secs(28 * 86_400)));
        for text in ["", "2", "0s", "-2h", "1y", "soon", "99999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
        let ago = Timestamp::now().as_micros() - time("2h").unwrap().as_micros();
        assert!((7_199_000_000..7_201_000_000).contains(&ago), "{ago}");
    }
}
