//! JSON on one line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::text::escape_control;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
