//! Writes HTML. Markup is constant, and everything else is text.

use std::fmt::{Display, Write as _};

use crate::text::escape_control;

/// A document that is being written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup. Only literals of this crate have this lifetime.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, or the value of a quoted attribute.
    ///
    /// Control characters and invisible ones become escape sequences, as on the console.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in escape_control(text).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                character => self.0.push(character),
            }
        }
        self
    }

    /// Adds a number or another value as text.
    pub(super) fn show(&mut self, value: impl Display) -> &mut Self {
        self.text(&value.to_string())
    }

    /// Adds the value of a parameter to an address in a quoted attribute.
    pub(super) fn parameter(&mut self, value: &str) -> &mut Self {
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
                self.0.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(self.0, "%{byte:02X}");
            }
        }
        self
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("a\"b'c").raw("\">");
        html.text("<script>alert(1)</script>&amp;\u{202e}\n").raw("</p>");
        assert_eq!(
            html.finish(),
            "<p title=\"a&quot;b&#39;c\">&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;\\u{202e}\\n</p>"
        );
    }

    #[test]
    fn parameters_are_percent_encoded() {
        let mut html = Html::default();
        html.parameter("a b&c=\"é/");
        assert_eq!(html.finish(), "a%20b%26c%3D%22%C3%A9%2F");
    }
}
