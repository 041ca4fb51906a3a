//! YAML with the core schema of version 1.2, as a tree with line numbers.

use std::ffi::OsString;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::node::{Node, Value};
use super::scalar::plain;
use super::substitution::substitute;

/// The maximum number of nodes, with those that aliases repeat.
const MAX_NODES: usize = 100_000;
/// The maximum depth of nested mappings and lists.
const MAX_DEPTH: usize = 64;

/// A mapping or list whose end has not been read.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The entries, and the key whose value comes next, with its line.
    Map(Vec<(String, Node)>, Option<(String, usize)>),
}

/// Builds the tree from the parser's events.
struct TreeBuilder<'l> {
    lookup: &'l dyn Fn(&str) -> Option<OsString>,
    open: Vec<Open>,
    /// The nodes with an anchor.
    anchors: Vec<(usize, Node)>,
    root: Option<Node>,
    size: usize,
}

/// Parses a document, and replaces references to environment variables in its values.
///
/// # Errors
///
/// If it is no YAML, has several documents, tags, a key twice, or is too large. The message begins
/// with the line.
pub(super) fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Node, String> {
    let mut builder = TreeBuilder {
        lookup,
        open: Vec::new(),
        anchors: Vec::new(),
        root: None,
        size: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        builder
            .add(event, span)
            .map_err(|problem| format!("line {}: {problem}", span.start.line()))?;
    }
    builder.root.ok_or_else(|| "line 1: the file is empty".to_owned())
}

impl TreeBuilder<'_> {
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match &tag {
                    None => style != ScalarStyle::Plain,
                    Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
                    Some(_) => return Err("tags are not supported".to_owned()),
                };
                let is_key = self.expects_key();
                if is_key && anchor == 0 {
                    return self.key(text.into_owned(), line);
                }
                let substituted = substitute(&text, self.lookup)?;
                let (value, source) = if is_text {
                    (Value::Text(substituted), String::new())
                } else {
                    plain(substituted)
                };
                let node = Node { value, source, line };
                if is_key {
                    // The key is the text itself; an alias of it is a value.
                    self.anchors.push((anchor, node));
                    return self.key(text.into_owned(), line);
                }
                self.close(node, anchor)
            }
            Event::Alias(id) => {
                let node = self.anchors.iter().find(|(anchor, _)| *anchor == id);
                let node = node.map(|(_, node)| node.clone());
                // A node is no alias of itself: its anchor is known at its end.
                let node = node.ok_or("the alias is inside of its own anchor")?;
                if let (true, Value::Text(text)) = (self.expects_key(), &node.value) {
                    return self.key(text.clone(), line);
                }
                self.size += node.size();
                self.close(Node { line, ..node }, 0)
            }
            Event::SequenceStart(anchor, tag) => self.open(line, anchor, tag.is_some(), Content::List(Vec::new())),
            Event::MappingStart(anchor, tag) => self.open(line, anchor, tag.is_some(), Content::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, content }) = self.open.pop() else {
                    return Ok(());
                };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map(entries, _) => Value::Map(entries),
                };
                let source = String::new();
                self.close(Node { value, source, line }, anchor)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err("the file has a second document".to_owned()),
            _ => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Map(_, None),
                ..
            })
        )
    }

    fn key(&mut self, key: String, line: usize) -> Result<(), String> {
        let Some(Open {
            content: Content::Map(entries, pending),
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        if entries.iter().any(|(known, _)| *known == key) {
            return Err(format!("the key {key:?} is there twice"));
        }
        *pending = Some((key, line));
        Ok(())
    }

    fn open(&mut self, line: usize, anchor: usize, has_tag: bool, content: Content) -> Result<(), String> {
        if has_tag {
            return Err("tags are not supported".to_owned());
        }
        if self.expects_key() {
            return Err("a key must be text".to_owned());
        }
        if self.open.len() == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} mappings and lists are nested"));
        }
        self.open.push(Open { line, anchor, content });
        Ok(())
    }

    /// Adds a complete node to what encloses it.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.size += 1;
        if self.size > MAX_NODES {
            return Err(format!("the file has more than {MAX_NODES} values"));
        }
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, key)) => match key.take() {
                // An error is found at the key, even if its value begins on a later line.
                Some((key, line)) => entries.push((key, Node { line, ..node })),
                None => return Err("a key must be text".to_owned()),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn parsed(text: &str) -> Result<Node, String> {
        parse(text, &|name| {
            let value = match name {
                "INT" => "1",
                "HEX" => "0xdeadbeef",
                "BOOL" => "true",
                "MAP" => "value\nkey:value",
                _ => return None,
            };
            Some(value.into())
        })
    }

    fn value(text: &str) -> Value {
        let Value::Map(mut entries) = parsed(&format!("key: {text}")).unwrap().value else {
            panic!("{text}")
        };
        entries.remove(0).1.value
    }

    #[test]
    fn plain_scalars_have_the_types_of_the_core_schema() {
        for (text, expected) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("NULL", Value::Null),
            ("True", Value::Bool(true)),
            ("yes", Value::Text("yes".to_owned())),
            ("-12", Value::Int(-12)),
            ("0o14", Value::Int(12)),
            ("0xC", Value::Int(12)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("inf", Value::Text("inf".to_owned())),
            ("1_000", Value::Text("1_000".to_owned())),
            ("\"1\"", Value::Text("1".to_owned())),
            ("'true'", Value::Text("true".to_owned())),
            ("!!str 1", Value::Text("1".to_owned())),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn types_are_resolved_after_the_substitution() {
        for (text, expected) in [
            ("${INT}", Value::Int(1)),
            ("${HEX}", Value::Int(0xdead_beef)),
            ("${BOOL}", Value::Bool(true)),
            ("\"${INT}\"", Value::Text("1".to_owned())),
            ("${UNDEFINED}", Value::Null),
            ("\"${UNDEFINED}\"", Value::Text(String::new())),
            ("${MAP}", Value::Text("value\nkey:value".to_owned())),
            ("a ${INT}", Value::Text("a 1".to_owned())),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        let Value::Map(entries) = parsed("${INT}: 1").unwrap().value else {
            panic!()
        };
        assert_eq!(entries[0].0, "${INT}", "keys are not substituted");
    }

    #[test]
    fn faulty_files_are_errors_with_a_line() {
        let deep = "[".repeat(100);
        let levels = (1..10).map(|level| {
            let alias = format!("*a{}", level - 1);
            format!("a{level}: &a{level} [{}]", [alias.as_str(); 10].join(", "))
        });
        let first = iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned());
        let bomb = first.chain(levels).collect::<Vec<_>>().join("\n");
        for (text, expected) in [
            ("", "line 1: the file is empty"),
            ("a: 1\na: 2", "line 2: the key \"a\" is there twice"),
            ("a: !mine 1", "line 1: tags are not supported"),
            ("a: 1\n---\nb: 2", "line 2: the file has a second document"),
            ("[a]: 1", "line 1: a key must be text"),
            ("a: ${1}", "line 1: has the invalid reference"),
            (&deep, "line 1: more than 64 mappings and lists are nested"),
            (&bomb, "line 5: the file has more than 100000 values"),
            ("a:\n  - b\n c: d", "line 3: "),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn aliases_repeat_their_anchor() {
        let Value::Map(entries) = parsed("a: &x {b: 1}\nc: *x").unwrap().value else {
            panic!()
        };
        assert_eq!(entries[0].1.value, entries[1].1.value);
        assert_eq!(entries[1].1.line, 2);
        // Keys may have anchors, and be aliases.
        for (text, key, value) in [
            ("&k key: *k", "key", Value::Text("key".to_owned())),
            ("other: &k key\n*k : key", "key", Value::Text("key".to_owned())),
            ("&k 5: *k", "5", Value::Int(5)),
            ("&k \"5\": *k", "5", Value::Text("5".to_owned())),
            ("&k ${X}: *k", "${X}", Value::Text("text".to_owned())),
        ] {
            let node = parse(text, &|_| Some("text".into())).map_err(|error| format!("{text}: {error}"));
            let Value::Map(entries) = node.unwrap().value else {
                panic!("{text}")
            };
            let (last, node) = entries.last().unwrap();
            assert_eq!((last.as_str(), &node.value), (key, &value), "{text}");
        }
    }
}
