//! The types of plain scalars.

use super::node::Value;

/// Resolves the type of a plain scalar by the [core schema](https://yaml.org/spec/1.2.2/#103-core-schema).
/// Returns the value, and its text if it is not text.
pub(super) fn plain(text: String) -> (Value, String) {
    match typed(&text) {
        Some(value) => (value, text),
        None => (Value::Text(text), String::new()),
    }
}

fn typed(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => match integer(text) {
            Some(number) => Value::Int(number),
            None => Value::Float(float(text)?),
        },
    })
}

fn integer(text: &str) -> Option<i64> {
    let is = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().filter(|_| is(digits, 16));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().filter(|_| is(digits, 8));
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    text.parse().ok().filter(|_| is(digits, 10))
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    // Rust also parses words such as `inf`.
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && unsigned.chars().any(|character| character.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
