//! The types of plain scalars.

use super::node::Value;

/// Resolves the type of a plain scalar by the [core schema](https://yaml.org/spec/1.2.2/#103-core-schema).
pub(super) fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if let Some(number) = integer(&text) {
        return Value::Int(number);
    }
    float(&text).map_or(Value::Text(text), Value::Float)
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
