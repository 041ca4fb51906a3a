//! The rules: no comment opens with a word that refers elsewhere, and none exceeds 100 columns.

use std::fmt;

use super::comments::{Comment, line_comments};

/// Words that say nothing to a reader who sees the comment alone, as on hover.
const OPENINGS: [&str; 14] = [
    "What", "That", "Those", "These", "One", "It", "Its", "Which", "The same", "Of", "Where", "As above", "They",
    "Them",
];

const MAX_WIDTH: usize = 100;

/// An offense against a rule.
pub(super) struct Offense {
    line: usize,
    text: String,
    reason: Reason,
}

#[derive(Debug, PartialEq)]
enum Reason {
    Opening(&'static str),
    Width(usize),
}

impl fmt::Display for Offense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, text) = (self.line, &self.text);
        match self.reason {
            Reason::Opening(words) => write!(f, "{line}: opens with \"{words}\": {text}"),
            Reason::Width(width) => write!(f, "{line}: {width} columns: {text}"),
        }
    }
}

/// Returns the offenses of a source file, in its order.
pub(super) fn offenses(source: &str) -> Vec<Offense> {
    let mut offenses = Vec::new();
    let mut block = Block::default();
    for comment in line_comments(source) {
        let role = block.role(&comment);
        let mut found = |reason| {
            offenses.push(Offense {
                line: comment.line,
                text: comment.text.to_owned(),
                reason,
            });
        };
        if let Role::Opening = role
            && let Some(words) = opening(content(comment.text).1)
        {
            found(Reason::Opening(words));
        }
        let may_be_wide = matches!(role, Role::Exempt) || comment.text.contains("://");
        if comment.width > MAX_WIDTH && !may_be_wide {
            found(Reason::Width(comment.width));
        }
    }
    offenses
}

/// The part that a line has in its comment.
enum Role {
    /// Opens a comment, or a paragraph of it.
    Opening,
    /// Continues a sentence, or is an item of a list.
    Text,
    /// Is code or a row of a table.
    Exempt,
}

/// Consecutive lines of one kind of comment, as far as they are read.
#[derive(Default)]
struct Block {
    /// The line and the slashes with which the block continues, if it does.
    next: Option<(usize, &'static str)>,
    is_code: bool,
    opens: bool,
}

impl Block {
    fn role(&mut self, comment: &Comment<'_>) -> Role {
        let (marker, text) = content(comment.text);
        if self.next != Some((comment.line, marker)) || comment.is_trailing {
            *self = Block {
                opens: true,
                ..Block::default()
            };
        }
        self.next = (!comment.is_trailing).then_some((comment.line + 1, marker));

        let trimmed = text.trim_start();
        let is_fence = trimmed.starts_with("```");
        if is_fence || self.is_code {
            self.is_code ^= is_fence;
            self.opens = true;
            return Role::Exempt;
        }
        if trimmed.starts_with('|') {
            self.opens = true;
            return Role::Exempt;
        }
        // Beneath an empty line or a heading there is a new paragraph.
        let opens = std::mem::replace(&mut self.opens, trimmed.is_empty() || trimmed.starts_with('#'));
        // Indented text belongs to an item of a list.
        if opens && !self.opens && !is_item(trimmed) && !text.starts_with("  ") {
            Role::Opening
        } else {
            Role::Text
        }
    }
}

/// Splits a comment into its slashes and its text, without the space between them.
fn content(comment: &str) -> (&'static str, &str) {
    for marker in ["///", "//!", "//"] {
        if let Some(text) = comment.strip_prefix(marker) {
            return (marker, text.strip_prefix(' ').unwrap_or(text));
        }
    }
    ("", comment)
}

fn is_item(text: &str) -> bool {
    let number = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let is_numbered = number.len() < text.len() && (number.starts_with(". ") || number.starts_with(") "));
    is_numbered || ["* ", "- ", "+ "].iter().any(|marker| text.starts_with(marker))
}

/// Returns the words of the list that a text opens with, if it does.
fn opening(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches(|character: char| "*_\"'([“".contains(character));
    OPENINGS.into_iter().find(|words| {
        // `One-way` and `Its_name` are other words.
        let rest = text.strip_prefix(words);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || "-_".contains(next)))
    })
}

#[cfg(test)]
mod tests {
    use super::{Reason, offenses};

    fn openings(source: &str) -> Vec<(usize, &'static str)> {
        let opening = |offense: super::Offense| match offense.reason {
            Reason::Opening(words) => Some((offense.line, words)),
            Reason::Width(_) => None,
        };
        offenses(source).into_iter().filter_map(opening).collect()
    }

    #[test]
    fn the_first_word_of_each_kind_of_comment_counts() {
        let source = "//! What a file is.\n\n/// It runs.\nfn f() {} // Which ends\n// The same again.\n";
        assert_eq!(
            openings(source),
            [(1, "What"), (3, "It"), (4, "Which"), (5, "The same")]
        );
    }

    #[test]
    fn other_words_do_not_count() {
        assert_eq!(openings("/// Whatever\n"), []);
        assert_eq!(openings("/// One-way\n"), []);
        assert_eq!(openings("/// The sampler\n"), []);
        assert_eq!(openings("/// Returns what it is.\n"), []);
        assert_eq!(openings("/// `It` is a type.\n"), []);
        assert_eq!(openings("//// It is no comment of ours\n"), []);
    }

    #[test]
    fn marks_before_a_word_do_not_hide_it() {
        assert_eq!(openings("/// *That* one.\n"), [(1, "That")]);
        assert_eq!(openings("/// It's so.\n"), [(1, "It")]);
        assert_eq!(openings("// (Where it is.)\n"), [(1, "Where")]);
    }

    #[test]
    fn the_next_line_of_a_paragraph_may_open_with_anything() {
        assert_eq!(openings("/// Returns the span.\n/// It has ended.\n"), []);
    }

    #[test]
    fn a_paragraph_opens_beneath_an_empty_line_and_a_heading() {
        assert_eq!(openings("/// Returns.\n///\n/// They end.\n"), [(3, "They")]);
        assert_eq!(openings("/// # Panics\n/// It panics.\n"), [(2, "It")]);
        assert_eq!(openings("/// # What it does\n"), []);
    }

    #[test]
    fn code_between_comments_separates_them() {
        assert_eq!(openings("/// Returns.\nfn f() {}\n/// It ends.\n"), [(3, "It")]);
        assert_eq!(openings("//! The file.\n/// It runs.\n"), [(2, "It")]);
        assert_eq!(openings("let a = 1; // one\nlet b = 2; // That\n"), [(2, "That")]);
    }

    #[test]
    fn lists_tables_and_code_are_exempt() {
        let list = "/// Ends:\n///\n/// * It ends.\n///   It does.\n/// 1. That.\n/// - Which\n";
        assert_eq!(openings(list), []);
        assert_eq!(openings("/// | It | That |\n"), []);
        assert_eq!(
            openings("/// ```\n/// It\n///\n/// That\n/// ```\n/// One.\n"),
            [(6, "One")]
        );
    }

    #[test]
    fn wide_lines_count_unless_a_table_or_an_address_needs_them() {
        let widths = |text: &str| {
            let found = offenses(text);
            found
                .into_iter()
                .filter(|it| matches!(it.reason, Reason::Width(_)))
                .count()
        };
        let long = "a".repeat(97);
        assert_eq!(widths(&format!("// {long}")), 0);
        assert_eq!(widths(&format!(" // {long}")), 1);
        assert_eq!(widths(&format!("/// {long}")), 1);
        assert_eq!(widths(&format!("/// | {long} |")), 0);
        assert_eq!(widths(&format!("/// https://example.com/{long}")), 0);
        assert_eq!(widths(&format!("/// ```\n/// {long}\n/// ```")), 0);
        assert_eq!(widths(&format!("let text = \"// {long}\";")), 0);
    }

    #[test]
    fn an_offense_is_shown_with_its_line_and_its_text() {
        let shown = offenses("\n// It is.\n")[0].to_string();
        assert_eq!(shown, "2: opens with \"It\": // It is.");
    }
}
