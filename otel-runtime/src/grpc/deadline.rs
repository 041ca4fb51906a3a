//! The caller's deadline: the `grpc-timeout` of the request.

use std::time::Duration;

use http::HeaderValue;

use crate::clock::{Instant, TimerInstant};
use crate::grpc::side::Side;
use crate::guard::CaughtPanic;

/// Returns how much earlier than its timeout an RPC may be dropped that has missed its deadline.
///
/// The caller's timer starts before the server's clock, and the two differ by what the request
/// takes to arrive: less than 1.25 ms on an idle machine, and up to 5 ms on a busy one. A larger
/// tolerance takes callers that cancel a moment before their deadline for servers that are too
/// slow. So it is 1.25 % of a timeout of 20 ms, and at most 5 ms. Timeouts below 10 ms are as short
/// as the delay.
fn slack(timeout: Duration) -> Duration {
    const COARSE: Duration = Duration::from_millis(10);
    const SHORT: Duration = Duration::from_millis(20);
    const MAX_COARSE_SLACK: Duration = Duration::from_micros(1250);
    const MIN_SLACK: Duration = Duration::from_micros(250);
    const MAX_SLACK: Duration = Duration::from_millis(5);

    if timeout < COARSE {
        MAX_COARSE_SLACK.min(timeout / 2)
    } else {
        MAX_SLACK.min(MIN_SLACK + timeout.saturating_sub(SHORT) / 20)
    }
}

/// The time from which an RPC that is dropped has missed its deadline, by the clock of tonic's
/// timers.
#[derive(Debug)]
pub(crate) struct Deadline(TimerInstant);

impl Deadline {
    /// `arrived` is the time of arrival, if the call starts later.
    ///
    /// Returns `None` if the clock cannot reach the deadline. Never inlined, to keep the start of a
    /// call without a timeout small.
    #[inline(never)]
    pub(crate) fn new(side: Side, timeout: Duration, arrived: Option<Instant>) -> Option<Self> {
        let now = now()?;
        let late = arrived.map_or(Duration::ZERO, |arrived| arrived.elapsed());
        let started_at = now.checked_sub(late).unwrap_or(now);
        started_at.checked_add(shortest(side, timeout)).map(Deadline)
    }

    /// Returns `true` if an RPC that is dropped now has missed its deadline.
    pub(crate) fn has_passed(&self) -> bool {
        now().is_some_and(|now| now >= self.0)
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

/// Returns the time after which an RPC that is dropped has exceeded its `timeout`.
///
/// A client needs no tolerance: the deadline is measured by its own clock.
pub(crate) fn shortest(side: Side, timeout: Duration) -> Duration {
    match side {
        Side::Client => timeout,
        Side::Server => timeout.saturating_sub(slack(timeout)),
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
    fn server_slack_is_a_small_part_of_the_timeout() {
        for (timeout, earliest) in [
            (1_000_000, 995_000),
            (100_000, 95_750),
            (50_000, 48_250),
            (20_000, 19_750),
            (10_000, 9_750),
            (3_000, 1_750),
            (2_000, 1_000),
            (0, 0),
        ] {
            let micros = Duration::from_micros;
            assert_eq!(shortest(Side::Server, micros(timeout)), micros(earliest));
        }
    }

    #[test]
    fn client_has_no_slack() {
        let second = Duration::from_secs(1);
        assert_eq!(shortest(Side::Client, second), second);
    }
}
