//! The caller's deadline: the `grpc-timeout` of the request.

use std::time::Duration;

use http::HeaderValue;

use crate::clock::TimerInstant;
use crate::grpc::side::Side;
use crate::guard::CaughtPanic;

/// Tolerance for a handler that starts later than the timers of tonic and of the caller.
///
/// tonic's timer starts when the headers arrive, and the caller's timer even earlier. A handler
/// starts only when the request message has been read.
const MAX_SLACK: Duration = Duration::from_millis(100);

/// The timeout of a request, and the time at which it arrived, by the clock of tonic's timers.
#[derive(Debug)]
pub(crate) struct Timeout {
    timeout: Duration,
    started_at: TimerInstant,
}

impl Timeout {
    /// Never inlined, to keep the start of a call without a timeout small.
    #[inline(never)]
    pub(crate) fn start(timeout: Duration) -> Option<Self> {
        let started_at = now()?;
        Some(Timeout { timeout, started_at })
    }

    /// Returns `true` if an RPC that is dropped now has exceeded its timeout.
    pub(crate) fn exceeded(&self, side: Side) -> bool {
        now().is_some_and(|now| exceeded(side, self.timeout, now - self.started_at))
    }
}

/// Returns the time by the clock of tonic's timers.
///
/// A clock that can be stopped panics in a thread that has dropped its thread-locals, where a drop
/// may still call this. Then there is no time, as no timer fires.
fn now() -> Option<TimerInstant> {
    CaughtPanic::catch(TimerInstant::now).ok()
}

/// Parses `grpc-timeout`: up to eight digits and a unit, as the [gRPC protocol] specifies.
///
/// Returns `None` if the value is malformed.
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

/// Returns `true` if an RPC that was dropped after `elapsed` had exceeded its `timeout`.
///
/// A client needs no tolerance: the deadline is measured by its own clock.
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
    fn parses_every_unit() {
        assert_eq!(parse(b"2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse(b"3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse(b"42S"), Some(Duration::from_secs(42)));
        assert_eq!(parse(b"13m"), Some(Duration::from_millis(13)));
        assert_eq!(parse(b"2u"), Some(Duration::from_micros(2)));
        assert_eq!(parse(b"82n"), Some(Duration::from_nanos(82)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn rejects_malformed_values() {
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
    fn server_slack_is_at_most_half_the_timeout() {
        let millis = Duration::from_millis;
        let exceeded = |timeout, elapsed| exceeded(Side::Server, timeout, elapsed);
        assert!(exceeded(millis(1000), millis(900)));
        assert!(!exceeded(millis(1000), millis(899)));
        assert!(exceeded(millis(60), millis(30)));
        assert!(!exceeded(millis(60), millis(29)));
        assert!(exceeded(Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn client_has_no_slack() {
        let millis = Duration::from_millis;
        assert!(exceeded(Side::Client, millis(1000), millis(1000)));
        assert!(!exceeded(Side::Client, millis(1000), millis(999)));
    }
}
