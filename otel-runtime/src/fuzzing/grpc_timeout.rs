//! Fuzz target: the `grpc-timeout` header.

use std::time::Duration;

use http::HeaderValue;

use crate::grpc::deadline;
use crate::grpc::side::Side;

/// Checks that only valid timeouts are parsed, and that a deadline is never after its timeout.
pub fn check(bytes: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let parsed = deadline::parse_header(&header);
    assert_eq!(parsed, expected(bytes));
    for side in [Side::Client, Side::Server] {
        if let Some(timeout) = parsed {
            let shortest = deadline::shortest(side, timeout);
            assert!(shortest <= timeout);
            assert!(timeout.is_zero() || !shortest.is_zero());
        }
    }
}

/// Parses a timeout with 128-bit integers, which cannot overflow.
fn expected(bytes: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_amount = (1..=8).contains(&digits.len()) && digits.chars().all(|digit| digit.is_ascii_digit());
    let nanoseconds: u128 = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    let all = digits.parse::<u128>().ok().filter(|_| is_amount)? * nanoseconds;
    let seconds = u64::try_from(all / 1_000_000_000).unwrap();
    Some(Duration::new(seconds, u32::try_from(all % 1_000_000_000).unwrap()))
}
