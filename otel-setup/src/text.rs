//! Text for terminals: colors, times, and escaped control characters.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

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
/// Returns `None` for years after 9999 or before -9999.
pub(crate) fn time(time: SystemTime) -> Option<String> {
    let time = Timestamp::try_from(time).ok()?;
    Some(format!("{time:.6}"))
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

/// Serializes a value as JSON on one line, with the characters that [`escape_control`] escapes as
/// JSON's escape sequences.
///
/// # Errors
///
/// If the value cannot be serialized.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut line = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut line, EscapeInvisible))?;
    String::from_utf8(line).map_err(serde::ser::Error::custom)
}

/// A compact format that escapes invisible characters in strings.
struct EscapeInvisible;

impl Formatter for EscapeInvisible {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Most text is.
        if fragment.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut buffer = [0; 4];
            let text: &str = character.encode_utf8(&mut buffer);
            // With a letter in front, a mark that combines with it is not escaped.
            if escape_control(&format!("a{text}"))[1..] == *text {
                writer.write_all(text.as_bytes())?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
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

    #[test]
    fn times_out_of_range_are_none() {
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
    fn json_escapes_invisible_characters_only() {
        for (text, expected) in [
            ("naïve \"日本\" e\u{301}\n", "\"naïve \\\"日本\\\" e\u{301}\\n\""),
            (
                "a\u{202e}\u{9b}\u{7f}\u{e0041}b",
                r#""a\u202e\u009b\u007f\udb40\udc41b""#,
            ),
        ] {
            let line = json_line(&text).unwrap();
            assert_eq!(line, expected);
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
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
