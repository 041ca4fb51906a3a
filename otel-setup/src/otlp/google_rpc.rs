//! The parts of `google.rpc.Status` that OTLP receivers answer with: a message, and a delay.
//!
//! Over gRPC it is in the trailer `grpc-status-details-bin`, over HTTP in the body.

use std::time::Duration;

use prost::Message;

/// The message `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// The message `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// The message `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Delay>,
}

/// The message `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Delay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl Delay {
    /// Returns the duration, or `None` if it is negative or invalid.
    fn duration(self) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Duration::new(seconds, nanos))
    }
}

impl Status {
    /// Parses a message. Bytes that are not one are `None`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Status::decode(bytes).ok()
    }

    /// Returns the delay of the detail `RetryInfo`.
    ///
    /// The detail itself signals that the receiver is going to recover. Without a delay, or with an
    /// invalid one, that is zero.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        let is_retry_info = |any: &&Any| any.type_url.ends_with("google.rpc.RetryInfo");
        let info = self.details.iter().find(is_retry_info)?;
        let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay;
        Some(delay.and_then(Delay::duration).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_delay(seconds: i64, nanos: i32) -> Option<Duration> {
        with_retry_info(Some(Delay { seconds, nanos }))
    }

    fn with_retry_info(retry_delay: Option<Delay>) -> Option<Duration> {
        let detail = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo { retry_delay }.encode_to_vec(),
        };
        let status = Status {
            details: vec![Any::default(), detail],
            ..Status::default()
        };
        Status::parse(&status.encode_to_vec()).unwrap().retry_delay()
    }

    #[test]
    fn delays_are_read_from_the_details() {
        assert_eq!(with_delay(2, 500_000_000), Some(Duration::from_millis(2500)));
        assert_eq!(with_delay(0, 0), Some(Duration::ZERO));
        for (case, delay) in [
            ("negative", with_delay(-1, 0)),
            ("too many nanoseconds", with_delay(0, i32::MAX)),
            ("none", with_retry_info(None)),
        ] {
            assert_eq!(delay, Some(Duration::ZERO), "{case}");
        }
        assert_eq!(Status::default().retry_delay(), None);
        assert_eq!(Status::parse(b"<html>"), None);
    }
}
