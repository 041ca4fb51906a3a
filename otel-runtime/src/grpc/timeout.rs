//! The caller's deadline: the `grpc-timeout` of the request.

use std::time::Duration;

use http::HeaderValue;

use crate::grpc::side::Side;

/// How much sooner than a handler's own clock says the deadline may have come.
///
/// tonic's timer runs from the arrival of the headers and the caller's from before that, while a handler starts when the request message has been read.
const MAX_SLACK: Duration = Duration::from_millis(100);

/// Reads `grpc-timeout`: up to eight digits and a unit, as the [gRPC protocol] has it. `None` for no valid deadline.
///
/// [gRPC protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
pub(crate) fn parse_header(header: &HeaderValue) -> Option<Duration> {
    parse(header.as_bytes())
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount = digits.iter().try_fold(0, |amount, digit| {
        digit.is_ascii_digit().then(|| amount * 10 + u64::from(digit - b'0'))
    })?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 60 * 60)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Whether an RPC that was given up after `elapsed` was given up because of its `timeout`. A client is the caller itself, and its clock the one that counts.
pub(crate) fn exceeded(side: Side, timeout: Duration, elapsed: Duration) -> bool {
    match side {
        Side::Client => elapsed >= timeout,
        Side::Server => elapsed + MAX_SLACK.min(timeout / 2) >= timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse(b"2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse(b"3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse(b"42S"), Some(Duration::from_secs(42)));
        assert_eq!(parse(b"13m"), Some(Duration::from_millis(13)));
        assert_eq!(parse(b"2u"), Some(Duration::from_micros(2)));
        assert_eq!(parse(b"82n"), Some(Duration::from_nanos(82)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn malformed_is_no_deadline() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "1f",
            "-1S",
            "+1S",
            " 1S",
            "1 S",
            "1.5S",
            "123456789S",
            "1\u{0660}S",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn the_slack_shrinks_with_the_deadline() {
        let millis = Duration::from_millis;
        let exceeded = |timeout, elapsed| exceeded(Side::Server, timeout, elapsed);
        assert!(exceeded(millis(1000), millis(900)));
        assert!(!exceeded(millis(1000), millis(899)));
        assert!(exceeded(millis(60), millis(30)));
        assert!(!exceeded(millis(60), millis(29)));
        assert!(exceeded(Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_client_needs_no_slack() {
        let millis = Duration::from_millis;
        assert!(exceeded(Side::Client, millis(1000), millis(1000)));
        assert!(!exceeded(Side::Client, millis(1000), millis(999)));
    }
}
