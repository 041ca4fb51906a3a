//! Environment variables in scalar values: `${NAME}`, `${env:NAME}`, `${NAME:-default}`, and `$$`
//! for a dollar sign.
//!
//! [Specification](https://opentelemetry.io/docs/specs/otel/configuration/data-model/#environment-variable-substitution)

use std::ffi::OsString;

/// Replaces the references in a value. What a variable contains is not replaced again.
///
/// # Errors
///
/// If a reference is invalid, or the variable's value is not UTF-8.
pub(super) fn substitute(value: &str, lookup: impl Fn(&str) -> Option<OsString>) -> Result<String, String> {
    // `$$` separates the parts in which references are looked for.
    let parts: Result<Vec<String>, String> = value.split("$$").map(|part| substitute_part(part, &lookup)).collect();
    Ok(parts?.join("$"))
}

fn substitute_part(part: &str, lookup: &impl Fn(&str) -> Option<OsString>) -> Result<String, String> {
    let mut replaced = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        replaced.push_str(&rest[..start]);
        let reference = &rest[start + 2..start + length];
        let variable = reference.strip_prefix("env:").unwrap_or(reference);
        let (name, default) = variable.split_once(":-").unwrap_or((variable, ""));
        if !is_name(name) || !default.chars().all(is_allowed) {
            return Err(format!(
                "has the invalid reference \"${{{reference}}}\"; write ${{NAME}}, ${{NAME:-default}}, or $$ for a dollar sign"
            ));
        }
        let found = lookup(name).map(OsString::into_string).transpose();
        let found = found.map_err(|_| format!("the value of {name} is not valid UTF-8"))?;
        let found = found.filter(|value| !value.is_empty());
        replaced.push_str(found.as_deref().unwrap_or(default));
        rest = &rest[start + length + 1..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Returns whether a text is the name of an environment variable.
fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Returns whether a default value may contain a character. Line breaks are excluded.
fn is_allowed(character: char) -> bool {
    !character.is_control() || character == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(value: &str) -> Result<String, String> {
        substitute(value, |name| {
            let value = match name {
                "STRING" => "value",
                "EMPTY" => "",
                "REFERENCE" => "${STRING}",
                "ESCAPE" => "value$$",
                _ => return None,
            };
            Some(value.into())
        })
    }

    #[test]
    fn references_are_replaced_once() {
        for (value, expected) in [
            ("${STRING}", "value"),
            ("${env:STRING}", "value"),
            ("a ${STRING} ${STRING}.", "a value value."),
            ("${UNDEFINED}", ""),
            ("${UNDEFINED:-fall back}", "fall back"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${STRING:-fallback}", "value"),
            ("${STRING:-}", "value"),
            ("${REFERENCE}", "${STRING}"),
            ("${UNDEFINED:-${STRING}}", "${STRING}"),
            ("$${STRING}", "${STRING}"),
            ("$$${STRING}", "$value"),
            ("$$$${STRING}", "$${STRING}"),
            ("$${STRING:-fallback}", "${STRING:-fallback}"),
            ("$${STRING:-${STRING}}", "${STRING:-value}"),
            ("${UNDEFINED:-$${UNDEFINED}}", "${UNDEFINED:-${UNDEFINED}}"),
            ("${ESCAPE}", "value$$"),
            ("a $$ b", "a $ b"),
            ("a $ b", "a $ b"),
            ("${STRING", "${STRING"),
        ] {
            assert_eq!(replaced(value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn invalid_references_are_errors() {
        for value in [
            "${STRING:?error}",
            "${1STRING}",
            "${API_$KEY}",
            "${sys:STRING}",
            "${ STRING}",
            "${}",
            "${} ${STRING}",
            "${A:-\n}",
        ] {
            assert!(
                replaced(value).unwrap_err().starts_with("has the invalid reference "),
                "{value}"
            );
        }
    }
}
