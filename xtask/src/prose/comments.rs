//! Finds the line comments of Rust source, without those in strings.

/// A line comment.
#[derive(Debug, PartialEq)]
pub(super) struct Comment<'s> {
    /// The number of its line, from 1.
    pub(super) line: usize,
    /// The comment, from its slashes to the end of the line.
    pub(super) text: &'s str,
    /// Whether it follows code on its line.
    pub(super) is_trailing: bool,
    /// The width of the whole line, in characters.
    pub(super) width: usize,
}

/// Returns the line comments of a source file.
pub(super) fn line_comments(source: &str) -> Vec<Comment<'_>> {
    let mut comments = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        if rest.starts_with("//") {
            let text = rest.lines().next().unwrap_or_default();
            comments.push(comment(source, at, text));
            at += text.len();
        } else {
            at += token(rest);
        }
    }
    comments
}

fn comment<'s>(source: &'s str, at: usize, text: &'s str) -> Comment<'s> {
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let code = &source[line_start..at];
    Comment {
        line: before.matches('\n').count() + 1,
        text,
        is_trailing: !code.trim().is_empty(),
        width: code.chars().count() + text.chars().count(),
    }
}

/// Returns the length of the token at the start, which is no line comment.
fn token(rest: &str) -> usize {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match rest.as_bytes()[0] {
        b'/' if rest.starts_with("/*") => block_comment(rest),
        b'"' => string(rest),
        b'\'' => character_or_lifetime(rest),
        byte if byte.is_ascii_alphanumeric() || byte == b'_' => word_or_raw_string(rest),
        _ => first,
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A string, byte string or C string, up to a quote that no backslash escapes.
fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'"'` is a character; `'a` is a lifetime, or a label.
fn character_or_lifetime(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((escaped, character))) => {
            let after = escaped + character.len_utf8();
            rest[after..].find('\'').map_or(rest.len(), |end| after + end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

/// An identifier, a keyword or a number; or the prefix of a raw string, with that string.
fn word_or_raw_string(rest: &str) -> usize {
    let is_in_word = |character: char| character.is_alphanumeric() || character == '_';
    let length = rest.find(|character| !is_in_word(character)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(length);
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let is_raw = ["r", "br", "cr"].contains(&word) && after[hashes..].starts_with('"');
    if !is_raw {
        return length;
    }
    let content = length + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    rest[content..]
        .find(&end)
        .map_or(rest.len(), |at| content + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::line_comments;

    fn texts(source: &str) -> Vec<&str> {
        line_comments(source).into_iter().map(|comment| comment.text).collect()
    }

    #[test]
    fn comments_of_all_kinds_are_found_with_their_lines() {
        let source = "//! One\nfn f() {} // two\n\n    /// three\n";
        let found: Vec<_> = line_comments(source)
            .into_iter()
            .map(|it| (it.line, it.text, it.is_trailing))
            .collect();
        assert_eq!(
            found,
            [(1, "//! One", false), (2, "// two", true), (4, "/// three", false)]
        );
    }

    #[test]
    fn strings_hold_no_comments() {
        assert_eq!(texts(r#"let url = "http://host"; // a"#), ["// a"]);
        assert_eq!(texts(r#"let quote = "\"// no"; // b"#), ["// b"]);
        assert_eq!(texts("let raw = r#\"\"// no\"#; // c"), ["// c"]);
        assert_eq!(texts("let bytes = br\"// no\"; // d"), ["// d"]);
        assert_eq!(texts("let raw = r##\"\n// no \"# // no\n\"##; // e"), ["// e"]);
    }

    #[test]
    fn quotes_of_characters_open_no_string() {
        assert_eq!(texts("let a = '\"'; // a"), ["// a"]);
        assert_eq!(texts(r"let b = '\''; // b"), ["// b"]);
        assert_eq!(texts(r"let c = '\u{22}'; // c"), ["// c"]);
        assert_eq!(texts("fn f<'a>(text: &'a str) {} // d"), ["// d"]);
        assert_eq!(texts("let e = b'\"'; // e"), ["// e"]);
        assert_eq!(texts("let f = 'µ'; // f"), ["// f"]);
    }

    #[test]
    fn raw_identifiers_and_words_that_end_in_r_are_no_raw_strings() {
        assert_eq!(texts("let r#type = for_r\"a\"; // a"), ["// a"]);
        assert_eq!(texts("m!(r# # \"b\"); // b"), ["// b"]);
    }

    #[test]
    fn block_comments_are_no_line_comments() {
        assert_eq!(texts("/* // no /* nested */ \" // no */ // a"), ["// a"]);
        assert_eq!(texts("/* // never closed"), Vec::<&str>::new());
    }

    #[test]
    fn the_width_is_that_of_the_line_in_characters() {
        assert_eq!(line_comments("    // µs\n")[0].width, 9);
    }
}
