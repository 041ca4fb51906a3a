//! A strict parser of text 0.0.4 and of OpenMetrics 1.0.
//!
//! The parser is stricter than Prometheus: it rejects whatever the formats forbid.

use std::collections::HashSet;

use super::family::{Family, Rules, Sample, check};

/// Returns the families, or the first violation with its line.
pub(super) fn parse(text: &str, rules: Rules) -> Result<Vec<Family>, String> {
    let text = if rules.is_open_metrics {
        text.strip_suffix("# EOF\n").ok_or("no # EOF at the end")?
    } else {
        text
    };
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("no line feed at the end".to_owned());
    }
    let mut families: Vec<Family> = Vec::new();
    for line in text.split_terminator('\n') {
        let parsed = match line.strip_prefix("# ") {
            Some(comment) => metadata(comment, &mut families, rules),
            None => Cursor { rest: line }.sample().and_then(|sample| {
                let family = families.last_mut().ok_or("a sample without a family")?;
                family.samples.push(sample);
                Ok(())
            }),
        };
        parsed.map_err(|problem| format!("{problem}: {line:?}"))?;
    }
    let mut names = HashSet::new();
    let mut series = HashSet::new();
    for family in &families {
        let problem = |problem: String| format!("{problem}, in {family:#?}");
        if !names.insert(&family.name) {
            return Err(problem("two families have the same name".to_owned()));
        }
        check(family, rules).map_err(problem)?;
        for sample in &family.samples {
            let mut labels = sample.labels.clone();
            labels.sort();
            if !series.insert((&sample.name, labels)) {
                return Err(problem(format!("two samples are the same series: {sample:?}")));
            }
        }
    }
    Ok(families)
}

fn metadata(comment: &str, families: &mut Vec<Family>, rules: Rules) -> Result<(), String> {
    let (keyword, rest) = comment.split_once(' ').ok_or("no keyword")?;
    let mut cursor = Cursor { rest };
    let name = cursor.metric_name()?;
    let text = cursor.rest.strip_prefix(' ').ok_or("no text")?.to_owned();
    let continues = families
        .last()
        .is_some_and(|last| last.name == name && last.samples.is_empty());
    if !continues {
        families.push(Family {
            name,
            ..Family::default()
        });
    }
    let family = families.last_mut().ok_or("no family")?;
    let is_new = match keyword {
        "TYPE" => {
            let types: &[&str] = if rules.is_open_metrics {
                &["counter", "gauge", "histogram", "info", "unknown"]
            } else {
                &["counter", "gauge", "histogram"]
            };
            if !types.contains(&text.as_str()) {
                return Err("unknown type".to_owned());
            }
            std::mem::replace(&mut family.type_name, text).is_empty()
        }
        "HELP" => {
            let escapes: &[char] = if rules.is_open_metrics {
                &['\\', 'n', '"']
            } else {
                &['\\', 'n']
            };
            unescaped(&text, escapes)?;
            family.help.replace(text).is_none()
        }
        "UNIT" if rules.is_open_metrics => {
            if !family.name.ends_with(&format!("_{text}")) || text.is_empty() {
                return Err("the unit is no suffix of the name".to_owned());
            }
            family.unit.replace(text).is_none()
        }
        _ => return Err("unknown keyword".to_owned()),
    };
    is_new.then_some(()).ok_or_else(|| "twice".to_owned())
}

fn unescaped(text: &str, escapes: &[char]) -> Result<String, String> {
    let mut found = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        found.push(match c {
            '\\' => match chars.next() {
                Some(found) if escapes.contains(&found) => found,
                other => return Err(format!("an unknown escape: {other:?}")),
            },
            c if escapes.contains(&c) && c != 'n' => return Err(format!("{c:?} is not escaped")),
            c => c,
        });
    }
    Ok(found)
}

struct Cursor<'t> {
    rest: &'t str,
}

impl Cursor<'_> {
    fn sample(mut self) -> Result<Sample, String> {
        let mut name = String::new();
        if !self.rest.starts_with('{') {
            name = self.metric_name()?;
        }
        let mut labels = Vec::new();
        if self.take("{") {
            loop {
                let is_quoted = self.rest.starts_with('"');
                let label = if is_quoted {
                    self.quoted()?
                } else {
                    self.plain(|c| c == '_')?
                };
                if is_quoted && !self.rest.starts_with('=') && name.is_empty() {
                    name = label;
                } else {
                    self.expect("=")?;
                    let value = self.quoted()?;
                    if label == "__name__" {
                        return Err("a second name".to_owned());
                    }
                    if labels.iter().any(|(other, _)| *other == label) {
                        return Err(format!("two labels {label}"));
                    }
                    labels.push((label, value));
                }
                if self.take("}") {
                    break;
                }
                self.expect(",")?;
            }
        }
        self.expect(" ")?;
        if name.is_empty() {
            return Err("no name".to_owned());
        }
        let value = match self.rest {
            "NaN" => f64::NAN,
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                number.parse().map_err(|_| "no number")?
            }
            _ => return Err("no number".to_owned()),
        };
        Ok(Sample { name, labels, value })
    }

    fn metric_name(&mut self) -> Result<String, String> {
        if self.rest.starts_with('"') {
            self.quoted()
        } else {
            self.plain(|c| c == '_' || c == ':')
        }
    }

    /// Takes a name without quotes.
    fn plain(&mut self, is_allowed: impl Fn(char) -> bool) -> Result<String, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !is_allowed(c));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("no valid name".to_owned());
        }
        Ok(name.to_owned())
    }

    /// Takes a text in quotes.
    fn quoted(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut is_escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (text, rest) = self.rest.split_at(end.ok_or("no quote at the end")?);
        self.rest = &rest[1..];
        unescaped(text, &['\\', 'n', '"'])
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        self.take(token)
            .then_some(())
            .ok_or_else(|| format!("no {token:?} at {:?}", self.rest))
    }
}
