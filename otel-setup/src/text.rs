//! Text for people: colors, times, numbers with their nouns, and escaped control characters.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns whether stdout is a terminal and the environment variable
/// [`NO_COLOR`](https://no-color.org) is unset or empty.
#[must_use]
pub fn stdout_supports_color() -> bool {
    supports_color(io::stdout().is_terminal(), env::var_os("NO_COLOR").as_deref())
}

fn supports_color(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Formats a time in UTC with microseconds: `2026-01-31T23:59:59.999999Z`.
///
/// Returns `None` for years after 9999 or before 1.
pub(crate) fn time(time: SystemTime) -> Option<String> {
    // As the distance from the year 1, nothing here is negative.
    let since_year_1 = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => YEAR_1_TO_EPOCH.checked_add(after)?,
        Err(before) => YEAR_1_TO_EPOCH.checked_sub(before.duration())?,
    };
    let (days, second) = (since_year_1.as_secs() / 86_400, since_year_1.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since_year_1.subsec_micros();
    (year <= 9999).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}

/// The time from the first day of the year 1 to 1970.
const YEAR_1_TO_EPOCH: Duration = Duration::from_secs(719_162 * 86_400);

/// Returns the year, month and day of the Gregorian calendar, this number of days after the first
/// day of the year 1.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so a leap day is the last day of its year, and of the longer
    // periods as well. Day 0 is the first of March in the year 0.
    let days = days + 306;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // The lengths of the months from March on repeat after 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(is_next_year), month, day)
}

/// Escapes control characters and invisible ones, such as those that change the direction of text,
/// as Rust's `Debug` does. Remote callers must not be able to move the cursor, to add lines, or to
/// make text look like another.
pub(crate) fn escape_control(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    // `Debug` also escapes these three.
    for part in text.split_inclusive(['"', '\'', '\\']) {
        let quote = part
            .chars()
            .next_back()
            .filter(|last| matches!(last, '"' | '\'' | '\\'));
        let part = &part[..part.len() - quote.map_or(0, char::len_utf8)];
        escaped.extend(part.escape_debug());
        escaped.extend(quote);
    }
    Cow::Owned(escaped)
}

/// Returns the form of a noun or a verb that a number has: "1 span was", "2 spans were".
pub(crate) fn by_number<'a>(count: u64, one: &'a str, others: &'a str) -> &'a str {
    if count == 1 { one } else { others }
}

/// Returns a number with its unit, a plural on "s": "1 span", "2 spans".
pub(crate) fn counted(count: u64, units: &str) -> String {
    let unit = units.strip_suffix('s').unwrap_or(units);
    format!("{count} {}", by_number(count, unit, units))
}

/// ANSI styles, or none if `color` is false.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) color: bool,
}

impl Paint {
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn error(self, text: &str, failed: bool) -> String {
        if failed { self.with("31", text) } else { text.to_owned() }
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn bar(self, bar: &str, failed: bool) -> String {
        self.with(if failed { "31" } else { "36" }, bar)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn color_requires_a_terminal_without_no_color() {
        assert!(supports_color(true, None));
        assert!(supports_color(true, Some(OsStr::new(""))));
        assert!(!supports_color(true, Some(OsStr::new("0"))));
        assert!(!supports_color(false, None));
    }

    #[test]
    fn times_are_utc_with_microseconds() {
        let at = |seconds, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        assert_eq!(time(at(0, 0)).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
        assert_eq!(
            time(at(1_651_258_378, 114_201_999)).as_deref(),
            Some("2022-04-29T18:52:58.114201Z")
        );
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(time(before).as_deref(), Some("1969-12-31T23:59:59.000000Z"));
    }

    /// Every day of the calendar, compared with another implementation.
    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        let first = jiff::civil::date(1, 1, 1);
        for (days, expected) in first.series(jiff::Span::new().days(1)).enumerate() {
            let [year, month, day] = [
                i64::from(expected.year()),
                expected.month().into(),
                expected.day().into(),
            ]
            .map(|number: i64| u64::try_from(number).unwrap());
            assert_eq!(date(days as u64), (year, month, day));
        }
    }

    #[test]
    fn units_agree_with_their_number() {
        for (count, expected) in [(0, "0 log records"), (1, "1 log record"), (2, "2 log records")] {
            assert_eq!(counted(count, "log records"), expected);
        }
    }

    #[test]
    fn times_out_of_range_are_none() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(
            time(at(253_402_300_799)).as_deref(),
            Some("9999-12-31T23:59:59.000000Z")
        );
        assert_eq!(time(at(253_402_300_800)), None);
        let year_1 = SystemTime::UNIX_EPOCH - YEAR_1_TO_EPOCH;
        assert_eq!(time(year_1).as_deref(), Some("0001-01-01T00:00:00.000000Z"));
        assert_eq!(time(year_1 - Duration::from_secs(1)), None);
        assert_eq!(time(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60)), None);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape_control("plain, ünd ✗"), "plain, ünd ✗");
        assert_eq!(escape_control("a\nb\t\x1b[2Jc\u{9b}d"), "a\\nb\\t\\u{1b}[2Jc\\u{9b}d");
        assert_eq!(escape_control(r#"it's "a\b""#), r#"it's "a\b""#);
        assert_eq!(escape_control("'\u{7}\""), "'\\u{7}\"");
    }

    #[test]
    fn invisible_characters_are_escaped() {
        for (character, name) in [
            ('\u{202e}', "right-to-left override"),
            ('\u{2066}', "left-to-right isolate"),
            ('\u{200b}', "zero width space"),
            ('\u{200f}', "right-to-left mark"),
            ('\u{feff}', "byte order mark"),
            ('\u{2028}', "line separator"),
            ('\u{ad}', "soft hyphen"),
            ('\u{e0041}', "tag"),
            ('\u{e000}', "private use"),
        ] {
            let text = format!("user{character}name");
            let expected = format!("user{}name", character.escape_unicode());
            assert_eq!(escape_control(&text), expected, "{name}");
        }
        // Letters of any script stay, and so do marks that combine with one.
        for text in ["日本語", "שלום", "e\u{301}", "नमस्ते", "naïve 🚀"] {
            assert_eq!(escape_control(text), text);
        }
    }
}
