//! Numbers in text.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The types of numbers that instruments record.
pub(crate) trait Number: Copy {
    fn push(self, out: &mut String);
    fn as_f64(self) -> f64;
    fn any(self) -> AnyNumber;
}

/// A number of any of the types.
#[derive(Clone, Copy)]
pub(crate) enum AnyNumber {
    Integer(i128),
    Float(f64),
}

impl AnyNumber {
    pub(crate) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (AnyNumber::Integer(a), AnyNumber::Integer(b)) => AnyNumber::Integer(a.saturating_add(b)),
            (a, b) => AnyNumber::Float(a.as_f64() + b.as_f64()),
        }
    }
}

impl Number for AnyNumber {
    fn push(self, out: &mut String) {
        match self {
            AnyNumber::Integer(value) => {
                let _ = write!(out, "{value}");
            }
            AnyNumber::Float(value) => push_float(out, value),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    fn as_f64(self) -> f64 {
        match self {
            AnyNumber::Integer(value) => value as f64,
            AnyNumber::Float(value) => value,
        }
    }

    fn any(self) -> AnyNumber {
        self
    }
}

impl Number for f64 {
    fn push(self, out: &mut String) {
        push_float(out, self);
    }

    fn as_f64(self) -> f64 {
        self
    }

    fn any(self) -> AnyNumber {
        AnyNumber::Float(self)
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Number for $integer {
            fn push(self, out: &mut String) {
                let _ = write!(out, "{self}");
            }

            #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
            fn as_f64(self) -> f64 {
                self as f64
            }

            fn any(self) -> AnyNumber {
                AnyNumber::Integer(self.into())
            }
        }
    )*};
}

integers!(u64 i64);

pub(crate) fn push_float(out: &mut String, value: f64) {
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        // Unlike `{}`, it writes large and small numbers with an exponent.
        write!(out, "{value:?}")
    };
}

/// Writes a boundary of a histogram, the value of the label `le`.
///
/// Labels are compared as text, so the text has to be the one that others write. OpenMetrics
/// requires the form of Go's `%g`, with `.0` after integers. Text 0.0.4 has it without `.0`.
pub(crate) fn push_boundary(out: &mut String, value: f64, open_metrics: bool) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.parse::<i32>() {
            Ok(-4..6) | Err(_) => {
                let _ = write!(out, "{value}");
                if open_metrics && value.fract() == 0.0 {
                    out.push_str(".0");
                }
            }
            Ok(exponent) => {
                let _ = write!(out, "{digits}e{exponent:+03}");
            }
        },
        None => push_float(out, value),
    }
}

/// Writes a time in seconds since 1970.
pub(crate) fn push_seconds(out: &mut String, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = write!(out, "{}.{:03}", since.as_secs(), since.subsec_millis());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_written_as_go_writes_them() {
        for (value, open_metrics, text) in [
            (0.0, "0.0", "0"),
            (0.005, "0.005", "0.005"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (1.0, "1.0", "1"),
            (2.5, "2.5", "2.5"),
            (-10.0, "-10.0", "-10"),
            (100_000.0, "100000.0", "100000"),
            (1_000_000.0, "1e+06", "1e+06"),
            (1_048_576.0, "1.048576e+06", "1.048576e+06"),
            (1e300, "1e+300", "1e+300"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            for (expected, is_open_metrics) in [(open_metrics, true), (text, false)] {
                let mut written = String::new();
                push_boundary(&mut written, value, is_open_metrics);
                assert_eq!(written, expected);
            }
        }
    }

    #[test]
    fn values_are_short_and_exact() {
        for (value, expected) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut written = String::new();
            push_float(&mut written, value);
            assert_eq!(written, expected);
        }
    }
}
